"""Gives litert-quantizer a model in which no tensor is both read inside and an output, and none is neither.

Where a tensor is both, it makes every reader take the float32 copy that is meant for the output, or hands out the
integers that were meant for a reader; an output that is an input, or is there twice, is such a tensor too. What is
neither keeps float32, though the op that writes it computes with integers. An op that it does not know, put behind
these tensors while it works, is a reader of float32 and nothing else.

Such an op also stands before constants that take the place of an activation, such as the zeros that a recurrent network
starts from: these would be stored as weights are, which no kernel reads there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litedelegates.graph.tflite.tree import Tree, op_name, tensor_data, text, type_name
from litedelegates.quantize.litert_names import list_ops
from litedelegates.quantize.litert_ranges import Place, Range, unread

_END = "end/"
_START = "/start"
_UNKNOWN_OP = "NEG"
# Where ops with weights read their activation.
_ACTIVATION_INPUT = {"BATCH_MATMUL": 0, "CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}
# In int8 constants are stored as activations are already.
_WITH_STARTS = {"dynamic", "float16", "int16x8", "weight_only"}


def add_ends(tree: Tree, ranges: Mapping[Place, Range]) -> dict[str, Range]:
    """Put an unknown op behind every float32 tensor that is an output and read inside, or neither.

    Returns:
        The ranges of the tensors that it writes, by name, for outputs that become integers.
    """
    made: dict[str, Range] = {}
    code = None
    for number, graph in enumerate(tree.subgraphs):
        read = {index for op in graph.operators for index in op.inputs} | set(graph.inputs)
        lost = unread(tree, graph)
        for position, index in enumerate(list(graph.outputs)):
            tensor = graph.tensors[index]
            if type_name(tensor) != "FLOAT32" or not (index in read or list(graph.outputs).count(index) > 1):
                continue
            code = _add_code(tree) if code is None else code
            end = _add_end(graph, index, code, f"{_END}{number}/{position}")
            _replace_output(tree, number, position, end)
            if (number, index) in ranges:
                made[graph.tensors[end].name] = ranges[number, index]
        for index in lost:
            code = _add_code(tree) if code is None else code
            _add_end(graph, index, code, f"{_END}{number}/unread/{index}")
    return made


def add_starts(tree: Tree, told: Mapping[int, str]) -> dict[str, Range]:
    """Put an unknown op before every constant that an op with weights takes for an activation.

    Args:
        tree: Changed in place.
        told: The precision of each op of ``list_ops(tree)``.

    Returns:
        The ranges of the tensors that it writes, by name.
    """
    made: dict[str, Range] = {}
    code = None
    for op in list_ops(tree):
        position = _ACTIVATION_INPUT.get(op.type, len(op.operator.inputs))
        index = op.operator.inputs[position] if position < len(op.operator.inputs) else -1
        values = tensor_data(tree, op.graph.tensors[index]) if index >= 0 else None
        if values is None or told[op.index] not in _WITH_STARTS or type_name(op.graph.tensors[index]) != "FLOAT32":
            continue
        code = _add_code(tree) if code is None else code
        name = f"{text(op.graph.tensors[index].name)}{op.index}{_START}"
        start = _add_end(op.graph, index, code, name, before=op.operator)
        op.operator.inputs = [*op.operator.inputs[:position], start, *op.operator.inputs[position + 1 :]]
        made[name] = Range(float(values.min(initial=0)), float(values.max(initial=0)))
    return made


def remove_ends(tree: Tree) -> None:
    """Take out of what litert-quantizer made the ops that `add_ends` and `add_starts` put there."""
    for number, graph in enumerate(tree.subgraphs):
        ends = {
            op.outputs[0]: op.inputs[0]
            for op in graph.operators
            if op_name(tree, op) == _UNKNOWN_OP and _is_ours(text(graph.tensors[op.outputs[0]].name))
        }
        graph.operators = [op for op in graph.operators if not (op.outputs and op.outputs[0] in ends)]
        for op in graph.operators:
            op.inputs = [ends.get(index, index) for index in op.inputs]
        for position, index in enumerate(list(graph.outputs)):
            _replace_output(tree, number, position, _without_detour(tree, graph, ends.get(index, index)))
        drop_unread(tree, graph, set(ends.values()))
    _remove_unused_code(tree)


def _is_ours(name: str) -> bool:
    return name.startswith(_END) or name.endswith(_START)


def drop_unread(tree: Tree, graph: Any, candidates: set[int]) -> None:
    """Remove the DEQUANTIZE ops that write ``candidates`` which nothing reads."""
    unused = candidates - {index for op in graph.operators for index in op.inputs} - set(graph.outputs)
    graph.operators = [
        op for op in graph.operators if not (op_name(tree, op) == "DEQUANTIZE" and op.outputs[0] in unused)
    ]


def _without_detour(tree: Tree, graph: Any, index: int) -> int:
    """Return the integers themselves for an output that is made of them by DEQUANTIZE and QUANTIZE."""
    makers = {op.outputs[0]: op for op in graph.operators if op_name(tree, op) in ("DEQUANTIZE", "QUANTIZE")}
    last = makers.get(index)
    first = makers.get(last.inputs[0]) if last is not None else None
    if first is None or last is None or op_name(tree, last) != "QUANTIZE" or op_name(tree, first) != "DEQUANTIZE":
        return index
    source = int(first.inputs[0])
    if type_name(graph.tensors[source]) != type_name(graph.tensors[index]):
        return index
    graph.operators = [op for op in graph.operators if op is not last]
    drop_unread(tree, graph, {first.outputs[0]})
    return source


def _add_end(graph: Any, index: int, code: int, name: str, before: Any = None) -> int:
    from ai_edge_litert import schema_py_generated as schema

    source, made, op = graph.tensors[index], schema.TensorT(), schema.OperatorT()
    made.name, made.type, made.buffer = name, source.type, 0
    made.shape, made.shapeSignature, made.hasRank = source.shape, source.shapeSignature, source.hasRank
    graph.tensors.append(made)
    op.opcodeIndex, op.inputs, op.outputs = code, [index], [len(graph.tensors) - 1]
    place = next((i for i, other in enumerate(graph.operators) if other is before), len(graph.operators))
    graph.operators.insert(place, op)
    return len(graph.tensors) - 1


def _replace_output(tree: Tree, number: int, position: int, index: int) -> None:
    """Make ``index`` an output, in the signatures too: the first entry for an output that is there twice is its."""
    graph = tree.subgraphs[number]
    outputs = list(graph.outputs)
    before, outputs[position] = outputs[position], index
    graph.outputs = outputs
    for signature in tree.signatureDefs:
        for entry in signature.outputs or [] if signature.subgraphIndex == number else []:
            if entry.tensorIndex == before:
                entry.tensorIndex = index
                break


def _add_code(tree: Tree) -> int:
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, _UNKNOWN_OP)
    code.version = 1
    tree.operatorCodes.append(code)
    return len(tree.operatorCodes) - 1


def _remove_unused_code(tree: Tree) -> None:
    used = {op.opcodeIndex for graph in tree.subgraphs for op in graph.operators}
    kept = [index for index in range(len(tree.operatorCodes)) if index in used]
    places = {old: new for new, old in enumerate(kept)}
    tree.operatorCodes = [tree.operatorCodes[index] for index in kept]
    for op in (op for graph in tree.subgraphs for op in graph.operators):
        op.opcodeIndex = places[op.opcodeIndex]
