"""Refuses shapes for inputs that the runtime would not survive."""

from __future__ import annotations

import math
from collections.abc import Sequence

from litedelegates.delegates import Delegate, Xnnpack
from litedelegates.errors import CompileError
from litedelegates.model import Model

_MOST_DIMENSIONS = 8  # kernels and delegates copy shapes into arrays of fixed size
_MOST_ELEMENTS = 2**31 - 1  # kernels count elements in 32 bits


def check_shape(model: Model, chain: Sequence[Delegate], subgraph: int, index: int, shape: Sequence[int]) -> None:
    """Refuse a new shape of an input that ends the process or that no kernel takes.

    Args:
        model: The model.
        chain: The delegates that run it.
        subgraph: The subgraph whose input is resized.
        index: The input's tensor index.
        shape: The new shape.

    Raises:
        CompileError: Too many dimensions, a negative size, too many elements, or a model with variables on XNNPACK.
    """
    reason = _why_impossible(shape) or _why_variables(model, chain, subgraph, index, shape)
    if reason is None:
        return
    name = model.subgraphs[subgraph].tensors[index].name
    told = f"{tuple(shape[:_MOST_DIMENSIONS])}" + (" and so on" if len(shape) > _MOST_DIMENSIONS else "")
    raise CompileError(f"cannot resize input {name!r} (tensor {index}) to {told}: {reason}")


def _why_impossible(shape: Sequence[int]) -> str | None:
    if len(shape) > _MOST_DIMENSIONS:
        return f"it has {len(shape)} dimensions, and the runtime takes at most {_MOST_DIMENSIONS}"
    if any(size < 0 for size in shape):
        return "a size is negative"
    elements = math.prod(shape)
    if elements > _MOST_ELEMENTS:
        return f"it has {elements} elements, and the runtime counts to {_MOST_ELEMENTS}"
    return None


def _why_variables(
    model: Model, chain: Sequence[Delegate], subgraph: int, index: int, shape: Sequence[int]
) -> str | None:
    """XNNPACK keeps the memory of a variable when another shape is assigned to it."""
    if not any(isinstance(delegate, Xnnpack) for delegate in chain):
        return None
    if not any(op.type == "ASSIGN_VARIABLE" for graph in model.subgraphs for op in graph.operators):
        return None
    stored = model.subgraphs[subgraph].tensors[index].shape
    if list(shape) == stored:
        return None
    return (
        f"the model keeps variables (ASSIGN_VARIABLE), and XNNPACK only survives the shape of the file, "
        f"{tuple(stored)}; delegate=None takes other shapes"
    )
