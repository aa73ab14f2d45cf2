"""Names, labels and reasons from a store that want to be markup or code, in every place where the report shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import browser, console
from digits_model import DIGITS
from litedelegates.layers import LayersConfig
from litedelegates.layers.records import InPlace, LayerError, LayerInfo, PartTiming, Setting, VariantInfo
from litedelegates.layers.store import LayerStore
from litedelegates.report import write_report
from litedelegates.study import Cell, Outcome, Store

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "'\"`${document.title}\u2028\u2029<!--{{data}}]]>&lt;"
)
SIZES = {"float32": 40, "float16": 20, "int8": 10}


def write_hostile(path: Path) -> None:
    setting = Setting("float32", f"external:{HOSTILE}")
    config = LayersConfig(str(DIGITS), ("float32",), ("none",))
    with Store.create(path, {HOSTILE: HOSTILE}) as store:
        session = store.add_session({"cpu_model": HOSTILE, "board": HOSTILE}, {HOSTILE: HOSTILE}, [HOSTILE]).index
        cell = Cell(f"{HOSTILE}.tflite", "ab" * 32, "float32", f"external:{HOSTILE}", 1, {HOSTILE: HOSTILE})
        store.add_cell(cell, cell)
        shown: dict[str, Any] = {"kind": HOSTILE, "severity": "warning", "text": HOSTILE}
        store.set_outcome(Outcome(cell.key, "failed", HOSTILE, session, note=HOSTILE, conditions=(shown,)))
        store.add_event(session, HOSTILE, HOSTILE, cell)
        layers = LayerStore(store)
        layers.begin(config.key, {**config.to_json(), "model": f"{HOSTILE}.tflite"})
        for record in (
            LayerInfo(0, HOSTILE, HOSTILE, HOSTILE, (1, 10), SIZES, SIZES, HOSTILE),
            VariantInfo("float32", "ab" * 32, 900, {0: 40}, {0: 40}, HOSTILE),
            InPlace(setting, (PartTiming(HOSTILE, HOSTILE, "layer", (0,), (4.0,), HOSTILE),), 5.0, note=HOSTILE),
            LayerError(0, "float32", "local", HOSTILE, refusal=HOSTILE),
        ):
            layers.add(config.key, record, session)
        store.end_session(session, HOSTILE)


def test_nothing_in_a_store_becomes_markup_or_code(tmp_path: Path) -> None:
    write_hostile(tmp_path / "s.sqlite")
    with Store.open(tmp_path / "s.sqlite") as store:
        page = write_report(store, tmp_path / "report", ["html", "markdown"])[0]
    with browser() as driver:
        driver.get(page.as_uri())
        driver.execute_script("document.querySelectorAll('button, summary').forEach(node => node.click())")
        assert "onerror" in driver.execute_script("return document.body.textContent")  # it is shown, as text
        assert driver.execute_script("return document.title") != "owned"
        assert driver.execute_script("return document.querySelectorAll('img, script:not([type])').length") == 1
        assert console(driver) == []
    summary = (tmp_path / "report" / "summary.md").read_text()
    assert "<script" not in summary and "<img" not in summary
