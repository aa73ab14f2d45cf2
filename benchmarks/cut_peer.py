"""Cutting a model without litedelegates, with what its format brings along."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any


def cut_with_schema(model: Path, position: int, paths: list[Path]) -> float:
    """Write the ops before and from ``position`` as models; return the time when the model had been read.

    Only for models with one subgraph, without conversions at the border, variables or state: what a script of a page
    can do, which is what this is measured against.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model.read_bytes(), 0))
    loaded = time.perf_counter()
    ops = whole.subgraphs[0].operators
    for chosen, path in zip((ops[:position], ops[position:]), paths, strict=True):
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(_part(whole, chosen).Pack(builder), b"TFL3")
        path.write_bytes(builder.Output())
    return loaded


def cut_with_onnx(model: Path, border: tuple[str, ...], paths: list[Path]) -> float:
    """Write the halves of an ``.onnx`` at a border of named tensors; return the time when the model had been read."""
    import onnx
    import onnx.utils

    whole = onnx.load(model)
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(whole))
    loaded = time.perf_counter()
    stored = {constant.name for constant in whole.graph.initializer}
    inputs = [entry.name for entry in whole.graph.input if entry.name not in stored]
    outputs = [entry.name for entry in whole.graph.output]
    for (given, made), path in zip(((inputs, list(border)), (list(border), outputs)), paths, strict=True):
        onnx.save(extractor.extract_model(given, made), path)
    return loaded


def _part(whole: Any, ops: list[Any]) -> Any:
    graph = whole.subgraphs[0]
    made = {int(index) for op in ops for index in op.outputs}
    read = {int(index) for op in ops for index in op.inputs if index >= 0}
    stored = {index for index in read if _is_stored(whole, graph.tensors[index])}
    others = {int(index) for op in graph.operators for index in op.inputs if op not in ops}
    part, inner = copy.copy(whole), copy.copy(graph)
    kept = sorted(made | read)
    place = {index: number for number, index in enumerate(kept)}
    place[-1] = -1
    inner.tensors = [copy.copy(graph.tensors[index]) for index in kept]
    part.buffers = [whole.buffers[0]]
    for tensor, index in zip(inner.tensors, kept, strict=True):
        if index in stored:
            part.buffers.append(whole.buffers[tensor.buffer])
            tensor.buffer = len(part.buffers) - 1
        else:
            tensor.buffer = 0
    inner.operators = [copy.copy(op) for op in ops]
    for op in inner.operators:
        op.inputs, op.outputs = ([place[int(index)] for index in indices] for indices in (op.inputs, op.outputs))
    inner.inputs = [place[index] for index in sorted(read - made - stored)]
    inner.outputs = [place[index] for index in sorted(made & (others | {int(index) for index in graph.outputs}))]
    part.subgraphs, part.signatureDefs, part.metadata = [inner], None, None
    return part


def _is_stored(whole: Any, tensor: Any) -> bool:
    data = whole.buffers[tensor.buffer].data
    return data is not None and len(data) > 0
