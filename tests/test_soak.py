"""The short form of the long runs: memory stays flat, outputs stay the same, and a leak would be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import soak
import stress

QUICK = ("none", "none, classic route", "xnnpack", "external", "stable, own accessors", "external + stable + xnnpack")
# Memory grows in steps while a process is young (1.1 MB on the classic route), which so few cycles cannot tell from a
# slope.
ALLOWED_BYTES = 2_000_000


@pytest.mark.parametrize("name", QUICK)
def test_memory_and_outputs_stay_what_they_were(name: str, tmp_path: Path) -> None:
    outcome = soak.in_own_process(soak.cycle_case, name, 400, tmp_path)
    assert outcome.changed_outputs == 0
    assert outcome.growth.upper * outcome.cycles < ALLOWED_BYTES, outcome


def test_a_leak_of_a_few_kilobytes_is_seen(tmp_path: Path) -> None:
    outcome = soak.in_own_process(soak.cycle_case, "none", 400, tmp_path, 8192)
    assert 7000 < outcome.growth.slope < 10_000 and not outcome.passed
    assert outcome.growth.upper * outcome.cycles > ALLOWED_BYTES


def test_runs_in_two_threads_give_the_same_bytes() -> None:
    outcome = soak.in_own_process(soak.run_in_two_threads, 3.0)
    assert outcome.cycles > 100 and outcome.changed_outputs == 0


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(BrokenProcessPool):
        soak.in_own_process(os.abort)


def test_the_program_says_what_it_found(tmp_path: Path) -> None:
    command = [sys.executable, soak.__file__, "--cycles", "200", "--seconds", "0", "--only", "external"]
    done = subprocess.run([*command, "--output", tmp_path / "soak.json"], capture_output=True, text=True, check=False)
    (outcome,) = json.loads((tmp_path / "soak.json").read_text())
    assert done.returncode == (0 if outcome["growth"]["upper"] < outcome["allowed"] else 1), done.stdout + done.stderr
    assert done.stdout.startswith("external")


def test_a_line_is_fitted_with_its_interval() -> None:
    exact = soak.fit([1, 2, 3, 4], [2, 4, 6, 8])
    assert (exact.slope, exact.lower, exact.upper) == (2, 2, 2)
    # Residuals -0.1, 0.2, -0.1 around y = 2 x: sqrt(0.06 / 1 / 2) is 0.1732.
    loose = soak.fit([1, 2, 3], [1.9, 4.2, 5.9])
    assert loose.slope == pytest.approx(2) and loose.upper - loose.slope == pytest.approx(1.96 * 0.1732, rel=1e-3)


def test_interpreters_come_and_go_in_many_threads_while_others_run() -> None:
    assert stress.stress(2.0) == []
