"""Read the small files in which the kernel tells the state of the machine; None is what it does not tell."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/")


def read_text(path: Path) -> str | None:
    """Return the text of a file without blanks around it, or None where there is none or it may not be read."""
    try:
        return path.read_text(errors="replace").strip("\0 \n\t") or None
    except OSError:
        return None


def read_number(path: Path, base: int = 10) -> int | None:
    """Return the whole number in a file, or None."""
    try:
        return int(read_text(path) or "", base)
    except ValueError:
        return None


def read_fields(path: Path, separator: str | None = ":") -> dict[str, str]:
    """Return the ``name : value`` lines of a file; the first of each name. None separates by blanks."""
    fields: dict[str, str] = {}
    for line in (read_text(path) or "").splitlines():
        name, *rest = line.split(separator, 1)
        if rest:
            fields.setdefault(name.strip(), rest[0].strip())
    return fields


def process_folder(pid: int | None, root: Path = ROOT) -> Path:
    """Return the folder of a process; None is this one."""
    return root / "proc" / str(os.getpid() if pid is None else pid)
