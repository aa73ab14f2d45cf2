"""Better assignments from good ones: crossing two of them, and changing one choice at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from litedelegates.plan.problem import Array
from litedelegates.plan.tables import Tables
from litedelegates.plan.target import Target


class Incumbent:
    """The best assignment within the budgets so far.

    Attributes:
        value: Of the objective; inf while there is none.
        assignment: The choice of each node.
    """

    def __init__(self, tables: Tables, target: Target) -> None:
        self._tables, self._target = tables, target
        self.value, self.assignment = np.inf, np.zeros(len(tables.kinds), dtype=int)

    def is_within(self, bound: float, share: float) -> bool:
        """Return whether there is one that exceeds a bound by no more than a share of its value."""
        return bool(np.isfinite(self.value)) and self.value - bound <= share * abs(self.value)

    def offer(self, assignment: Array) -> bool:
        """Take an assignment if it is better; return whether it is."""
        value = float(self._target.values(self._tables.totals(assignment)))
        if value < self.value - 1e-12 * abs(value):
            self.value, self.assignment = value, assignment
            return True
        return False

    def cross(self, first: Array, second: Array) -> bool:
        """Offer the best that is ``first`` up to some node and ``second`` from there on."""
        values = self._target.values(crossings(self._tables, first, second))
        place = int(values.argmin())
        return bool(values[place] < self.value) and self.offer(np.concatenate([first[:place], second[place:]]))

    def cross_all(self, others: Iterable[Array]) -> bool:
        """Cross the best with others, both ways."""
        better = False
        for other in others:
            better |= self.cross(self.assignment, other)
            better |= self.cross(other, self.assignment)
        return better

    def change(self) -> bool:
        """Offer the best that differs in one choice."""
        totals = self._tables.totals(self.assignment) + changes(self._tables, self.assignment)
        values = self._target.values(totals)
        node, choice = np.unravel_index(values.argmin(), values.shape)
        changed = self.assignment.copy()
        changed[node] = choice
        return bool(values[node, choice] < self.value) and self.offer(changed)


def crossings(tables: Tables, first: Array, second: Array) -> Array:
    """Return the totals of each crossing of two assignments: float array of shape (nodes + 1, Q + 1).

    The one in row i has the choices of ``first`` for the nodes before i, and of ``second`` for the others.
    """
    nodes = np.arange(len(first))
    steps = tables.cost[nodes, first] - tables.cost[nodes, second]
    kinds = tables.kinds_of(first)[tables.members], tables.kinds_of(second)[tables.members]
    before = tables.handing(kinds[1])
    for member in range(tables.members.shape[1]):
        switched = np.arange(tables.members.shape[1]) <= member
        after = tables.handing(np.where(switched, *kinds))
        which = tables.members[:, member] >= 0
        np.add.at(steps, tables.members[which, member], (after - before)[which])
        before = after
    start = tables.totals(second)
    return np.concatenate([start[None], start + np.cumsum(steps, axis=0)])


def changes(tables: Tables, assignment: Array) -> Array:
    """Return by how much the totals change with each other choice: float array of shape (nodes, K, Q + 1)."""
    kinds = tables.kinds_of(assignment)[tables.members]
    delta = np.zeros((len(assignment), tables.width, tables.cost.shape[2]))
    before = tables.handing(kinds)
    for member in range(tables.members.shape[1]):
        which = np.flatnonzero(tables.members[:, member] >= 0)
        nodes = tables.members[which, member]
        for kind in range(tables.width):
            changed = kinds.copy()
            changed[which, member] = np.minimum(kind, tables.kinds[nodes] - 1)
            np.add.at(delta[:, kind], nodes, (tables.handing(changed) - before)[which])
    rows = np.arange(len(assignment))
    own = tables.cost - tables.cost[rows, assignment][:, None]
    return np.asarray(own + delta[rows[:, None], np.maximum(tables.kind, 0)])
