"""A bound for goals with budgets or with the largest of several sums, by putting prices on the quantities.

With a price on each budget's quantity, and shares that sum to one for the sums of which the largest counts, the best
assignment is found by elimination; its priced sum is a bound for every assignment within the budgets (Lagrange). The
best prices are found by cutting planes (Kelley): each assignment found so far gives a plane above the bound as a
function of the prices; the prices where the lowest planes are highest are tried next. Going there only part of the way
from the best prices so far keeps them from jumping about.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from litedelegates.errors import MissingExtraError, install_extra
from litedelegates.plan.elimination import Elimination
from litedelegates.plan.problem import Array
from litedelegates.plan.tables import Tables
from litedelegates.plan.target import Target

STEP = 0.7  # how much of the way to the prices that look best
PRECISION = 1e-6
LEAST_ROUNDS, MOST_ROUNDS = 20, 400  # with fewer there is hardly a bound
_BEYOND = 1.0  # seconds after the deadline, in which the least rounds may end
FIRST_PRICE, HIGHEST_PRICE = 1e2, 1e8  # for exceeding a budget by all of it, relative to the objective


@dataclass(frozen=True, eq=False)
class Dual:
    """The best prices.

    Attributes:
        bound: No assignment within the budgets has a smaller value; inf when that shows that there is none.
        weights: Of the quantities, prices included: float array of shape (Q,).
        refund: What the budgets are worth at these prices: the bound is the least weighted sum minus this.
        found: Assignments met on the way, those that make up the best bound first.
    """

    bound: float
    weights: Array
    refund: float
    found: list[Array]


class _Prices:
    """The planes so far and the best prices.

    Prices are an array of the shares of the sums, then the prices of the budgets, relative to the objective's and the
    budgets' sizes. A plane is what an assignment costs on that scale, for budgets what it exceeds them by.
    """

    def __init__(self, tables: Tables, elimination: Elimination, target: Target) -> None:
        self.tables, self.elimination, self.target = tables, elimination, target
        self.assignments: list[Array] = []
        self.planes: list[Array] = []
        self.best, self.at = -np.inf, np.zeros(0)
        totals = tables.totals(elimination.minimize(target.rows.mean(axis=0))[1])[:-1]
        self.size = float(np.abs(target.rows @ totals).max()) or 1.0
        self.room = np.where(np.abs(target.bounds) > 1e-11, np.abs(target.bounds), 1.0)
        self.least = np.array([elimination.minimize(row)[0] for row in np.eye(len(target.quantities))[target.places]])

    def weights(self, prices: Array) -> tuple[Array, float]:
        """Return the weights of the quantities, and the refund."""
        sums = len(self.target.rows)
        weights = prices[:sums] @ self.target.rows
        price = prices[sums:] * self.size / self.room
        np.add.at(weights, self.target.places, price)
        return weights, float(price @ self.target.bounds)

    def evaluate(self, prices: Array) -> float:
        """Return the bound at some prices, and keep the plane that it gives."""
        weights, refund = self.weights(prices)
        value, assignment = self.elimination.minimize(weights)
        totals = self.tables.totals(assignment)[:-1]
        excess = (totals[self.target.places] - self.target.bounds) / self.room
        self.planes.append(np.concatenate([self.target.rows @ totals / self.size, excess]))
        self.assignments.append(assignment)
        if value - refund > self.best:
            self.best, self.at = value - refund, prices
        return value - refund

    def highest(self, limit: float) -> tuple[Array, float, Array]:
        """Return the prices where the lowest plane is highest, that height, and the part that each plane has in it."""
        sums, budgets = len(self.target.rows), len(self.target.bounds)
        planes = np.array(self.planes)
        found = _linprog()(
            np.concatenate([[-1.0], np.zeros(sums + budgets)]),
            A_ub=np.concatenate([np.ones((len(planes), 1)), -planes], axis=1),
            b_ub=np.zeros(len(planes)),
            A_eq=np.concatenate([[0.0], np.ones(sums), np.zeros(budgets)])[None],
            b_eq=[1.0],
            bounds=[(None, None), *[(0, 1)] * sums, *[(0, limit)] * budgets],
            method="highs",
        )
        if found.x is None:
            return self.at, self.best, np.zeros(len(planes))
        return found.x[1:], float(-found.fun * self.size), -found.ineqlin.marginals


def price(tables: Tables, elimination: Elimination, target: Target, *, deadline: float) -> Dual:
    """Return the best prices that are found until about a deadline (of `time.monotonic`)."""
    prices = _Prices(tables, elimination, target)
    sums, budgets = len(target.rows), len(target.bounds)
    if (prices.least > target.bounds).any():
        return Dual(np.inf, np.zeros(len(target.quantities)), 0.0, [])
    prices.evaluate(np.concatenate([np.full(sums, 1 / sums), np.zeros(budgets)]))
    for row in range(sums if sums > 1 else 0):
        prices.evaluate(np.concatenate([np.eye(sums)[row], np.zeros(budgets)]))
    for row in range(budgets):
        prices.evaluate(np.concatenate([np.full(sums, 1 / sums), np.eye(budgets)[row]]))
    limit, step = FIRST_PRICE, STEP
    worst = _worst(tables, target)
    parts = np.zeros(0)
    for turn in range(MOST_ROUNDS):
        there, height, parts = prices.highest(limit)
        if height - prices.best <= PRECISION * abs(prices.best):
            if limit >= HIGHEST_PRICE or not (there[sums:] > limit * (1 - 1e-6)).any():
                break
            limit *= 10
            continue
        late = time.monotonic() - deadline
        if (late > 0 and turn >= LEAST_ROUNDS) or late > _BEYOND or prices.best > worst:
            break
        before = prices.best
        value = prices.evaluate(there if step == 1 else prices.at + step * (there - prices.at))
        step = STEP if value > before or step == 1 else 1.0
    if prices.best > worst + 1e-6 * abs(worst):
        return Dual(np.inf, *prices.weights(prices.at), prices.assignments)
    weight = np.concatenate([parts, np.zeros(len(prices.planes) - len(parts))])
    order = np.argsort(-weight, kind="stable")
    return Dual(prices.best, *prices.weights(prices.at), [prices.assignments[place] for place in order])


def _worst(tables: Tables, target: Target) -> float:
    """Return a value that no assignment exceeds."""
    own = (tables.cost[..., :-1] @ target.rows.T).max(axis=1).sum(axis=0)
    return float((own + np.maximum(tables.toll[:, :-1] @ target.rows.T, 0).sum(axis=0)).max())


def _linprog() -> Any:
    try:
        from scipy.optimize import linprog
    except ImportError as error:
        raise MissingExtraError(
            f"plans with budgets or for throughput need SciPy ({error}): {install_extra('plan')}"
        ) from error
    return linprog
