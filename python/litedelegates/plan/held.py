"""In which element type each layer hands its output on, in each precision."""

from __future__ import annotations

from litedelegates.graph import Graph, Op, Tensor
from litedelegates.graph.kinds import ELEMENT_BITS, FLOATS
from litedelegates.layers import LayerStudy
from litedelegates.quantize.request import STATIC_PRECISIONS

# Of integers that stand for real values, by bytes of what was float32.
_BY_SHARE = {4: "int8", 2: "int16"}


class Held:
    """What the variants of a study hand on, and want handed to them.

    What a variant's file holds decides. Only where it holds no such tensor, because it was fused away, the precision
    does: int8 and int16x8 hand on integers and everything else floats.
    """

    def __init__(self, graph: Graph, study: LayerStudy) -> None:
        """Read a study of a model."""
        self._graph = graph
        self._whole = {layer.index: layer.nbytes.get("float32") for layer in study.layers}
        self._nbytes = {variant.precision: variant.nbytes for variant in study.variants if variant.refusal is None}

    def made(self, tensor: Tensor, precision: str) -> str:
        """Return the element type in which the layer that makes a tensor hands it on in a precision."""
        maker = self._graph.producer(tensor)
        if maker is None or tensor.element_type not in FLOATS:
            return tensor.element_type
        whole, held = self._whole.get(maker.index), self._nbytes.get(precision, {}).get(maker.index)
        name = precision.partition(";")[0]
        if not whole or held is None:
            return _by_rule(tensor, name)
        share = round(whole / held) if held else 1
        if share == 2 and name not in STATIC_PRECISIONS:
            return "float16"
        return _BY_SHARE.get(share, tensor.element_type)

    def wanted(self, tensor: Tensor, reader: Op | None, precision: str) -> str:
        """Return the element type in which a layer wants a tensor in a precision; None stands for the caller."""
        if reader is None or tensor.element_type not in FLOATS:
            return tensor.element_type
        if self._graph.producer(tensor) is not None:
            return self.made(tensor, precision)
        own = next((made for made in reader.makes if made.element_type in FLOATS), None)
        return tensor.element_type if own is None else self.made(own, precision)


def nbytes_in(tensor: Tensor, element_type: str) -> int | None:
    """Return the bytes of a tensor in an element type; None where its sizes are open."""
    bits = ELEMENT_BITS.get(element_type)
    return None if tensor.elements is None or bits is None else (tensor.elements * bits + 7) // 8


def _by_rule(tensor: Tensor, name: str) -> str:
    if name not in STATIC_PRECISIONS:
        return tensor.element_type
    return "int16" if name == "int16x8" else "int8"
