"""Bounds and good plans under budgets: prices on what is scarce, found by cutting planes over exact eliminations.

With a price on each budget the problem has none, and elimination solves it; its value less the prices of the budgets is
a bound that no plan within them can beat (Lagrangian relaxation; Geoffrion, "Lagrangean Relaxation for Integer
Programming", 1974). The best prices maximize that bound; each elimination adds a plane above it (Kelley, 1960). The
largest of several quantities is at least any weighted mean of them, so those weights are prices too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from litedelegates.errors import MissingExtraError
from litedelegates.plan.elimination import Elimination
from litedelegates.plan.problem import Array, Goal, Problem

_SHARES = (1.0, 0.6, 0.3, 0.1)  # of the way from the best prices so far to those that the planes suggest
_MOST_ROUNDS = 40


@dataclass(frozen=True)
class Found:
    """An assignment that was the best under some prices."""

    assignment: Array
    totals: Array


class Dual:
    """Searches the best prices."""

    def __init__(self, problem: Problem, goal: Goal, elimination: Elimination) -> None:
        """Take in a problem that has budgets, or the largest of several quantities as its objective."""
        self._problem, self._goal, self._elimination = problem, goal, elimination
        self._names = list(goal.budgets)
        self._places = [problem.index(name) for name in self._names]
        self._bounds = np.array([goal.budgets[name] for name in self._names])
        self._largest = [problem.index(name) for name in goal.largest]
        self._base = np.zeros(len(problem.quantities))
        for name, weight in goal.weights.items():
            self._base[problem.index(name)] += weight
        self.bound = -np.inf
        self.found: list[Found] = []

    @property
    def prices(self) -> Array:
        """The weights of all quantities at the best bound."""
        return self._weights(self._best)

    def search(self, is_enough: Callable[[], bool], deadline: float) -> None:
        """Raise the bound and collect assignments until there is nothing to gain or the time is over.

        Args:
            is_enough: Asked after each round.
            deadline: Of `time.perf_counter`.

        Raises:
            TooWideError: The problem is too wide for elimination.
            MissingExtraError: SciPy is not installed.
        """
        even = np.full(len(self._largest), 1 / max(1, len(self._largest)))
        self._best = np.concatenate([even, np.zeros(len(self._places))])
        tops = self._tops()
        starts = [np.concatenate([even, tops * share]) for share in (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)]
        starts += [np.concatenate([np.eye(len(even))[place], 0 * tops]) for place in range(len(even))]
        self._try(np.array(starts))
        for _ in range(_MOST_ROUNDS):
            if is_enough() or time.perf_counter() > deadline:
                return
            suggested, ceiling = self._suggest(tops)
            if ceiling <= self.bound + 1e-9 * abs(self.bound):
                return
            self._try(np.array([self._best + share * (suggested - self._best) for share in _SHARES]))

    def _try(self, points: Array) -> None:
        weights = np.array([self._weights(point) for point in points])
        values, assignments = self._elimination.minimize(weights)
        values = values - points[:, len(self._largest) :] @ self._bounds
        for assignment in np.unique(assignments, axis=0):
            self.found.append(Found(assignment, self._problem.totals(assignment)))
        place = int(values.argmax())
        if values[place] > self.bound:
            self.bound, self._best = float(values[place]), points[place]

    def _weights(self, point: Array) -> Array:
        weights = self._base.copy()
        weights[self._largest] += point[: len(self._largest)]
        weights[self._places] += point[len(self._largest) :]
        return weights

    def _suggest(self, tops: Array) -> tuple[Array, float]:
        """Return the prices at which the planes are highest, and how high they are there."""
        try:
            from scipy.optimize import linprog
        except ImportError as error:
            raise MissingExtraError("plans with budgets need SciPy: pip install 'litedelegates[plan]'") from error
        planes = [(float(self._base @ found.totals), *self._slopes(found)) for found in self.found]
        heights = np.array([plane[0] for plane in planes])
        slopes = np.array([plane[1:] for plane in planes])
        scale = max(1.0, float(np.abs(heights).max()))
        size = np.concatenate([np.ones(len(self._largest)), tops])
        # Maximize t with t <= height + slope @ point; each price as a share of its largest.
        rows = np.concatenate([np.full((len(planes), 1), 1.0), -slopes * size / scale], axis=1)
        equal = np.array([[0.0, *np.ones(len(self._largest)), *np.zeros(len(tops))]]) if self._largest else None
        result = linprog(
            [-1.0, *np.zeros(len(size))],
            A_ub=rows,
            b_ub=heights / scale,
            A_eq=equal,
            b_eq=[1.0] if self._largest else None,
            bounds=[(None, None), *[(0.0, 1.0)] * len(size)],
            method="highs",
        )
        if result.x is None:
            return self._best, self.bound
        return np.asarray(result.x[1:]) * size, float(result.x[0]) * scale

    def _slopes(self, found: Found) -> Iterator[float]:
        yield from (found.totals[place] for place in self._largest)
        yield from (found.totals[place] - bound for place, bound in zip(self._places, self._bounds, strict=True))

    def _tops(self) -> Array:
        """Return prices that are higher than any that could be the best: a whole objective for a thousandth."""
        _, assignments = self._elimination.minimize(np.array([self._weights(self._best)]))
        totals = self._problem.totals(assignments[0])
        value = max(abs(float(self._base @ totals)), *(float(totals[place]) for place in self._largest), 1e-12)
        return np.array([1e3 * value / (abs(totals[place]) or 1.0) for place in self._places])
