"""Starting Python for a process of our own that takes nothing from the folder it happens to run in."""

from __future__ import annotations

import sys
from pathlib import Path

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
