"""A ``.tflite`` file as the editable object tree of LiteRT's generated schema, and back."""

from __future__ import annotations

import itertools
import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import InvalidModelError
from litedelegates.files import open_regular
from litedelegates.graph.tflite.packing import pack
from litedelegates.model import Model

ModelSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview
Tree: TypeAlias = Any  # schema_py_generated.ModelT; the generated module carries no types

IDENTIFIER = b"TFL3"


def read_bytes(model: ModelSource) -> bytes:
    """Return the bytes of ``model``, a path or the content itself.

    Raises:
        OSError: The path cannot be read.
        InvalidModelError: The content is not a TFLite flatbuffer.
    """
    if isinstance(model, bytes | bytearray | memoryview):
        content, origin = bytes(model), "the bytes given"
    else:
        with open_regular(model) as file:
            content, origin = file.read(), os.fspath(model)
    if content[4:8] != IDENTIFIER:
        raise InvalidModelError(
            f"{origin}: not a TFLite model: {len(content)} bytes with {content[4:8]!r} where {IDENTIFIER!r} belongs"
        )
    return content


def parse(content: bytes) -> Tree:
    """Return ``content`` as a tree whose indices all point at something and whose constants fill their shapes.

    Data behind the flatbuffer (how litert-quantizer writes models over 256 kB) is taken in.

    Raises:
        InvalidModelError: The model is cut off or damaged, or is none that can be run.
    """
    from ai_edge_litert import schema_py_generated as schema

    Model.load(content)  # the schema's Python classes believe every length and offset that they read
    try:
        tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        _take_in_outside_data(tree, content)
        _check_indices(tree)
        for tensor in (tensor for graph in tree.subgraphs for tensor in graph.tensors):
            tensor_data(tree, tensor)
    except InvalidModelError:
        raise
    except Exception as error:  # what the verification lets through surfaces as whatever reads past the end
        raise InvalidModelError(
            f"the TFLite model is cut off or damaged: reading its {len(content)} bytes failed with {error!r}"
        ) from error
    return tree


def serialize(tree: Tree) -> bytes:
    """Return ``tree`` as the bytes of a ``.tflite`` file.

    Raises:
        InvalidModelError: It would be larger than the 2 GB that a ``.tflite`` can be.
    """
    # Some writers give a buffer without bytes to every computed tensor; only constants without elements need it.
    tensors = [tensor for graph in tree.subgraphs for tensor in graph.tensors]
    without_elements = {tensor.buffer for tensor in tensors if 0 in shape_of(tensor)}
    stored = [
        None
        if buffer.data is None or (len(buffer.data) == 0 and index not in without_elements)
        else np.asarray(buffer.data, np.uint8).data
        for index, buffer in enumerate(tree.buffers)
    ]
    return b"".join(pack(tree, stored))


def repair(tree: Tree) -> None:
    """Fill in place what old converters left out and litert-quantizer reads without asking.

    - It reads only ``builtinCode``: in files that carry only ``deprecatedBuiltinCode`` every op would be taken for ADD.
    - It calibrates by signature: a model without one gets ``serving_default``, its entries named after the tensors.
    - It keeps its notes by tensor name: empty and repeated names become unique.
    - It takes a tensor without a buffer for one that is computed: constants without elements get an empty one.
    - It takes any scale for "already quantized": float32 tensors lose theirs, which no kernel reads.
    """
    from ai_edge_litert import schema_py_generated as schema

    for code in tree.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    for graph in tree.subgraphs:
        _give_buffers_to_empty_constants(tree, graph)
        taken: set[str] = set()
        for index, tensor in enumerate(graph.tensors):
            name = wanted = text(tensor.name) or f"tensor_{index}"
            copies = itertools.count(2)
            while name in taken:
                name = f"{wanted}#{next(copies)}"
            taken.add(name)
            tensor.name = name
            if tensor.type == schema.TensorType.FLOAT32 and is_quantized(tensor):
                tensor.quantization = None
    if not tree.signatureDefs:
        tree.signatureDefs = [_default_signature(tree.subgraphs[0])]


