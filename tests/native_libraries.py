"""The C delegates of the tests, compiled when a test first needs them."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
_FLAGS = ["-shared", "-fPIC", "-O1", "-pthread", "-Wall", "-Werror"]


def compile_library(source: str, target: Path, *flags: str) -> str:
    """Compile ``native/<source>`` to the shared library ``target`` and return its path."""
    if not target.exists():
        subprocess.run(["cc", *_FLAGS, "-o", target, SOURCES / source, *flags], check=True)
    return str(target)


def compile_cpp_library(source: str, target: Path) -> str:
    """Compile C++, ``native/<source>``, to the shared library ``target`` and return its path."""
    if not target.exists():
        subprocess.run(["c++", "-std=c++17", *_FLAGS, "-o", target, SOURCES / source], check=True)
    return str(target)
