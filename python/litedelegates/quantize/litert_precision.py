"""The precision in which an op of a ``.tflite`` computes, read from its tensors."""

from __future__ import annotations

import math
from typing import Any

from litedelegates.graph.tflite.tree import Tree, is_quantized, op_name, shape_of, tensor_data, type_name
from litedelegates.quantize.litert_names import PlacedOp
from litedelegates.quantize.request import FLOAT32

# Where each op that computes with stored weights keeps them.
WEIGHT_INPUT = {
    "BATCH_MATMUL": 1,
    "CONV_2D": 1,
    "CONV_3D": 1,
    "CONV_3D_TRANSPOSE": 1,
    "DEPTHWISE_CONV_2D": 1,
    "EMBEDDING_LOOKUP": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
}
# Where ops keep large constants that litert-quantizer leaves in float32, in one precision at least.
_LSTM = (1, 2, 3, 4, 5, 6, 7, 8, 16)
WIDENED_INPUTS: dict[str, tuple[int, ...]] = {
    "BATCH_MATMUL": (0, 1),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*_LSTM[:8], 16, *range(18, 26), 33),
    "BIDIRECTIONAL_SEQUENCE_RNN": (1, 2, 5, 6),
    "CONV_3D": (1,),
    "CONV_3D_TRANSPOSE": (1,),
    "GATHER": (0,),
    "LSTM": _LSTM,
    "RNN": (1, 2),
    "SVDF": (1, 2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _LSTM,
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
}
# Smaller ones are not worth the op that widens them.
_FEWEST_ELEMENTS = 1024
# Ops that compute nothing with the values of what they touch: the ops of a loop's body are judged one by one.
NO_VALUES = {"CALL", "CALL_ONCE", "IF", "RANK", "SHAPE", "WHILE"}


class OpReader:
    """Reads ops of a tree that does not change meanwhile."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._widened = {
            (id(graph), op.outputs[0]): op.inputs[0]
            for graph in tree.subgraphs
            for op in graph.operators
            if op_name(tree, op) == "DEQUANTIZE"
        }

    def precision_of(self, op: PlacedOp) -> str | None:
        """Return the precision that ``op`` computes in; None where it computes with integers that stand for no reals.

        ``int8`` and ``int16x8`` go by the activations. Where these are float32, the weights tell: int8 read directly
        is ``dynamic``, int8 behind a DEQUANTIZE ``weight_only``, float16 behind one ``float16``.
        """
        if op.type in NO_VALUES:
            return None
        touched = [op.graph.tensors[index] for index in [*op.operator.inputs, *op.operator.outputs] if index >= 0]
        weights = self.weights_of(op)
        others = [tensor for tensor in touched if tensor is not weights]
        if any(type_name(tensor) == "FLOAT32" for tensor in others):
            stored = FLOAT32 if weights is None else type_name(weights)
            if stored == "INT8":
                return "dynamic" if len(others) < len(touched) else "weight_only"
            return "float16" if stored == "FLOAT16" else FLOAT32
        quantized = {type_name(tensor) for tensor in others if is_quantized(tensor)}
        if "INT16" in quantized:
            return "int16x8"
        return "int8" if "INT8" in quantized else None

    def weights_of(self, op: PlacedOp) -> Any | None:
        """Return the tensor that stores the weights of ``op``, seen through a DEQUANTIZE; None where it has none."""
        if op.type in WEIGHT_INPUT:
            return self._stored(op, WEIGHT_INPUT[op.type])
        large = (self._stored(op, position) for position in WIDENED_INPUTS.get(op.type, ()))
        return next((tensor for tensor in large if tensor is not None and is_large(tensor)), None)

    def _stored(self, op: PlacedOp, position: int) -> Any | None:
        inputs = op.operator.inputs
        if position >= len(inputs) or inputs[position] < 0:
            return None
        index = self._widened.get((id(op.graph), inputs[position]), inputs[position])
        tensor = op.graph.tensors[index]
        return None if tensor_data(self._tree, tensor) is None else tensor


def is_large(tensor: Any) -> bool:
    """Return whether a constant is worth an op that widens it."""
    shape = shape_of(tensor)
    return len(shape) > 1 and math.prod(shape) >= _FEWEST_ELEMENTS
