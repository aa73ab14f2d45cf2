"""The best assignment for a weighted sum of quantities, exactly, by eliminating one node after the other.

Eliminating a node means: for each combination of kinds (and states of tensors) around it, keep the best that the node
can do, as a new table between its neighbours. Nodes with small tables go first, as many at a time as do not touch each
other, so that a chain takes about log2(length) rounds, each of a few calls of numpy. What is looked up where does not
depend on the weights: it is worked out once, then used for as many weights as wanted.

This is dynamic programming on a tree decomposition (Bertele and Brioschi, Nonserial Dynamic Programming, 1972).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.plan.problem import Array
from litedelegates.plan.tables import Tables, TooWideError

MOST_CELLS = 1 << 23  # of one table: 64 MB
MOST_WORK = 1 << 27  # cells of all tables together: half a second
BATCH_CELLS = 1 << 21  # of the tables that are worked on at a time
EASY_CELLS = 1 << 14  # a table of that size costs less than waiting for smaller ones


@dataclass(frozen=True, eq=False)
class _Factor:
    """A table between variables: where its values are, as an int array with an axis for each variable."""

    scope: tuple[int, ...]
    where: Array


@dataclass(frozen=True, eq=False)
class _Reach:
    """What eliminating a node touches.

    Attributes:
        scope: Variables of the table that is made, the node first.
        opened: States that depend on the node's kind; the last ones of a tensor first.
        cells: Of the table.
    """

    scope: tuple[int, ...]
    opened: tuple[int, ...]
    cells: int


@dataclass(frozen=True, eq=False)
class _Step:
    """Nodes that are eliminated at once since their tables have the same shape.

    Attributes:
        scopes: int array of shape (n, axes): the variables of each table; the node to eliminate is the first.
        shape: Of the table.
        parts: Where the values of the factors are: int arrays of shape (n, ...) with the table's axes or 1.
        out: Where the results go: they are in one piece.
        opened: States that are known as soon as these nodes are decided, in that order.
    """

    scopes: Array
    shape: tuple[int, ...]
    parts: tuple[Array, ...]
    out: slice
    opened: tuple[int, ...]


class Elimination:
    """How the nodes of a problem are eliminated.

    Variables are the nodes' kinds and, for a tensor with several readers, its states before the second, third, ...
    reader. The latter follow from what is before them, and are put in its place when that is eliminated.

    Raises:
        TooWideError: A table would have more than `MOST_CELLS`, or all together more than `MOST_WORK`.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._nodes = len(tables.kinds)
        self._parts_end = self._nodes * tables.width + len(tables.toll)
        self._size = dict(enumerate(tables.kinds.tolist()))
        self._parents: dict[int, tuple[int, int]] = {}
        self._follow: dict[int, Array] = {}
        self._children: dict[int, list[int]] = {}
        self._factors: dict[int, dict[int, _Factor]] = {node: {} for node in range(self._nodes)}
        self._constants: list[int] = []
        self._count, self._end = 0, self._parts_end
        self._steps: list[_Step] = []
        self._start()
        work, left = 0, {node for node in range(self._nodes) if self._size[node] > 1}
        reach: dict[int, _Reach] = {}
        while left:
            reach.update((node, self._reach(node)) for node in left - reach.keys())
            taken = self._independent(reach)
            work += sum(reach[node].cells for node in taken)
            if work > MOST_WORK:
                raise TooWideError
            left.difference_update(taken)
            self._eliminate({node: reach[node] for node in taken})
            for node in taken:
                for variable in {*reach[node].scope, *reach[node].opened}:
                    for near in self._nodes_of(variable):
                        if near != node:
                            reach.pop(near, None)
            for node in taken:
                reach.pop(node, None)

    def minimize(self, weights: Array) -> tuple[float, Array]:
        """Return the least weighted sum of the tables' quantities and an assignment that has it."""
        values, own = self._forward(weights)
        return float(values[self._constants].sum()), self._backward(values, own)

    def marginals(self, weights: Array) -> Array:
        """Return the least weighted sum if a node had a choice: float array of shape (nodes, K); inf if it cannot."""
        tables = self._tables
        values, own = self._forward(weights)
        best = np.full(len(values), np.inf)
        best[self._constants] = values[self._constants].sum()
        for step in reversed(self._steps):
            total = self._join(step, values)
            around = _without(best[step.out], values[step.out])
            total = total + around.reshape(len(total), 1, *step.shape[1:])
            for part in step.parts:
                absent = tuple(axis for axis, size in enumerate(part.shape) if size == 1 and total.shape[axis] > 1)
                np.minimum.at(best, part.ravel(), total.min(axis=absent, keepdims=True).ravel())
        size = self._nodes * tables.width
        rest = _without(best[:size], values[:size]).reshape(self._nodes, tables.width)
        return np.asarray(own + np.take_along_axis(rest, np.maximum(tables.kind, 0), axis=1))

    def _forward(self, weights: Array) -> tuple[Array, Array]:
        """Return the values of all tables, and what each choice of each node costs."""
        tables = self._tables
        own = np.where(tables.cost[..., -1] > 0, np.inf, tables.cost[..., :-1] @ weights)
        kinds = np.full((self._nodes, tables.width), np.inf)
        for choice in range(own.shape[1]):
            rows, kind = np.arange(self._nodes), np.maximum(tables.kind[:, choice], 0)
            kinds[rows, kind] = np.minimum(kinds[rows, kind], own[:, choice])
        values = np.empty(self._end)
        values[: kinds.size] = kinds.ravel()
        values[kinds.size : self._parts_end] = np.where(tables.toll[:, -1] > 0, np.inf, tables.toll[:, :-1] @ weights)
        for step in self._steps:
            values[step.out] = self._join(step, values).min(axis=1).ravel()
        return values, own

    @staticmethod
    def _join(step: _Step, values: Array) -> Array:
        total = values[step.parts[0]]
        for part in step.parts[1:]:
            total = total + values[part]
        return np.broadcast_to(total, (len(step.scopes), *step.shape))

    def _backward(self, values: Array, own: Array) -> Array:
        """Return the best choice of each node, deciding in the opposite order."""
        known = np.zeros(max(self._size, default=-1) + 1, dtype=int)
        for step in reversed(self._steps):
            rows = np.arange(len(step.scopes))[:, None]
            index = [np.arange(step.shape[0])[None], *known[step.scopes[:, 1:]].T[:, :, None]]
            total = np.zeros((len(step.scopes), step.shape[0]))
            for part in step.parts:
                place = [at if size > 1 else 0 for at, size in zip(index, part.shape[1:], strict=True)]
                total = total + values[part[(rows, *place)]]
            known[step.scopes[:, 0]] = total.argmin(axis=1)
            for state in step.opened:
                before, reader = self._parents[state]
                known[state] = self._follow[state][known[before], known[reader]]
        return np.asarray(np.where(self._tables.kind == known[: self._nodes, None], own, np.inf).argmin(axis=1))

    def _start(self) -> None:
        """Make the variables and the factors of the problem itself."""
        tables, width = self._tables, self._tables.width
        first = self._nodes * width
        for node in range(self._nodes):
            self._add((node,), node * width + np.arange(self._size[node]))
        most = tables.starts.shape[1]
        for flow, turn in zip(*(axis.tolist() for axis in np.nonzero(tables.starts >= 0)), strict=True):
            before, reader = int(tables.members[flow, 0]), int(tables.members[flow, turn + 1])
            if turn:
                before = self._nodes + flow * most + turn
            where = tables.starts[flow, turn] + np.arange(self._size[before])[:, None] * width
            where = where + np.arange(self._size[reader])
            self._add((before, reader), first + where)
            if turn + 1 < most and tables.starts[flow, turn + 1] >= 0:
                state = self._nodes + flow * most + turn + 1
                self._size[state], self._factors[state] = int(tables.states[flow, turn + 1]), {}
                self._parents[state], self._follow[state] = (before, reader), tables.follow[where]
                self._children.setdefault(before, []).append(state)
                self._children.setdefault(reader, []).append(state)

    def _add(self, scope: Sequence[int], where: Array) -> None:
        kept = tuple(variable for variable in scope if self._size[variable] > 1)
        factor = _Factor(kept, where.reshape([self._size[variable] for variable in kept]))
        if not kept:
            self._constants.append(int(factor.where))
        for variable in kept:
            self._factors[variable][self._count] = factor
        self._count += 1

    def _remove(self, number: int, factor: _Factor) -> None:
        for variable in factor.scope:
            del self._factors[variable][number]

    def _nodes_of(self, variable: int) -> Iterator[int]:
        """Yield the nodes that a variable follows from."""
        while variable in self._parents:
            variable, reader = self._parents[variable]
            yield reader
        yield variable

    def _reach(self, node: int) -> _Reach:
        found: set[int] = set()
        waiting = list(self._children.get(node, ()))
        while waiting:
            state = waiting.pop()
            if state not in found:
                found.add(state)
                waiting.extend(self._children.get(state, ()))
        opened = {state for state in found if self._factors[state]}
        scope: set[int] = set()
        waiting = [near for own in (node, *opened) for factor in self._factors[own].values() for near in factor.scope]
        while waiting:
            variable = waiting.pop()
            if variable in opened:
                waiting.extend(self._parents[variable])
            elif self._size[variable] > 1:
                scope.add(variable)
        cells = 1
        for variable in scope:
            cells *= self._size[variable]
        return _Reach((node, *sorted(scope - {node})), tuple(sorted(opened, reverse=True)), cells)

    def _independent(self, reach: dict[int, _Reach]) -> list[int]:
        """Return nodes that can be eliminated at once: cheap ones, none of which touches what another changes."""
        order = sorted(reach, key=lambda node: (reach[node].cells, node))
        least = reach[order[0]].cells
        if least > MOST_CELLS:
            raise TooWideError
        limit = max(least, min(EASY_CELLS, max(self._size[node] for node in order) ** 3))
        taken: list[int] = []
        changed: set[int] = set()
        touched: set[int] = set()
        for node in order:
            if reach[node].cells > limit:
                break
            own = {node, *reach[node].opened}
            near = {*reach[node].scope, *own}
            if changed.isdisjoint(near) and touched.isdisjoint(own):
                taken.append(node)
                changed |= own
                touched |= near
        return sorted(taken)

    def _expand(self, state: int) -> None:
        """Put in the place of a state what it follows from, in every factor."""
        before, reader = self._parents[state]
        for number, factor in list(self._factors[state].items()):
            scope = sorted({*factor.scope, before, reader} - {state})
            axes = np.ogrid[tuple(slice(self._size[variable]) for variable in scope)]
            grid = dict(zip(scope, axes, strict=True))
            grid[state] = self._follow[state][grid[before], grid[reader]]
            self._remove(number, factor)
            self._add(scope, factor.where[tuple(grid[variable] for variable in factor.scope)])

    def _eliminate(self, reach: dict[int, _Reach]) -> None:
        """Append the steps that eliminate some nodes, those with tables of the same make together."""
        alike: dict[tuple[tuple[int, ...], ...], list[tuple[int, list[Array]]]] = {}
        for node, touched in reach.items():
            for state in touched.opened:
                self._expand(state)
            axis = {variable: place for place, variable in enumerate(touched.scope)}
            used = sorted(self._factors[node].items(), key=lambda item: [axis[near] for near in item[1].scope])
            parts, make = [], [tuple(self._size[variable] for variable in touched.scope)]
            for number, factor in used:
                order = sorted(range(len(factor.scope)), key=lambda place: axis[factor.scope[place]])
                where = factor.where.transpose(order)
                present = {axis[variable] for variable in factor.scope}
                parts.append(where.reshape([self._size[v] if axis[v] in present else 1 for v in touched.scope]))
                make.append(tuple(sorted(present)))
                self._remove(number, factor)
            alike.setdefault(tuple(make), []).append((node, parts))
        for (shape, *_), members in alike.items():
            count = max(1, BATCH_CELLS // int(np.prod(shape)))
            for begin in range(0, len(members), count):
                self._append(shape, members[begin : begin + count], reach)

    def _append(self, shape: tuple[int, ...], members: list[tuple[int, list[Array]]], reach: dict[int, _Reach]) -> None:
        size = int(np.prod(shape[1:]))
        out = slice(self._end, self._end + size * len(members))
        self._end = out.stop
        for place, (node, _) in enumerate(members):
            where = np.arange(out.start + place * size, out.start + (place + 1) * size)
            self._add(reach[node].scope[1:], where.reshape(shape[1:]))
        scopes = np.array([reach[node].scope for node, _ in members])
        parts = tuple(np.stack(same) for same in zip(*(parts for _, parts in members), strict=True))
        opened = tuple(state for node, _ in members for state in reversed(reach[node].opened))
        self._steps.append(_Step(scopes, shape, parts, out, opened))


def _without(total: Array, part: Array) -> Array:
    """Return the rest of a total beside one part of it; inf where nothing is possible there."""
    with np.errstate(invalid="ignore"):
        rest = total - part
    return np.where(np.isnan(rest), np.inf, rest)
