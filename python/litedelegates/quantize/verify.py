"""Whether a quantized model is what was asked for: litert-quantizer leaves what it cannot do in float32, silently."""

from __future__ import annotations

from typing import Any

import numpy as np

from litedelegates.errors import QuantizationError
from litedelegates.quantize.model_file import Tree, is_quantized, name_some, op_name, tensor_data, text, type_name

# Where each op that computes with stored weights keeps them.
WEIGHT_INPUT = {
    "BATCH_MATMUL": 1,
    "CONV_2D": 1,
    "CONV_3D": 1,
    "CONV_3D_TRANSPOSE": 1,
    "DEPTHWISE_CONV_2D": 1,
    "EMBEDDING_LOOKUP": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
}
WEIGHT_TYPE = {"float16": "FLOAT16", "dynamic": "INT8", "int8": "INT8"}
BORDER_TYPE = {"float32": "FLOAT32", "int8": "INT8"}
BORDER_OPS = {"QUANTIZE", "DEQUANTIZE"}


def check_float32(tree: Tree, precision: str) -> None:
    """Raise unless ``tree`` is a plain float32 model with something in it for ``precision`` to change.

    Raises:
        QuantizationError: It is quantized already, holds float16 or sparse tensors, or has no weights to quantize
            (``int8`` can do without: it changes activations too).
    """
    tensors = [tensor for graph in tree.subgraphs for tensor in graph.tensors]
    for fault, found in {
        "stores sparse weights": [tensor for tensor in tensors if tensor.sparsity is not None],
        "is quantized already": [tensor for tensor in tensors if is_quantized(tensor)],
        "computes in float16": [tensor for tensor in tensors if type_name(tensor) == "FLOAT16"],
    }.items():
        if found:
            types = "/".join(sorted({type_name(tensor) for tensor in found}))
            examples = name_some([repr(text(tensor.name)) for tensor in found], 3)
            raise QuantizationError(
                f"the model {fault}: {len(found)} of its {len(tensors)} tensors are {types} ({examples}). "
                "Start from the float32 model"
            )
    if precision != "int8" and not any(
        _weights_of(tree, graph, op) for graph in tree.subgraphs for op in graph.operators
    ):
        raise QuantizationError(
            "the model has nothing to quantize: none of its ops stores weights for one of " + ", ".join(WEIGHT_INPUT)
        )


def check_quantized(tree: Tree, precision: str, border: str, *, allow_float32_ops: bool) -> None:
    """Raise unless ``tree`` has the element types that ``precision`` and ``border`` promise.

    Raises:
        QuantizationError: Weights, activations (int8) or borders have other types, scales are unusable, or a weight
            is too large for float16. With ``allow_float32_ops`` an op left in float32 passes, as long as one is not.
    """
    left, done = _split_ops(tree, precision)
    if not done:
        raise QuantizationError(f"asked for {precision}, but nothing was quantized: {name_some(left)} stayed float32")
    if left and not allow_float32_ops:
        raise QuantizationError(
            f"asked for {precision}, but {len(left)} ops stayed float32: {name_some(left)}. litert-quantizer does not "
            "quantize them here; allow_float32_ops=True accepts a model of mixed precision"
        )
    _check_values(tree)
    if precision == "int8":
        _check_border(tree, border)


def _split_ops(tree: Tree, precision: str) -> tuple[list[str], list[str]]:
    """Return the ops left in float32 and the ops with the promised types, as ``NAME 'first output'``."""
    left, done = [], []
    for graph in tree.subgraphs:
        for op in graph.operators:
            name = op_name(tree, op)
            weights = _weights_of(tree, graph, op)
            if precision == "int8":
                if name in BORDER_OPS:
                    continue
                touched = [graph.tensors[index] for index in [*op.inputs, *op.outputs] if index >= 0]
                kinds = {type_name(tensor) for tensor in touched}
                is_left, is_done = "FLOAT32" in kinds, "FLOAT32" not in kinds and any(map(is_quantized, touched))
            else:
                is_left = weights is not None and type_name(weights) != WEIGHT_TYPE[precision]
                is_done = weights is not None and not is_left
            where = text(graph.tensors[op.outputs[0]].name) if op.outputs else ""
            if is_left:
                left.append(f"{name} {where!r}")
            elif is_done:
                done.append(f"{name} {where!r}")
    return left, done


def _weights_of(tree: Tree, graph: Any, op: Any) -> Any | None:
    """Return the tensor that stores the weights of ``op``, seen through a DEQUANTIZE; None where it stores none."""
    position = WEIGHT_INPUT.get(op_name(tree, op))
    if position is None or position >= len(op.inputs) or op.inputs[position] < 0:
        return None
    index = op.inputs[position]
    for producer in graph.operators:
        if index in producer.outputs and op_name(tree, producer) == "DEQUANTIZE":
            index = producer.inputs[0]
            break
    tensor = graph.tensors[index]
    return None if tensor_data(tree, tensor) is None else tensor


def _check_values(tree: Tree) -> None:
    for graph in tree.subgraphs:
        for tensor in graph.tensors:
            if is_quantized(tensor):
                scales = np.asarray(tensor.quantization.scale)
                if not (np.isfinite(scales).all() and (scales > 0).all()):
                    raise QuantizationError(
                        f"tensor {text(tensor.name)!r} got scales from {scales.min()} to {scales.max()}, which must be "
                        "positive and finite: look for extreme weights or calibration values"
                    )
            elif type_name(tensor) == "FLOAT16":
                data = tensor_data(tree, tensor)
                if data is not None and not np.isfinite(data).all():
                    bad = np.count_nonzero(~np.isfinite(data))
                    raise QuantizationError(
                        f"weights {text(tensor.name)!r} hold {bad} values that are not finite in float16, whose "
                        "largest number is 65504: use 'dynamic' or 'int8', or retrain"
                    )


def _check_border(tree: Tree, border: str) -> None:
    graph = tree.subgraphs[0]
    for role, indices in {"input": graph.inputs, "output": graph.outputs}.items():
        for index in indices:
            found = type_name(graph.tensors[index])
            if found in BORDER_TYPE.values() and found != BORDER_TYPE[border]:
                name = text(graph.tensors[index].name)
                raise QuantizationError(f"asked for border={border!r}, but {role} {name!r} is {found}")
