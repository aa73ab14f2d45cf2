"""Telling which records are being made: who runs that in another process knows then what brought it down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

Key: TypeAlias = "tuple[int, str, str, str]"  # layer, precision, kind, delegate
# Called with the records that are in work, before anything is run for them, and with none after each load and each run:
# then it goes on with the same.
Watch: TypeAlias = "Callable[[Sequence[Key]], None]"


def unwatched(keys: Sequence[Key]) -> None:
    """Tell nobody."""
