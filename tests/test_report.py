"""The report's files: what is chosen, what is said, and that no name can do anything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates.cli import main
from litedelegates.errors import OptionError
from litedelegates.report import build_document, render_page, render_summary, write_report
from litedelegates.report.plots import file_name
from litedelegates.study import BlockRecord, Outcome, Store
from synthetic_study import cell, write_study

HOSTILE = "</script><img src=x onerror=alert(1)>&{{script}}|`*\u2028\"'"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study") / "study.sqlite")


def document_of(path: Path, **options: Any) -> dict[str, Any]:
    with Store.open(path) as store:
        return build_document(store, **options)


def best_of(document: dict[str, Any], model: str) -> dict[str, Any]:
    (key,) = [entry["best"] for entry in document["models"] if entry["name"] == model]
    (best,) = [one for one in document["cells"] if one["key"] == key]
    return dict(best)


def test_the_fastest_that_keeps_the_quality_is_chosen_and_the_limit_can_be_moved(path: Path) -> None:
    assert best_of(document_of(path), "digits")["label"] == "int8 xnnpack 2t"
    strict = document_of(path, accuracy_loss=0.001, relative_error=0.02)
    assert best_of(strict, "digits")["label"] == "dynamic xnnpack 2t"  # int8 loses 0.2 points
    assert best_of(strict, "hand_landmarks")["label"] == "dynamic xnnpack 2t"  # its error is 0.017, of int8 0.043
    (why,) = [model["why"] for model in strict["models"] if model["name"] == "digits"]
    assert "Left out for quality though faster: int8 xnnpack 2t" in why


def test_of_two_that_cannot_be_told_apart_the_one_with_the_smaller_error_is_chosen(tmp_path: Path) -> None:
    level = {"m float16 xnnpack 1t": 5.35 / 14, "m dynamic xnnpack 1t": 8.2 / 14, "m float32 xnnpack 1t": 1.0}
    path = write_study(tmp_path / "s.sqlite", {"m": 900.0}, (1,), slower=level, accuracy=False)
    document = document_of(path)
    assert best_of(document, "m")["label"] == "float16 xnnpack 1t"
    assert "Not shown to be slower than" in document["models"][0]["why"]


def test_configurations_of_two_groups_are_compared_through_the_reference_that_both_had(tmp_path: Path) -> None:
    base, dynamic, int8 = (cell("m", precision, "xnnpack") for precision in ("float32", "dynamic", "int8"))
    random = np.random.default_rng(0)
    with Store.create(tmp_path / "s.sqlite", {}) as store:
        for one in (base, dynamic, int8):
            store.add_cell(one, base)
            relative = {"float32": 0.0, "dynamic": 0.01, "int8": 0.04}[one.precision]
            store.set_outcome(Outcome(one.key, "ok", error={"relative": relative}))
        # The machine is twice as slow while the group of dynamic is measured; by itself it would be as fast as int8.
        for group, level, own in (("a", 2.0, dynamic), ("b", 1.0, int8)):
            for round_index in range(12):
                for one, us in ((base, 1000.0), (own, 100.0)):
                    samples = np.full((9, 3), us * level * random.lognormal(0, 0.002) * 1000 / 3).astype(np.int64)
                    store.add_block(BlockRecord(one.key, group, round_index, 0, samples, samples, 0.0, 0, 1))
    document = document_of(tmp_path / "s.sqlite")
    assert best_of(document, "m")["label"] == "dynamic xnnpack 1t"
    assert "Not shown to be slower than int8 xnnpack 1t" in document["models"][0]["why"]


@pytest.mark.parametrize("accuracy", [None, 0.9])
def test_one_whose_outputs_are_wrong_is_never_chosen(tmp_path: Path, accuracy: float | None) -> None:
    base, right, wrong = (cell("m", "int8", delegate) for delegate in ("none", "xnnpack", "openvino"))
    with Store.create(tmp_path / "s.sqlite", {}) as store:
        for one, error, us in ((base, 0.08, 1000.0), (right, 0.081, 100.0), (wrong, 0.41, 10.0)):
            store.add_cell(one, base)
            known = {"relative": 0.01, "relative_norm": error, "bound": 0.088}
            store.set_outcome(Outcome(one.key, "ok", run_sha256="int8 of m", error=known, accuracy=accuracy))
            for round_index in range(12):
                samples = np.full((9, 3), us * 1000 / 3).astype(np.int64)
                store.add_block(BlockRecord(one.key, "g", round_index, 0, samples, samples, 0.0, 0, 1))
    document = document_of(tmp_path / "s.sqlite")
    assert best_of(document, "m")["label"] == "int8 xnnpack 1t"
    found = {warning["text"]: warning["reach"] for warning in document["warnings"]}
    reach = found["The outputs are wrong: they differ by more than the precision explains."]
    assert reach == "1 of 3: int8 openvino 1t."


def test_nothing_is_chosen_where_nothing_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    one = cell("digits", "int8", "gpu")
    with Store.create(path, {}) as store:
        store.add_cell(one)
        store.set_outcome(Outcome(one.key, "failed", "there is no GPU"))
    document = document_of(path)
    assert (document["models"][0]["best"], document["models"][0]["why"]) == (
        None,
        "None of 1 configurations was measured.",
    )
    assert "failed: there is no GPU" in render_summary(document)
    with Store.create(tmp_path / "empty.sqlite", {}) as store:
        assert "0 models" in render_page(build_document(store))


def test_warnings_say_which_configurations_they_concern(path: Path) -> None:
    found = {warning["text"]: warning["reach"] for warning in document_of(path)["warnings"]}
    assert found["Not measured: crashed."].startswith("6 of 54: digits int8 gpu 1t;")
    assert "The GPU is one in software: its times say nothing about a real one." in found


def test_the_page_asks_for_nothing_and_runs_only_its_own_script(path: Path) -> None:
    page = render_page(document_of(path))
    assert re.findall(r"(?:src|href)=[\"']?(?!#)[^\"'>]+", page.split("<script")[0]) == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy.replace("&#x27;", "'")
    assert "unsafe" not in policy
    assert render_page(document_of(path)) == page


def test_a_hostile_name_cannot_leave_the_data_it_stands_in(tmp_path: Path) -> None:
    path = write_study(tmp_path / "s.sqlite", {HOSTILE: 300.0}, (1,), rounds=8)
    document = document_of(path)
    page = render_page(document)
    (data,) = re.findall(r'<script type="application/json" id="study">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data) == json.loads(json.dumps(document))
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert "<img" not in render_summary(document)


def test_the_same_store_gives_the_same_files_and_the_command_names_them(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "report"
    assert main(["report", str(path), "-o", str(folder), "--json"]) == 0
    files = [Path(name) for name in json.loads(capsys.readouterr().out)["files"]]
    assert [file.name for file in files] == ["index.html", "summary.md"]
    before = [file.read_bytes() for file in files]
    assert main(["report", str(path), "-o", str(folder)]) == 0
    assert [file.read_bytes() for file in files] == before
    assert sorted(file.name for file in folder.iterdir()) == ["index.html", "summary.md"]


def test_the_summary_has_a_row_for_every_configuration(path: Path) -> None:
    document = document_of(path)
    summary = render_summary(document)
    rows = [line for line in summary.splitlines() if line.startswith("| ") and not line.startswith(("| Conf", "| ---"))]
    assert len(rows) == len(document["cells"]) == 54
    assert {line.count(" | ") for line in rows} == {5}
    assert summary.count("| **int8 xnnpack 2t** |") == 3


@pytest.mark.parametrize("form", ["svg", "png"])
def test_plots_are_drawn_and_are_the_same_again(tmp_path: Path, form: str) -> None:
    pytest.importorskip("matplotlib")
    path = write_study(tmp_path / "s.sqlite", {"digits": 376.0, "costs $5_a": 90.0}, (1,))
    with Store.open(path) as store:
        files = write_report(store, tmp_path / "report", [form])
        before = [file.read_bytes() for file in files]
        again = [file.read_bytes() for file in write_report(store, tmp_path / "report", [form])]
    kinds = ("speed-up", "trade-off")
    assert {file.name for file in files} == {
        f"{kind}-{name}.{form}" for kind in kinds for name in ("digits", "costs__5_a")
    }
    assert again == before
    if form == "svg":
        assert b"int8 xnnpack" in before[0]
        assert b"costs $5_a" in before[2]


def test_a_file_name_is_safe_whatever_a_model_is_called() -> None:
    assert file_name("../../etc/passwd") == "______etc_passwd"
    assert file_name("") == "model"
    assert len(file_name("x" * 1000)) == 80


def test_an_unknown_format_names_the_nearest_and_writes_nothing(path: Path, tmp_path: Path) -> None:
    with Store.open(path) as store, pytest.raises(OptionError, match="Did you mean 'markdown'"):
        write_report(store, tmp_path / "report", ["html", "markdwn"])
    assert not (tmp_path / "report").exists()
