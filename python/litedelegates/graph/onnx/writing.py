"""Writing a graph as an ``.onnx``: nodes and constants are taken from their files as they lie there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from litedelegates.engines.onnxruntime.extras import require_onnx
from litedelegates.errors import CutError
from litedelegates.graph.model import Graph
from litedelegates.graph.onnx.bodies import called_functions, rename
from litedelegates.graph.onnx.constants import Constant
from litedelegates.graph.onnx.native import OnnxSource
from litedelegates.graph.onnx.types import tensor_type
from litedelegates.graph.onnx.wire import RAW_DATA, key
from litedelegates.graph.parts import Op, Tensor

Pieces: TypeAlias = "list[bytes | memoryview]"
# Puts the values of a constant elsewhere and says where in the message; returns whether it did.
MoveOut: TypeAlias = "Callable[[Constant, Any], bool]"

# Fields of onnx.proto.
_GRAPH, _FUNCTION = 7, 25
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15
_FIRST_VERSION_WITH_PLAIN_INITIALIZERS = 4


def pieces(graph: Graph, move_out: MoveOut | None = None) -> Pieces:
    """Return the content of an ``.onnx`` in pieces, most of which lie in the files that the graph came from.

    Args:
        graph: What to write.
        move_out: What puts values of constants into a file beside the model; by default they stay in it.

    Raises:
        CutError: The type of an input or output is not known, or the files it came from contradict each other.
        InvalidModelError: A file that it came from was written over.
    """
    sources = _sources(graph)
    for source in sources:
        source.files.check_unchanged()
    header = _header(graph, sources)
    body: Pieces = []
    _append(body, 0, [_graph_header(graph, header.ir_version).SerializeToString()])
    for op in graph.ops:
        _append(body, _NODE, [_node(op)])
    for tensor in graph.tensors:
        if tensor.native.constant is not None:
            _append(body, _INITIALIZER, _initializer(tensor, move_out))
        elif tensor.native.sparse is not None:
            _append(body, _SPARSE, [_sparse(tensor)])
    made: Pieces = [header.SerializeToString()]
    _append(made, _GRAPH, body)
    for function in _functions(graph, sources):
        _append(made, _FUNCTION, [function])
    return made


def to_model(graph: Graph) -> Any:
    """Return the graph as an ``onnx.ModelProto`` with all its values.

    Raises:
        CutError: It cannot be written: the type of an input or output is not known.
        InvalidModelError: It is larger than the 2 GB of a message.
    """
    return require_onnx().ModelProto.FromString(graph.to_bytes())


def _append(pieces: Pieces, number: int, content: Pieces) -> None:
    if number:
        pieces.append(key(number, sum(map(len, content))))
    pieces += content


def _sources(graph: Graph) -> list[OnnxSource]:
    natives: list[Any] = [op.native for op in graph.ops]
    source: Any = graph.source
    return list(dict.fromkeys([source, *(native.source for native in natives)]))


def _header(graph: Graph, sources: list[OnnxSource]) -> Any:
    """Return the ModelProto of a graph without graph and functions."""
    own = sources[0].model
    made = require_onnx().ModelProto()
    for name in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        if own.HasField(name):
            setattr(made, name, getattr(own, name))
    made.ir_version = max(source.model.ir_version for source in sources)
    versions: dict[str, int] = {}
    for source in sources:
        for entry in source.model.opset_import:
            domain = "" if entry.domain == "ai.onnx" else entry.domain
            if versions.setdefault(domain, entry.version) != entry.version:
                raise CutError(
                    f"these parts cannot be one model: they use version {versions[domain]} and version "
                    f"{entry.version} of the ops of {domain or 'ONNX'}"
                )
    for domain, version in versions.items():
        made.opset_import.add(domain=domain, version=version)
    for name, content in graph.metadata.items():
        try:
            made.metadata_props.add(key=name, value=content.decode())
        except UnicodeDecodeError as error:
            raise CutError(f"the metadata {name!r} is no text, and an .onnx keeps texts only: {error}") from error
    return made


def _graph_header(graph: Graph, ir_version: int) -> Any:
    """Return the GraphProto of a graph without nodes and constants."""
    made = require_onnx().GraphProto(name=graph.name or "model")
    source: Any = graph.source
    if source.model.graph.HasField("doc_string"):
        made.doc_string = source.model.graph.doc_string
    made.input.extend(map(_border_info, graph.inputs))
    made.output.extend(map(_border_info, graph.outputs))
    border = {*graph.inputs, *graph.outputs}
    for tensor in graph.tensors:
        native = tensor.native
        is_stored = native.constant is not None or native.sparse is not None
        if is_stored and (native.is_default or ir_version < _FIRST_VERSION_WITH_PLAIN_INITIALIZERS):
            made.input.append(_border_info(tensor))
        elif native.value_info is not None and tensor not in border:
            made.value_info.append(_named(native.value_info, tensor.name))
        if native.annotation is not None:
            entry = made.quantization_annotation.add()
            entry.CopyFrom(native.annotation)
            entry.tensor_name = tensor.name
            for parameter in entry.quant_parameter_tensor_names:
                if parameter.key in native.companions:
                    parameter.value = native.companions[parameter.key].name
    return made


def _border_info(tensor: Tensor) -> Any:
    """Return the ValueInfoProto of an input or output."""
    native = tensor.native
    made = require_onnx().ValueInfoProto()
    if native.value_info is not None:
        made.CopyFrom(native.value_info)
    made.name = tensor.name
    if native.type is not None:
        made.type.CopyFrom(native.type)
    elif not made.HasField("type") and (native.constant is not None or native.sparse is not None):
        made.type.CopyFrom(tensor_type(tensor.element_type, tensor.shape))
    if not made.HasField("type") or tensor.element_type == "unknown":
        raise CutError(
            f"the type of tensor {tensor.name!r} is not known, so it cannot be an input or output of a model. Models "
            "with ops of ONNX Runtime's own need the package onnxruntime here; for custom ops, add the type to the "
            "model's value_info"
        )
    return made


def _named(message: Any, name: str) -> Any:
    if message.name == name:
        return message
    made = type(message)()
    made.CopyFrom(message)
    made.name = name
    return made


def _node(op: Op) -> bytes | memoryview:
    native: Any = op.native
    inputs = [tensor.name if tensor is not None else "" for tensor in op.inputs]
    outputs = [tensor.name if tensor is not None else "" for tensor in op.outputs]
    captures = tuple(tensor.name for tensor in op.captures)
    is_same = (inputs, outputs, captures) == (list(native.node.input), list(native.node.output), native.captures)
    is_named = native.node.name in ("", op.name)  # else others of its file have the same name, which no runtime takes
    if is_same and is_named and not native.has_external:
        stored: memoryview = native.stored
        return stored
    node = native.unpack()
    if not is_named:
        node.name = op.name
    node.input[:], node.output[:] = inputs, outputs
    rename(node, dict(zip(native.captures, captures, strict=True)))
    serialized: bytes = node.SerializeToString()
    return serialized


def _initializer(tensor: Tensor, move_out: MoveOut | None) -> Pieces:
    constant: Constant = tensor.native.constant
    if move_out is None and not constant.is_external and constant.head.name == tensor.name:
        return [constant.stored]
    head = require_onnx().TensorProto()
    head.CopyFrom(constant.head)
    head.name = tensor.name
    if constant.raw is None or (move_out is not None and move_out(constant, head)):
        return [head.SerializeToString()]
    return [head.SerializeToString(), key(RAW_DATA, len(constant.raw)), constant.raw]


def _sparse(tensor: Tensor) -> bytes | memoryview:
    stored: memoryview = tensor.native.sparse
    message = require_onnx().SparseTensorProto.FromString(bytes(stored))
    if message.values.name == tensor.name:
        return stored
    message.values.name = tensor.name
    serialized: bytes = message.SerializeToString()
    return serialized


def _functions(graph: Graph, sources: Iterable[OnnxSource]) -> Iterable[memoryview]:
    found: dict[Any, memoryview] = {}
    for source in sources:
        natives: list[Any] = [op.native for op in graph.ops]
        nodes = [native.node for native in natives if native.source is source]
        for name in called_functions(nodes, source.functions):
            content = source.function_places[name]
            if found.setdefault(name, content) != content:
                raise CutError(f"these parts cannot be one model: they define the function {name[1]!r} differently")
    return found.values()
