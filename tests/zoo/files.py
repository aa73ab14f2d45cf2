"""Where the models of the zoo are kept, and how those that are not there yet are made."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ZOO = TESTS.parent / ".cache" / "zoo"


def keep(path: Path, content: bytes) -> None:
    """Write ``content`` so that the file is whole or is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def make_missing(folder: Path, names: Iterable[str], make: Callable[[str], bytes], suffix: str = ".tflite") -> int:
    """Make the models that ``folder`` does not hold yet, and return 1 if one cannot be made, else 0."""
    failed = 0
    for name in names:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            continue
        begin = time.perf_counter()
        try:
            keep(path, make(name))
        except Exception:  # the others are still to be made
            failed += 1
            print(f"{name} cannot be made:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        else:
            print(f"{name}: {path.stat().st_size / 1e6:.2f} MB in {time.perf_counter() - begin:.0f} s", flush=True)
    return 1 if failed else 0
