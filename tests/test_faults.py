"""Every call of the C library that an operation makes fails once: each ends in an error of a known type or in nothing
worse than before, no half file stays, and nothing that was measured is lost.

``LITEDELEGATES_ALL_FAULTS=1`` goes through the operations that take minutes too.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from digits_model import DIGITS
from native_libraries import compile_library

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the calls are caught as Linux allows it")
HERE = Path(__file__).parent
ALL = "LITEDELEGATES_ALL_FAULTS"
# What can go wrong with each call.
CAUSES = {
    "open": errno.EACCES,
    "write": errno.ENOSPC,
    "read": errno.EIO,
    "close": errno.EIO,
    "fsync": errno.EIO,
    "rename": errno.EACCES,
    "mkdir": errno.EACCES,
    "mmap": errno.ENOMEM,
    "ftruncate": errno.ENOSPC,
    "malloc": errno.ENOMEM,
}
QUICK = ("load_and_run", "cut", "add_blocks", "run_command", "profile_command", "graph_command")
LONG = ("quantize", "report", "study", "layers", "compare_command")
LARGE = 1 << 16  # smaller pieces of memory are not refused by systems, and Python itself takes them all the time


@pytest.fixture(scope="session")
def failing_calls(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_library("failing_calls.c", tmp_path_factory.mktemp("native") / "libfailing_calls.so")


def go_through(library: str, operation: str, folder: Path, functions: Iterable[str] = CAUSES) -> list[dict[str, Any]]:
    """Return what became of an operation for each call of each function that failed."""
    causes = {name: (CAUSES[name], LARGE if name == "malloc" else 0) for name in functions}
    done = subprocess.run(
        [sys.executable, str(HERE / "failing_program.py"), operation, json.dumps(causes), str(folder)],
        env={**os.environ, "LD_PRELOAD": library},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(times: list[dict[str, Any]]) -> None:
    for function in CAUSES:
        assert [time["ended"] for time in times if time["function"] == function][-1] == "none left"
    assert [time for time in times if "UNTYPED" in time["ended"] or time["wrong"]] == []
    print(f"{len(times) - len(CAUSES)} calls failed, each once")


@pytest.mark.parametrize("operation", QUICK)
def test_each_call_that_fails_ends_in_a_typed_error(failing_calls: str, operation: str, tmp_path: Path) -> None:
    check(go_through(failing_calls, operation, tmp_path))


@pytest.mark.skipif(not os.environ.get(ALL), reason=f"takes minutes: set {ALL}=1")
@pytest.mark.parametrize("operation", LONG)
def test_each_call_of_long_work_that_fails_ends_in_a_typed_error(
    failing_calls: str, operation: str, tmp_path: Path
) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    check(go_through(failing_calls, operation, tmp_path))


def test_the_faults_arrive_where_they_should(failing_calls: str, tmp_path: Path) -> None:
    times = go_through(failing_calls, "cut", tmp_path, ["write"])
    failed = [time["ended"] for time in times[:-1]]
    assert len(failed) >= 4 and all("No space left on device: writing failed at" in text for text in failed)
    assert any("head.tflite" in text for text in failed) and any("tail.tflite" in text for text in failed)


CLOCK = """
import ctypes, sys
from litedelegates import Interpreter
from litedelegates.study import Store, StudyConfig, run_study
import numpy as np

clock = ctypes.CDLL(None)
with Interpreter(sys.argv[1], delegate=sys.argv[3]) as interpreter:
    interpreter.run(np.zeros((1, 8, 8, 1), np.float32))
    for readings in range(40):
        clock.set_clocks_back(ctypes.c_longlong(3600 * 10**9), ctypes.c_long(readings))
        print(interpreter.time_runs(max_runs=3).min())
        clock.set_clocks_back(ctypes.c_longlong(0), ctypes.c_long(0))
clock.set_clocks_back(ctypes.c_longlong(3600 * 10**9), ctypes.c_long(200))
quick = {"seconds": 0.01, "rounds": 3, "block_seconds": 0.001, "warmup_seconds": 0.01}
run_study(StudyConfig((sys.argv[1],), delegates=("none", "xnnpack"), **quick), sys.argv[2])
with Store.open(sys.argv[2]) as store:
    for cell in store.cells():
        outcome = store.outcome(cell)
        print(outcome.status, min([outcome.seconds, *(int(b.samples_ns.min()) for b in store.blocks(cell))]) >= 0)
"""


def test_clocks_that_go_backwards_give_no_negative_time_and_stop_no_study(failing_calls: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOCK, str(DIGITS), str(tmp_path / "s.sqlite"), "xnnpack"],
        env={**os.environ, "LD_PRELOAD": failing_calls},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *times, first, second = done.stdout.splitlines()
    assert len(times) == 40 and all(int(time) >= 0 for time in times)
    assert first == second == "ok True"
