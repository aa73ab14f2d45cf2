"""Scales and zero points of tensors, which ONNX keeps beside the ops that read or make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from litedelegates.graph.parts import Quantization

# By op type, which inputs are the scale and the zero point of which input (a position) or of the output (None).
_PARAMETERS: dict[str, tuple[tuple[int | None, int, int], ...]] = {
    "QuantizeLinear": ((None, 1, 2),),
    "DequantizeLinear": ((0, 1, 2),),
    "QLinearConv": ((0, 1, 2), (3, 4, 5), (None, 6, 7)),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5), (None, 6, 7)),
    "QLinearAdd": ((0, 1, 2), (3, 4, 5), (None, 6, 7)),
    "QLinearMul": ((0, 1, 2), (3, 4, 5), (None, 6, 7)),
    "QGemm": ((0, 1, 2), (3, 4, 5), (None, 7, 8)),
    "QLinearWhere": ((1, 2, 3), (4, 5, 6), (None, 7, 8)),
    **dict.fromkeys(
        (
            "QLinearAveragePool",
            "QLinearGlobalAveragePool",
            "QLinearLeakyRelu",
            "QLinearReduceMean",
            "QLinearSigmoid",
            "QLinearSoftmax",
        ),
        ((0, 1, 2), (None, 3, 4)),
    ),
}
# The dimension of several scales, where no attribute says it.
_AXES = {"QLinearConv": 0, "QLinearMatMul": -1, "QGemm": -1}


def quantizations(nodes: Iterable[Any], value_of: Callable[[str], Any]) -> dict[str, Quantization]:
    """Return the quantization of each tensor whose scale and zero point are constants.

    Args:
        nodes: The nodes of a graph.
        value_of: Returns the values of a constant as an array; None for what is no constant.
    """
    found: dict[str, Quantization] = {}
    for node in nodes:
        for name, scale, zero_point in _quantized(node):
            scales = value_of(scale)
            zeros = value_of(zero_point) if zero_point else None
            if name in found or scales is None or (zero_point and zeros is None) or scales.ndim > 1:
                continue  # scales of more dimensions belong to blocks
            found[name] = Quantization(
                tuple(float(value) for value in scales.reshape(-1)),
                (0,) * scales.size if zeros is None else tuple(int(value) for value in zeros.reshape(-1)),
                0 if scales.size == 1 else _axis(node),
            )
    return found


def _quantized(node: Any) -> Iterator[tuple[str, str, str]]:
    if node.op_type == "QLinearConcat":
        entries = [(None, 0, 1), *((index, index + 1, index + 2) for index in range(2, len(node.input) - 2, 3))]
    else:
        entries = list(_PARAMETERS.get(node.op_type, ()))
    for of, scale, zero_point in entries:
        name = node.output[0] if of is None else _input(node, of)
        if name and _input(node, scale):
            yield name, _input(node, scale), _input(node, zero_point)


def _input(node: Any, index: int) -> str:
    return str(node.input[index]) if index < len(node.input) else ""


def _axis(node: Any) -> int:
    for attribute in node.attribute:
        if attribute.name == "axis":
            return int(attribute.i)
    return _AXES.get(node.op_type, 1)
