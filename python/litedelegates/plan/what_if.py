"""What another bandwidth would change: where the best cut moves, and at which bandwidth."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from litedelegates.errors import PlanError
from litedelegates.layers.records import Record
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.front import Solver
from litedelegates.plan.problem import LATENCY, Array, Goal, Problem, Solution
from litedelegates.plan.segments import Segment, segments, where

RATIO = 1.005  # a breakpoint is known when the bandwidths on its two sides are so close


@dataclass(frozen=True)
class Regime(Record):
    """A plan, and the bandwidths for which it is the best.

    Attributes:
        low: The smallest bandwidth, in megabits per second; that of the range for the first regime.
        high: The largest.
        segments: Who has which layers, in the order of the layers.
        assignment: Choice of each node, as its index in the problem's choices.
    """

    low: float
    high: float
    segments: tuple[Segment, ...]
    assignment: tuple[int, ...]

    @property
    def label(self) -> str:
        """Where the layers are, such as "pi to layer 12, then server"."""
        return where(self.segments)

    @property
    def cuts(self) -> tuple[int, ...]:
        """Layers before which the device changes."""
        return tuple(segment.first for segment in self.segments[1:])

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return tuple(map(Segment.from_json, value)) if name == "segments" else super()._read(name, value)


@dataclass(frozen=True)
class WhatIfPoint(Record):
    """What there is at a bandwidth.

    Attributes:
        bandwidth_mbps: In megabits per second.
        latency_us: Of the best plan.
        alone_us: Latency of the best plan that has all layers on one device, by the device's name; a device that cannot
            have all, or not within the budgets, is not there.
    """

    bandwidth_mbps: float
    latency_us: float
    alone_us: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class WhatIf(Record):
    """The best plans over a range of bandwidths.

    Attributes:
        points: By bandwidth.
        regimes: Plans with the bandwidths for which each is the best, by bandwidth.
        solved: Problems that were solved.
    """

    points: tuple[WhatIfPoint, ...]
    regimes: tuple[Regime, ...]
    solved: int = 0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Bandwidths at which the best plan changes."""
        return tuple(regime.low for regime in self.regimes[1:])

    def regime_at(self, bandwidth_mbps: float) -> Regime:
        """Return the best plan at a bandwidth; beyond the range that at its end."""
        return next((one for one in self.regimes if bandwidth_mbps < one.high), self.regimes[-1])

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        parts: Mapping[str, type[Record]] = {"points": WhatIfPoint, "regimes": Regime}
        return tuple(parts[name].from_json(part) for part in value) if name in parts else value


def what_if(
    problem_at: Callable[[float], Problem],
    goal: Goal,
    solver: Solver,
    *,
    low_mbps: float,
    high_mbps: float,
    count: int = 25,
    deadline: Deadline | None = None,
) -> WhatIf:
    """Return the best plan for every bandwidth of a range.

    Between two bandwidths with different best plans the range is halved until each breakpoint is known to half a
    percent. A plan that is the best only between two of the ``count`` bandwidths that share another best plan is not
    found.

    Args:
        problem_at: Makes the problem of a bandwidth in megabits per second; all have the same nodes and choices.
        goal: The objective and the budgets.
        solver: Such as `plan.solve.solve`.
        low_mbps: The smallest bandwidth.
        high_mbps: The largest.
        count: Bandwidths to begin with, in equal ratios.
        deadline: Until then problems are begun: those of the bandwidths from the middle of the range outwards, then
            those of the breakpoints, then those of single devices. What is left out is noted there.
    """
    until = deadline or Deadline()
    search = _Search(problem_at, goal, solver, until)
    bandwidths = [float(value) for value in np.geomspace(low_mbps, high_mbps, count)]
    bandwidths[0], bandwidths[-1] = low_mbps, high_mbps
    bandwidths = search.known_of(bandwidths)
    low_mbps, high_mbps = bandwidths[0], bandwidths[-1]
    changes = [change for pair in itertools.pairwise(bandwidths) for change in search.changes(*pair)]
    starts = [(low_mbps, search.at(low_mbps).assignment), *changes]
    ends = [at for at, _ in changes] + [high_mbps]
    problem = search.problem(low_mbps)
    regimes = [
        Regime(low, high, segments(problem, chosen), tuple(int(place) for place in chosen))
        for (low, chosen), high in zip(starts, ends, strict=True)
    ]
    shown = sorted({*bandwidths, *(at for at, _ in changes)})
    points = tuple(map(search.point, shown))
    if search.is_rough:
        until.leave_out("the exact bandwidths at which the best plan changes")
    if not all(point.alone_us for point in points):
        until.leave_out("single devices at some bandwidths")
    return WhatIf(points, tuple(regimes), search.solved)


