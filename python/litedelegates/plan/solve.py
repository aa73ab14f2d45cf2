"""Solve the planner's problem: exactly where that can be done, otherwise with how far off it can be at most."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from litedelegates.errors import PlanError
from litedelegates.plan.dual import Dual, Found
from litedelegates.plan.elimination import Elimination, TooWideError
from litedelegates.plan.improving import improve
from litedelegates.plan.problem import Array, Goal, Problem, Solution
from litedelegates.plan.program import solve_program

# Nodes times choices up to which the program is tried for as long as there is time.
_SMALL = 3000
_CLOSE = 1e-9


def solve(problem: Problem, goal: Goal, *, time_limit_s: float = 10.0, close_enough: float = _CLOSE) -> Solution:
    """Return the best assignment within the budgets.

    Without budgets and with a sum to minimize, elimination is exact. Otherwise prices on the budgets give a bound and
    assignments, which are improved by exchanging layers, and a mixed-integer program closes what gap is left, where the
    problem is small enough for the time.

    Args:
        problem: The numbers.
        goal: What to minimize, within what.
        time_limit_s: Stop improving then.
        close_enough: Stop when no assignment can be better by this share.

    Raises:
        PlanError: No assignment is within the budgets; says which is in the way and what can be reached.
        MissingExtraError: There are budgets, and SciPy is not installed.
    """
    begin = time.perf_counter()
    deadline = begin + time_limit_s
    elimination = Elimination(problem)
    method, bound, candidates = "elimination", -np.inf, list[Found]()
    try:
        if not goal.budgets and not goal.largest:
            weights = np.zeros((1, len(problem.quantities)))
            for name, weight in goal.weights.items():
                weights[0, problem.index(name)] = weight
            values, assignments = elimination.minimize(weights)
            if not np.isfinite(values[0]):
                raise PlanError("no assignment is possible at all: is a link between two devices missing?")
            return _solution(problem, goal, assignments[0], float(values[0]), method, begin)
        _check_reachable(problem, goal, elimination)
        dual = Dual(problem, goal, elimination)
        method = "elimination with prices"
        dual.search(lambda: _gap(problem, goal, dual.found, dual.bound) <= close_enough, deadline)
        bound, candidates = dual.bound, dual.found
    except TooWideError:
        method = "mixed-integer program"
    best = improve(problem, goal, candidates, deadline) if candidates else None
    gap = np.inf if best is None else _gap(problem, goal, [best], bound)
    if gap > close_enough and len(problem.layers) * len(problem.choices) <= _SMALL:
        answer = solve_program(problem, goal, deadline - time.perf_counter())
        method += "" if method.endswith("program") else ", then a mixed-integer program"
        bound = max(bound, answer.bound)
        if answer.assignment is not None:
            other = Found(answer.assignment, problem.totals(answer.assignment))
            if goal.is_within(problem, other.totals):
                best = _better(problem, goal, best, other)
        if answer.is_infeasible:
            best = None
    if best is None:
        raise PlanError(
            f"no plan keeps {' and '.join(f'{name} <= {value:.6g}' for name, value in goal.budgets.items())} together, "
            "or none was found in the time: allow more of one"
        )
    return _solution(problem, goal, best.assignment, bound, method, begin)


def _check_reachable(problem: Problem, goal: Goal, elimination: Elimination) -> None:
    """Raise unless each budget can be kept, taken alone."""
    names = list(goal.budgets)
    if not names:
        return
    weights = np.zeros((len(names), len(problem.quantities)))
    weights[np.arange(len(names)), [problem.index(name) for name in names]] = 1.0
    values, _ = elimination.minimize(weights)
    for name, least in zip(names, values, strict=True):
        if least > goal.budgets[name] * (1 + 1e-9) + 1e-12:
            shown, asked = (least**0.5, goal.budgets[name] ** 0.5) if name == "error" else (least, goal.budgets[name])
            raise PlanError(f"no plan keeps {name} <= {asked:.6g}: the least that can be reached is {shown:.6g}")


def _gap(problem: Problem, goal: Goal, found: Sequence[Found], bound: float) -> float:
    values = [goal.value(problem, one.totals) for one in found if goal.is_within(problem, one.totals)]
    if not values:
        return float("inf")
    return (min(values) - bound) / abs(min(values)) if min(values) else 0.0


def _better(problem: Problem, goal: Goal, one: Found | None, other: Found) -> Found:
    if one is None or goal.value(problem, other.totals) < goal.value(problem, one.totals):
        return other
    return one


def _solution(problem: Problem, goal: Goal, assignment: Array, bound: float, method: str, begin: float) -> Solution:
    totals = problem.totals(assignment)
    value = goal.value(problem, totals)
    return Solution(assignment, totals, value, min(bound, value), method, time.perf_counter() - begin)
