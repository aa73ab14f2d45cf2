"""Mends what litert-quantizer gets wrong, before it works and after."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from litedelegates.graph.tflite.tree import Tree, op_name, shape_of, tensor_data, text, type_name
from litedelegates.quantize.float16_weights import let_go_unread
from litedelegates.quantize.litert_names import list_ops
from litedelegates.quantize.litert_outputs import drop_unread
from litedelegates.quantize.litert_precision import WEIGHT_INPUT

# What they read of a tensor does not depend on how its values are stored: kernels take any type.
_SHAPE_READERS = {"RANK", "SHAPE"}
# The integers of one scale are in the order of what they stand for; kernels take float32 and 8 bits.
_ORDER_READERS = {"ARG_MAX", "ARG_MIN"}
# The version of each op from which its 16-bit scales may be any number.
_ANY_SCALE = {"ADD": 3, "SUB": 5}
# Weights that are read through a DEQUANTIZE.
_WIDENED = {"float16", "weight_only"}


def read_integers_directly(tree: Tree) -> None:
    """Let ops that need no real values read integers; a DEQUANTIZE that is read by nothing else goes."""
    for graph in tree.subgraphs:
        widened = {op.outputs[0]: op.inputs[0] for op in graph.operators if op_name(tree, op) == "DEQUANTIZE"}
        freed = set()
        for op in graph.operators:
            name = op_name(tree, op)
            source = widened.get(op.inputs[0]) if len(op.inputs) else None
            if source is None:
                continue
            is_int8 = type_name(graph.tensors[source]) == "INT8"
            if name in _SHAPE_READERS or (name in _ORDER_READERS and is_int8):
                freed.add(op.inputs[0])
                op.inputs = [source, *op.inputs[1:]]
        drop_unread(tree, graph, freed)


def take_scales_as_they_are(tree: Tree) -> None:
    """Let ADD and SUB of 16 bits take any scale.

    Their default is another way to compute where all three scales are near powers of two, as those of an image that is
    brought from -1 to 1: it takes them for powers of two, and SUB does not run where an input has the larger scale.
    """
    for graph in tree.subgraphs:
        for op in graph.operators:
            lowest = _ANY_SCALE.get(op_name(tree, op))
            if lowest is None or op.builtinOptions is None or type_name(graph.tensors[op.outputs[0]]) != "INT16":
                continue
            op.builtinOptions.potScaleInt16 = False
            code = tree.operatorCodes[op.opcodeIndex]
            code.version = max(code.version, lowest)


def separate_weights(tree: Tree, wanted: Mapping[int, str]) -> None:
    """Give weights on one buffer buffers of their own where they are stored in different ways.

    litert-quantizer keeps the scales by buffer: of 64 x 1 weights and 1 x 64 ones, both would get 64 scales. It fails
    where one of two readers of weights is to get them from a DEQUANTIZE.

    Args:
        tree: Changed in place.
        wanted: The precision of each op of ``list_ops(tree)``.
    """
    forms: dict[int, list[tuple[object, int]]] = {}  # by buffer: each form in use, and the buffer that it has now
    read_otherwise = _read_otherwise(tree)
    precisions = {id(op.operator): wanted[op.index] for op in list_ops(tree)}
    for number, graph in enumerate(tree.subgraphs):
        renamed: dict[tuple[int, int], int] = {}
        for op in graph.operators:
            name = op_name(tree, op)
            position = WEIGHT_INPUT.get(name, len(op.inputs))
            index = op.inputs[position] if position < len(op.inputs) else -1
            if index < 0 or tensor_data(tree, graph.tensors[index]) is None:
                continue
            tensor = graph.tensors[index]
            precision = precisions[id(op)]
            form = (shape_of(tensor), _scale_axis(name, op), precision)
            is_first = not (precision in _WIDENED and tensor.buffer in read_otherwise)
            known = forms.setdefault(tensor.buffer, [(form if is_first else None, tensor.buffer)])
            buffer = next((buffer for other, buffer in known if other == form), None)
            if buffer is None:
                buffer = _copy_buffer(tree, tensor.buffer)
                known.append((form, buffer))
            if buffer != tensor.buffer:
                if (index, buffer) not in renamed:
                    renamed[index, buffer] = _copy_tensor(graph, index, buffer, f"{number}_{len(renamed)}")
                op.inputs = [*op.inputs[:position], renamed[index, buffer], *op.inputs[position + 1 :]]
        if renamed:
            let_go_unread(graph)


def _read_otherwise(tree: Tree) -> set[int]:
    """Return the buffers of constants that some op reads, and not as its weights."""
    return {
        graph.tensors[index].buffer
        for graph in tree.subgraphs
        for op in graph.operators
        for position, index in enumerate(op.inputs)
        if index >= 0 and position != WEIGHT_INPUT.get(op_name(tree, op))
    }


def _scale_axis(name: str, op: Any) -> object:
    if name == "BATCH_MATMUL":
        return name, bool(op.builtinOptions is not None and op.builtinOptions.adjY)
    return name == "DEPTHWISE_CONV_2D"


def _copy_buffer(tree: Tree, index: int) -> int:
    made = copy.copy(tree.buffers[index])
    tree.buffers.append(made)
    return len(tree.buffers) - 1


def _copy_tensor(graph: Any, index: int, buffer: int, ending: str) -> int:
    made = copy.copy(graph.tensors[index])
    made.name, made.buffer = f"{text(made.name)}#{ending}", buffer
    graph.tensors.append(made)
    return len(graph.tensors) - 1
