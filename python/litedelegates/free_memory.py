"""How much memory is free."""

from __future__ import annotations

import contextlib
from pathlib import Path

MEMORY_SHARE = 0.8


def free_memory() -> int | None:
    """Return the bytes of memory that processes can still have here, the limit of a container included."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    with contextlib.suppress(OSError, ValueError):
        folder = Path("/sys/fs/cgroup")
        found.append(int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text()))
    return min(found, default=None)


def memory_share() -> int | None:
    """Return the bytes of memory that a worker may take: most of what is free now; None where that is not known."""
    free = free_memory()
    return None if free is None else int(free * MEMORY_SHARE)
