"""The best assignment for a goal, or the best that a time limit allows with how far it may be from the best."""

from __future__ import annotations

import time

import numpy as np

from litedelegates.errors import PlanError
from litedelegates.plan.dual import Dual, price
from litedelegates.plan.elimination import Elimination
from litedelegates.plan.improve import Incumbent
from litedelegates.plan.problem import Array, Goal, Problem, Solution
from litedelegates.plan.program import optimize
from litedelegates.plan.tables import Tables, TooWideError
from litedelegates.plan.target import Target

EXACT = 1e-9  # relative: two values that differ by less are equal


def solve(problem: Problem, goal: Goal, *, time_limit_s: float = 10.0) -> Solution:
    """Return the best assignment for a goal.

    Sums without budgets are minimized exactly by `Elimination`. Otherwise prices give a bound and good assignments,
    which are improved; where a gap is left, choices that cannot be part of anything better are ruled out by the bound,
    and a mixed-integer program decides among the others as far as the time allows.

    Args:
        problem: What can be chosen, and what that costs.
        goal: What to minimize, and within what.
        time_limit_s: Seconds after which the best so far is returned, with its gap.

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


class _Search:
    def __init__(self, problem: Problem, goal: Goal, deadline: float) -> None:
        self.problem, self.goal, self.deadline = problem, goal, deadline
        self.target = Target(problem, goal)

    def run(self) -> tuple[Array, float, str]:
        """Return an assignment, a bound and how they were found."""
        allowed = np.isfinite(self.problem.cost).all(axis=2) & self.problem.allowed
        try:
            tables = Tables(self.problem, self.target.quantities)
            elimination = Elimination(tables)
        except TooWideError:
            return self._decide(allowed, np.inf, None, -np.inf, "mixed-integer program")
        if len(self.target.rows) == 1 and not self.target.names:
            value, assignment = elimination.minimize(self.target.rows[0])
            if not np.isfinite(value):
                raise PlanError("no assignment is possible: whatever is chosen, some tensor cannot be handed on")
            return assignment, value, "elimination"
        now = time.monotonic()
        dual = price(tables, elimination, self.target, deadline=now + 0.6 * (self.deadline - now))
        if not np.isfinite(dual.bound):
            raise self._refusal()
        best = self._improve(tables, dual)
        method = "elimination with prices"
        if best.is_within(dual.bound, EXACT):
            return best.assignment, dual.bound, method
        least = elimination.marginals(dual.weights) - dual.refund
        limit = best.value - EXACT * abs(best.value) if np.isfinite(best.value) else np.inf
        allowed &= least < limit
        if not allowed.any(axis=1).all():
            return best.assignment, best.value, method
        if time.monotonic() > self.deadline and np.isfinite(best.value):
            return best.assignment, dual.bound, method
        return self._decide(allowed, best.value, best.assignment, dual.bound, f"{method}, then mixed-integer program")

    def _improve(self, tables: Tables, dual: Dual) -> Incumbent:
        best = Incumbent(tables, self.target)
        for assignment in dual.found:
            best.offer(assignment)
        best.cross_all(dual.found[:8])
        better = True
        while better and np.isfinite(best.value) and time.monotonic() < self.deadline:
            if best.is_within(dual.bound, EXACT):
                break
            better = best.change() or best.cross_all(dual.found[:4])
        return best

    def _decide(
        self, allowed: Array, value: float, assignment: Array | None, bound: float, method: str
    ) -> tuple[Array, float, str]:
        """Close the gap by a mixed-integer program over the choices that are left."""
        size = value if np.isfinite(value) else bound if np.isfinite(bound) else 1.0
        left = self.deadline - time.monotonic()
        outcome = optimize(self.problem, self.target, allowed, size=size, time_limit_s=left)
        bound = max(bound, min(value, outcome.bound))
        if outcome.assignment is not None:
            totals = self.problem.totals(outcome.assignment)
            found = self.goal.value(self.problem, totals)
            if self.goal.is_within(self.problem, totals) and found < value:
                value, assignment = found, outcome.assignment
        if assignment is None:
            if np.isfinite(outcome.bound):
                raise PlanError("no plan within the budgets was found in the time given; allow more time")
            raise self._refusal()
        return assignment, bound, method

    def _refusal(self) -> PlanError:
        """Return which budget stands in the way: the first that cannot be kept together with those before it."""
        kept: dict[str, float] = {}
        for name, most in self.goal.budgets.items():
            best = solve(self.problem, Goal({name: 1.0}, budgets=kept), time_limit_s=60).value
            if best > most * (1 + 1e-9) + 1e-12:
                within = "".join(f", {other} at most {bound:.6g}" for other, bound in kept.items())
                return PlanError(
                    f"no plan keeps {name} within {most:.6g}: the least that can be reached is {best:.6g}{within}"
                )
            kept[name] = most
        return PlanError("no assignment is possible: whatever is chosen, some tensor cannot be handed on")
