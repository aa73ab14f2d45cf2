"""The exact minimum of a sum of quantities, node by node: what matters of the past is what living tensors remember.

A tensor is alive between its source and its last reader. After a node, all that the rest of the problem can feel is,
for each living tensor, what its source chose and in which forms it has been paid for already. Of all assignments that
agree in this, the cheapest is kept (variable elimination, or dynamic programming; Bertele and Brioschi, "Nonserial
Dynamic Programming", 1972). Several weightings of the quantities are minimized in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from litedelegates.plan.problem import Array, Flow, Problem, Toll

MOST_ENTRIES = 6_000_000  # states times choices times weightings after one node; beyond, memory and time run out


class TooWideError(Exception):
    """Too many tensors live at once for all their states to be kept."""


@dataclass
class _Living:
    """A tensor that has readers left.

    Attributes:
        flow: The tensor.
        left: How many readers it has left.
        paid: By toll, a bit for each form that is paid, for each state; empty for a tensor with one reader.
    """

    flow: Flow
    left: int
    paid: list[Array] = field(default_factory=list)


class Elimination:
    """A problem, made ready to be minimized under many weightings."""

    def __init__(self, problem: Problem) -> None:
        """Look at who makes and who reads what."""
        self._problem = problem
        self._made: list[list[Flow]] = [[] for _ in problem.layers]
        self._read: list[list[Flow]] = [[] for _ in problem.layers]
        for flow in problem.flows:
            self._made[flow.source].append(flow)
            for reader in flow.readers:
                self._read[reader].append(flow)
        self._kinds: dict[tuple[int, ...], Array] = {}
        self._kind = [self._kind_of(flows) for flows in self._made]

    def minimize(self, weights: Array) -> tuple[Array, Array]:
        """Return the least weighted sum under each weighting, and an assignment that has it.

        Args:
            weights: Float array of shape (weightings, quantities), none negative.

        Returns:
            Values, shape (weightings,), and assignments, shape (weightings, nodes).

        Raises:
            TooWideError: It would take too much memory.
        """
        pass_ = _Pass(self._problem, self._made, self._read, self._kind, weights)
        return pass_.run()

    def _kind_of(self, flows: list[Flow]) -> Array:
        """Return for each choice of a source the first choice that costs the same to hand on."""
        key = tuple(id(toll) for flow in flows for toll in flow.tolls)
        if key not in self._kinds:
            count = len(self._problem.choices)
            rows = [toll.cost.reshape(count, -1) for flow in flows for toll in flow.tolls]
            joined = np.concatenate(rows, axis=1) if rows else np.zeros((count, 1))
            _, first, number = np.unique(joined, axis=0, return_index=True, return_inverse=True)
            self._kinds[key] = first[number.ravel()]
        return self._kinds[key]


class _Pass:
    """One way through the nodes."""

    def __init__(
        self, problem: Problem, made: list[list[Flow]], read: list[list[Flow]], kind: list[Array], weights: Array
    ) -> None:
        self._problem, self._made, self._read, self._kind = problem, made, read, kind
        self._weights = weights
        self._cost = np.zeros((1, len(weights)))
        self._choice: dict[int, Array] = {}  # by living source, the kind of its choice in each state
        self._living: dict[int, _Living] = {}  # by identity of the flow
        self._tolls: dict[int, tuple[Array, Array, Array]] = {}
        self._back: list[tuple[Array, Array]] = []  # by node: parent and choice of each state, by weighting

    def run(self) -> tuple[Array, Array]:
        for node in range(len(self._problem.layers)):
            self._step(node)
        best = self._cost.argmin(axis=0)
        places = np.arange(len(self._weights))
        values = self._cost[best, places]
        found = np.zeros((len(places), len(self._back)), dtype=int)
        for node in range(len(self._back) - 1, -1, -1):
            parent, choice = self._back[node]
            found[:, node] = choice[best, places]
            best = parent[best, places]
        return values, found

    def _step(self, node: int) -> None:
        choices = np.flatnonzero(self._problem.allowed[node])
        states = len(self._cost)
        if states * len(choices) * len(self._weights) > MOST_ENTRIES:
            raise TooWideError
        own = _weighted(self._problem.cost[node, choices], self._weights)
        cost = self._cost[:, None, :] + own[None]
        for flow in self._read[node]:
            cost += self._paid(self._living[id(flow)], choices)
        parent = np.repeat(np.arange(states), len(choices))
        chosen = np.tile(choices, states)
        self._move_on(node, parent, chosen)
        self._keep(cost.reshape(-1, cost.shape[2]), parent, chosen)

    def _paid(self, living: _Living, choices: Array) -> Array:
        """Return what a node pays for a tensor: shape (states, choices, weightings)."""
        source = self._choice[living.flow.source]
        total = np.zeros((len(source), len(choices), len(self._weights)))
        for place, toll in enumerate(living.flow.tolls):
            cost = self._toll(toll)[0]
            forms = toll.form[choices]
            part = cost[source][:, forms]
            if living.paid:
                is_paid = (living.paid[place][:, None] >> forms) & 1
                part = np.where(is_paid[:, :, None].astype(bool), 0.0, part)
            total += part
        return total

    def _move_on(self, node: int, parent: Array, chosen: Array) -> None:
        """Bring what living tensors remember to the states after a node."""
        self._choice = {source: column[parent] for source, column in self._choice.items()}
        for living in self._living.values():
            living.paid = [bits[parent] for bits in living.paid]
        for flow in self._read[node]:
            living = self._living[id(flow)]
            living.left -= 1
            if living.left == 0:
                del self._living[id(flow)]
                continue
            source = self._choice[flow.source]
            for place, toll in enumerate(flow.tolls):
                matters = self._toll(toll)[1][source]
                living.paid[place] = (living.paid[place] | (1 << toll.form[chosen])) & matters
        alive = {living.flow.source for living in self._living.values()}
        self._choice = {source: column for source, column in self._choice.items() if source in alive}
        for flow in self._made[node]:
            many = len(flow.readers) > 1
            blank = [np.zeros(len(chosen), dtype=np.int64) for _ in flow.tolls] if many else []
            self._living[id(flow)] = _Living(flow, len(flow.readers), blank)
        if self._made[node]:
            self._choice[node] = self._kind[node][chosen]

    def _keep(self, cost: Array, parent: Array, chosen: Array) -> None:
        """Keep the cheapest of the states that remember the same, and of those only what can still be the best."""
        cost, parent, chosen = self._pruned(cost, parent, chosen)
        columns = [*self._choice.values(), *(bits for living in self._living.values() for bits in living.paid)]
        key = _key(columns, len(parent))
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.diff(key[order], prepend=key[order[0]] - 1))
        sorted_cost = cost[order]
        least = np.minimum.reduceat(sorted_cost, starts, axis=0)
        counts = np.diff(np.append(starts, len(order)))
        is_least = sorted_cost <= np.repeat(least, counts, axis=0)
        rows = np.where(is_least, np.arange(len(order))[:, None], -1)
        winner = order[np.maximum.reduceat(rows, starts, axis=0)]
        kept = order[starts]
        self._cost = least
        self._back.append((parent[winner], chosen[winner]))
        self._select(kept)

    def _pruned(self, cost: Array, parent: Array, chosen: Array) -> tuple[Array, Array, Array]:
        """Drop states from which no way on can be better than the same way from the best state.

        From the best state it costs at most the largest tolls of the living tensors more.
        """
        more = np.zeros(len(self._weights))
        for living in self._living.values():
            for toll in living.flow.tolls:
                more += self._toll(toll)[2] * min(living.left, toll.cost.shape[1])
        with np.errstate(invalid="ignore"):
            kept = (cost <= cost.min(axis=0) + more * (1 + 1e-9)).any(axis=1) & np.isfinite(cost).any(axis=1)
        if kept.all() or not kept.any():
            return cost, parent, chosen
        self._select(np.flatnonzero(kept))
        return cost[kept], parent[kept], chosen[kept]

    def _select(self, rows: Array) -> None:
        self._choice = {source: column[rows] for source, column in self._choice.items()}
        for living in self._living.values():
            living.paid = [bits[rows] for bits in living.paid]

    def _toll(self, toll: Toll) -> tuple[Array, Array, Array]:
        """Return a toll's weighted cost, by choice the bits of the forms that cost anything, and its largest cost."""
        if id(toll) not in self._tolls:
            cost = _weighted(toll.cost, self._weights)
            costs = (toll.cost != 0).any(axis=2)
            bits = (costs << np.arange(costs.shape[1])).sum(axis=1).astype(np.int64)
            self._tolls[id(toll)] = cost, bits, cost.max(axis=(0, 1), initial=0.0)
        return self._tolls[id(toll)]


def _weighted(cost: Array, weights: Array) -> Array:
    """Return weighted sums along the last axis; what is infinite in any quantity cannot be."""
    finite = np.isfinite(cost)
    total = np.where(finite, cost, 0.0) @ weights.T
    total[~finite.all(axis=-1)] = np.inf
    return np.asarray(total)


def _key(columns: list[Array], count: int) -> Array:
    """Return a number for each state, the same for states with the same columns."""
    key = np.zeros(count, dtype=np.int64)
    size = 1
    for column in columns:
        top = int(column.max(initial=0)) + 1
        if size * top > 2**62:
            _, key = np.unique(key, return_inverse=True)
            _, column = np.unique(column, return_inverse=True)
            size, top = int(key.max()) + 1, int(column.max()) + 1
        key, size = key * top + column, size * top
    return key
