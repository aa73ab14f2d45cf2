"""The best assignment for a goal, or the best that a time limit allows with how far it may be from the best."""

from __future__ import annotations

import time

import numpy as np

from litedelegates.errors import PlanError
from litedelegates.plan.elimination import Elimination
from litedelegates.plan.problem import Goal, Problem, Solution
from litedelegates.plan.tables import Tables


def solve(problem: Problem, goal: Goal, *, time_limit_s: float = 10.0) -> Solution:
    """Return the best assignment for a goal.

    Args:
        problem: What can be chosen, and what that costs.
        goal: What to minimize, and within what.
        time_limit_s: Seconds after which the best so far is returned, with its gap.

    Raises:
        PlanError: No assignment is within the budgets.
    """
    begin = time.monotonic()
    quantities = sorted({problem.index(name) for name in (*goal.weights, *goal.largest, *goal.budgets)})
    tables = Tables(problem, quantities)
    if goal.largest or goal.budgets:
        raise NotImplementedError
    weights = np.array([goal.weights.get(problem.quantities[place], 0.0) for place in quantities])
    value, assignment = Elimination(tables).minimize(weights)
    if not np.isfinite(value):
        raise PlanError("no assignment is possible: whatever is chosen, some tensor cannot be handed on")
    totals = problem.totals(assignment)
    value = goal.value(problem, totals)
    return Solution(assignment, totals, value, value, "elimination", time.monotonic() - begin)
