"""Which tensor of a model a tensor of its rewritten copy stands for, as far as names tell.

Whoever rewrites a model derives the names of what it makes from the names that were there: onnxruntime's quantizer
writes ``conv/y_QuantizeLinear_Output``, litert-quantizer ``conv_dequant``, onnxruntime's optimizer ``conv/y_nchwc`` and
``fused conv``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from litedelegates.graph import Graph, Op, Tensor

_PREFIX = re.compile(r"^(?:InsertedPrecisionFreeCast_|fused )")
_SUFFIX = re.compile(
    r"(?:_(?:quantized|dequantized|dequant|QuantizeLinear_(?:Input|Output)|DequantizeLinear_Output"
    r"|quant|nchwc|token_\d+|int8|int16x8)|/duplicated)$"
)
_NUMBER = re.compile(r"_token_\d+$")
# Ops of blocked layouts are called after what they make.
_BLOCKED = "_nchwc"


class TensorNames:
    """Finds tensors of a model by the names that a rewritten copy has for them."""

    def __init__(self, source: Graph) -> None:
        """Take what ops make from more than constants, and the inputs."""
        computed = [tensor for op in source.ops if not op.is_fixed for tensor in op.makes]
        self._source = source
        self._tensors = {tensor.name: tensor for tensor in (*source.inputs, *computed)}
        self._ops = {op.name: op for op in source.ops if not op.is_fixed and op.makes}

    def find(self, tensor: Tensor, maker: Op | None) -> tuple[Tensor, str] | None:
        """Return the tensor of the model that ``tensor`` of the copy, made by ``maker``, is named after, and why.

        Tensors whose shapes or types cannot stand for each other are no match.
        """
        if maker is None or not _is_called_after(tensor, maker):
            for name in _spellings(tensor.name):
                found = self._tensors.get(name)
                if found is not None and fits(found, tensor):
                    return found, "tensor name"
        if maker is None:
            return None
        if maker.name.endswith(_BLOCKED):
            for name in _stripped(maker.name):
                if name in self._tensors:
                    return self._tensors[name], "op name"
        named = next((self._ops[name] for name in _spellings(maker.name) if name in self._ops), None)
        position = maker.makes.index(tensor)
        if named is not None and position < len(named.makes) and fits(named.makes[position], tensor):
            return named.makes[position], "op name"
        return None


def fits(source: Tensor, tensor: Tensor) -> bool:
    """Return whether ``tensor`` can hold the values of ``source``, as far as shapes and types are known.

    Integers of 32 bits without a scale are sums inside a quantized op.
    """
    is_sum = tensor.element_type == "int32" and tensor.quantization is None
    if is_sum and source.element_type not in ("int32", "unknown"):
        return False
    if source.shape is None or tensor.shape is None:
        return True
    sizes = zip(source.shape, tensor.shape, strict=False)
    return len(source.shape) == len(tensor.shape) and all(a == b or -1 in (a, b) for a, b in sizes)


def _is_called_after(tensor: Tensor, maker: Op) -> bool:
    """Return whether onnxruntime's change of layouts named a tensor: after its op, and one of the two is numbered."""
    return tensor.name != maker.name and _NUMBER.sub("", tensor.name) == _NUMBER.sub("", maker.name)


def _spellings(name: str) -> Iterator[str]:
    """Yield a name, and what is left of it when the additions of rewriters are taken off one by one."""
    yield name
    yield from _stripped(name)


def _stripped(name: str) -> Iterator[str]:
    while True:
        shorter = _PREFIX.sub("", name)
        shorter = _SUFFIX.sub("", shorter) if shorter == name else shorter
        if shorter == name or not shorter:
            return
        name = shorter
        yield name
