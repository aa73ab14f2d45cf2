"""An ONNX model in memory: read, refused where it is quantized already, its ops named and sorted."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from litedelegates.errors import InvalidModelError, MissingExtraError, QuantizationError, install_extra
from litedelegates.graph.onnx.checking import check_texts
from litedelegates.graph.onnx.inference import open_implausible_sizes, refuse_implausible_windows
from litedelegates.graph.tflite.tree import name_some

if TYPE_CHECKING:
    import onnx

OnnxSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | onnx.ModelProto"

_QUANTIZED_OPS = {
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul",
    "GatherBlockQuantized",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "QAttention",
    "QGemm",
    "QuantizeLinear",
}


def require_onnx() -> None:
    """Raise unless onnx and onnxruntime can be imported.

    Raises:
        MissingExtraError: One of them is not installed; says what to install.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"quantizing ONNX models needs onnx and onnxruntime ({error}): {install_extra('onnx')}"
        ) from error


def read_onnx(source: OnnxSource) -> onnx.ModelProto:
    """Return the model of a path (with its external data), of bytes, or a copy of a ``ModelProto``.

    Raises:
        InvalidModelError: It is no ONNX model, has no ops, or refers to external data that is not there.
        OSError: The path cannot be read.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    model = onnx.ModelProto()
    try:
        if isinstance(source, onnx.ModelProto):
            model.CopyFrom(source)
        elif isinstance(source, bytes | bytearray | memoryview):
            model.ParseFromString(bytes(source))
        else:
            model = onnx.load(os.fspath(source))
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise InvalidModelError(f"{_describe(source)} cannot be read as an ONNX model: {error}") from error
    if not model.graph.node:
        raise InvalidModelError(f"{_describe(source)} is not an ONNX model that can be run: its graph has no ops")
    check_texts(model)
    refuse_implausible_windows(model)
    open_implausible_sizes(model)
    missing = [tensor.name for tensor in model.graph.initializer if uses_external_data(tensor)]
    if missing:
        raise InvalidModelError(
            f"the weights {name_some(missing, 3)} are stored in a file beside the model, which bytes cannot reach: "
            "give the path of the .onnx file"
        )
    return model


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every op a name of its own: its own, or that of its first output where it has none or shares it."""
    seen: set[str] = set()
    for node in model.graph.node:
        name = node.name
        if not name or name in seen:
            name = next((output for output in node.output if output), node.op_type)
        node.name = unused(name, seen)
        seen.add(node.name)


def unused(name: str, taken: set[str]) -> str:
    """Return ``name``, with a number behind it where it is taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def sort_nodes(model: onnx.ModelProto) -> None:
    """Put each op of the main graph behind those whose tensors it reads, otherwise keeping the order.

    onnxruntime's own sort goes by the inputs of the ops alone, and so moves an If before the tensors that its branches
    read; it also runs wide graphs level by level, which keeps more tensors alive.

    Raises:
        QuantizationError: The ops wait for each other.
    """
    nodes = list(model.graph.node)
    maker = {output: position for position, node in enumerate(nodes) for output in node.output if output}
    needs = [{maker[name] for name in names_read(node) if name in maker} for node in nodes]
    waiting = [len(needed) for needed in needs]
    readers: list[list[int]] = [[] for _ in nodes]
    for position, needed in enumerate(needs):
        for source in needed:
            readers[source].append(position)
    ready = [position for position, count in enumerate(waiting) if count == 0]
    order = []
    heapq.heapify(ready)
    while ready:
        position = heapq.heappop(ready)
        order.append(nodes[position])
        for reader in readers[position]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        circle = [node.name for node, count in zip(nodes, waiting, strict=True) if count]
        raise QuantizationError(f"the ops {name_some(circle, 3)} of the quantized model wait for each other")
    copies = [type(node).FromString(node.SerializeToString()) for node in order]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def all_names(model: onnx.ModelProto) -> set[str]:
    """Return the names of all tensors of ``model``, those inside its ops included."""
    names: set[str] = set()
    for graph in all_graphs(model.graph):
        names.update(tensor.name for tensor in graph.initializer)
        names.update(value.name for value in (*graph.input, *graph.output))
        for node in graph.node:
            names.update(node.input, node.output)
    return names


def names_read(node: Any) -> set[str]:
    """Return the tensors that ``node`` reads, those that its inner graphs read included."""
    inner = (graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs))
    names = {name for outer in inner for graph in all_graphs(outer) for part in graph.node for name in part.input}
    return names | set(node.input)


def rename_inside(node: Any, old: str, new: str) -> None:
    """Let the inner graphs of ``node`` read the tensor ``new`` where they read ``old`` from outside."""
    for outer in (graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)):
        for graph in all_graphs(outer):
            for part in graph.node:
                part.input[:] = [new if name == old else name for name in part.input]


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators that ``model`` uses."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def check_not_quantized(model: onnx.ModelProto) -> None:
    """Raise if ``model`` is quantized already: onnxruntime's static quantization never ends on such a model.

    Raises:
        QuantizationError: It has quantized ops, or stores or computes in float16.
    """
    import onnx

    found = [
        f"{node.op_type} {node.name!r}"
        for graph in all_graphs(model.graph)
        for node in graph.node
        if node.op_type in _QUANTIZED_OPS or node.op_type.startswith("QLinear")
    ]
    if found:
        raise QuantizationError(
            f"the model is quantized already: {name_some(found, 3)}. Start from the float32 model; several precisions "
            "are made in one go with plan={...}"
        )
    halves = [tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16]
    if halves:
        raise QuantizationError(
            f"the model is float16 already: weights {name_some(halves, 3)}. Start from the float32 model"
        )


def all_graphs(graph: Any) -> Iterator[Any]:
    """Yield ``graph`` and the graphs inside its ops, at any depth."""
    import onnx

    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_graphs(attribute.g)
            elif attribute.type == onnx.AttributeProto.GRAPHS:
                for inner in attribute.graphs:
                    yield from all_graphs(inner)


def _describe(source: OnnxSource) -> str:
    return repr(os.fspath(source)) if isinstance(source, str | os.PathLike) else f"the {type(source).__name__}"
