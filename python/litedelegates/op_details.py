"""The dictionaries with which the official Interpreter describes ops, from a model and where its ops ran."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from litedelegates import _core
from litedelegates.model import Model, numpy_dtype
from litedelegates.placement import Placement

DELEGATE = "DELEGATE"  # what the official Interpreter calls the node that a delegate runs


def op_details(model: Model, placements: Sequence[Placement]) -> list[dict[str, Any]]:
    """Return what the official Interpreter's ``_get_ops_details`` returns for the first subgraph.

    After the ops of the file comes a row named DELEGATE for each partition that a delegate took, with the tensors that
    it reads and those that it makes for others.

    Args:
        model: The model.
        placements: Where each op ran; none to leave the rows of delegates out.
    """
    graph = model.subgraphs[0]
    rows = [(op.type, op.inputs, op.outputs) for op in graph.operators]
    taken: dict[int, list[int]] = {}
    for placement in placements:
        if placement.subgraph == 0 and placement.partition is not None:
            taken.setdefault(placement.partition, []).append(placement.op_index)
    for _, ops in sorted(taken.items()):
        rows.append((DELEGATE, *_border(graph.operators, set(ops), graph.outputs)))
    return [_row(model, index, *row) for index, row in enumerate(rows)]


def _border(
    operators: Sequence[_core.Operator], ops: set[int], graph_outputs: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return the tensors that some ops read and do not make, and those that they make for others, by index."""
    made = {tensor for op in ops for tensor in operators[op].outputs}
    read = {tensor for op in ops for tensor in operators[op].inputs if tensor >= 0}
    wanted = {tensor for index, op in enumerate(operators) if index not in ops for tensor in op.inputs}
    return sorted(read - made), sorted(made & (wanted | set(graph_outputs)))


def _row(model: Model, index: int, name: str, inputs: Sequence[int], outputs: Sequence[int]) -> dict[str, Any]:
    tensors = model.subgraphs[0].tensors

    def types(indices: Iterable[int]) -> list[type]:
        return [numpy_dtype(tensors[tensor].element_type).type for tensor in indices if tensor >= 0]

    return {
        "index": index,
        "op_name": name,
        "inputs": np.array(inputs, np.int32),
        "outputs": np.array(outputs, np.int32),
        "operand_types": types(inputs),
        "result_types": types(outputs),
    }
