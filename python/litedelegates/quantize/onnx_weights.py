"""Weights stored in 8 bits and widened while running; no tool of onnxruntime does it for convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, names_read, unused

if TYPE_CHECKING:
    import onnx

LARGEST = 127  # -128 stays unused: scales are the same for both signs


def store_in_8_bits(model: onnx.ModelProto, names: set[str]) -> None:
    """Replace the weights of the ops called ``names`` by int8 values with a DequantizeLinear behind them.

    Each channel of the output has a scale of its own, symmetric around zero.

    Raises:
        QuantizationError: Weights are not finite.
    """
    import onnx

    index = GraphIndex(model)
    taken = all_names(model)
    widened: dict[tuple[str, int], str] = {}
    nodes = list(model.graph.node)
    for node in nodes:
        if node.name not in names:
            continue
        for position in index.weights_of(node):
            name = node.input[position]
            tensor = index.constants.get(name)
            if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT:
                continue
            values = onnx.numpy_helper.to_array(tensor)
            axis = _channel_axis(node, position, values.ndim)
            if (name, axis) not in widened:
                new = [unused(f"{name}_{end}", taken) for end in ("int8", "scale", "zero_point", "widened")]
                taken.update(new)
                stored, scales = _round(name, values, axis)
                zeros = np.zeros_like(scales, dtype=np.int8)
                for label, array in zip(new, (stored, scales, zeros), strict=False):
                    model.graph.initializer.append(onnx.numpy_helper.from_array(array, label))
                widen = onnx.helper.make_node("DequantizeLinear", new[:3], new[3:], new[3], axis=axis)
                model.graph.node.insert(0, widen)
                widened[name, axis] = new[3]
            node.input[position] = widened[name, axis]
    used = {name for node in model.graph.node for name in names_read(node)} | index.outputs
    for name, _ in widened:
        if name not in used and index.constants[name] in model.graph.initializer:
            model.graph.initializer.remove(index.constants[name])


def _channel_axis(node: Any, position: int, rank: int) -> int:
    """Return the axis of the weights that runs over the channels of the output."""
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        return 0 if transposed else 1
    if node.op_type == "MatMul":
        return max(rank - 1, 0) if position == 1 else max(rank - 2, 0)
    return 0 if node.op_type == "Conv" else 1  # ConvTranspose, and the gates of recurrent ops


def _round(name: str, values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if not np.isfinite(values).all():
        raise QuantizationError(f"weights {name!r} hold values that are not finite")
    others = tuple(other for other in range(values.ndim) if other != axis)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    stored = np.clip(np.round(values / scales), -LARGEST, LARGEST).astype(np.int8)
    return stored, scales.reshape(-1)
