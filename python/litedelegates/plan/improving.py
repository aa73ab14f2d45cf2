"""Better assignments from good ones: take over runs of layers from another, then layer by layer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from litedelegates.plan.dual import Found
from litedelegates.plan.problem import Array, Flow, Goal, Problem

_PARTNERS = 6


def improve(problem: Problem, goal: Goal, found: Sequence[Found], deadline: float) -> Found | None:
    """Return the best assignment within the budgets that can be made of some; None where none is within them.

    Args:
        problem: The numbers.
        goal: What to minimize, within what.
        found: Assignments, within the budgets or not.
        deadline: Of `time.perf_counter`.
    """
    within = [one for one in found if goal.is_within(problem, one.totals)]
    if not within:
        return None
    best = min(within, key=lambda one: goal.value(problem, one.totals))
    changes = _Changes(problem, goal, best)
    partners = sorted(found, key=lambda one: abs(goal.value(problem, one.totals) - changes.value))[:_PARTNERS]
    for partner in partners:
        changes.take_runs(partner.assignment, deadline)
    while changes.take_layers(deadline):
        pass
    return Found(changes.chosen, problem.totals(changes.chosen))


class _Changes:
    """An assignment that changes only for the better."""

    def __init__(self, problem: Problem, goal: Goal, start: Found) -> None:
        self._problem, self._goal = problem, goal
        self.chosen, self._totals = start.assignment.copy(), start.totals.copy()
        self.value = goal.value(problem, self._totals)
        self._flows: list[list[Flow]] = [[] for _ in problem.layers]
        for flow in problem.flows:
            for node in {flow.source, *flow.readers}:
                self._flows[node].append(flow)

    def take_runs(self, other: Array, deadline: float) -> None:
        """Take over, one after the other, runs of nodes in which another assignment differs."""
        for nodes in _runs(self.chosen != other):
            if time.perf_counter() > deadline:
                return
            self._try(nodes, other[nodes])

    def take_layers(self, deadline: float) -> bool:
        """Try each other choice of each node; return whether one was better and there is time to go on."""
        changed = False
        for node in range(len(self.chosen)):
            for choice in np.flatnonzero(self._problem.allowed[node]):
                if time.perf_counter() > deadline:
                    return False
                if choice != self.chosen[node]:
                    changed |= self._try(np.array([node]), np.array([choice]))
        return changed

    def _try(self, nodes: Array, choices: Array) -> bool:
        """Change some nodes if that is better, and return whether it was."""
        flows = list({id(flow): flow for node in nodes for flow in self._flows[node]}.values())
        before = self._part(nodes, flows)
        old = self.chosen[nodes].copy()
        self.chosen[nodes] = choices
        with np.errstate(invalid="ignore"):
            totals = self._totals - before + self._part(nodes, flows)
        value = self._goal.value(self._problem, totals)
        is_better = value < self.value * (1 - 1e-12)
        if is_better and np.isfinite(totals).all() and self._goal.is_within(self._problem, totals):
            self._totals, self.value = totals, value
            return True
        self.chosen[nodes] = old
        return False

    def _part(self, nodes: Array, flows: Iterable[Flow]) -> Array:
        total = self._problem.cost[nodes, self.chosen[nodes]].sum(axis=0)
        for flow in flows:
            source = self.chosen[flow.source]
            readers = self.chosen[list(flow.readers)]
            for toll in flow.tolls:
                for form in set(toll.form[readers].tolist()):
                    total = total + toll.cost[source, form]
        return np.asarray(total)


def _runs(differs: Array) -> Iterator[Array]:
    places = np.flatnonzero(differs)
    if len(places):
        yield from np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
