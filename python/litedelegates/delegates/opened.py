"""Libraries that Python itself calls or looks into, opened once for the process."""

from __future__ import annotations

import ctypes
import functools


@functools.cache
def open_once(library: str | None, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    """Open a shared library, or return what was opened before; a failure is not remembered.

    Each `ctypes.CDLL` makes a class, 2 kB that only the garbage collector frees, and counts as an opening that is never
    closed: with one for each model that is loaded, memory grows between collections, and without them for good.

    Args:
        library: Path or name; None is the process itself.
        mode: As `ctypes.CDLL` has it.

    Raises:
        OSError: It cannot be opened.
    """
    return ctypes.CDLL(library, mode)
