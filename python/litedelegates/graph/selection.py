"""Taking some ops of a graph as a graph of their own, where that is possible."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from litedelegates.errors import CutError
from litedelegates.graph.border import computed_reads, converted
from litedelegates.graph.cuts import untransportable
from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Tensor


def needs(graph: Graph, ops: Collection[Op]) -> list[Tensor]:
    """Return what a set of ops reads and does not make: first the graph's inputs, then in the order it is made."""
    made = {tensor for op in ops for tensor in op.makes}
    read = dict.fromkeys(tensor for op in ops for tensor in computed_reads(graph, op) if tensor not in made)
    given = [tensor for tensor in graph.inputs if tensor in read]
    return given + sorted(
        (t for t in read if graph.producer(t) is not None), key=lambda tensor: _made_at(graph, tensor)
    )


def gives(graph: Graph, ops: Collection[Op]) -> list[Tensor]:
    """Return what other ops, or the caller, need of a set of ops: first the graph's outputs."""
    made = {tensor for op in ops for tensor in op.makes}
    results = [tensor for tensor in dict.fromkeys(graph.outputs) if tensor in made]
    chosen = set(ops)
    # What is made of constants alone, or only converted on the way in, is made again wherever else it is read.
    own = {tensor for op in ops if not _made_again(graph, op, chosen) for tensor in op.makes} or made
    inner = {t for t in own if any(reader not in chosen for reader in graph.readers(t))} - set(results)
    return results + sorted(inner, key=lambda tensor: _made_at(graph, tensor))


def select(graph: Graph, ops: Collection[Op], inputs: Iterable[Tensor], outputs: Iterable[Tensor], name: str) -> Graph:
    """Return ``ops`` as a graph, with the ops that make constants for them and only the tensors that they touch."""
    given, wanted = tuple(inputs), tuple(outputs)
    kept = _with_fixed(graph, ops, wanted)
    tensors = {tensor for op in kept for tensor in (*op.reads, *op.makes, *op.intermediates)} | {*given, *wanted}
    tensors |= {companion for tensor in tensors for companion in tensor.companions}
    return Graph(
        graph.source,
        (op if op.index == index else replace(op, index=index) for index, op in enumerate(kept)),
        sorted(tensors, key=graph.position.__getitem__),
        given,
        wanted,
        name=name,
        names={tensor: graph.names[tensor] for tensor in (*given, *wanted) if tensor in graph.names},
        signature=graph.signature,
        metadata=graph.metadata,
    )


def check_legal(graph: Graph, ops: Collection[Op]) -> None:
    """Check that a set of ops can be a model of its own.

    Raises:
        CutError: It cannot; says which op or tensor stands in the way.
    """
    chosen = set(ops)
    states = {state: op for op in ops for state in op.states}
    for op in graph.ops if states else ():
        for state in op.states:
            if state in states and op not in chosen:
                raise CutError(f"{states[state]} cannot be without {op}: both use {state}")
    for tensor in (*needs(graph, ops), *gives(graph, ops)):
        if reason := untransportable(tensor):
            raise CutError(f"the border of these {len(chosen)} ops cuts through {reason}")
    if len(chosen) > 1:
        _check_convex(graph, chosen)


def _check_convex(graph: Graph, chosen: set[Op]) -> None:
    """Check that no value leaves the set and comes back: no order of running could satisfy that."""
    detours: dict[Tensor, tuple[Op, Op]] = {}  # by tensor made outside: the op inside it comes from, the last outside
    for op in graph.ops:
        for tensor in op.reads:
            maker = graph.producer(tensor)
            if op in chosen and tensor in detours:
                start, outside = detours[tensor]
                raise CutError(
                    f"these ops cannot be one model: {start} feeds {outside}, which is not among them and feeds {op}, "
                    "which is. Take both in, or leave one out"
                )
            if op in chosen or maker is None:
                continue
            starts = maker in chosen and not _made_again(graph, maker, chosen)
            if starts or tensor in detours:
                start = maker if starts else detours[tensor][0]
                detours.update((made, (start, op)) for made in op.makes)


def _made_again(graph: Graph, op: Op, chosen: Collection[Op]) -> bool:
    """Return whether others can do as well what an op of ``chosen`` does: make a constant, or convert an input."""
    origin = converted(op)
    return op.is_fixed or (origin is not None and graph.producer(origin) not in chosen)


def _with_fixed(graph: Graph, ops: Collection[Op], outputs: Iterable[Tensor]) -> list[Op]:
    kept = set(ops)
    waiting = [tensor for op in ops for tensor in op.reads]
    waiting += outputs
    while waiting:
        maker = graph.producer(waiting.pop())
        if maker is not None and maker.is_fixed and maker not in kept:
            kept.add(maker)
            waiting += maker.reads
    return sorted(kept, key=lambda op: op.index)


def _made_at(graph: Graph, tensor: Tensor) -> tuple[int, int]:
    maker = graph.producer(tensor)
    assert maker is not None
    return maker.index, maker.outputs.index(tensor)
