"""Which worker processes are those of a test, also where others run on the machine."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

MARK = "LITEDELEGATES_TEST_MARK"  # what the fixture `marked_workers` sets for the workers of a test


def worker_pids(module: str) -> set[int]:
    """Return the process ids of the workers of this test.

    Args:
        module: What they run, or the beginning of its name.
    """
    found, mark = set(), f"{MARK}={os.environ[MARK]}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            is_worker = any(word.startswith(module.encode()) for word in words)
            if is_worker and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found


def wait_for_workers(module: str, *, present: bool, seconds: float) -> bool:
    """Wait until there are workers, or none any more, and return whether that came to be."""
    deadline = time.monotonic() + seconds
    while bool(worker_pids(module)) != present and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(worker_pids(module)) == present
