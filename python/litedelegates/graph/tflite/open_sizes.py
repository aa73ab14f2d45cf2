"""Finds files whose inner sizes follow from an open batch in another way than the file says.

Converters store 1 for every size that they leave open. That is what most inner tensors have at a batch of 1, but not
all: SPACE_TO_BATCH_ND of a dilated convolution makes two of one, and a RESHAPE to (-1, features) moves steps of time
into the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litedelegates import _core
    from litedelegates.model import Model

# They move elements: those they read are as many as those they make.
_MOVING = frozenset(
    {"CONCATENATION", "EXPAND_DIMS", "PACK", "RESHAPE", "SPLIT", "SPLIT_V", "SQUEEZE", "TRANSPOSE", "UNPACK"}
)
_JOINING = frozenset({"CONCATENATION", "PACK"})
# The sizes of what they make are in their operands' values.
_BY_VALUE = frozenset(
    {"BATCH_TO_SPACE_ND", "BROADCAST_TO", "FILL", "RANGE", "SPACE_TO_BATCH_ND", "TILE", "UNIQUE", "WHERE"}
)
# They keep the batch and change the sizes behind it.
_SPATIAL = frozenset(
    {
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEPTH_TO_SPACE",
        "MAX_POOL_2D",
        "MIRROR_PAD",
        "PAD",
        "PADV2",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SPACE_TO_DEPTH",
        "TRANSPOSE_CONV",
    }
)


def has_other_sizes(model: Model, subgraph: int) -> bool:
    """Return whether inner tensors may have other sizes than the file says when the inputs have those that it says."""
    graph = model.subgraphs[subgraph]
    tensors = graph.tensors
    if not any(-1 in tensors[index].shape_signature for index in graph.inputs):
        return False
    return any(_may_differ(op, tensors) for op in graph.operators)


def _may_differ(op: _core.Operator, tensors: Sequence[_core.Tensor]) -> bool:
    made = [tensors[index] for index in op.outputs if index >= 0]
    is_open = [-1 in tensor.shape_signature for tensor in made]
    if not any(is_open):
        return False
    if op.type in _BY_VALUE:
        return True
    if op.type in _SPATIAL:
        return any(-1 in tensor.shape_signature[1:] for tensor in made)
    if op.type in _MOVING:
        read = [tensors[index] for index in op.inputs if index >= 0]
        if op.type not in _JOINING:  # the others are axes and shapes
            read = [tensor for tensor in read if not tensor.is_constant][:1]
        return sum(math.prod(tensor.shape) for tensor in read) != sum(math.prod(tensor.shape) for tensor in made)
    return False
