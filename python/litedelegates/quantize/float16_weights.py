"""Weights stored as float16 behind DEQUANTIZE ops, put back as the float32 weights every tool understands."""

from __future__ import annotations

from typing import Any

import numpy as np

from litedelegates.graph.tflite.packed_files import packed_files
from litedelegates.graph.tflite.tree import ModelSource, Tree, op_name, parse, read_bytes, serialize, tensor_data


def fold_float16_weights(model: ModelSource) -> bytes:
    """Return ``model`` with every DEQUANTIZE of a float16 constant replaced by the same constant in float32.

    Widening float16 to float32 is exact, so the model computes the same numbers; the file grows to float32 size. A
    model without such weights comes back unchanged, byte for byte.

    Args:
        model: Path or bytes of a ``.tflite``.

    Raises:
        InvalidModelError: ``model`` is not a readable TFLite model.
    """
    content = read_bytes(model)
    tree = parse(content)
    return serialize(tree) + packed_files(content) if fold_in_tree(tree) else content


def fold_in_tree(tree: Tree) -> int:
    """Fold the float16 weights of ``tree`` in place and return how many DEQUANTIZE ops that removed."""
    return sum(_fold_in_graph(tree, graph) for graph in tree.subgraphs)


def _fold_in_graph(tree: Tree, graph: Any) -> int:
    readers: dict[int, list[Any]] = {}
    for op in graph.operators:
        for index in op.inputs:
            readers.setdefault(index, []).append(op)
    replaced: dict[int, int] = {}  # tensor a DEQUANTIZE wrote -> the constant it read, which is float32 from now on
    for index, ops in readers.items():
        if index >= 0 and _can_fold(tree, graph, index, ops):
            _widen(tree, graph.tensors[index])
            replaced |= {op.outputs[0]: index for op in ops}
    if replaced:
        graph.operators = [op for op in graph.operators if not op.outputs or op.outputs[0] not in replaced]
        for op in graph.operators:
            op.inputs = [replaced.get(index, index) for index in op.inputs]
        _drop_tensors(tree, graph, set(replaced))
        empty_unused_buffers(tree)
    return len(replaced)


def _can_fold(tree: Tree, graph: Any, index: int, readers: list[Any]) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    tensor = graph.tensors[index]
    return (
        tensor.type == schema.TensorType.FLOAT16
        and tensor.sparsity is None
        and tensor_data(tree, tensor) is not None
        and index not in graph.outputs
        # An output of the model must be written by an op, so a DEQUANTIZE that writes one stays.
        and all(op_name(tree, op) == "DEQUANTIZE" and op.outputs[0] not in graph.outputs for op in readers)
    )


def _widen(tree: Tree, tensor: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    data = tensor_data(tree, tensor)
    assert data is not None
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data.astype(np.float32).tobytes(), np.uint8)
    tensor.type, tensor.buffer = schema.TensorType.FLOAT32, len(tree.buffers)
    tree.buffers.append(buffer)


def _drop_tensors(tree: Tree, graph: Any, dropped: set[int]) -> None:
    kept = [index for index in range(len(graph.tensors)) if index not in dropped]
    new_index = {old: new for new, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[index] for index in kept]
    graph.inputs = [new_index[index] for index in graph.inputs]
    graph.outputs = [new_index[index] for index in graph.outputs]
    for op in graph.operators:
        op.inputs = [new_index[index] for index in op.inputs]
        op.outputs = [new_index[index] for index in op.outputs]
        if op.intermediates is not None:
            op.intermediates = [new_index[int(index)] for index in op.intermediates]
    for signature in tree.signatureDefs or []:
        if tree.subgraphs[signature.subgraphIndex] is graph:
            for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
                entry.tensorIndex = new_index[entry.tensorIndex]


def let_go_unread(graph: Any) -> None:
    """Take the bytes from tensors of a graph that no op touches."""
    used = {index for op in graph.operators for index in [*op.inputs, *op.outputs]} | {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
        if index not in used:
            tensor.buffer = 0


def empty_unused_buffers(tree: Tree) -> None:
    """Let go of the bytes that no tensor and no metadata refers to."""
    # Buffers keep their numbers, which metadata uses too; only their content goes.
    used = {tensor.buffer for graph in tree.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in tree.metadata or []} | {int(index) for index in _metadata_buffers(tree)}
    for index, buffer in enumerate(tree.buffers):
        if index not in used:
            buffer.data = None


def _metadata_buffers(tree: Tree) -> Any:
    return [] if tree.metadataBuffer is None else tree.metadataBuffer
