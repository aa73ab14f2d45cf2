"""How far a layer study is, and how long the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class LayerProgress:
    """Where a layer study is.

    Attributes:
        done: Records that are in the store.
        total: Records that there will be.
        seconds: Time since this call began.
        remaining_s: Seconds that the rest will take, by what records of each kind took so far, in earlier calls too;
            None as long as there is no record at all.
        is_rough: Whether a kind is to come of which there is no record yet: it is taken to be like the others.
        doing: What it does now.
    """

    done: int
    total: int
    seconds: float
    remaining_s: float | None
    is_rough: bool
    doing: str


Watcher: TypeAlias = Callable[[LayerProgress], None]


class Pace:
    """What records of each kind took, and how many are to come."""

    def __init__(self) -> None:
        """Start with nothing to do and nothing known."""
        self._to_do: Counter[str] = Counter()
        self._count: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}

    def plan(self, counts: Iterable[tuple[str, int]]) -> None:
        """Take in how many records of each kind are to come, in place of what was known before."""
        self._to_do.clear()
        for kind, count in counts:
            self._to_do[kind] += count

    def saw(self, kind: str, seconds: float) -> None:
        """Take in what a record took that an earlier call measured."""
        self._count[kind] += 1
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds

    def did(self, kind: str, seconds: float) -> None:
        """Take in what a record took that was to come."""
        self.saw(kind, seconds)
        self._to_do[kind] -= 1

    @property
    def left(self) -> int:
        """Records to come."""
        return sum(self._to_do.values())

    def remaining(self) -> tuple[float | None, bool]:
        """Return the seconds that the rest will take, and whether that is rough; see `LayerProgress`."""
        to_come = +self._to_do
        count, seconds = sum(self._count.values()), sum(self._seconds.values())
        if to_come and not count:
            return None, True
        each = {kind: self._seconds[kind] / self._count[kind] for kind in to_come if self._count[kind]}
        average = seconds / max(count, 1)
        return sum(count * each.get(kind, average) for kind, count in to_come.items()), len(each) < len(to_come)