def on_one_device(problem: Problem, device: str) -> Problem | None:
    """Return the problem with all layers on one device; None where a layer has no choice there."""
    own = np.array([choice.device == device for choice in problem.choices])
    inner = np.array(problem.layers) >= 0
    allowed = problem.allowed & (own | ~inner[:, None])
    return dataclasses.replace(problem, allowed=allowed) if allowed.any(axis=1).all() else None


@dataclass(eq=False)
class _Search:
    problem_at: Callable[[float], Problem]
    goal: Goal
    solver: Solver
    until: Deadline
    solved: int = 0
    is_rough: bool = False
    _solutions: dict[float, Solution] = field(default_factory=dict)
    _problems: dict[float, Problem] = field(default_factory=dict)

    def problem(self, bandwidth: float) -> Problem:
        if bandwidth not in self._problems:
            self._problems[bandwidth] = self.problem_at(bandwidth)
        return self._problems[bandwidth]

    def at(self, bandwidth: float) -> Solution:
        if bandwidth not in self._solutions:
            self._solutions[bandwidth] = self._solve(self.problem(bandwidth))
        return self._solutions[bandwidth]

    def known_of(self, bandwidths: list[float]) -> list[float]:
        """Return the bandwidths whose best plans are found in time, those in the middle first."""
        middle = len(bandwidths) // 2
        first = last = middle
        self.at(bandwidths[middle])
        while (first > 0 or last < len(bandwidths) - 1) and not self.until.is_over:
            if first > 0 and (middle - first <= last - middle or last == len(bandwidths) - 1):
                first -= 1
                self.at(bandwidths[first])
            else:
                last += 1
                self.at(bandwidths[last])
        if last - first + 1 < len(bandwidths):
            self.until.leave_out(
                f"{len(bandwidths) - 1 - last + first} of {len(bandwidths)} other bandwidths of the link"
            )
        return bandwidths[first : last + 1]

    def changes(self, low: float, high: float) -> Iterator[tuple[float, Array]]:
        """Yield where the best plan changes between two bandwidths, and the plan from there on."""
        if self._is_best(self.at(low), high):
            self._solutions[high] = self._moved(self.at(low), high)  # of several as good, that which there was
        elif high / low < RATIO or self.until.is_over:
            self.is_rough |= high / low >= RATIO
            yield high, self.at(high).assignment
        else:
            middle = (low * high) ** 0.5
            yield from self.changes(low, middle)
            yield from self.changes(middle, high)

    def point(self, bandwidth: float) -> WhatIfPoint:
        problem = self.problem(bandwidth)
        alone = {}
        for device in dict.fromkeys(choice.device for choice in problem.choices):
            if self.until.is_over:
                continue
            own = on_one_device(problem, device)
            found = None if own is None else self._try(own)
            if found is not None:
                alone[device] = float(found.totals[problem.index(LATENCY)])
        latency = float(self.at(bandwidth).totals[problem.index(LATENCY)])
        return WhatIfPoint(bandwidth, latency, alone)

    def _solve(self, problem: Problem) -> Solution:
        self.solved += 1
        return self.solver(problem, self.goal)

    def _try(self, problem: Problem) -> Solution | None:
        try:
            return self._solve(problem)
        except PlanError:
            return None

    def _moved(self, solution: Solution, bandwidth: float) -> Solution:
        problem = self.problem(bandwidth)
        totals = problem.totals(solution.assignment)
        return dataclasses.replace(solution, totals=totals, value=self.goal.value(problem, totals))

    def _is_best(self, solution: Solution, bandwidth: float) -> bool:
        moved, best = self._moved(solution, bandwidth), self.at(bandwidth)
        is_as_good = moved.value <= best.value + 1e-9 * abs(best.value)
        return is_as_good and self.goal.is_within(self.problem(bandwidth), moved.totals)
