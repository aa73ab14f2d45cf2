"""A problem as tables: what each choice costs, and what handing a tensor to each of its readers costs.

Choices of a node that no tensor can tell apart (they want the same forms, and what they make costs the same to hand
on) are one *kind*; only kinds matter to the neighbours. A tensor is handed to its readers one after the other. Its
*state* in between is which forms still cost something; so each reader's part depends on the state and on the reader's
kind alone, and leads to the next state. The first state is the kind of the source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from litedelegates.plan.problem import Array, Flow, Problem

MOST_STATES = 20_000  # of one tensor: beyond, tables of them are no use


class TooWideError(Exception):
    """The tables of a problem, or those that its elimination needs, are too large."""


class Tables:
    """The numbers of a problem, as far as some quantities go.

    A *part* is one reader's share in handing on a tensor. The entries of all parts are in one list: part p at state s
    for kind k is entry ``starts[p] + s * width + k``.

    Attributes:
        problem: The problem.
        quantities: Indices of the quantities that are looked at: Q of them.
        allowed: bool array of shape (nodes, K): choices that can be had. Infinite costs are not among them.
        kind: int array of shape (nodes, K): the kind of each choice; -1 where not allowed.
        kinds: int array of shape (nodes,): how many kinds there are.
        width: The most of them.
        cost: float array of shape (nodes, K, Q + 1): of each choice. The last column counts what cannot be.
        toll: float array of shape (entries, Q + 1): of each entry, likewise.
        follow: int array of shape (entries,): the state that comes next.
        members: int array of shape (flows, 1 + most readers): source and readers of each flow; -1 beyond its readers.
        starts: int array of shape (flows, most readers): first entry of each part; -1 beyond the readers.
        states: int array of shape (flows, most readers): how many states the tensor can be in before each reader.
    """

    def __init__(self, problem: Problem, quantities: Sequence[int], allowed: Array | None = None) -> None:
        self.problem, self.quantities = problem, list(quantities)
        self.allowed = np.isfinite(problem.cost).all(axis=2) & (problem.allowed if allowed is None else allowed)
        count = len(problem.flows)
        most = max((len(flow.readers) for flow in problem.flows), default=0)
        self.members = np.full((count, 1 + most), -1)
        for place, flow in enumerate(problem.flows):
            readers = sorted(set(flow.readers))
            self.members[place, : 1 + len(readers)] = (flow.source, *readers)
        self._find_kinds()
        cost = np.where(self.allowed[:, :, None], problem.cost[:, :, self.quantities], 0.0)
        self.cost = np.concatenate([cost, ~self.allowed[:, :, None]], axis=2)
        self.starts, self.states = np.full((count, most), -1), np.zeros((count, most), dtype=int)
        self._merged: dict[tuple[Any, ...], tuple[Array, Array, Array]] = {}
        self._tolls: list[Array] = []
        self._follows: list[Array] = []
        self._entries = 0
        for place, flow in enumerate(problem.flows):
            if flow.tolls and flow.readers:
                self._tabulate(place, flow)
        columns = len(self.quantities) + 1
        self.toll = np.concatenate([*self._tolls, np.zeros((0, columns))])
        self.follow = np.concatenate([*self._follows, np.zeros(0, dtype=int)])

    def kinds_of(self, assignment: Array) -> Array:
        """Return the kind of each node's choice."""
        return np.take_along_axis(self.kind, np.asarray(assignment)[:, None], axis=1)[:, 0]

    def handing(self, kinds: Array) -> Array:
        """Return what handing on costs: float array of shape (flows, Q + 1).

        Args:
            kinds: Kinds of the ``members``.
        """
        total = np.zeros((len(kinds), len(self.quantities) + 1))
        state = kinds[:, 0] if len(kinds) else np.zeros(0, dtype=int)
        for reader in range(self.starts.shape[1]):
            which = np.flatnonzero(self.starts[:, reader] >= 0)
            entry = self.starts[which, reader] + state[which] * self.width + kinds[which, reader + 1]
            total[which] += self.toll[entry]
            state = state.copy()
            state[which] = self.follow[entry]
        return total

    def totals(self, assignment: Array) -> Array:
        """Return what an assignment costs: float array of shape (Q + 1,); the last counts what cannot be."""
        own = self.cost[np.arange(len(assignment)), assignment].sum(axis=0)
        return np.asarray(own + self.handing(self.kinds_of(assignment)[self.members]).sum(axis=0))

    def _find_kinds(self) -> None:
        """Number the kinds of each node: first by the first choice of each kind, then without holes."""
        problem = self.problem
        nodes, choices = self.allowed.shape
        first = np.broadcast_to(np.arange(choices) * 0, (nodes, choices)).copy()
        pending: list[list[Array]] = [[] for _ in range(nodes)]
        for flow, rows in zip(problem.flows, _equal_rows(problem, self.quantities), strict=True):
            pending[flow.source].extend(rows)
            for reader in flow.readers:
                pending[reader].extend(toll.form for toll in flow.tolls)
        for turn in range(max(map(len, pending), default=0)):
            which = np.array([node for node, labels in enumerate(pending) if len(labels) > turn])
            labels = np.stack([pending[node][turn] for node in which])
            both = first[which] * (labels.max(initial=0) + 1) + labels
            first[which] = (both[:, :, None] == both[:, None, :]).argmax(axis=2)
        first = np.where(self.allowed, first, choices)
        ordered = np.sort(first, axis=1)
        new = np.diff(ordered, axis=1, prepend=-1) != 0
        rank = np.cumsum(new, axis=1) - 1
        place = (first[:, :, None] == ordered[:, None, :]).argmax(axis=2)
        self.kind = np.where(self.allowed, np.take_along_axis(rank, place, axis=1), -1)
        self.kinds = self.kind.max(axis=1, initial=-1) + 1
        self.width = int(self.kinds.max(initial=1))

    def _tabulate(self, place: int, flow: Flow) -> None:
        """Make the entries of a flow's parts."""
        source = self._first_of_kind(flow.source)
        offsets = np.cumsum([0, *(toll.cost.shape[1] for toll in flow.tolls)])
        cost = np.concatenate([toll.cost[source] for toll in flow.tolls], axis=1)
        impossible = np.asarray(~np.isfinite(cost).all(axis=2, keepdims=True))
        cost = np.concatenate([np.where(impossible, 0.0, cost[:, :, self.quantities]), impossible], axis=2)
        form = np.stack([at + toll.form for at, toll in zip(offsets[:-1], flow.tolls, strict=True)], axis=1)
        wanted = [form[self._first_of_kind(reader)] for reader in sorted(set(flow.readers))]
        maker, costs = np.arange(len(source)), np.asarray(cost.any(axis=2))  # of each state: its source, what costs
        for turn, forms in enumerate(wanted):
            toll = (costs[:, forms, None] * cost[maker[:, None, None], forms]).sum(axis=2)
            self.starts[place, turn], self.states[place, turn] = self._entries, len(maker)
            follow = np.zeros(toll.shape[:2], dtype=int)
            if turn + 1 < len(wanted):
                later = np.zeros(offsets[-1], dtype=bool)
                later[np.concatenate(wanted[turn + 1 :]).ravel()] = True
                paid = np.zeros((len(forms), offsets[-1]), dtype=bool)
                paid[np.arange(len(forms))[:, None], forms] = True
                left = costs[:, None] & ~paid & later
                key = left.shape, maker.tobytes(), left.tobytes()
                if key not in self._merged:  # most tensors of a network are handed on in one of a few ways
                    self._merged[key] = _merge(np.broadcast_to(maker[:, None], left.shape[:2]), left)
                follow, maker, costs = self._merged[key]
                if len(maker) > MOST_STATES:
                    raise TooWideError
            self._append(toll, follow)

    def _first_of_kind(self, node: int) -> Array:
        """Return a choice of each kind of a node."""
        return np.asarray((self.kind[node] == np.arange(self.kinds[node])[:, None]).argmax(axis=1))

    def _append(self, toll: Array, follow: Array) -> None:
        states, kinds, columns = toll.shape
        padded = np.zeros((states, self.width, columns))
        padded[:, :kinds] = toll
        following = np.zeros((states, self.width), dtype=int)
        following[:, :kinds] = follow
        self._tolls.append(padded.reshape(-1, columns))
        self._follows.append(following.ravel())
        self._entries += states * self.width


