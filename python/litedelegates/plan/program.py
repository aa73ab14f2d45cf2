"""The planner's problem as a mixed-integer program, for what elimination cannot prove."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litedelegates.errors import MissingExtraError
from litedelegates.plan.problem import Array, Goal, Problem


@dataclass(frozen=True)
class Answer:
    """What the program's solver says.

    Attributes:
        assignment: The best found; None where there is none.
        bound: No assignment has a smaller value; -inf where nothing was proven.
        is_infeasible: Whether it was proven that none is within the budgets.
    """

    assignment: Array | None
    bound: float
    is_infeasible: bool = False


def solve_program(problem: Problem, goal: Goal, time_limit_s: float) -> Answer:
    """Solve a problem by branch and bound (HiGHS).

    A variable x[n, k] says that node n has choice k. For each reader of a tensor and each toll, u[a, f] says that the
    source has choice a and this reader wants form f; its sums are the x of the two. What is paid, z[a, f], is at least
    the u of each reader.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import coo_array
    except ImportError as error:
        raise MissingExtraError("plans with budgets need SciPy: pip install 'litedelegates[plan]'") from error
    model = _Model(problem, goal)
    rows = coo_array((model.values, (model.rows, model.columns)), shape=(len(model.low), len(model.cost)))
    result = milp(
        np.array(model.cost),
        integrality=np.array(model.is_integer),
        bounds=Bounds(0, np.array(model.top)),
        constraints=LinearConstraint(rows.tocsr(), model.low, model.high),
        options={"time_limit": max(time_limit_s, 0.1), "mip_rel_gap": 1e-9},
    )
    bound = -np.inf if result.mip_dual_bound is None else float(result.mip_dual_bound) * model.scale
    if result.x is None:
        return Answer(None, bound, is_infeasible=result.status == 2)
    count = len(problem.layers) * len(problem.choices)
    chosen = np.asarray(result.x[:count]).reshape(len(problem.layers), -1).argmax(axis=1)
    return Answer(chosen, bound)


class _Model:
    """Columns and rows of the program."""

    def __init__(self, problem: Problem, goal: Goal) -> None:
        self._problem = problem
        self.cost: list[float] = []
        self.top: list[float] = []
        self.is_integer: list[int] = []
        self.rows: list[int] = []
        self.columns: list[int] = []
        self.values: list[float] = []
        self.low: list[float] = []
        self.high: list[float] = []
        # By quantity: what counts into it, as columns with their amounts.
        self._amounts: list[list[tuple[int, float]]] = [[] for _ in problem.quantities]
        self._add_nodes()
        for flow in problem.flows:
            for toll in flow.tolls:
                self._add_toll(flow.source, flow.readers, toll.form, toll.cost)
        self._add_goal(goal)

    def _add_nodes(self) -> None:
        nodes, choices = self._problem.allowed.shape
        for node in range(nodes):
            finite = np.asarray(np.isfinite(self._problem.cost[node]).all(axis=1) & self._problem.allowed[node])
            own = [self._column(float(finite[choice]), is_integer=True) for choice in range(choices)]
            for choice in np.flatnonzero(finite):
                self._count(own[choice], self._problem.cost[node, choice])
            self._row([(column, 1.0) for column in own], 1.0, 1.0)

    def _add_toll(self, source: int, readers: tuple[int, ...], form: Array, cost: Array) -> None:
        choices, forms = cost.shape[:2]
        blocked = np.asarray(~np.isfinite(cost).all(axis=2))
        paid = {
            (a, f): self._column(0.0 if blocked[a, f] else 1.0)
            for a in range(choices)
            for f in range(forms)
            if cost[a, f].any() or blocked[a, f]
        }
        for (a, f), column in paid.items():
            if not blocked[a, f]:
                self._count(column, cost[a, f])
        for reader in readers:
            joint = [[self._column(1.0) for _ in range(forms)] for _ in range(choices)]
            for a in range(choices):
                self._row([(joint[a][f], 1.0) for f in range(forms)] + [(self._x(source, a), -1.0)], 0.0, 0.0)
            for f in range(forms):
                wants = [(self._x(reader, int(k)), -1.0) for k in np.flatnonzero(form == f)]
                self._row([(joint[a][f], 1.0) for a in range(choices)] + wants, 0.0, 0.0)
            for (a, f), column in paid.items():
                self._row([(joint[a][f], 1.0), (column, -1.0)], -np.inf, 0.0)

    def _add_goal(self, goal: Goal) -> None:
        problem = self._problem
        sizes = [sum(abs(amount) for _, amount in amounts) / max(1, len(amounts)) for amounts in self._amounts]
        if goal.largest:
            names = [problem.index(name) for name in goal.largest]
            self.scale = max((sizes[place] for place in names), default=0.0) or 1.0
            column = self._column(np.inf)
            self.cost[column] = 1.0
            for place in names:
                amounts = [(other, amount / self.scale) for other, amount in self._amounts[place]]
                self._row([*amounts, (column, -1.0)], -np.inf, 0.0)
        else:
            weights = {problem.index(name): weight for name, weight in goal.weights.items()}
            self.scale = max((weight * sizes[place] for place, weight in weights.items()), default=0.0) or 1.0
            for place, weight in weights.items():
                for column, amount in self._amounts[place]:
                    self.cost[column] += weight * amount / self.scale
        for name, bound in goal.budgets.items():
            place = problem.index(name)
            size = sizes[place] or 1.0
            amounts = [(column, amount / size) for column, amount in self._amounts[place]]
            self._row(amounts, -np.inf, bound / size)

    def _x(self, node: int, choice: int) -> int:
        return node * len(self._problem.choices) + choice

    def _column(self, top: float, *, is_integer: bool = False) -> int:
        self.cost.append(0.0)
        self.top.append(top)
        self.is_integer.append(int(is_integer))
        return len(self.cost) - 1

    def _count(self, column: int, amounts: Array) -> None:
        for place in np.flatnonzero(amounts):
            self._amounts[place].append((column, float(amounts[place])))

    def _row(self, entries: list[tuple[int, float]], low: float, high: float) -> None:
        for column, value in entries:
            self.rows.append(len(self.low))
            self.columns.append(column)
            self.values.append(value)
        self.low.append(low)
        self.high.append(high)
