"""Reading an ``.onnx`` as a graph: structure at once; constants when they are written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litedelegates.engines.onnxruntime.extras import require_onnx
from litedelegates.errors import InvalidModelError
from litedelegates.files import writable
from litedelegates.graph.fixed import FixedOps
from litedelegates.graph.model import Graph
from litedelegates.graph.names import Names
from litedelegates.graph.onnx.bodies import bodies, captured_names, function_key, inner_tensors
from litedelegates.graph.onnx.checking import check
from litedelegates.graph.onnx.constants import EXTERNAL, DataFiles, constant, mapped
from litedelegates.graph.onnx.inference import fix_shapes, infer_types
from litedelegates.graph.onnx.native import OnnxOp, OnnxSource, OnnxTensor
from litedelegates.graph.onnx.quantization import quantizations
from litedelegates.graph.onnx.types import element_type_of, shape_of, words
from litedelegates.graph.onnx.wire import Layout, layout
from litedelegates.graph.parts import Op, Quantization, Tensor

# Ops of these domains have the meaning that their type says; those of others are custom ops.
_KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
# Of ONNX Runtime's own ops, these two make constants of constants.
_FIXABLE = frozenset({"DequantizeLinear", "QuantizeLinear"})


def read_onnx(model: Any, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Return the graph of an ``.onnx``.

    Args:
        model: Path, content, or an ``onnx.ModelProto``, which is copied.
        shapes: Sizes of inputs that the file leaves open, by input name.

    Raises:
        InvalidModelError: It cannot be read or breaks a rule of ONNX.
        OptionError: ``shapes`` names no input, or contradicts the model.
        MissingExtraError: ONNX is not installed.
    """
    require_onnx()
    content, path = _content(model)
    try:
        return _read(content, path, shapes)
    except InvalidModelError as error:
        if path is None:
            raise
        raise InvalidModelError(f"{path}: {error}") from error


def _read(content: memoryview, path: Path | None, shapes: Mapping[str, Sequence[int]] | None) -> Graph:
    onnx = require_onnx()
    if bytes(content[4:8]) == b"ORTM":
        raise InvalidModelError("this is a model in ONNX Runtime's own format (.ort): use the .onnx it was made from")
    places = layout(content)
    try:
        thin = onnx.ModelProto.FromString(places.thin)
    except Exception as error:  # protobuf's DecodeError, which has moved between its versions
        raise InvalidModelError(f"this is no ONNX model, or a damaged one: {error}") from error
    check(thin)
    if shapes:
        fix_shapes(thin, shapes)
    return _Reader(thin, content, places, path).read()


def _content(model: Any) -> tuple[memoryview, Path | None]:
    if isinstance(model, (bytes, bytearray, memoryview)):
        return memoryview(bytes(model)), None
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        try:
            return mapped(path), path
        except OSError as error:
            raise InvalidModelError(f"cannot read the model {str(path)!r}: {error}") from error
    try:
        return memoryview(model.SerializeToString()), None
    except Exception as error:  # protobuf's EncodeError, for what is larger than 2 GB
        raise InvalidModelError(f"the ModelProto cannot be read: {error}. Save it and give the path") from error


