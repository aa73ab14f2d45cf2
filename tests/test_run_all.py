"""benchmarks/run_all.py goes on where it was killed, and tells what it left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from litedelegates.study import Store, StoreError

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, str(ROOT / "benchmarks/run_all.py"), "--quick"]


def start(folder: Path, *names: str) -> subprocess.Popen[str]:
    """Start a run in a process group of its own, so that all of it can be killed as a power cut would."""
    command = [*COMMAND, "--out", str(folder), "--only", *names]
    environment = {**os.environ, "VK_ICD_FILENAMES": os.devnull}  # without a GPU in software, which takes its time
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def read_run(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*/run.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def counts(folder: Path) -> tuple[int, int]:
    """Return how often the study in a folder was begun, and how many blocks of runs it holds."""
    found = list(folder.glob("*/study.sqlite"))
    try:
        with Store.open(found[0]) as store:
            return len(store.sessions()), sum(len(store.blocks(cell)) for cell in store.cells())
    except (IndexError, StoreError):  # it is about to be made
        return 0, 0


def kill(run: subprocess.Popen[str]) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def wait_for(done: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not seen within {seconds} s"
        time.sleep(0.02)


def test_after_a_kill_the_same_command_measures_only_what_was_not_done(tmp_path: Path) -> None:
    names = ("overhead", "gpu_wait", "quantize")
    first = start(tmp_path, *names)
    wait_for(lambda: list(tmp_path.glob("*/run.json")))  # the first is done, and the second has begun
    kill(first)
    before = read_run(tmp_path)
    assert list(before["benchmarks"]) == ["overhead"]

    second = start(tmp_path, *names)
    printed = second.communicate(timeout=300)[0]
    assert second.returncode in (0, 3), printed
    after = read_run(tmp_path)
    assert list(after["benchmarks"]) == list(names)
    assert len(after["starts"]) == 2
    assert "overhead: done before" in printed
    assert after["benchmarks"]["overhead"] == before["benchmarks"]["overhead"]
    assert after["benchmarks"]["gpu_wait"]["ended"] == "skipped"
    assert "skipped: needs a GPU" in printed


def test_a_run_that_is_told_to_end_leaves_the_benchmark_undone_and_says_how_to_go_on(tmp_path: Path) -> None:
    run = start(tmp_path, "startup")
    assert run.stdout is not None
    assert any("startup: import" in line for line in run.stdout)  # it measures by now
    run.terminate()
    assert "the same command goes on there" in run.communicate(timeout=60)[0]
    assert run.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("*/run.json"))


def test_a_killed_study_goes_on_in_its_store(tmp_path: Path) -> None:
    first = start(tmp_path, "study")
    wait_for(lambda: counts(tmp_path)[1] > 0)
    kill(first)
    sessions, blocks = counts(tmp_path)
    assert sessions == 1

    second = start(tmp_path, "study")
    wait_for(lambda: counts(tmp_path)[0] == 2)
    kill(second)
    assert counts(tmp_path)[1] >= blocks
