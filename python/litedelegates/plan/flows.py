"""Which tensors layers hand to each other, and what conversions that takes in a model of several precisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from litedelegates.graph import Graph, Op, Tensor
from litedelegates.graph.border import computed_reads
from litedelegates.graph.kinds import ELEMENT_BITS
from litedelegates.layers.infos import layer_ops
from litedelegates.plan.held import Held
from litedelegates.plan.layer_times import LayerTimes


@dataclass(frozen=True, eq=False)
class Handed:
    """A tensor and who reads it.

    Attributes:
        tensor: Of the float32 model.
        maker: The layer that makes it; None for an input of the model.
        readers: The layers that read it; none stands for the caller.
    """

    tensor: Tensor
    maker: Op | None
    readers: tuple[Op, ...]


@dataclass(frozen=True)
class Conversion:
    """A tensor that is said in another element type for some of its readers."""

    elements: int
    is_quantize: bool


def handed(graph: Graph) -> list[Handed]:
    """Return what layers hand on, in the order it is made.

    What a caller gets is handed on apart from what layers read of it.
    """
    layers = dict.fromkeys(layer_ops(graph))
    readers: dict[Tensor, list[Op]] = {}
    for op in layers:
        for tensor in dict.fromkeys(computed_reads(graph, op)):
            readers.setdefault(tensor, []).append(op)
    pairs = [*readers.items(), *((tensor, list[Op]()) for tensor in dict.fromkeys(graph.outputs))]
    given = set(graph.inputs)
    found = [Handed(tensor, graph.producer(tensor), tuple(own)) for tensor, own in pairs]
    found = [flow for flow in found if flow.maker in layers or (flow.maker is None and flow.tensor in given)]
    return sorted(found, key=lambda flow: -1 if flow.maker is None else flow.maker.index)


def conversions(held: Held, flow: Handed, precisions: Mapping[int, str]) -> Iterator[Conversion]:
    """Yield what is converted of a tensor in a model whose layers have these precisions."""
    tensor = flow.tensor
    made = tensor.element_type if flow.maker is None else held.made(tensor, precisions[flow.maker.index])
    if flow.readers:
        wanted = {held.wanted(tensor, reader, precisions[reader.index]) for reader in flow.readers}
    else:
        wanted = {tensor.element_type}
    for element_type in sorted(wanted - {made}):
        yield Conversion(tensor.elements or 0, shrinks(made, element_type))


def shrinks(made: str, wanted: str) -> bool:
    """Return whether a conversion makes a tensor smaller, as quantizing does."""
    return bits(wanted) < bits(made)


def bits(element_type: str) -> float:
    """Return the bits of an element; inf where they are not fixed."""
    return ELEMENT_BITS.get(element_type) or float("inf")


def own_us(graph: Graph, held: Held, times: LayerTimes) -> dict[int, float]:
    """Return the times of layers without conversions of what a caller gives or gets.

    Those are told from the flows. Conversions in the midst of a model in one precision belong to their layer: it has no
    kernel in that precision, or is quantized while it runs.
    """
    found = dict(times.us)
    precision = times.setting.precision
    for layer, us in times.conversion_us.items():
        op = graph.ops[layer]
        given = any(held.wanted(t, op, precision) != t.element_type for t in graph.inputs if t in op.reads)
        got = any(held.made(t, precision) != t.element_type for t in graph.outputs if t in op.makes)
        if (given or got) and layer in found:
            found[layer] = max(0.0, found[layer] - us)
    return found
