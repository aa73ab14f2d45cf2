"""The C delegates of the tests, compiled when a test first needs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
_FLAGS = ["-shared", "-fPIC", "-O1", "-pthread", "-Wall", "-Werror"]


# The tests' C code is checked with the core, see tools/check_sanitized.sh.
_FLAGS += os.environ.get("LITEDELEGATES_SANITIZE_FLAGS", "").split()
# The sanitizers come first in this process, and a compiler need not have them.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def compile_library(source: str, target: Path, *flags: str) -> str:
    """Compile ``native/<source>`` to the shared library ``target`` and return its path."""
    if not target.exists():
        command = ["cc", *_FLAGS, "-o", target, SOURCES / source, *flags]
        subprocess.run(command, check=True, env=_ENVIRONMENT)
    return str(target)


def compile_cpp_library(source: str, target: Path) -> str:
    """Compile C++, ``native/<source>``, to the shared library ``target`` and return its path."""
    if not target.exists():
        command = ["c++", "-std=c++17", *_FLAGS, "-o", target, SOURCES / source]
        subprocess.run(command, check=True, env=_ENVIRONMENT)
    return str(target)
