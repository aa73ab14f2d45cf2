"""The line on stderr that tells where long work is."""

from __future__ import annotations

import sys
from typing import TypeVar

from litedelegates.cli.visible import visible

Line = TypeVar("Line", bound="StatusLine")


class StatusLine:
    """One line on a terminal that is written over, and goes away at the end of the ``with`` block; lines elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        """Say nothing if ``quiet``."""
        self._quiet, self._terminal = quiet, sys.stderr.isatty()

    def show(self, line: str, *, is_a_step: bool) -> None:
        """Show ``line``; where it is no terminal, only if it ``is_a_step``."""
        if self._quiet:
            return
        line = visible(line)
        if self._terminal:
            print(f"\r\x1b[K{line[:100]}", end="", file=sys.stderr, flush=True)
        elif is_a_step:
            print(line, file=sys.stderr, flush=True)

    def __enter__(self: Line) -> Line:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._terminal and not self._quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
