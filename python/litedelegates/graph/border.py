"""Which tensors travel between two halves of a graph, and on which side the conversions at the border run.

A quantized model has float tensors between its quantized ones: ``conv -> DEQUANTIZE -> softmax``. A cut beside such a
conversion falls so that the smaller tensor travels: the conversion runs where its larger side stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from litedelegates.graph.kinds import CONVERSIONS
from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Tensor


class Halves(Protocol):
    """A division of a graph's ops into those before a border and those after it."""

    graph: Graph

    def is_after(self, op: Op) -> bool:
        """Return whether ``op`` runs after the border."""
        ...

    def readers_after(self, tensor: Tensor) -> list[Op]:
        """Return the ops after the border that read ``tensor``; they may be left out if one is no conversion."""
        ...

    def only_converted_after(self, tensor: Tensor) -> bool:
        """Return whether every op after the border that reads ``tensor`` is a conversion."""
        ...


@dataclass(frozen=True)
class Crossing:
    """A tensor that travels, and the conversions that change sides for it.

    Attributes:
        tensor: What travels.
        delayed: Conversions from before the border that run after it.
        hastened: Conversions from after the border that run before it.
    """

    tensor: Tensor
    delayed: tuple[Op, ...] = ()
    hastened: tuple[Op, ...] = ()


def crossings(halves: Halves, needed: Iterable[Tensor]) -> Iterator[Crossing]:
    """Yield what travels so that everything ``needed`` after the border can be had there."""
    seen: set[Tensor] = set()
    for tensor in needed:
        for crossing in _cheapest(halves, tensor, (), ()):
            if crossing.tensor not in seen or crossing.delayed or crossing.hastened:
                seen.add(crossing.tensor)
                yield crossing


def leaving(halves: Halves, found: Iterable[Crossing]) -> set[Op]:
    """Return the delayed conversions that nothing before the border needs any more; the others run on both sides."""
    gone: set[Op] = set()
    delayed = {op for crossing in found for op in crossing.delayed}
    for op in sorted(delayed, key=lambda op: -op.index):  # readers first
        readers = (reader for tensor in op.makes for reader in halves.graph.readers(tensor))
        if all(halves.is_after(reader) or reader in gone for reader in readers) and not any(
            tensor in halves.graph.outputs for tensor in op.makes
        ):
            gone.add(op)
    return gone


def _cheapest(halves: Halves, tensor: Tensor, delayed: tuple[Op, ...], hastened: tuple[Op, ...]) -> Iterator[Crossing]:
    # Each step makes what travels smaller, so there is an end.
    maker = halves.graph.producer(tensor)
    if maker is not None and not halves.is_after(maker):
        origin = converted(maker)
        if origin is not None and _bits([origin]) < _bits([tensor]):
            yield from _cheapest(halves, origin, (*delayed, maker), hastened)
            return
    if halves.only_converted_after(tensor):
        readers = halves.readers_after(tensor)
        results = [result for reader in readers for result in reader.makes if halves.graph.readers(result)]
        if results and _bits(results) < _bits([tensor]):
            for result in results:
                yield from _cheapest(halves, result, delayed, (*hastened, *readers))
            return
    yield Crossing(tensor, delayed, hastened)


def converted(op: Op) -> Tensor | None:
    """Return the tensor that ``op`` says in another element type; None if it does anything else."""
    if op.type not in CONVERSIONS:
        return None
    computed = [tensor for tensor in op.reads if not tensor.is_constant]
    return computed[0] if len(computed) == 1 and not op.captures else None


def computed_reads(graph: Graph, op: Op) -> Iterator[Tensor]:
    """Yield what ``op`` reads and what cannot be had without running the model: no constants, nothing made of them."""
    for tensor in op.reads:
        if tensor.is_constant or tensor.is_variable:
            continue
        maker = graph.producer(tensor)
        if maker is None or not maker.is_fixed:
            yield tensor


def _bits(tensors: Iterable[Tensor]) -> float:
    # The number of elements is the same on both sides of a conversion; scales and zero points are too few to count.
    return sum(tensor.element_bits or float("inf") for tensor in tensors if tensor.shape != ())
