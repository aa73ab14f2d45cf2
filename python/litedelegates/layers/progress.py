"""How far a layer study is, and how long the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class LayerProgress:
    """Where a layer study is.

    Attributes:
        done: Records that are in the store.
        total: Records that there will be.
        seconds: Time since this call began.
        remaining_s: Seconds that the rest will take, by what records of its kind took so far, in earlier calls too;
            None as long as nothing tells.
        is_at_least: Whether a kind is to come of which there is no record yet, so that it will take longer.
        doing: What it does now.
    """

    done: int
    total: int
    seconds: float
    remaining_s: float | None
    is_at_least: bool
    doing: str


Watcher: TypeAlias = Callable[[LayerProgress], None]


class Pace:
    """What records of each kind took, and how many are to come."""

    def __init__(self) -> None:
        """Start with nothing to do and nothing known."""
        self._to_do: Counter[str] = Counter()
        self._count: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}

    def expect(self, kind: str, count: int) -> None:
        """Take in that more records of a kind are to come; fewer where ``count`` is negative."""
        self._to_do[kind] += count

    def saw(self, kind: str, seconds: float) -> None:
        """Take in what a record took, in this call or an earlier one."""
        self._count[kind] += 1
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds

    @property
    def left(self) -> int:
        """Records to come."""
        return sum(self._to_do.values())

    def remaining(self) -> tuple[float | None, bool]:
        """Return the seconds that the rest will take, None where nothing tells, and whether it is at least that."""
        open_kinds = +self._to_do
        known = {kind: count for kind, count in open_kinds.items() if self._count[kind]}
        if open_kinds and not known:
            return None, True
        seconds = sum(count * self._seconds[kind] / self._count[kind] for kind, count in known.items())
        return seconds, len(known) < len(open_kinds)
