"""Checking a model file before anything else looks at it."""

from __future__ import annotations

from typing import Any

from litedelegates.errors import InvalidModelError
from litedelegates.graph.onnx.bodies import inner_tensors
from litedelegates.graph.onnx.extra import require_onnx
from litedelegates.graph.onnx.inference import lacks_values


def check(model: Any) -> None:
    """Check a ModelProto that may be without its large values.

    Raises:
        InvalidModelError: It breaks a rule of ONNX; carries the checker's words.
    """
    onnx = require_onnx()
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    # The checker wants every value there: what is left out of this copy becomes a tensor without elements.
    for tensor in _tensors(shown):
        if lacks_values(tensor):
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.dims[:] = [0]
    # It also wants a shape at the border, which neither ONNX's rules nor ONNX Runtime ask for.
    for value in (*shown.graph.input, *shown.graph.output):
        if value.type.WhichOneof("value") == "tensor_type" and not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(shown)
    except Exception as error:  # ValidationError, and what single checks raise
        raise InvalidModelError(f"the model breaks the rules of ONNX: {error}") from error


def check_constant(tensor: Any) -> None:
    """Check a TensorProto that has its values.

    Raises:
        InvalidModelError: They are missing or too few; carries the checker's words.
    """
    try:
        require_onnx().checker.check_tensor(tensor)
    except Exception as error:
        raise InvalidModelError(f"the constant {tensor.name!r} is damaged: {error}") from error


def _tensors(model: Any) -> list[Any]:
    found = list(model.graph.initializer)
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nodes:
            found += inner_tensors(node)
    return found
