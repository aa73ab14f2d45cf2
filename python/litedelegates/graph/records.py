"""A graph as plain values, for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Tensor

SCHEMA_VERSION = 1
_MOST_VALUES = 64  # of an array among the options


def to_record(graph: Graph) -> dict[str, Any]:
    """Return ops, tensors, signatures and cuts as lists, dictionaries, numbers and strings; tensors by position."""
    index = graph.position
    return {
        "schema_version": SCHEMA_VERSION,
        "name": graph.name,
        "format": graph.format,
        "inputs": [{"name": graph.public_name(tensor), "tensor": index[tensor]} for tensor in graph.inputs],
        "outputs": [{"name": graph.public_name(tensor), "tensor": index[tensor]} for tensor in graph.outputs],
        "signatures": [
            {"key": entry.key, "inputs": list(entry.inputs), "outputs": list(entry.outputs)}
            for entry in graph.signatures
        ],
        "metadata": {name: len(content) for name, content in graph.metadata.items()},
        "tensors": [_tensor(tensor) for tensor in graph.tensors],
        "ops": [_op(graph, op) for op in graph.ops],
        "cuts": [
            {
                "position": cut.position,
                "tensors": [index[tensor] for tensor in cut.tensors],
                "nbytes": cut.nbytes,
                "float16_nbytes": cut.float16_nbytes,
                "int8_nbytes": cut.int8_nbytes,
                "refusal": cut.refusal,
            }
            for cut in graph.cuts
        ],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    return {
        "name": tensor.name,
        "shape": None if tensor.shape is None else list(tensor.shape),
        "element_type": tensor.element_type,
        "nbytes": tensor.nbytes,
        "is_constant": tensor.is_constant,
        "is_variable": tensor.is_variable,
        "quantization": None
        if quantization is None
        else {
            "scales": list(quantization.scales),
            "zero_points": list(quantization.zero_points),
            "axis": quantization.axis,
        },
    }


def _op(graph: Graph, op: Op) -> dict[str, Any]:
    index = graph.position
    return {
        "index": op.index,
        "type": op.type,
        "name": op.name,
        "inputs": [None if tensor is None else index[tensor] for tensor in op.inputs],
        "outputs": [None if tensor is None else index[tensor] for tensor in op.outputs],
        "captures": [index[tensor] for tensor in op.captures],
        "states": list(op.states),
        "computes_shape": op.computes_shape,
        "options": {name: _plain(value) for name, value in op.options.items()},
    }


def _plain(value: Any) -> Any:
    """Return an option as JSON has it; large arrays and whole graphs only by what they are."""
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist()) if value.size <= _MOST_VALUES else f"{value.dtype} of shape {value.shape}"
    return _plain(value.item()) if isinstance(value, np.generic) else type(value).__name__
