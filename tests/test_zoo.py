"""The zoo tells models that are equal from those that are not, and a process that dies from both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo import outcomes
from zoo.outcomes import judge, try_model
from zoo.trial import RUNS, distance, shape_of

DIGITS = Path(__file__).parent.parent / "models" / "digits.tflite"


def runs(batch: int, count: int = RUNS, **changes: Any) -> list[dict[str, Any]]:
    """What a trial says of ``count`` runs."""
    line = {"batch": batch, "ms": 1.0, "equal": True, "distance": 0.0, "allowed": 1e-4}
    return [line | {"run": run} | changes for run in range(count)]


def test_model_of_this_repository_is_equal_on_both_kinds_of_kernels() -> None:
    rows = try_model("here", "digits", DIGITS, ("none", "xnnpack"))
    assert {(row["delegate"], row["status"]) for row in rows} == {("none", "equal"), ("xnnpack", "equal")}
    assert all(row["changes"] > 0.01 for row in rows)


def test_file_that_is_no_model_is_one_that_official_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "none.tflite"
    path.write_bytes(b"no model")
    (row,) = try_model("here", "none", path, ("none",))
    assert row["status"] == "official does not run"


def test_process_that_dies_is_told_with_how_far_it_came(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(outcomes, "_ARGUMENTS", ("-c", "import os; print('{\"batch\": 1}', flush=True); os.abort()"))
    assert outcomes.start("none", DIGITS, tmp_path) == ([{"batch": 1}], "killed by signal 6")


def test_batch_that_was_not_reached_has_died_and_the_one_before_is_equal() -> None:
    lines = [*runs(1), *runs(3, 1)]
    assert judge(lines, "killed by signal 11", 1, [1, 3])["status"] == "equal"
    assert judge(lines, "killed by signal 11", 3, [1, 3]) | {"reason": None} == judge(lines, None, 3, [1, 3])
    assert judge(lines, None, 3, [1, 3])["status"] == "died"


def test_what_goes_wrong_back_at_the_first_batch_counts_for_the_larger() -> None:
    lines = [*runs(1), *runs(3), *runs(1, equal=False)]
    assert [judge(lines, None, batch, [1, 3])["status"] for batch in (1, 3)] == ["equal", "wrong"]


def test_process_that_dies_after_its_last_run_is_not_equal() -> None:
    lines = [*runs(1), *runs(3), *runs(1)]
    assert [judge(lines, "killed by signal 6", batch, [1, 3])["status"] for batch in (1, 3)] == [
        "equal",
        "died at the end",
    ]


def test_distance_is_relative_and_infinite_for_what_cannot_be_compared() -> None:
    value = np.array([3.0, 4.0], np.float32)
    assert distance(value * np.float32(1.01), value) == pytest.approx(0.01, rel=1e-4)
    assert distance(value, value[:1]) == distance(value, value.astype(np.float64)) == float("inf")
    assert distance(value, np.array([3.0, np.nan], np.float32)) == float("inf")
    assert distance(np.array([1.0, np.nan]), np.array([1.0, np.nan])) == 0


def test_open_sizes_are_filled_and_the_first_of_them_is_the_batch() -> None:
    assert shape_of({"shape": [1, 1, 1, 3], "shape_signature": [-1, -1, -1, 3]}, 3) == [3, 32, 32, 3]
    assert shape_of({"shape": [1, 8], "shape_signature": [1, 8]}, 3) == [1, 8]
