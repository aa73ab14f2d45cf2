"""Every call of the C library that an operation makes fails once: each ends in an error of a known type or in nothing
worse than before, no half file stays, and nothing that was measured is lost.

The long form (see `long_form`) goes through all calls of the operations that take minutes too; else it is a few.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from digits_model import DIGITS
from long_form import LONG
from native_libraries import compile_library

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the calls are caught as Linux allows it")
HERE = Path(__file__).parent
# What can go wrong with each call: the fields of `Fault` in failing_program.py.
CAUSES: dict[str, dict[str, Any]] = {
    "open": {"function": "open", "error": errno.EACCES},
    "write": {"function": "write", "error": errno.ENOSPC},
    "read": {"function": "read", "error": errno.EIO},
    "close": {"function": "close", "error": errno.EIO},
    "fsync": {"function": "fsync", "error": errno.EIO},
    "rename": {"function": "rename", "error": errno.EACCES},
    "unlink": {"function": "unlink", "error": errno.EACCES},
    "mkdir": {"function": "mkdir", "error": errno.EACCES},
    "rmdir": {"function": "rmdir", "error": errno.EIO},
    "flock": {"function": "flock", "error": errno.ENOLCK},
    "mmap": {"function": "mmap", "error": errno.ENOMEM},
    "ftruncate": {"function": "ftruncate", "error": errno.ENOSPC},
    # Smaller pieces are not refused by systems, and Python itself takes them all the time.
    "malloc": {"function": "malloc", "error": errno.ENOMEM, "where": "", "least_bytes": 1 << 16},
}
# What goes wrong between a study and its workers.
BETWEEN: dict[str, dict[str, Any]] = {
    "pipe": {"function": "pipe", "error": errno.EMFILE, "where": ""},
    "fork": {"function": "fork", "error": errno.EAGAIN, "where": ""},
    "read from a worker": {"function": "read", "error": errno.EIO, "where": "pipe:"},
    "write to a worker": {"function": "write", "error": errno.EIO, "where": "pipe:"},
}
IN_WORKERS = {
    **CAUSES,
    "killed": {"function": "write", "error": -signal.SIGKILL},
    "killed before a rename": {"function": "rename", "error": -signal.SIGKILL},
    "killed while it answers": {"function": "write", "error": -signal.SIGKILL, "where": "pipe:"},
    "thread": {"function": "thread", "error": errno.EAGAIN, "where": ""},
    "orders": {"function": "read", "error": errno.EIO, "where": "pipe:"},
    "answers": {"function": "write", "error": errno.EIO, "where": "pipe:"},
}
# Any size, where the extension or the C++ library under it asks.
SMALL = {"small malloc": {"function": "malloc", "error": errno.ENOMEM, "where": "/_core.", "least_bytes": 1}}
QUICK = ("load_and_run", "cut", "add_blocks", "run_command", "profile_command", "graph_command")
LENGTHY = ("quantize", "report", "compare_command", "bench_command", "layers_command")
BRIEF = ("quantize", "report", "compare_command")  # under a second each
WITH_WORKERS = ("study", "layers_alone", "layers_mixed")
SAMPLE = 1  # of each fault of long work, in the short form
SAMPLE_OF_MIXED = 100  # in the long form: of 1,100 calls 660 ask for memory, and each time takes three seconds
# What the short form tries of operations that take seconds.
FEW = ("open", "write", "rename", "killed", "killed while it answers", "pipe", "write to a worker")


@pytest.fixture(scope="session")
def failing_calls(tmp_path_factory: pytest.TempPathFactory) -> str:
    library = tmp_path_factory.mktemp("native") / "libfailing_calls.so"
    return compile_library("failing_calls.c", library, "-lstdc++")


def go_through(
    library: str, operation: str, folder: Path, faults: Mapping[str, Any], most: int | None = None
) -> list[dict[str, Any]]:
    """Return what became of an operation for each call that failed, or for ``most`` of each fault."""
    done = subprocess.run(
        [sys.executable, str(HERE / "failing_program.py"), operation, json.dumps(faults), str(folder)]
        + ([] if most is None else [str(most)]),
        env={**os.environ, "LD_PRELOAD": library},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(times: list[dict[str, Any]], faults: Mapping[str, Any]) -> None:
    for fault in faults:
        assert "none left" in [time["ended"] for time in times if time["fault"] == fault]
    assert [time for time in times if "UNTYPED" in time["ended"] or time["wrong"]] == []
    failed = [time["fault"] for time in times if time["ended"] != "none left"]
    print(f"{len(failed)} calls failed, each once: {dict(Counter(failed))}")


def chosen(operation: str, faults: Mapping[str, Any]) -> tuple[Mapping[str, Any], int | None]:
    """Return which of some faults are tried with a long operation, and at how many places at most."""
    if LONG:
        return faults, SAMPLE_OF_MIXED if operation == "layers_mixed" else None
    return faults if operation in BRIEF else {name: faults[name] for name in FEW if name in faults}, SAMPLE


@pytest.mark.parametrize("operation", QUICK)
def test_each_call_that_fails_ends_in_a_typed_error(failing_calls: str, operation: str, tmp_path: Path) -> None:
    check(go_through(failing_calls, operation, tmp_path, CAUSES), CAUSES)


@pytest.mark.parametrize("operation", LENGTHY)
def test_calls_of_long_work_that_fail_end_in_a_typed_error(failing_calls: str, operation: str, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    faults, most = chosen(operation, CAUSES)
    check(go_through(failing_calls, operation, tmp_path, faults, most), faults)


@pytest.mark.parametrize("operation", WITH_WORKERS)
def test_workers_that_cannot_be_started_or_talked_to_end_in_a_typed_error(
    failing_calls: str, operation: str, tmp_path: Path
) -> None:
    faults, most = chosen(operation, BETWEEN)
    times = go_through(failing_calls, operation, tmp_path, faults, most)
    check(times, faults)
    for time in times:  # where there is a worker, it is one measurement that fails; reads are also how it is started
        is_there = time["fault"] == "write to a worker"
        assert not is_there or time["ended"].startswith(("recorded", "done", "none left")), time


def test_a_folder_that_cannot_be_removed_costs_no_measurement(failing_calls: str, tmp_path: Path) -> None:
    times = go_through(failing_calls, "layers_alone", tmp_path, {"rmdir": CAUSES["rmdir"]})
    assert [time["ended"] for time in times] == ["done"] * (len(times) - 1) + ["none left"] and len(times) > 2


@pytest.mark.parametrize("operation", WITH_WORKERS)
def test_calls_of_workers_that_fail_take_one_measurement_at_most(
    failing_calls: str, operation: str, tmp_path: Path
) -> None:
    faults, most = chosen(operation, {name: {**fault, "in_workers": True} for name, fault in IN_WORKERS.items()})
    times = go_through(failing_calls, operation, tmp_path, faults, most)
    check(times, faults)
    for time in times:
        assert time["ended"].startswith(("recorded", "done", "none left")), time
        assert "timeout" not in time["ended"], time


@pytest.mark.parametrize("operation", ["look_closely", "cut"])
def test_small_pieces_of_memory_that_the_extension_does_not_get_end_in_an_error(
    failing_calls: str, operation: str, tmp_path: Path
) -> None:
    most, share = (None, 0.01) if LONG else (50, 0.08)
    times = go_through(failing_calls, operation, tmp_path, SMALL, most)
    # Where pybind11 gets no memory to note a new object in, it frees the object twice or lets the exception out.
    aborted = [time for time in times if time["ended"] == f"UNTYPED signal {int(signal.SIGABRT)}"]
    assert len(aborted) <= share * len(times), aborted
    check([time for time in times if time not in aborted], SMALL)


def test_the_faults_arrive_where_they_should(failing_calls: str, tmp_path: Path) -> None:
    times = go_through(failing_calls, "cut", tmp_path, {"write": CAUSES["write"]})
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
