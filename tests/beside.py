"""Which tests run beside each other where `pytest -n 2` runs two at a time: one that measures runs alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_WORKER = "PYTEST_XDIST_WORKER"  # what xdist sets for its workers
# Two files that all workers have. Nothing is written: they are held while a test waits for its turn, and while it runs.
_WAITING, _RUNNING = Path(__file__), Path(__file__).with_name("conftest.py")


@contextlib.contextmanager
def turn(*, measures: bool) -> Iterator[None]:
    """Wait until a test may run, and have the other workers wait for it if it ``measures``."""
    if _WORKER not in os.environ:
        yield
        return
    with contextlib.ExitStack() as held:
        # One that waits to run alone is not overtaken: whoever comes later cannot even ask.
        with _held(_WAITING, fcntl.LOCK_EX):
            held.enter_context(_held(_RUNNING, fcntl.LOCK_EX if measures else fcntl.LOCK_SH))
        yield


@contextlib.contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    with path.open() as file:
        fcntl.flock(file, how)
        try:
            yield
        finally:
            # Said and not left to the closing: a process that a test forked has the file open too.
            fcntl.flock(file, fcntl.LOCK_UN)
