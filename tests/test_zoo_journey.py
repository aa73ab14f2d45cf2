"""The second half of the zoo tells a wrong number that nothing was said of from one that was warned of or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo import verdicts
from zoo.closeness import compare
from zoo.cutting import spread
from zoo.engines import open_engine, random_values
from zoo.journey import cut_rows, quantize_rows, study_rows
from zoo.sensitivity import moved_error
from zoo.steps import run_step, run_until_all_told
from zoo.tables import markdown

DIGITS = Path(__file__).parent.parent / "models" / "digits.tflite"


def outputs(*values: Any) -> list[list[Any]]:
    """What a model of one output gave, an entry an input."""
    return [[np.asarray(value, np.float32)] for value in values]


def made(**changes: Any) -> list[dict[str, Any]]:
    """What was told of a model that could be made."""
    return [{"precision": "int8", "seconds": 1.0, "ratio": 0.3, "allowed": False, "warnings": [], **changes}]


def judged(**changes: Any) -> list[dict[str, Any]]:
    """What was told of how it compares."""
    names = ("error", "dead", "columns", "moves", "output", "unseen", "moved")
    figures = dict.fromkeys(names, 0) | {"error": 0.9, "explained": False}
    return [{"precision": "int8", "kernels": "builtin", **figures, **changes}]


def status(told: list[dict[str, Any]], found: list[dict[str, Any]], died: str | None = None) -> str:
    return str(verdicts.judge_precision("int8", told, None, found, died)["status"])


def test_error_beyond_what_the_precision_explains_is_a_silent_wrong_number_unless_warned_of() -> None:
    assert status(made(), judged()) == "silent wrong number"
    assert status(made(warnings=["it is off"]), judged()) == "warned"
    assert status(made(), judged(error=0.01, explained=True)) == "fine"
    assert status(made(refused="no", refused_when_allowed="no"), []) == "refused"


def test_model_that_does_not_run_is_told_from_one_that_is_wrong() -> None:
    assert status(made(), judged(error="RuntimeError: no kernel")) == "does not run"
    assert status(made(), [], "killed by signal 11") == "does not run"
    assert status([], []) == "died"
    assert status(made(refused="UNTYPED KeyError: 1"), judged()) == "error"


def test_dead_column_is_found_beside_a_large_one_that_is_right() -> None:
    random = np.random.default_rng(0)
    wanted = random.normal(size=(4, 50, 3)) * [300, 300, 1]
    found = wanted * [1, 1, 0]
    close = compare(outputs(*found), outputs(*wanted))
    assert close.error < 0.01
    assert (close.dead, close.columns) == (1, 3)
    assert not close.is_explained("int8", moved=0.01)
    assert compare(outputs(*(wanted * 1.01)), outputs(*wanted)).is_explained("int8", moved=0.0)


def test_sensitive_model_explains_more_and_only_as_much_as_its_weights_do() -> None:
    close = compare(outputs([1.0, 2.0], [1.0, 3.0]), outputs([1.3, 2.0], [1.0, 3.9]))
    assert 0.15 < close.error < 0.3
    assert not close.is_explained("int8", moved=0.02)
    assert close.is_explained("int8", moved=0.06)
    assert not compare(outputs([1.0]), [[np.ones(2, np.float32)]]).is_explained("int8", moved=1.0)


def test_weights_moved_by_half_a_step_of_8_bits_move_the_outputs_more_than_of_float16() -> None:
    engine = open_engine(DIGITS, ".tflite", "builtin")
    feeds = [random_values(engine.inputs, seed) for seed in range(2)]
    wanted = [engine.run(feed) for feed in feeds]
    coarse, fine = (moved_error(DIGITS, is_float16, "builtin", feeds, wanted) for is_float16 in (False, True))
    assert 1e-5 < fine < 1e-2 < 10 * coarse < 1
    assert 5 * fine < coarse


def test_places_are_spread_over_a_model() -> None:
    assert spread(range(1, 101), 5) == [11, 31, 51, 71, 91]
    assert spread([3, 4], 5) == [3, 4]


def test_step_over_its_limit_is_ended_with_what_it_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleeps.py").write_text('import time; print(\'{"precision": "a"}\', flush=True); time.sleep(60)')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    assert run_step("sleeps", [], 3) == ([{"precision": "a"}], "over 3 s")


def test_precision_that_ends_the_process_is_left_out_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dies.py").write_text(
        "import os, sys\n"
        "for name in sys.argv[1:]:\n"
        "    name == 'b' and os.abort()\n"
        '    print(\'{"precision": "%s"}\' % name, flush=True)\n'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    told, ends = run_until_all_told("dies", [], ["a", "b", "c"], 60)
    assert [line["precision"] for line in told] == ["a", "c"]
    assert ends == {"b": "killed by signal 6"}


def test_journey_of_the_model_of_this_repository() -> None:
    pytest.importorskip("litert_quantizer")
    rows = [*quantize_rows(DIGITS), *cut_rows(DIGITS), *study_rows(DIGITS)]
    statuses = {row["what"]: row["status"] for row in rows}
    precisions = dict.fromkeys(("float16", "weight_only", "dynamic", "int8", "int16x8"), "fine")
    assert statuses == precisions | {"cuts": "equal", "layers": "studied"}, rows
    quantized = {row["what"]: row for row in rows if row["step"] == "quantize"}
    assert verdicts.contradictions(rows[-1], quantized) == []
    assert "| here | int8 | 1 | 1 | 0 | 0 | 0 |" in markdown(
        [{"group": "here", "model": "digits"} | row for row in rows]
    )
