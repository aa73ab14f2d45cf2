"""Devices and links of a simulation: who works, who waits, what is out of order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from litedelegates.plan.simulated import Kind, StationUse


class Level:
    """A number that changes over time: its mean and its largest value since a beginning."""

    def __init__(self, since: float) -> None:
        """Start at 0; what is before ``since`` does not count for the mean."""
        self.now, self.most, self._area, self._at, self._since = 0, 0, 0.0, 0.0, since

    def change(self, by: int, at: float) -> None:
        """Add to the number at a time that is not before the last one."""
        self._area += self.now * max(0.0, at - max(self._at, self._since))
        self._at = at
        self.now += by
        self.most = max(self.most, self.now)

    def mean(self, until: float) -> float:
        """Return the mean from the beginning until a time."""
        self.change(0, until)
        return float(self._area / (until - self._since))


@dataclass(eq=False)
class Copy:
    """One device or link: what SimPy hands out, who is there how often, and how many failures it has at the moment."""

    resource: Any
    jobs: dict[Any, int] = field(default_factory=dict)
    failures: int = 0


@dataclass(eq=False)
class Station:
    """All devices or links of a name: one for each client, or one for all."""

    name: str
    kind: Kind
    slots: int
    copies: list[Copy]
    working: Level
    waiting: Level
    down: Level
    queue_limit: int | None = None

    def of(self, client: int) -> Copy:
        """Return the one that a client uses."""
        return self.copies[client if len(self.copies) > 1 else 0]

    def use(self, until: float) -> StationUse:
        """Return how much there was to do until a time."""
        copies = len(self.copies)
        return StationUse(
            name=self.name,
            kind=self.kind,
            copies=copies,
            slots=self.slots,
            utilisation=self.working.mean(until) / (copies * self.slots),
            waiting=self.waiting.mean(until),
            most_waiting=self.waiting.most,
            down=self.down.mean(until) / copies,
        )


def are_up(stations: Sequence[Station], client: int) -> bool:
    """Return whether all that a client uses of some stations work."""
    return not any(station.of(client).failures for station in stations)
