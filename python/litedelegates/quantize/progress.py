"""A progress bar on stderr, for whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, progress: bool | None, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` and show how far they are.

    Args:
        items: What to go through.
        what: A word for the bar, such as ``calibrating``.
        progress: True for a bar, False for none, None for one where stderr is a terminal.
        total: How many items there are, where ``len`` does not tell.
    """
    if not wants_bar(progress):
        yield from items
        return
    try:
        from tqdm import tqdm  # comes with the extra litedelegates[quantize]
    except ImportError:
        yield from items
        return
    yield from tqdm(items, desc=what, total=total, file=sys.stderr)


def wants_bar(progress: bool | None) -> bool:
    """Return whether ``progress`` asks for a bar: None leaves it to whether stderr is a terminal."""
    return sys.stderr.isatty() if progress is None else progress