class _Reader:
    def __init__(self, thin: Any, content: memoryview, places: Layout, path: Path | None) -> None:
        functions = {
            (function.domain, function.name, getattr(function, "overload", "")): (function, content[start:end])
            for function, (start, end) in zip(thin.functions, places.functions, strict=True)
        }
        self._files = DataFiles(path)
        self._source = OnnxSource(thin, content, self._files, functions)
        self._thin, self._content, self._places, self._path = thin, content, places, path
        self._tensors: dict[str, Tensor] = {}

    def read(self) -> Graph:
        graph = self._thin.graph
        self._types = infer_types(self._thin)
        self._infos = {value.name: value for value in (*graph.value_info, *graph.output, *graph.input)}
        self._annotations = {entry.tensor_name: entry for entry in graph.quantization_annotation}
        self._constants = {
            tensor.name: constant(self._content, place, self._files)
            for tensor, place in zip(graph.initializer, self._places.initializers, strict=True)
        }
        self._stored_in_nodes = {node.output[0]: index for index, node in enumerate(graph.node) if _is_constant(node)}
        self._quantizations = quantizations(graph.node, self._value_of)
        stored = {*self._constants, *(sparse.values.name for sparse in graph.sparse_initializer)}
        inputs = [self._add(value.name) for value in graph.input if value.name not in stored]
        self._add_constants({value.name for value in graph.input})
        ops = self._ops()
        for tensor in self._tensors.values():
            if tensor.native.annotation is not None:
                self._add_companions(tensor)
        return Graph(
            self._source,
            ops,
            self._tensors.values(),
            inputs,
            [self._output(value.name) for value in graph.output],
            name=writable(self._path.stem) if self._path else graph.name or "model",
            metadata={entry.key: entry.value.encode() for entry in self._thin.metadata_props},
        )

    def _add_constants(self, given: set[str]) -> None:
        for name, stored in self._constants.items():
            native = self._native(name, constant=stored, is_default=name in given)
            shape, word = tuple(stored.head.dims), words().get(stored.head.data_type, "unknown")
            self._tensors[name] = self._tensor(name, shape, word, native, is_constant=True)
        for sparse, (start, end) in zip(self._thin.graph.sparse_initializer, self._places.sparse, strict=True):
            name = sparse.values.name
            native = self._native(name, sparse=self._content[start:end], is_default=name in given)
            word = words().get(sparse.values.data_type, "unknown")
            self._tensors[name] = self._tensor(name, tuple(sparse.dims), word, native, is_constant=True)

    def _ops(self) -> list[Op]:
        fixed = FixedOps()
        names = Names()
        ops = []
        for index, (node, (start, end)) in enumerate(zip(self._thin.graph.node, self._places.nodes, strict=True)):
            captures = captured_names(node)
            has_external = any(tensor.data_location == EXTERNAL for tensor in inner_tensors(node))
            native = OnnxOp(self._source, node, self._content[start:end], captures, has_external)
            kind = node.op_type if node.domain in _KNOWN_DOMAINS else f"{node.domain}.{node.op_type}"
            inputs = tuple(self._known(name, node) if name else None for name in node.input)
            outputs = tuple(self._add(name, _is_constant(node)) if name else None for name in node.output)
            runs_others = any(True for _ in bodies(node)) or function_key(node) in self._source.functions
            has_own_meaning = node.domain not in ("", "ai.onnx") and node.op_type not in _FIXABLE
            has_more = runs_others or has_own_meaning
            is_fixed = fixed.add(kind, inputs, outputs, has_more)
            name = node.name or next((name for name in node.output if name), f"{kind}_{index}")
            ops.append(
                Op(
                    index=index,
                    type=kind,
                    name=names.take(name),
                    inputs=inputs,
                    outputs=outputs,
                    captures=tuple(self._known(name, node) for name in captures),
                    is_fixed=is_fixed,
                    computes_shape=not is_fixed and fixed.computes_shape(kind, inputs, outputs, has_more),
                    native=native,
                )
            )
        return ops

    def _output(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise InvalidModelError(f"nothing makes the output {name!r}")
        return self._tensors[name]

    def _known(self, name: str, node: Any) -> Tensor:
        if name not in self._tensors:
            raise InvalidModelError(f"{node.op_type} {node.name!r} reads {name!r}, which nothing before it makes")
        return self._tensors[name]

    def _add(self, name: str, is_constant: bool = False) -> Tensor:
        found = self._types.get(name)
        tensor = self._tensor(
            name, shape_of(found), element_type_of(found), self._native(name, type_proto=found), is_constant=is_constant
        )
        self._tensors[name] = tensor
        return tensor

    def _tensor(
        self, name: str, shape: tuple[int, ...] | None, word: str, native: OnnxTensor, *, is_constant: bool
    ) -> Tensor:
        found = self._quantizations.get(name)
        if found is not None and found.axis < 0:
            found = Quantization(found.scales, found.zero_points, found.axis + len(shape or ()))
        return Tensor(name, shape, word, found, is_constant=is_constant, native=native)

    def _native(self, name: str, type_proto: Any = None, **more: Any) -> OnnxTensor:
        return OnnxTensor(
            self._source,
            type_proto,
            value_info=self._infos.get(name),
            annotation=self._annotations.get(name),
            **more,
        )

    def _add_companions(self, tensor: Tensor) -> None:
        for entry in tensor.native.annotation.quant_parameter_tensor_names:
            if entry.value in self._tensors:
                tensor.native.companions[entry.key] = self._tensors[entry.value]

    def _value_of(self, name: str) -> Any:
        if name in self._constants:
            return self._constants[name].array()
        if name not in self._stored_in_nodes:
            return None
        index = self._stored_in_nodes[name]
        start, end = self._places.nodes[index]
        node = self._thin.graph.node[index]
        return next(iter(OnnxOp(self._source, node, self._content[start:end], (), False).options().values()), None)


def _is_constant(node: Any) -> bool:
    return node.op_type == "Constant" and node.domain in ("", "ai.onnx")
