"""The best assignment for a goal, or the best that a time limit allows with how far it may be from the best."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np

from litedelegates.errors import PlanError
from litedelegates.plan.dual import Dual, price
from litedelegates.plan.elimination import Elimination
from litedelegates.plan.improve import Incumbent
from litedelegates.plan.problem import ERROR, Array, Goal, Problem, Solution
from litedelegates.plan.program import TOLERANCE, optimize
from litedelegates.plan.tables import Tables, TooWideError
from litedelegates.plan.target import Target

EXACT = 1e-9  # relative: two values that differ by less are equal
MIXED, SWAPPED = 6, 20  # assignments from the bound of which all pairs, and each with the best, swap runs
IMPOSSIBLE = "no assignment is possible at all: is a link between two devices missing?"
_TO_EXPLAIN = 2.0  # seconds at least to say which budget stands in the way
PER_SECOND = 1000  # choices left open, for a second left: of more the mixed-integer program would find nothing


def solve(problem: Problem, goal: Goal, *, time_limit_s: float = 10.0) -> Solution:
    """Return the best assignment for a goal.

    Sums without budgets are minimized exactly by `Elimination`. Otherwise prices give a bound and good assignments,
    which are improved; where a gap is left, choices that cannot be part of anything better are ruled out by the bound,
    and a mixed-integer program decides among the others as far as the time allows.

    Args:
        problem: What can be chosen, and what that costs.
        goal: What to minimize, and within what.
        time_limit_s: Seconds after which, about, the best so far is returned, with its gap.

    Raises:
        PlanError: No assignment is within the budgets, or none was found in that time.
        MissingExtraError: SciPy is needed and not installed.
    """
    begin = time.monotonic()
    search = _Search(problem, goal, begin + time_limit_s)
    assignment, bound, method = search.run()
    totals = problem.totals(assignment)
    value = goal.value(problem, totals)
    return Solution(assignment, totals, value, min(value, bound), method, time.monotonic() - begin)


def min_marginals(problem: Problem, goal: Goal, *, time_limit_s: float = 10.0) -> Array:
    """Return what the objective can be at best where a node has a choice: float array of shape (nodes, K).

    With a sum and without budgets these are the values of the best assignments with that choice; otherwise bounds of
    them, at the prices that give the best bound without it. Where there is no such assignment, inf.

    Raises:
        PlanError: No assignment is within the budgets.
        TooWideError: The graph has too many branches for elimination.
        MissingExtraError: SciPy is needed and not installed.
    """
    search = _Search(problem, goal, time.monotonic() + time_limit_s)
    tables = Tables(problem, search.target.quantities)
    elimination = Elimination(tables)
    if search.is_plain:
        return elimination.marginals(search.target.rows[0])
    dual = price(tables, elimination, search.target, deadline=search.deadline)
    if not np.isfinite(dual.bound):
        raise search.refusal()
    return elimination.marginals(dual.weights) - dual.refund


class _Search:
    def __init__(self, problem: Problem, goal: Goal, deadline: float) -> None:
        self.problem, self.goal, self.deadline = problem, goal, deadline
        self.target = Target(problem, goal)

    @property
    def is_plain(self) -> bool:
        """Whether there is one sum to minimize and no budget."""
        return len(self.target.rows) == 1 and not self.target.names

    def run(self) -> tuple[Array, float, str]:
        """Return an assignment, a bound and how they were found."""
        allowed = np.isfinite(self.problem.cost).all(axis=2) & self.problem.allowed
        try:
            tables = Tables(self.problem, self.target.quantities)
            elimination = Elimination(tables)
        except TooWideError:
            return self._decide(allowed, np.inf, None, -np.inf, "mixed-integer program")
        if self.is_plain:
            value, assignment = elimination.minimize(self.target.rows[0])
            if not np.isfinite(value):
                raise PlanError(IMPOSSIBLE)
            return assignment, value, "elimination"
        now = time.monotonic()
        dual = price(tables, elimination, self.target, deadline=now + 0.6 * (self.deadline - now))
        if not np.isfinite(dual.bound):
            raise self.refusal()
        best = self._improve(tables, dual)
        method = "elimination with prices"
        if best.assignment is not None and best.is_within(dual.bound, EXACT):
            return best.assignment, dual.bound, method
        least = elimination.marginals(dual.weights) - dual.refund
        if best.assignment is not None:
            allowed &= least < best.value - EXACT * abs(best.value)
            if not allowed.any(axis=1).all():
                return best.assignment, best.value, method
        left = PER_SECOND * (self.deadline - time.monotonic())
        if best.assignment is not None and allowed.sum() - len(allowed) > left:
            return best.assignment, dual.bound, method
        return self._decide(allowed, best.value, best.assignment, dual.bound, f"{method}, then mixed-integer program")

    def _improve(self, tables: Tables, dual: Dual) -> Incumbent:
        """Return the best of what was found and of what comes of it by swapping runs and changing choices."""
        best = Incumbent(tables, self.target)
        for assignment in (*uniform(tables), *dual.found):
            best.offer(assignment)
        first = dual.found[:MIXED]
        for one, other in itertools.permutations(range(len(first)), 2):
            if self._is_done(best, dual):
                return best
            best.swap(first[one], first[other])
        better = best.assignment is not None
        while better and not self._is_done(best, dual):
            better = best.change() or best.swap_all(dual.found[:SWAPPED])
        return best

    def _is_done(self, best: Incumbent, dual: Dual) -> bool:
        return best.is_within(dual.bound, EXACT) or time.monotonic() > self.deadline

    def _decide(
        self, allowed: Array, value: float, assignment: Array | None, bound: float, method: str
    ) -> tuple[Array, float, str]:
        """Close the gap by a mixed-integer program over the choices that are left."""
        size = value if np.isfinite(value) else bound if np.isfinite(bound) else 1.0
        excluded: list[Array] = []
        while True:
            left = self.deadline - time.monotonic()
            outcome = optimize(self.problem, self.target, allowed, size=size, time_limit_s=left, excluded=excluded)
            if outcome.assignment is None:
                break
            totals = self.problem.totals(outcome.assignment)
            if self.goal.is_within(self.problem, totals):
                if self.goal.value(self.problem, totals) < value:
                    value, assignment = self.goal.value(self.problem, totals), outcome.assignment
                break
            excluded.append(outcome.assignment)
            if time.monotonic() > self.deadline:
                break
        proven = value - outcome.bound <= TOLERANCE * abs(value)
        bound = max(bound, value if proven else outcome.bound)
        if assignment is None:
            if np.isfinite(outcome.bound):
                raise PlanError("no plan within the budgets was found in the time given; allow more time")
            raise self.refusal()
        return assignment, bound, method

    def refusal(self) -> PlanError:
        """Return which budget stands in the way: alone, or else the first that cannot be kept with those before it."""
        budgets = list(self.goal.budgets.items())
        left = max(_TO_EXPLAIN, self.deadline - time.monotonic()) / max(1, 2 * len(budgets))
        for name, most, kept in [
            *((name, most, {}) for name, most in budgets),
            *((name, most, dict(budgets[:place])) for place, (name, most) in enumerate(budgets)),
        ]:
            least = solve(self.problem, Goal({name: 1.0}, budgets=kept), time_limit_s=left).value
            if least > most * (1 + 1e-9) + 1e-12:
                within = ", ".join(f"{other} <= {_shown(other, bound)}" for other, bound in kept.items())
                return PlanError(
                    f"no plan keeps {name} <= {_shown(name, most)}: the least that can be reached"
                    f"{f' with {within}' if within else ''} is {_shown(name, least)}"
                )
        return PlanError(IMPOSSIBLE)


def uniform(tables: Tables) -> Iterator[Array]:
    """Yield for each choice the assignment that has it wherever it can be had, and the first possible elsewhere."""
    for choice, possible in enumerate(tables.allowed.T):
        yield np.where(possible, choice, tables.allowed.argmax(axis=1))


def _shown(name: str, value: float) -> str:
    return f"{value**0.5 if name == ERROR else value:.6g}"  # of errors it is the squares that add up
