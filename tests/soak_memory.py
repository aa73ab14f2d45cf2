"""Two measures of this process's memory, and the line through many of them."""

from __future__ import annotations

import ctypes
import functools
import gc
import math
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Slope:
    """Growth of memory in bytes for each cycle or second: a least-squares line and its 95 % interval."""

    slope: float
    lower: float
    upper: float


@dataclass
class Samples:
    """Memory at some cycles or seconds."""

    x: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    in_use: list[int] = field(default_factory=list)

    def take(self, x: float) -> None:
        """Measure now, after what Python frees by itself is freed.

        It keeps up to 2,000 freed tuples of each size for later, and a load may leave it three more than it took.
        """
        gc.collect()
        self.x.append(x)
        self.resident.append(resident_bytes())
        in_use = bytes_in_use()
        if in_use is not None:
            self.in_use.append(in_use)

    def growth(self) -> Slope:
        """Return the growth of the resident memory."""
        return fit(self.x, self.resident)

    def growth_in_use(self) -> Slope | None:
        """Return the growth of what `malloc` has handed out, None if that is unknown."""
        return fit(self.x, self.in_use) if self.in_use else None


def fit(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Fit a line by least squares.

    The residuals count as independent. Those of memory lean on their neighbours, so that the interval is narrower than
    it should be: read it as how well a line fits, and not as a bound that is exceeded one time in forty.
    """
    n = len(x)
    line = statistics.linear_regression(x, y)
    residual = math.fsum((b - line.intercept - line.slope * a) ** 2 for a, b in zip(x, y, strict=True))
    spread = math.fsum((a - statistics.fmean(x)) ** 2 for a in x)
    half = 1.96 * math.sqrt(residual / (n - 2) / spread)
    return Slope(line.slope, line.slope - half, line.slope + half)


def resident_bytes() -> int:
    """Return what the process has in memory, whoever asked for it; what `malloc` keeps for later is part of it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class _MallInfo2(ctypes.Structure):
    """``struct mallinfo2`` of ``malloc.h``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks"),
            *("uordblks", "fordblks", "keepcost"),
        )
    )


@functools.cache
def _mallinfo2() -> Callable[[], Any] | None:
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)  # glibc has it from 2.33
    if function is not None:
        function.restype = _MallInfo2
    return function


def bytes_in_use() -> int | None:
    """Return what `malloc` has handed out and not got back, in all arenas, or None if the C library does not tell.

    Sees a leak that fits into memory which malloc holds anyway, and nothing that was got from the kernel without it:
    Python's small objects, the code of a compiler in a driver.
    """
    function = _mallinfo2()
    if function is None:
        return None
    info = function()
    return int(info.uordblks + info.hblkhd)
