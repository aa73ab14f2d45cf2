"""Better assignments from good ones: swapping runs of nodes, and changing one choice at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litedelegates.plan.problem import Array
from litedelegates.plan.tables import Tables
from litedelegates.plan.target import Target

BEGINS = 64  # of runs that are tried at once; all ends are


class Incumbent:
    """The best assignment within the budgets so far.

    Attributes:
        value: Of the objective; inf while there is none.
        assignment: The choice of each node; None while there is none.
    """

    def __init__(self, tables: Tables, target: Target) -> None:
        self._tables, self._target = tables, target
        self._random = np.random.default_rng(0)
        self.value = np.inf
        self.assignment: Array | None = None

    def is_within(self, bound: float, share: float) -> bool:
        """Return whether there is one that exceeds a bound by no more than a share of its value."""
        return self.assignment is not None and self.value - bound <= share * abs(self.value)

    def offer(self, assignment: Array) -> bool:
        """Take an assignment if it is better; return whether it is."""
        value = float(self._target.values(self._tables.totals(assignment)))
        if value < self.value - 1e-12 * abs(value):
            self.value, self.assignment = value, assignment
            return True
        return False

    def swap(self, first: Array, second: Array) -> bool:
        """Offer the best that is ``second`` between two nodes and ``first`` elsewhere."""
        begins = np.unique(np.r_[0, self._random.integers(0, len(first), BEGINS)])
        into = crossings(self._tables, first, second)[begins]  # first, then second
        back = crossings(self._tables, second, first)  # second, then first
        totals = into[:, None] + back[None] - self._tables.totals(second)  # but for tensors across the whole run
        values = self._target.values(totals)
        values[begins[:, None] >= np.arange(len(back))] = np.inf
        place = np.unravel_index(values.argmin(), values.shape)
        if not values[place] < self.value:
            return False
        swapped = first.copy()
        run = slice(begins[place[0]], place[1])
        swapped[run] = second[run]
        return self.offer(swapped)

    def swap_all(self, others: Sequence[Array]) -> bool:
        """Offer the best and others with runs of each other."""
        before = self.value
        for other in others:
            if self.assignment is not None:
                self.swap(self.assignment, other)
                self.swap(other, self.assignment)
        return self.value < before

    def change(self) -> bool:
        """Offer the best that differs in one choice."""
        if self.assignment is None:
            return False
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
