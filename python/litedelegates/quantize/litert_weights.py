"""Stores weights in few bits for ops that litert-quantizer knows no such form of, and says which stayed float32.

A DEQUANTIZE of a constant runs once, when the model is loaded: any op can read its weights from 8 or 16 bits so. A
table that is also the weights of another op, as a tied embedding is, is stored once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.border import along
from litedelegates.graph.tflite.tree import (
    Tree,
    is_quantized,
    name_some,
    op_name,
    shape_of,
    tensor_data,
    text,
    type_name,
)
from litedelegates.quantize.float16_weights import empty_unused_buffers, let_go_unread
from litedelegates.quantize.litert_names import PlacedOp
from litedelegates.quantize.litert_precision import WEIGHT_INPUT, WIDENED_INPUTS, is_large

# Rounding is by half a step; what computes it rounds too.
_HALF_STEP = 0.51
_BITS = {"float16": "FLOAT16", "dynamic": "INT8", "weight_only": "INT8"}
# What is left in float32 is said where it is this share of the result.
_WORTH_TELLING = 0.1
# A result that is larger is told, unless the record of its making explains that.
_GROWTH_WORTH_TELLING, _BYTES_WORTH_TELLING = 1.02, 4096


def store_small(tree: Tree, ops: Sequence[PlacedOp], wanted: Mapping[int, str]) -> None:
    """Put DEQUANTIZE ops before the ops that should read weights of few bits and still read float32.

    Args:
        tree: What litert-quantizer made; changed in place.
        ops: Its ops, without those that were added.
        wanted: The precision of each.
    """
    changed = False
    for graph in tree.subgraphs:
        small: dict[tuple[int, str], int] = {}
        for op in (op for op in ops if op.graph is graph and wanted[op.index] in _BITS):
            kind = _BITS[wanted[op.index]]
            for position in WIDENED_INPUTS.get(op.type, ()):
                index = op.operator.inputs[position] if position < len(op.operator.inputs) else -1
                if index < 0 or not _is_float32(tree, graph.tensors[index], op.type in WEIGHT_INPUT):
                    continue
                key = (graph.tensors[index].buffer, kind)
                if key not in small:
                    graph.tensors.append(_twin(tree, kind, graph.tensors[index]))
                    small[key] = len(graph.tensors) - 1
                _widen(tree, op, position, small[key])
        if small:
            let_go_unread(graph)
            changed = True
    if changed:
        empty_unused_buffers(tree)


def left_in_float32(tree: Tree, ops: Sequence[PlacedOp], wanted: Mapping[int, str], total_bytes: int) -> list[str]:
    """Return a sentence for the float32 weights of ops that were asked for in fewer bits, where they are many."""
    found: dict[tuple[int, int], tuple[PlacedOp, int]] = {}
    for op in ops:
        if wanted[op.index] in _BITS:
            large = [
                op.graph.tensors[i] for i in op.operator.inputs if i >= 0 and _is_float32(tree, op.graph.tensors[i])
            ]
            found |= {(id(op.graph), tensor.buffer): (op, 4 * math.prod(shape_of(tensor))) for tensor in large}
    size = sum(count for _, count in found.values())
    if size < _WORTH_TELLING * total_bytes:
        return []
    named = name_some(list(dict.fromkeys(str(op) for op, _ in found.values())))
    return [f"{size} of {total_bytes} bytes are weights that stayed float32: those of {named}"]


def larger_than_before(before: int, after: int) -> list[str]:
    """Return a sentence for a result that is larger than its source."""
    if after - before < _BYTES_WORTH_TELLING or after < _GROWTH_WORTH_TELLING * before:
        return []
    return [
        f"the result is larger than its source, {after} bytes instead of {before}: scales and added ops take more room "
        "than small weights save"
    ]


def _twin(tree: Tree, kind: str, tensor: Any) -> Any:
    """Return a tensor of few bits with the values of another one, on the bytes of one that is there if there is one."""
    from ai_edge_litert import schema_py_generated as schema

    values = tensor_data(tree, tensor)
    assert values is not None
    made = schema.TensorT()
    made.name, made.shape, made.hasRank = text(tensor.name) + f"_{kind.lower()}", tensor.shape, tensor.hasRank
    made.type = getattr(schema.TensorType, kind)
    same = next(
        (other for graph in tree.subgraphs for other in graph.tensors if _holds(tree, other, kind, values)), None
    )
    if same is not None:
        made.buffer, made.quantization = same.buffer, same.quantization
        return made
    if kind == "INT8":
        made.quantization, values = _rounded(values)
    else:
        values = values.astype(np.float16)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    made.buffer = len(tree.buffers)
    tree.buffers.append(buffer)
    return made


def _holds(tree: Tree, tensor: Any, kind: str, values: NDArray[Any]) -> bool:
    """Return whether a constant of few bits is ``values``, rounded."""
    if type_name(tensor) != kind or shape_of(tensor) != values.shape:
        return False
    stored = tensor_data(tree, tensor)
    if stored is None or kind == "FLOAT16":
        return stored is not None and bool((stored == values.astype(np.float16)).all())
    if not is_quantized(tensor) or np.any(tensor.quantization.zeroPoint):
        return False
    scales = along(tuple(map(float, tensor.quantization.scale)), values.ndim, tensor.quantization.quantizedDimension)
    return bool((np.abs(stored * scales - values) <= _HALF_STEP * scales).all())


def _rounded(values: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
    """Return values in 8 bits, with a scale for each row, and their quantization."""
    from ai_edge_litert import schema_py_generated as schema

    rows = values.reshape(len(values), -1)
    scales = np.maximum(np.abs(rows).max(1), 1e-9) / 127
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint = scales.astype(np.float32), np.zeros(len(scales), np.int64)
    rounded = np.clip(np.rint(rows / scales[:, np.newaxis]), -127, 127).astype(np.int8)
    return made, rounded.reshape(values.shape)


def _widen(tree: Tree, op: PlacedOp, position: int, small: int) -> None:
    """Let an op read a constant of few bits through a DEQUANTIZE of its own."""
    from ai_edge_litert import schema_py_generated as schema

    graph, source = op.graph, op.graph.tensors[small]
    for other in graph.operators:  # of another op that was mended, which runs earlier
        if op_name(tree, other) == "DEQUANTIZE" and list(other.inputs) == [small]:
            _read(op, position, other.outputs[0])
            return
    made = schema.TensorT()
    made.name, made.shape, made.hasRank, made.buffer = text(source.name) + "_dequant", source.shape, source.hasRank, 0
    made.type = schema.TensorType.FLOAT32
    graph.tensors.append(made)
    widening = schema.OperatorT()
    widening.opcodeIndex = _dequantize_code(tree)
    widening.inputs, widening.outputs = [small], [len(graph.tensors) - 1]
    graph.operators.insert(next(i for i, other in enumerate(graph.operators) if other is op.operator), widening)
    _read(op, position, len(graph.tensors) - 1)


def _read(op: PlacedOp, position: int, index: int) -> None:
    inputs = list(op.operator.inputs)
    inputs[position] = index
    op.operator.inputs = inputs


def _dequantize_code(tree: Tree) -> int:
    from ai_edge_litert import schema_py_generated as schema

    builtin = schema.BuiltinOperator.DEQUANTIZE
    for index, code in enumerate(tree.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 5  # of scales for each row
    tree.operatorCodes.append(code)
    return len(tree.operatorCodes) - 1


def _is_float32(tree: Tree, tensor: Any, any_size: bool = False) -> bool:
    is_stored = type_name(tensor) == "FLOAT32" and tensor_data(tree, tensor) is not None
    return is_stored and (any_size or is_large(tensor))
