"""The scales of Gemm ops, worked into their weights: onnxruntime's quantizers lose them on the way."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, names_read, unused

if TYPE_CHECKING:
    import onnx


def fold_gemm_scales(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Multiply the stored weights of the Gemm ops called ``names`` by ``alpha`` and ``beta``, and set these to 1.

    What is not stored keeps its scale: the QDQ format leaves a computed bias in float32, and is right about it.
    """
    index = GraphIndex(model)
    taken = all_names(model)
    changed = False
    for node in model.graph.node:
        if node.op_type != "Gemm" or node.name not in names:
            continue
        for attribute in ("alpha", "beta"):
            scale = _scale(node, attribute)
            position = 2 if attribute == "beta" else 1 if node.input[1] in index.constants else 0
            if scale == 1 or position >= len(node.input) or node.input[position] not in index.constants:
                continue
            values = _values(index.constants[node.input[position]])
            name = unused(f"{node.input[position]}_times_{attribute}", taken)
            taken.add(name)
            model.graph.initializer.append(_tensor(values * np.float32(scale), name))
            node.input[position] = name
            _set_scale(node, attribute)
            changed = True
    if changed:
        _drop_unread(model)


def _scale(node: Any, attribute: str) -> float:
    return next((float(entry.f) for entry in node.attribute if entry.name == attribute), 1.0)


def _set_scale(node: Any, attribute: str) -> None:
    for entry in node.attribute:
        if entry.name == attribute:
            entry.f = 1.0


def _values(tensor: Any) -> Any:
    import onnx

    return onnx.numpy_helper.to_array(tensor)


def _tensor(values: Any, name: str) -> Any:
    import onnx

    return onnx.numpy_helper.from_array(np.asarray(values, np.float32), name)


def _drop_unread(model: onnx.ModelProto) -> None:
    read = {name for node in model.graph.node for name in names_read(node)} | {out.name for out in model.graph.output}
    left = [tensor for tensor in model.graph.initializer if tensor.name in read]
    copies = [type(tensor).FromString(tensor.SerializeToString()) for tensor in left]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
