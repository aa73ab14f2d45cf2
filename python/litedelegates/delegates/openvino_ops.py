"""Ops that OpenVINO computes otherwise than the model says, as found by running every op (tests/compare_ops.py)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.delegates.saturation import LARGEST, pairs_saturate
from litedelegates.errors import DelegateError, SaturationWarning

if TYPE_CHECKING:
    from litedelegates import _core
    from litedelegates.model import Model, Subgraph

# Ops whose integer kernels overflow; depthwise and transposed convolutions do not (seen).
_SATURATING = ("CONV_2D", "FULLY_CONNECTED")


def refuse_wrong_ops(model: Model) -> None:
    """Refuse a model with an op that OpenVINO takes and computes wrongly, and says nothing.

    Raises:
        DelegateError: Names the op and says what to do.
    """
    for number, graph in enumerate(model.subgraphs):
        for index, op in enumerate(graph.operators):
            reason = _why_wrong(model, graph, number, index, op)
            if reason:
                raise DelegateError(
                    f"{model.name}: op {index} ({op.type}) {reason}, so that outputs would be wrong: run this model "
                    "with delegate='xnnpack', or convert it without that op"
                )


def _why_wrong(model: Model, graph: Subgraph, subgraph: int, index: int, op: _core.Operator) -> str | None:
    if op.type == "TRANSPOSE_CONV":
        options = _options(model, subgraph, index, "TransposeConvOptions")
        activation = options.FusedActivationFunction() if options is not None else 0
        lost = f"has a fused activation ({_activation_name(activation)}), which OpenVINO leaves out"
        return lost if activation else None
    if op.type == "MIRROR_PAD":
        options = _options(model, subgraph, index, "MirrorPadOptions")
        is_symmetric = options is not None and options.Mode() == 1
        return "pads symmetrically, and OpenVINO leaves out the edge, as in the other mode" if is_symmetric else None
    if op.type == "REDUCE_MAX" and graph.tensors[op.inputs[0]].element_type == "int8":
        return "is of int8, of which OpenVINO makes one value"
    return None


def _options(model: Model, subgraph: int, op: int, kind: str) -> Any:
    """Return the options table of an op; None where it has none of that kind."""
    from ai_edge_litert import schema_py_generated as schema

    root = schema.Model.GetRootAs(model.file.bytes, 0)
    table = root.Subgraphs(subgraph).Operators(op)
    if table.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind) or table.BuiltinOptions() is None:
        return None
    options = getattr(schema, kind)()
    found = table.BuiltinOptions()
    options.Init(found.Bytes, found.Pos)
    return options


def _activation_name(activation: int) -> str:
    return {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}.get(activation, str(activation))


def warn_of_saturation(model: Model) -> None:
    """Warn of a model whose integer products overflow in OpenVINO's kernels on this CPU."""
    if not pairs_saturate():
        return
    ops = list(saturating_ops(model))
    if not ops:
        return
    some = ", ".join(f"{index} ({kind})" for index, kind in ops[:3])
    more = f" and {len(ops) - 3} more" if len(ops) > 3 else ""
    warnings.warn(
        f"{model.name}: weights of 8 bits in op {some}{more} overflow in OpenVINO's kernels on this x86 CPU without "
        "VNNI, so that outputs are off: run this model with delegate='xnnpack', which does not overflow, run its "
        f"float32 form on OpenVINO, or quantize its weights to 7 bits (within {LARGEST})",
        SaturationWarning,
        stacklevel=2,
    )


def saturating_ops(model: Model) -> Iterator[tuple[int, str]]:
    """Yield index and type of the ops that multiply integers with weights beyond 64."""
    for number, graph in enumerate(model.subgraphs):
        for index, op in enumerate(graph.operators):
            if op.type not in _SATURATING or len(op.inputs) < 2 or min(op.inputs[:2]) < 0:
                continue
            values, weights = (graph.tensors[tensor] for tensor in op.inputs[:2])
            if values.element_type not in ("int8", "uint8") or weights.element_type not in ("int8", "uint8"):
                continue
            stored = model.file.constant_data(number, op.inputs[1])
            if stored is None or weights.is_sparse or not stored.size:
                continue
            zero_point = weights.zero_points[0] if weights.zero_points else 0
            typed = stored.view(np.dtype(weights.element_type))
            if max(int(typed.max()) - zero_point, zero_point - int(typed.min())) > LARGEST:
                yield index, op.type
