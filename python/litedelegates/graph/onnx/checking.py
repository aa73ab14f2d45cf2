"""Checking a model file before anything else looks at it."""

from __future__ import annotations

from typing import Any

from litedelegates.engines.onnxruntime.extras import require_onnx
from litedelegates.errors import InvalidModelError
from litedelegates.graph.onnx.bodies import bodies, inner_tensors
from litedelegates.graph.onnx.inference import lacks_values


def check(model: Any) -> None:
    """Check a ModelProto that may be without its large values.

    Raises:
        InvalidModelError: It breaks a rule of ONNX; carries the checker's words.
    """
    onnx = require_onnx()
    check_texts(model)
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


def check_texts(model: Any) -> None:
    """Check that every name in a ModelProto is text.

    Protobuf gives what is no UTF-8 as bytes, which only fails much later, where the name is used.

    Raises:
        InvalidModelError: One is not.
    """
    texts = [model.producer_name, model.producer_version, model.domain, model.doc_string]
    texts += (text for entry in model.metadata_props for text in (entry.key, entry.value))
    texts += (entry.domain for entry in model.opset_import)
    graphs = [model.graph]
    for graph in graphs:  # grows by the bodies of its nodes
        texts += (graph.name, graph.doc_string)
        texts += (value.name for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info))
        for node in graph.node:
            texts += (node.name, node.op_type, node.domain, *node.input, *node.output)
            graphs += bodies(node)
    for text in texts:
        if not isinstance(text, str):
            raise InvalidModelError(f"the model is damaged: {text!r} should be a text in UTF-8")


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
