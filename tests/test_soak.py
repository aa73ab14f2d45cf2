"""The short form of the long runs: memory stays flat, outputs stay the same, and a leak would be seen."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import soak
import soak_cases
import stress
from soak_memory import Slope, fit

QUICK = ("none", "none, classic route", "xnnpack", "external", "stable, own accessors", "external + stable + xnnpack")
# Memory grows in steps while a process is young (1.9 MB on the classic route), which so few cycles cannot tell from a
# slope.
ALLOWED_BYTES = 8_000_000
# Bytes a cycle; the measurement's own lists take 10 kB. A leaked copy of the smallest model has 700 bytes.
ALLOWED_IN_USE = 300


@pytest.mark.parametrize("name", QUICK)
def test_memory_and_outputs_stay_what_they_were(name: str, tmp_path: Path) -> None:
    outcome = soak.in_own_process(soak.cycle_case, name, 400, tmp_path)
    assert outcome.changed_outputs == 0
    assert outcome.growth.upper * outcome.cycles < ALLOWED_BYTES, outcome
    assert outcome.in_use is not None and outcome.in_use.upper < ALLOWED_IN_USE, outcome


@pytest.mark.gpu
def test_memory_and_outputs_stay_what_they_were_over_200_cycles_on_the_gpu(tmp_path: Path) -> None:
    outcome = soak.in_own_process(soak.cycle_case, "gpu", 200, tmp_path)
    assert outcome.cycles == 200 and outcome.changed_outputs == 0
    assert outcome.growth.upper * outcome.cycles < ALLOWED_BYTES, outcome
    assert outcome.in_use is not None and outcome.in_use.upper < ALLOWED_IN_USE, outcome


def garbage(name: str, folder: Path) -> int:
    return soak.in_own_process(soak_cases.garbage_of_a_cycle, name, folder)


@pytest.mark.parametrize("name", [name for name in soak.CASES if name not in ("gpu", "openvino", soak.OFFICIAL_GPU)])
def test_a_cycle_leaves_nothing_to_the_garbage_collector(name: str, tmp_path: Path) -> None:
    assert garbage(name, tmp_path) == 0


@pytest.mark.gpu
def test_a_cycle_on_the_gpu_leaves_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    assert garbage("gpu", tmp_path) == 0


@pytest.mark.openvino
def test_a_cycle_on_openvino_leaves_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    assert garbage("openvino", tmp_path) == 0


def test_a_leak_so_small_that_resident_memory_is_flat_is_seen(tmp_path: Path) -> None:
    outcome = soak.in_own_process(soak.cycle_case, "none", 400, tmp_path, 700)
    assert outcome.in_use is not None and 600 < outcome.in_use.slope < 1000 and not outcome.passed


def test_a_large_leak_is_seen_in_resident_memory_too(tmp_path: Path) -> None:
    # It grows later than what is in use: the first leaked blocks fill holes of the heap, which can be 31 MB.
    outcome = soak.in_own_process(soak.cycle_case, "none", 1000, tmp_path, 163_840)
    assert outcome.in_use is not None and 163_840 <= outcome.in_use.slope < 164_500 and not outcome.passed
    assert outcome.growth.upper * outcome.cycles > ALLOWED_BYTES and outcome.growth.slope < 180_000


def test_runs_in_two_threads_give_the_same_bytes() -> None:
    outcome = soak.in_own_process(soak.run_in_two_threads, 3.0)
    assert outcome.cycles > 100 and outcome.changed_outputs == 0


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(BrokenProcessPool):
        soak.in_own_process(os.abort)


def soak_program(folder: Path, *arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    """Run the program and return how it ended and what it wrote, over a file of an earlier run."""
    output = folder / "soak.json"
    output.write_text('"of an earlier run"')
    command = [sys.executable, soak.__file__, "--seconds", "0", "--output", str(output), *arguments]
    environment = {**os.environ, **environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done, json.loads(output.read_text())


def test_the_program_ends_with_0_only_where_all_is_well(tmp_path: Path) -> None:
    # Thousands of cycles: steps of a young process are too steep in fewer.
    done, (outcome,) = soak_program(tmp_path, "--cycles", "4000", "--only", "external")
    assert done.returncode == 0 and outcome["passed"], done.stdout + done.stderr
    assert done.stdout.startswith("external") and "ok" in done.stdout


def test_the_program_ends_with_1_where_memory_is_lost(tmp_path: Path) -> None:
    done, (outcome,) = soak_program(tmp_path, "--cycles", "400", "--only", "none", "--leak", "8192")
    assert done.returncode == 1 and not outcome["passed"] and "FAILED" in done.stdout


def test_the_program_ends_with_1_where_a_part_cannot_be_run(tmp_path: Path) -> None:
    done, outcomes = soak_program(tmp_path, "--cycles", "200", "--only", "external", PATH="")
    assert done.returncode == 1 and outcomes == [] and "external: FileNotFoundError" in done.stdout


def test_the_program_refuses_to_do_nothing(tmp_path: Path) -> None:
    done, _ = soak_program(tmp_path, "--cycles", "0")
    assert done.returncode == 2 and "nothing to do" in done.stderr


def test_the_official_runtime_is_a_comparison_and_decides_nothing() -> None:
    steep = Slope(1e6, 1e6, 1e6)
    outcome = soak.Outcome(soak.OFFICIAL_GPU, 200, 1.0, 0, 1, steep, steep, "cycle", 0, None)
    assert outcome.passed and "for comparison" in soak.describe(outcome)
    assert (
        not dataclasses.replace(outcome, allowed=64).passed
        and not dataclasses.replace(outcome, changed_outputs=1).passed
    )


def test_a_line_is_fitted_with_its_interval() -> None:
    exact = fit([1, 2, 3, 4], [2, 4, 6, 8])
    assert (exact.slope, exact.lower, exact.upper) == (2, 2, 2)
    # Residuals -0.1, 0.2, -0.1 around y = 2 x: sqrt(0.06 / 1 / 2) is 0.1732.
    loose = fit([1, 2, 3], [1.9, 4.2, 5.9])
    assert loose.slope == pytest.approx(2) and loose.upper - loose.slope == pytest.approx(1.96 * 0.1732, rel=1e-3)


def test_interpreters_come_and_go_in_many_threads_while_others_run() -> None:
    assert stress.stress(2.0) == []
