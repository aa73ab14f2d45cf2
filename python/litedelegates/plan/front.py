"""The plans that nothing beats in all respects at once: the Pareto front."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from litedelegates.layers.records import Record
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.problem import ERROR, Array, Goal, Problem, Solution
from litedelegates.plan.records import Costs
from litedelegates.plan.segments import Segment, segments, where

Solver: TypeAlias = Callable[[Problem, Goal], Solution]
LEAST = 1e-6  # smaller gaps, relative to the quickest solution, are none
_TIE = 1e-6  # of two that are as good in one respect, the better one in another is wanted


@dataclass(frozen=True)
class FrontPoint(Record):
    """A solution of the front as it is kept and shown.

    Attributes:
        costs: Predicted.
        segments: Which device has which layers.
    """

    costs: Costs
    segments: tuple[Segment, ...] = ()

    @property
    def label(self) -> str:
        """Where the layers are."""
        return where(self.segments)

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return Costs.from_json(value) if name == "costs" else tuple(map(Segment.from_json, value))


def front_points(
    problem: Problem, solutions: Iterable[Solution], costs_of: Callable[[Problem, Array], Costs]
) -> tuple[FrontPoint, ...]:
    """Return solutions as records.

    Args:
        problem: That they solve.
        solutions: Those of `front`.
        costs_of: Makes the record of totals, such as `plan.answers.costs_of`.
    """
    return tuple(
        FrontPoint(costs_of(problem, solution.totals), segments(problem, solution.assignment)) for solution in solutions
    )


def front(
    problem: Problem,
    quantities: Sequence[str],
    solver: Solver,
    *,
    count: int = 20,
    budgets: Mapping[str, float] | None = None,
    seed: int = 0,
    deadline: Deadline | None = None,
) -> tuple[Solution, ...]:
    """Return solutions none of which is beaten by another in all quantities, by the first quantity.

    For each quantity but the first, the first is minimized while a budget of the other moves, where the front has its
    widest gap. With more than two quantities, half of the solutions minimize weighted sums of all. Each solution is the
    best there is for its budget, as far as the solver is exact; the front between them may have others.

    Args:
        problem: To solve.
        quantities: At least two of the problem's.
        solver: Such as `plan.solve.solve`.
        count: How many problems to solve, beside the best in each quantity.
        budgets: That every solution keeps.
        seed: Of the weights.
        deadline: Until then problems are begun; what is left out is noted there.
    """
    until = deadline or Deadline()
    base, (first, *others) = dict(budgets or {}), quantities
    best = solver(problem, Goal({first: 1.0}, budgets=base))
    scale = {name: float(best.totals[problem.index(name)]) or 1.0 for name in quantities}
    found, each = [best], max(1, (count if len(others) == 1 else count // 2) // len(others))
    for name in others:
        if until.is_over:
            break
        sweep = _Sweep(problem, solver, (first, name), scale, base, until)
        found += sweep.run(each)
    if len(others) > 1:
        rng = np.random.default_rng(seed)
        for weights in rng.dirichlet(np.ones(len(quantities)), count - each * len(others)):
            terms = {name: float(weight) / scale[name] for name, weight in zip(quantities, weights, strict=True)}
            if until.is_over:
                break
            found.append(solver(problem, Goal(terms, budgets=base)))
    if until.is_over:
        until.leave_out("some plans of the front")
    return non_dominated(problem, quantities, found)


def non_dominated(problem: Problem, quantities: Sequence[str], solutions: Iterable[Solution]) -> tuple[Solution, ...]:
    """Return the solutions that no other is as good as in all quantities and better in one, by the first quantity."""
    places = [problem.index(name) for name in quantities]
    ordered = sorted(solutions, key=lambda solution: tuple(solution.totals[places]))
    kept: list[tuple[Array, Solution]] = []
    for solution in ordered:
        own = solution.totals[places]
        room = 1e-9 * np.abs(own)  # what differs by rounding only is the same
        if not any((other <= own + room).all() for other, _ in kept):
            kept.append((own, solution))
    return tuple(solution for _, solution in kept)


class _Gap(NamedTuple):
    """Budgets of the second quantity between which nothing is known; the widest gap is the smallest of several."""

    order: float
    low: float
    high: float
    at_low: float  # the first quantity there
    at_high: float


@dataclass(frozen=True, eq=False)
class _Sweep:
    """The front of two quantities: budgets of the second are tried where the widest gap is."""

    problem: Problem
    solver: Solver
    names: tuple[str, str]
    scale: Mapping[str, float]
    base: Mapping[str, float]
    until: Deadline

    def run(self, count: int) -> list[Solution]:
        """Return both ends and what at most ``count`` budgets between them gave."""
        first, second = self.names
        cheap, dear = self._best(first, second), self._best(second, first)
        found, gaps = (
            [dear, cheap],
            [self._gap(self._of(dear, 1), self._of(cheap, 1), self._of(dear, 0), self._of(cheap, 0))],
        )
        while gaps[0].order < 0 and len(found) < count + 2 and not self.until.is_over:
            gap = heapq.heappop(gaps)
            budget = _middle(gap.low, gap.high, second)
            middle = self._best(first, second, budget)
            found.append(middle)
            # Between what it needs and the budget there is nothing better.
            for low, high, left, right in (
                (gap.low, self._of(middle, 1), gap.at_low, self._of(middle, 0)),
                (budget, gap.high, self._of(middle, 0), gap.at_high),
            ):
                heapq.heappush(gaps, self._gap(low, high, left, right))
        return found

    def _gap(self, low: float, high: float, at_low: float, at_high: float) -> _Gap:
        gain = (at_low - at_high) / self.scale[self.names[0]]
        width = (high - low) / self.scale[self.names[1]]
        return _Gap(-gain * width if min(gain, width) > LEAST else 0.0, low, high, at_low, at_high)

    def _best(self, name: str, other: str, budget: float | None = None) -> Solution:
        weights = {name: 1 / self.scale[name], other: _TIE / self.scale[other]}
        bounds = dict(self.base)
        if budget is not None:
            bounds[other] = min(budget, bounds.get(other, budget))
        return self.solver(self.problem, Goal(weights, budgets=bounds))

    def _of(self, solution: Solution, number: int) -> float:
        return float(solution.totals[self.problem.index(self.names[number])])


def _middle(low: float, high: float, name: str) -> float:
    return ((low**0.5 + high**0.5) / 2) ** 2 if name == ERROR else (low + high) / 2