def _give_buffers_to_empty_constants(tree: Tree, graph: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    written = {index for op in graph.operators for index in op.outputs} | set(graph.inputs)
    for index, tensor in enumerate(graph.tensors):
        if tensor.isVariable or index in written or 0 not in shape_of(tensor):
            continue
        if tree.buffers[tensor.buffer].data is None:
            buffer = schema.BufferT()
            buffer.data = np.zeros(0, np.uint8)
            tensor.buffer = len(tree.buffers)
            tree.buffers.append(buffer)


def tensor_data(tree: Tree, tensor: Any) -> NDArray[Any] | None:
    """Return the constant content of ``tensor`` in its own shape, or None for one that is computed at run time.

    Raises:
        InvalidModelError: The bytes stored do not fill the shape.
    """
    stored = tree.buffers[tensor.buffer].data
    if stored is None or (len(stored) == 0 and 0 not in shape_of(tensor)):
        return None
    raw = np.asarray(stored, np.uint8)
    dtype = _numpy_type(tensor)
    if dtype is None or tensor.sparsity is not None:  # bytes are all one can say without unpacking
        return raw
    shape = shape_of(tensor)
    if raw.size != dtype.itemsize * int(np.prod(shape)):
        raise InvalidModelError(
            f"tensor {text(tensor.name)!r} stores {raw.size} bytes, but {type_name(tensor)} {shape} takes "
            f"{dtype.itemsize * int(np.prod(shape))}"
        )
    return raw.view(dtype).reshape(shape)


def is_quantized(tensor: Any) -> bool:
    """Return whether ``tensor`` carries scales."""
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return scale is not None and len(scale) > 0


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Return the stored shape of ``tensor``; dimensions that may change are stored as 1."""
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def type_name(tensor: Any) -> str:
    """Return the schema's name for the element type of ``tensor``, such as ``FLOAT32``."""
    from ai_edge_litert import schema_py_generated as schema

    return _name_in(schema.TensorType, tensor.type)


def op_name(tree: Tree, op: Any) -> str:
    """Return the schema's name for ``op``, such as ``CONV_2D``; a custom op gives its own name."""
    from ai_edge_litert import schema_py_generated as schema

    code = tree.operatorCodes[op.opcodeIndex]
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin == schema.BuiltinOperator.CUSTOM:
        return text(code.customCode)
    return _name_in(schema.BuiltinOperator, builtin)


def text(name: bytes | str | None) -> str:
    """Return a schema string as ``str``: bytes as read from a file, str as set by us, None where absent."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""


def name_some(names: list[str], limit: int = 5) -> str:
    """Return the first ``limit`` of ``names`` for a message, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _name_in(enum: Any, value: int) -> str:
    return next((name for name, number in vars(enum).items() if number == value), f"{enum.__name__} {value}")


def _numpy_type(tensor: Any) -> np.dtype[Any] | None:
    name = type_name(tensor)
    if name == "STRING":  # of varying length; numpy's type of that name is another thing
        return None
    try:
        return np.dtype(name.lower())
    except TypeError:  # int4, bfloat16, resources
        return None


def _default_signature(graph: Any) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    def entries(indices: Any) -> list[Any]:
        made = []
        for index in indices:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = graph.tensors[index].name, int(index)
            made.append(entry)
        return made

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = entries(graph.inputs), entries(graph.outputs)
    return signature


def _take_in_outside_data(tree: Tree, content: bytes) -> None:
    # Offset 0 means absent and 1 is a placeholder that converters write; anything else counts from the file's start.
    for buffer in tree.buffers or []:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    for op in (op for graph in tree.subgraphs or [] for op in graph.operators or []):
        if op.largeCustomOptionsOffset > 1:
            op.customOptions = np.frombuffer(content, np.uint8, op.largeCustomOptionsSize, op.largeCustomOptionsOffset)
        op.largeCustomOptionsOffset = op.largeCustomOptionsSize = 0


def _check_indices(tree: Tree) -> None:
    if not tree.subgraphs or not tree.buffers:
        raise InvalidModelError("the TFLite model has no subgraph or no buffers")
    tree.operatorCodes = tree.operatorCodes or []
    for graph in tree.subgraphs:
        # Absent vectors read as None; every reader below would otherwise repeat `or []`.
        graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
        graph.inputs, graph.outputs = _indices(graph.inputs), _indices(graph.outputs)
        count = len(graph.tensors)
        for tensor in graph.tensors:
            _check_range("buffer", [tensor.buffer], 0, len(tree.buffers))
        _check_range("input or output tensor", [*graph.inputs, *graph.outputs], 0, count)
        for op in graph.operators:
            op.inputs, op.outputs = _indices(op.inputs), _indices(op.outputs)
            _check_range("operator code", [op.opcodeIndex], 0, len(tree.operatorCodes))
            _check_range("tensor", [*op.inputs, *op.outputs], -1, count)  # -1: an optional input left out


def _indices(vector: Any) -> list[int]:
    return [] if vector is None else [int(index) for index in vector]


def _check_range(what: str, indices: list[int], lowest: int, end: int) -> None:
    for index in indices:
        if not lowest <= index < end:
            raise InvalidModelError(f"the TFLite model is damaged: it refers to {what} {index} of {end}")
