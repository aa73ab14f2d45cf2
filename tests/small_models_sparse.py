"""Models with a fully connected layer whose weights are stored sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
from small_models_builder import ModelBuilder, Op, Type, schema

WEIGHTS = np.zeros((4, 8), np.float32)
WEIGHTS[[0, 1, 2, 3], [1, 3, 0, 7]] = [1, 2, 3, 4]
_VECTORS = {
    "int32": (schema.SparseIndexVector.Int32Vector, schema.Int32VectorT),
    "uint16": (schema.SparseIndexVector.Uint16Vector, schema.Uint16VectorT),
    "uint8": (schema.SparseIndexVector.Uint8Vector, schema.Uint8VectorT),
}


def sparse_weights(*readers: int, dtype: str = "float32", block: int = 1, indices: str = "int32") -> bytes:
    """Build a model that computes ``x @ WEIGHTS.T``, from weights of which only some elements are stored.

    Args:
        *readers: Ops between the stored weights and the layer: Op.DENSIFY, Op.DEQUANTIZE.
        dtype: Of the stored weights.
        block: Elements along the second axis that are stored together.
        indices: Width of the numbers that say where elements are.
    """
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 8))
    kinds = {"float32": Type.FLOAT32, "float16": Type.FLOAT16}
    blocks = WEIGHTS.reshape(4, 8 // block, block)
    rows, columns = np.nonzero(blocks.any(axis=2))
    stored = blocks[rows, columns].astype(dtype)
    weights = graph.tensor("stored", (4, 8), kinds[dtype], data=stored.tobytes())
    segments = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=4))])
    graph.table.tensors[weights].sparsity = _sparsity(segments, columns, block, indices)
    for reader in readers:
        is_last = reader == readers[-1]
        made = graph.tensor("dense" if is_last else "half", (4, 8), Type.FLOAT32 if is_last else kinds[dtype])
        graph.op(reader, [weights], [made])
        weights = made
    graph.op(Op.FULLY_CONNECTED, [x, weights, -1], [graph.output("y", (1, 4))], schema.FullyConnectedOptionsT())
    return model.to_bytes()


def _sparsity(segments: Any, columns: Any, block: int, width: str) -> Any:
    kind, vector = _VECTORS[width]

    def indices(values: Any) -> Any:
        made = vector()
        made.values = [int(value) for value in values]
        return made

    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder = [0, 1] if block == 1 else [0, 1, 2]
    rows, row = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    rows.format, rows.denseSize, row.format = 0, 4, 1
    row.arraySegmentsType = row.arrayIndicesType = kind
    row.arraySegments, row.arrayIndices = indices(segments), indices(columns)
    sparsity.dimMetadata = [rows, row]
    if block > 1:
        inside = schema.DimensionMetadataT()
        inside.format, inside.denseSize = 0, block
        sparsity.blockMap = [1]
        sparsity.dimMetadata.append(inside)
    return sparsity
