"""A goal over the quantities that it looks at, for many totals at once."""

from __future__ import annotations

import numpy as np

from litedelegates.plan.problem import Array, Goal, Problem


class Target:
    """The objective as the largest of one or more weighted sums, and the budgets.

    Attributes:
        quantities: Indices of the Q quantities that matter.
        rows: float array of shape (sums, Q): the weights of each sum.
        names: Of the quantities with a budget.
        places: Of these among the Q.
        bounds: What they may be at most, rounding included: float array.
    """

    def __init__(self, problem: Problem, goal: Goal) -> None:
        names = {*goal.weights, *goal.largest, *goal.budgets}
        self.quantities = sorted(problem.index(name) for name in names)
        place = {problem.quantities[quantity]: at for at, quantity in enumerate(self.quantities)}
        self.rows = np.zeros((len(goal.largest) or 1, len(place)))
        for row, name in enumerate(goal.largest):
            self.rows[row, place[name]] = 1.0
        if not goal.largest:
            for name, weight in goal.weights.items():
                self.rows[0, place[name]] = weight
        self.names = tuple(goal.budgets)
        self.places = [place[name] for name in self.names]
        self.bounds = np.array([float(goal.budgets[name]) for name in self.names]) * (1 + 1e-9) + 1e-12

    def values(self, totals: Array) -> Array:
        """Return the objective: float array of shape (...); inf where the budgets are exceeded.

        Args:
            totals: As from `Tables.totals`: float array of shape (..., Q + 1).
        """
        value = (totals[..., :-1] @ self.rows.T).max(axis=-1)
        within = (totals[..., self.places] <= self.bounds).all(axis=-1) & (totals[..., -1] == 0)
        return np.asarray(np.where(within, value, np.inf))
