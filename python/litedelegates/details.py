"""The dictionaries with which the official Interpreter describes tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from litedelegates.model import Model, numpy_dtype


def tensor_details(model: Model, subgraph: int, index: int, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Return what ``ai_edge_litert.interpreter.Interpreter.get_tensor_details`` returns for a tensor.

    Args:
        model: The model.
        subgraph: Index of the subgraph.
        index: Index of the tensor.
        shape: Its current shape; None for the file's.
    """
    tensor = model.subgraphs[subgraph].tensors[index]
    scales, zero_points = tensor.scales, tensor.zero_points
    if scales and len(zero_points) < len(scales):
        zero_points = (zero_points or [0]) * len(scales)
    per_tensor = (float(scales[0]), int(zero_points[0])) if len(scales) == 1 else (0.0, 0)
    return {
        "name": tensor.name,
        "index": index,
        "shape": np.array(tensor.shape if shape is None else shape, dtype=np.int32),
        "shape_signature": np.array(tensor.shape_signature or tensor.shape, dtype=np.int32),
        "dtype": numpy_dtype(tensor.element_type).type,
        "quantization": per_tensor,
        "quantization_parameters": {
            "scales": np.array(scales, dtype=np.float32),
            "zero_points": np.array(zero_points, dtype=np.int32),
            "quantized_dimension": tensor.quantized_dimension,
            "block_size": tensor.block_size,
        },
        "sparsity_parameters": {},
    }


def signature_list(model: Model) -> dict[str, dict[str, dict[str, int]]]:
    """Return every signature: its inputs and outputs by name, sorted as the official Interpreter sorts them."""
    return {
        signature.key: {"inputs": dict(sorted(signature.inputs)), "outputs": dict(sorted(signature.outputs))}
        for signature in sorted(model.signatures, key=lambda signature: signature.key)
    }
