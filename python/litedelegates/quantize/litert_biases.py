"""Makes biases fit into the 32 bits that kernels have for them.

The scale of a bias is that of the input times that of the weights. Where a channel of weights is all zero, as pruning
and dead units leave it, or the input is, that scale is so fine that litert-quantizer clips the bias to nothing. A wider
scale of such weights costs nothing: beside the bias they are next to zero.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.border import along
from litedelegates.graph.tflite.tree import Tree, is_quantized, tensor_data, type_name
from litedelegates.quantize.float16_weights import empty_unused_buffers, let_go_unread
from litedelegates.quantize.litert_names import PlacedOp
from litedelegates.quantize.litert_precision import WEIGHT_INPUT

# Weights and bias of an op in float32.
Stored: TypeAlias = "tuple[NDArray[Any], NDArray[Any]]"

_BIAS_INPUT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_INPUT = {"TRANSPOSE_CONV": 2}
# Half of what 32 bits hold: products are added to a bias.
_LARGEST = float(1 << 30)


def stored_biases(tree: Tree, ops: Sequence[PlacedOp]) -> dict[int, Stored]:
    """Return weights and bias of the ops that store both, by index."""
    found = {}
    for op in ops:
        position = _BIAS_INPUT.get(op.type, len(op.operator.inputs))
        indices = [op.operator.inputs[i] for i in (WEIGHT_INPUT.get(op.type, 0), position) if position < _count(op)]
        arrays = [tensor_data(tree, op.graph.tensors[index]) for index in indices if index >= 0]
        if len(arrays) == 2 and arrays[0] is not None and arrays[1] is not None:
            found[op.index] = (arrays[0], arrays[1])
    return found


def fit_biases(tree: Tree, ops: Sequence[PlacedOp], stored: Mapping[int, Stored]) -> None:
    """Widen the scales of weights until the bias of their op fits.

    Args:
        tree: What litert-quantizer made; changed in place.
        ops: Its ops.
        stored: What `stored_biases` said of the same ops in the float32 model.
    """
    changed = [op.graph for op in ops if op.index in stored and _fit(tree, op, *stored[op.index])]
    for graph in {id(graph): graph for graph in changed}.values():
        let_go_unread(graph)
    if changed:
        empty_unused_buffers(tree)


def _fit(tree: Tree, op: PlacedOp, weights: NDArray[Any], bias: NDArray[Any]) -> bool:
    inputs, place, bias_place = op.operator.inputs, WEIGHT_INPUT[op.type], _BIAS_INPUT[op.type]
    source, filters, biases = (op.graph.tensors[inputs[i]] for i in (_INPUT.get(op.type, 0), place, bias_place))
    if type_name(biases) not in ("INT32", "INT64") or not (is_quantized(source) and is_quantized(filters)):
        return False
    step = float(source.quantization.scale[0])
    scales = np.asarray(filters.quantization.scale, np.float64)
    needed = np.abs(bias.astype(np.float64)) / (step * _LARGEST)
    wide = np.maximum(scales, needed if len(scales) == len(needed) else needed.max(initial=0.0)).astype(np.float32)
    if (wide <= scales).all():
        return False
    axis = int(filters.quantization.quantizedDimension)
    low = np.clip(np.rint(weights / along(tuple(map(float, wide)), weights.ndim, axis)), -127, 127).astype(np.int8)
    integers = np.rint(bias / (step * wide.astype(np.float64))).astype(type_name(biases).lower())
    made = [_twin(tree, op.graph, filters, low, wide), _twin(tree, op.graph, biases, integers, step * wide)]
    op.operator.inputs = [dict(zip((place, bias_place), made, strict=True)).get(i, n) for i, n in enumerate(inputs)]
    return True


def _twin(tree: Tree, graph: Any, tensor: Any, values: NDArray[Any], scales: NDArray[Any]) -> int:
    """Return the index of a tensor like another one, which other ops may read, with values of its own."""
    from ai_edge_litert import schema_py_generated as schema

    made, buffer = copy.copy(tensor), schema.BufferT()
    made.quantization = copy.copy(tensor.quantization)
    made.quantization.scale = scales.astype(np.float32)
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    made.buffer = len(tree.buffers)
    tree.buffers.append(buffer)
    graph.tensors.append(made)
    return len(graph.tensors) - 1


def _count(op: PlacedOp) -> int:
    return len(op.operator.inputs)
