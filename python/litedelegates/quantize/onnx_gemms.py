"""The scales of Gemm ops, worked into their weights, and biases in the one shape that onnxruntime's quantizers take."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, names_read, unused

if TYPE_CHECKING:
    import onnx


def fold_gemm_scales(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Multiply the stored weights of the Gemm ops called ``names`` by ``alpha`` and ``beta``, and set these to 1.

    What is not stored keeps its scale: the QDQ format leaves a computed bias in float32, and is right about it.
    """
    index = GraphIndex(model)
    taken = all_names(model)
    changed = False
    for node in model.graph.node:
        if node.op_type != "Gemm" or node.name not in names:
            continue
        for attribute in ("alpha", "beta"):
            scale = _scale(node, attribute)
            position = 2 if attribute == "beta" else 1 if node.input[1] in index.constants else 0
            if scale == 1 or position >= len(node.input) or node.input[position] not in index.constants:
                continue
            values = _values(index.constants[node.input[position]])
            name = unused(f"{node.input[position]}_times_{attribute}", taken)
            taken.add(name)
            model.graph.initializer.append(_tensor(values * np.float32(scale), name))
            node.input[position] = name
            _set_scale(node, attribute)
            changed = True
    if changed:
        _drop_unread(model)


def widen_biases(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Give the stored biases of the Gemm ops called ``names`` an element for each column, where one row holds them."""
    index = GraphIndex(model)
    taken = all_names(model)
    changed = False
    for node in _with_odd_bias(index, names):
        values, columns = _values(index.constants[node.input[2]]), _columns(index, node)
        if values.size != math.prod(values.shape[-1:]):
            continue
        name = unused(f"{node.input[2]}_of_columns", taken)
        taken.add(name)
        model.graph.initializer.append(_tensor(np.broadcast_to(values.reshape(-1), (columns,)), name))
        node.input[2] = name
        changed = True
    if changed:
        _drop_unread(model)


def biases_of_rows(index: GraphIndex, names: Collection[str]) -> dict[str, str]:
    """Return which of the Gemm ops called ``names`` have a bias that differs from row to row, with what to say."""
    return {
        node.name: "onnxruntime rounds no Gemm whose bias differs from row to row"
        for node in _with_odd_bias(index, names)
        if math.prod(index.constants[node.input[2]].dims) != math.prod(index.constants[node.input[2]].dims[-1:])
    }


def _with_odd_bias(index: GraphIndex, names: Collection[str]) -> list[Any]:
    """Return the Gemm ops whose stored weights and bias do not have one size along one axis."""
    return [
        node
        for node in index.nodes.values()
        if node.op_type == "Gemm"
        and node.name in names
        and len(node.input) > 2
        and node.input[1] in index.constants
        and node.input[2] in index.constants
        and list(index.constants[node.input[2]].dims) != [_columns(index, node)]
    ]


def _columns(index: GraphIndex, node: Any) -> int:
    is_transposed = any(entry.name == "transB" and entry.i for entry in node.attribute)
    return int(index.constants[node.input[1]].dims[0 if is_transposed else 1])


def _scale(node: Any, attribute: str) -> float:
    return next((float(entry.f) for entry in node.attribute if entry.name == attribute), 1.0)


def _set_scale(node: Any, attribute: str) -> None:
    for entry in node.attribute:
        if entry.name == attribute:
            entry.f = 1.0


def _values(tensor: Any) -> Any:
    import onnx

    return onnx.numpy_helper.to_array(tensor)


def _tensor(values: Any, name: str) -> Any:
    import onnx

    return onnx.numpy_helper.from_array(np.asarray(values, np.float32), name)


def _drop_unread(model: onnx.ModelProto) -> None:
    read = {name for node in model.graph.node for name in names_read(node)} | {out.name for out in model.graph.output}
    left = [tensor for tensor in model.graph.initializer if tensor.name in read]
    copies = [type(tensor).FromString(tensor.SerializeToString()) for tensor in left]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
