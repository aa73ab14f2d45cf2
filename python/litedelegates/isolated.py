"""Starts Python for a process of our own, which takes nothing from the folder it happens to run in, and ends it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

# With -m, and with -c, Python looks into the current folder before all others: a file there that is called like a
# module of numpy's would be run. -c writes that folder as "". This package's own folder comes last, for those who run
# it without installing it. Python's own -P came with 3.11.
_START = (
    "import sys; sys.path = [folder for folder in sys.path if folder] + [sys.argv.pop(1)]; "
    "import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_OWN_FOLDER = str(Path(__file__).resolve().parent.parent)


def python_command(module: str, *arguments: str, python: str = sys.executable, folder: str = _OWN_FOLDER) -> list[str]:
    """Return the command that runs a module of this package in a process of its own.

    Args:
        module: Its dotted name.
        *arguments: Its ``sys.argv[1:]``.
        python: Which Python.
        folder: Where this package lies for it.
    """
    return [python, "-c", _START, folder, module, *arguments]


def end_process(process: subprocess.Popen[Any]) -> None:
    """Kill a process, if it has not ended, and close its pipes."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what a dead process was told last may still wait in the buffer
                pipe.close()
