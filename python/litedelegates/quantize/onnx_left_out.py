"""Ops that stay float32 although something else was asked: because they do not run, or because nothing rounds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from litedelegates.graph.tflite.tree import name_some
from litedelegates.quantize.onnx_dynamic import MATMUL_SUFFIX
from litedelegates.quantize.onnx_files import tensor_bytes
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_trial import Trial
from litedelegates.quantize.onnx_verify import QUANTIZED_SUFFIX
from litedelegates.quantize.plan import Op
from litedelegates.quantize.request import FLOAT32

if TYPE_CHECKING:
    import onnx

# Smaller constants, such as biases, make no difference to the size of a model.
_LEAST_BYTES = 1 << 14


def ops_to_leave_out(trial: Trial, before: GraphIndex, names: Mapping[str, set[str]]) -> dict[str, str]:
    """Return which ops to leave float32 after a failed trial, with the reason; none where that would not help.

    Args:
        trial: What happened.
        before: The model before it was quantized.
        names: The names of the ops of each precision.
    """
    ends = ("", QUANTIZED_SUFFIX, MATMUL_SUFFIX, MATMUL_SUFFIX + QUANTIZED_SUFFIX)
    for precision, chosen in names.items():
        failed = next((name for name in chosen for end in ends if name + end == trial.op), None)
        if failed is not None:
            op_type = before.nodes[failed].op_type
            reason = f"onnxruntime does not run {op_type} in {precision} here"
            return {name: reason for name in chosen if before.nodes[name].op_type == op_type}
    if trial.crashed:
        # onnxruntime 1.32 ends where a Transpose in float16 exchanges the first two of three axes before a MatMul.
        reason = "onnxruntime ends the process that loads it in float16 before a MatMul"
        return {name: reason for name in names.get("float16", ()) if _turns_rows(before, name)}
    return {}


def describe_left_out(ops: Sequence[Op], left_out: Mapping[str, str]) -> list[str]:
    """Return a sentence for each reason in ``left_out`` with its ops."""
    found: dict[str, list[str]] = {}
    for op in ops:
        if op.name in left_out:
            found.setdefault(left_out[op.name], []).append(str(op))
    return [f"{_count(names)} float32, as {reason}: {name_some(names)}" for reason, names in found.items()]


def describe_float32_weights(result: onnx.ModelProto, ops: Sequence[Op], wanted: Mapping[int, str]) -> list[str]:
    """Return a sentence about the ops that were to be smaller and still store float32, such as a Gather's table."""
    index = GraphIndex(result)
    names, total, seen = [], 0, set()
    for op in ops:
        node = index.nodes.get(op.name)
        if node is None or wanted[op.index] == FLOAT32:
            continue
        large = [
            name
            for name in node.input
            if name in index.constants
            and index.types[name] == 1
            and tensor_bytes(index.constants[name]) >= _LEAST_BYTES
        ]
        if large:
            names.append(str(op))
            total += sum(tensor_bytes(index.constants[name]) for name in large if name not in seen)
            seen.update(large)
    if not names:
        return []
    return [f"{_count(names)} float32, with {total} bytes of weights: {name_some(names)}"]


def _count(names: Sequence[str]) -> str:
    return "1 op stays" if len(names) == 1 else f"{len(names)} ops stay"


def _turns_rows(before: GraphIndex, name: str) -> bool:
    node = before.nodes[name]
    order = [list(entry.ints) for entry in node.attribute if entry.name == "perm"]
    readers = [reader.op_type for reader in before.consumers[node.output[0]]]
    return node.op_type == "Transpose" and order == [[1, 0, 2]] and "MatMul" in readers
