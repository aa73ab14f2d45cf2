"""Where the models of the zoo are kept."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ZOO = TESTS.parent / ".cache" / "zoo"


def keep(path: Path, content: bytes) -> None:
    """Write ``content`` so that the file is whole or is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)
