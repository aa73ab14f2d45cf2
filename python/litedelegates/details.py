"""The dictionaries with which the official Interpreter describes tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from litedelegates.model import Model, numpy_dtype
from litedelegates.routes import Array


def tensor_details(model: Model, subgraph: int, index: int, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Return what ``ai_edge_litert.interpreter.Interpreter.get_tensor_details`` returns for a tensor.

    Args:
        model: The model.
        subgraph: Index of the subgraph.
        index: Index of the tensor.
        shape: Its current shape; None for the file's.
    """
    tensor = model.subgraphs[subgraph].tensor(index)
    scales, zero_points = tensor.scales, tensor.zero_points
    if scales and len(zero_points) < len(scales):
        zero_points = (zero_points or [0]) * len(scales)
    per_tensor = (float(scales[0]), int(zero_points[0])) if len(scales) == 1 else (0.0, 0)
    current = np.array(tensor.shape if shape is None else shape, dtype=np.int32)
    return {
        "name": tensor.name,
        "index": index,
        "shape": current,
        "shape_signature": np.array(tensor.shape_signature, dtype=np.int32)
        if tensor.shape_signature
        else current.copy(),
        "dtype": numpy_dtype(tensor.element_type).type,
        "quantization": per_tensor,
        "quantization_parameters": {
            "scales": _stored(model, subgraph, tensor.scales_tensor, np.array(scales, dtype=np.float32)),
            "zero_points": _stored(model, subgraph, tensor.zero_points_tensor, np.array(zero_points, dtype=np.int32)),
            "quantized_dimension": tensor.quantized_dimension,
            "block_size": tensor.block_size,
        },
        "sparsity_parameters": sparsity_parameters(model, subgraph, index) if tensor.is_sparse else {},
    }


def _stored(model: Model, subgraph: int, index: int, otherwise: Array) -> Array:
    """Return the constant that holds the scales or zero points of blocks, flat; ``otherwise`` where none does."""
    if index < 0:
        return otherwise
    data, tensor = model.file.constant_data(subgraph, index), model.subgraphs[subgraph].tensor(index)
    dtype = numpy_dtype(tensor.element_type)
    if data is None or dtype.kind not in "fiu" or tensor.element_bits < 8:
        return otherwise
    values: Array = data.view(dtype).copy()
    return values


def sparsity_parameters(model: Model, subgraph: int, index: int) -> dict[str, Any]:
    """Return how a sparse tensor stores its elements.

    "traversal_order" is the order of the dimensions and blocks, "block_map" the dimension of each block, and
    "dim_metadata" has a dictionary for each: "format" 0 with its "dense_size", or 1 with "array_segments" and
    "array_indices", as in compressed sparse rows.
    """
    sparsity = model.file.sparsity(subgraph, index)
    parameters: dict[str, Any] = {"traversal_order": np.array(sparsity.traversal_order, np.int32)}
    if sparsity.block_map:
        parameters["block_map"] = np.array(sparsity.block_map, np.int32)
    parameters["dim_metadata"] = [
        {"format": 0, "dense_size": dimension.dense_size}
        if dimension.format == 0
        else {
            "format": dimension.format,
            "array_segments": np.array(dimension.segments, np.int32),
            "array_indices": np.array(dimension.indices, np.int32),
        }
        for dimension in sparsity.dimensions
    ]
    return parameters


def signature_list(model: Model) -> dict[str, dict[str, dict[str, int]]]:
    """Return every signature: its inputs and outputs by name, sorted as the official Interpreter sorts them."""
    return {
        signature.key: {"inputs": dict(sorted(signature.inputs)), "outputs": dict(sorted(signature.outputs))}
        for signature in sorted(model.signatures, key=lambda signature: signature.key)
    }