def _merge(maker: Array, left: Array) -> tuple[Array, Array, Array]:
    """Return the number of each state among the different ones, and those: makers and what still costs there."""
    kept = np.where(left.any(axis=2), maker, -1)  # where nothing costs any more, who made it does not matter
    codes = np.concatenate([(kept[..., None] + 1).astype(np.int64).view(np.uint8), np.packbits(left, axis=2)], axis=2)
    flat = codes.reshape(-1, codes.shape[2])
    _, where, number = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    return number.reshape(maker.shape), maker.ravel()[where], left.reshape(-1, left.shape[2])[where]


def _equal_rows(problem: Problem, quantities: Sequence[int]) -> Iterator[list[Array]]:
    """Yield for each flow, for each toll, the first choice whose tensor costs the same to hand on, for each choice."""
    shapes: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for place, flow in enumerate(problem.flows):
        for turn, toll in enumerate(flow.tolls):
            shapes.setdefault(toll.cost.shape, []).append((place, turn))
    found: list[dict[int, Array]] = [{} for _ in problem.flows]
    for shape, places in shapes.items():
        cost = np.stack([problem.flows[place].tolls[turn].cost for place, turn in places])
        impossible = ~np.isfinite(cost).all(axis=3, keepdims=True)
        rows = np.concatenate([np.where(impossible, 0.0, cost[..., quantities]), impossible], axis=3)
        rows = rows.reshape(*rows.shape[:2], -1)
        mixed = rows @ np.random.default_rng(0).random(rows.shape[2])
        first = (mixed[:, :, None] == mixed[:, None, :]).argmax(axis=2)
        same = (np.take_along_axis(rows, first[:, :, None], axis=1) == rows).all(axis=2)
        first = np.where(same, first, np.arange(shape[0]))  # different rows may have the same mixture
        for (place, turn), label in zip(places, first, strict=True):
            found[place][turn] = label
    for flow, labels in zip(problem.flows, found, strict=True):
        yield [labels[turn] for turn in range(len(flow.tolls))]
