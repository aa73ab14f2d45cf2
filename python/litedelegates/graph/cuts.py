"""What would travel at each position between two ops of a graph."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from litedelegates.graph.border import computed_reads, converted, crossings, leaving
from litedelegates.graph.kinds import UNTRANSPORTABLE
from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Tensor


@dataclass(frozen=True)
class Cut:
    """A position where a graph can be cut in two, or the reason why it cannot.

    Attributes:
        position: Number of ops before it: the cut falls between ops ``position - 1`` and ``position``.
        after: The op before it.
        tensors: What travels: everything that ops before it made, or a caller gave, and ops after it need, skip
            connections included. Where a conversion stands at the border, the smaller side of it.
        nbytes: Bytes of these tensors; None where one is not known before the model runs.
        float16_nbytes: The same with floating-point tensors sent as float16.
        int8_nbytes: The same with floating-point tensors sent as 8-bit integers.
        refusal: Why it is no place to cut; None where it is.
    """

    position: int
    after: Op = field(repr=False)
    tensors: tuple[Tensor, ...]
    nbytes: int | None
    float16_nbytes: int | None
    int8_nbytes: int | None
    refusal: str | None = None

    @property
    def cost_bytes(self) -> float:
        """Bytes that travel; inf where it is no place to cut, or the bytes are not known. Places are compared by it."""
        return math.inf if self.nbytes is None or self.refusal is not None else self.nbytes


def table(graph: Graph) -> tuple[Cut, ...]:
    """Return the cut at each position, in one walk over the ops."""
    walk = _Walk(graph)
    return tuple(walk.step(op) for op in graph.ops[:-1])


class _Walk:
    """The halves before and after a position that moves forward, one op at a time (see `border.Halves`)."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._position = 0
        self._own_ops = 0  # before the position, without those that only make constants or compute shapes
        self._last: Cut | None = None  # behind an op that computes more than shapes
        self._last_reader: dict[Tensor, int] = {}
        self._last_plain_reader: dict[Tensor, int] = {}
        self._state_ends: dict[str, int] = {}
        self._open_states: dict[str, Op] = {}
        for op in graph.ops:
            for tensor in () if op.is_fixed else computed_reads(graph, op):
                self._last_reader[tensor] = op.index
                if converted(op) is None:
                    self._last_plain_reader[tensor] = op.index
            self._state_ends.update(dict.fromkeys(op.states, op.index))
        self._ops_in_all = sum(_is_own(op) for op in graph.ops)
        self._live = dict.fromkeys(tensor for tensor in graph.inputs if tensor in self._last_reader)

    def step(self, op: Op) -> Cut:
        """Move behind ``op`` and return the cut there."""
        self._position = op.index + 1
        self._own_ops += _is_own(op)
        for tensor in op.makes:
            if self._last_reader.get(tensor, -1) > op.index:
                self._live[tensor] = None
        for tensor in op.reads:
            if self._last_reader.get(tensor) == op.index:
                self._live.pop(tensor, None)
        self._open_states.update((state, op) for state in op.states)
        self._open_states = {s: by for s, by in self._open_states.items() if self._state_ends[s] > op.index}
        cut = self._cut(op)
        if _is_own(op):
            self._last = cut
        elif op.computes_shape and cut.refusal is None and self._last is not None and _sends_no_more(self._last, cut):
            refusal = f"{op} only computes a shape: cut at {self._last.position}, before such ops"
            return replace(cut, refusal=refusal)
        return cut

    def _cut(self, op: Op) -> Cut:
        found = list(crossings(self, self._live))
        tensors = tuple(dict.fromkeys(crossing.tensor for crossing in found))
        delayed = {moved for crossing in found for moved in crossing.delayed}
        hastened = {moved for crossing in found for moved in crossing.hastened}
        own_ops = self._own_ops - len(leaving(self, found)) + len(hastened) if delayed or hastened else self._own_ops
        left = self._ops_in_all - self._own_ops + len(delayed) - len(hastened)
        return Cut(
            position=self._position,
            after=op,
            tensors=tensors,
            nbytes=_total(tensor.nbytes for tensor in tensors),
            float16_nbytes=_total(tensor.float16_nbytes for tensor in tensors),
            int8_nbytes=_total(tensor.int8_nbytes for tensor in tensors),
            refusal=self._refusal(tensors, own_ops, left),
        )

    def _refusal(self, tensors: Iterable[Tensor], own_ops: int, left: int) -> str | None:
        for state, op in self._open_states.items():
            return f"{state} is used on both sides, by {op} and by op {self._state_ends[state]}"
        for tensor in tensors:
            if reason := untransportable(tensor):
                return reason
        if own_ops == 0:
            return "no op before it computes anything from the inputs, or only their shapes"
        if left == 0:
            return "no op is left after it but conversions, which run before it, or shapes"
        return None

    def is_after(self, op: Op) -> bool:
        return op.index >= self._position

    def only_converted_after(self, tensor: Tensor) -> bool:
        return self._last_plain_reader.get(tensor, -1) < self._position <= self._last_reader.get(tensor, -1)

    def readers_after(self, tensor: Tensor) -> list[Op]:
        return [op for op in self.graph.readers(tensor) if op.index >= self._position]


def _sends_no_more(one: Cut, other: Cut) -> bool:
    """Return whether a place is legal and sends no more than another, as far as sizes are known."""
    if one.refusal is not None:
        return False
    return one.cost_bytes <= other.cost_bytes < math.inf or set(one.tensors) <= set(other.tensors)


def _is_own(op: Op) -> bool:
    return not op.is_fixed and not op.computes_shape


def untransportable(tensor: Tensor) -> str | None:
    """Return why a tensor cannot leave the process that made it; None if it can."""
    if tensor.element_type in UNTRANSPORTABLE:
        return f"{tensor.name!r} is a {tensor.element_type}, which means nothing in another model"
    return None


def _total(sizes: Iterable[int | None]) -> int | None:
    known = list(sizes)
    return None if None in known else sum(size for size in known if size is not None)
