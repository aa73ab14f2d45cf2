"""Build LiteRT model files op by op, without a converter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers  # type: ignore[import-untyped, unused-ignore]
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped, unused-ignore]

__all__ = [
    "OPTIONAL",
    "GraphBuilder",
    "ModelBuilder",
    "Op",
    "Quantization",
    "Type",
    "bfloat16_from_float",
    "float_from_bfloat16",
    "pack_int4",
    "schema",
    "string_data",
]

Op = schema.BuiltinOperator
Type = schema.TensorType

OPTIONAL = -1  # the tensor index of an optional input that is left out

_TYPE_OF_DTYPE = {
    "float16": Type.FLOAT16,
    "float32": Type.FLOAT32,
    "float64": Type.FLOAT64,
    "int8": Type.INT8,
    "int16": Type.INT16,
    "int32": Type.INT32,
    "int64": Type.INT64,
    "uint8": Type.UINT8,
    "uint16": Type.UINT16,
    "uint32": Type.UINT32,
    "uint64": Type.UINT64,
    "bool": Type.BOOL,
    "complex64": Type.COMPLEX64,
    "complex128": Type.COMPLEX128,
}


@dataclass(frozen=True)
class Quantization:
    """Scales and zero points of a tensor: one of each, or one a slice of ``axis``."""

    scales: Sequence[float]
    zero_points: Sequence[int]
    axis: int = 0


class GraphBuilder:
    """One subgraph under construction; tensors are named by their index."""

    def __init__(self, model: ModelBuilder, index: int, name: str) -> None:
        self.index = index
        self._model = model
        self.table = schema.SubGraphT()
        self.table.name = name
        self.table.tensors, self.table.operators = [], []
        self.table.inputs, self.table.outputs = [], []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        element_type: int = Type.FLOAT32,
        *,
        quantization: Quantization | None = None,
        variable: bool = False,
        data: bytes = b"",
    ) -> int:
        """Add a tensor; a dimension of -1 is dynamic and starts at 1."""
        table = schema.TensorT()
        table.name, table.type, table.isVariable, table.hasRank = name, element_type, variable, True
        table.shape = [1 if size == -1 else size for size in shape]
        if -1 in shape:
            table.shapeSignature = list(shape)
        if quantization is not None:
            table.quantization = schema.QuantizationParametersT()
            table.quantization.scale = list(quantization.scales)
            table.quantization.zeroPoint = list(quantization.zero_points)
            table.quantization.quantizedDimension = quantization.axis
        table.buffer = self._model.add_buffer(data) if data else 0
        self.table.tensors.append(table)
        return len(self.table.tensors) - 1

    def input(
        self,
        name: str,
        shape: Sequence[int],
        element_type: int = Type.FLOAT32,
        quantization: Quantization | None = None,
    ) -> int:
        """Add a tensor and make it the next input of the graph."""
        index = self.tensor(name, shape, element_type, quantization=quantization)
        self.table.inputs.append(index)
        return index

    def output(
        self,
        name: str,
        shape: Sequence[int],
        element_type: int = Type.FLOAT32,
        quantization: Quantization | None = None,
    ) -> int:
        """Add a tensor and make it the next output of the graph."""
        index = self.tensor(name, shape, element_type, quantization=quantization)
        self.table.outputs.append(index)
        return index

    def constant(self, name: str, values: Any, quantization: Quantization | None = None) -> int:
        """Add a constant tensor whose type and shape are those of the array ``values``."""
        array = np.asarray(values)
        element_type = _TYPE_OF_DTYPE[array.dtype.name]
        return self.tensor(name, array.shape, element_type, quantization=quantization, data=array.tobytes())

    def op(
        self,
        code: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        *,
        version: int = 1,
        custom_code: str | None = None,
    ) -> None:
        """Add an op; the class of ``options`` says which options they are."""
        table = schema.OperatorT()
        table.opcodeIndex = self._model.add_operator_code(code, version, custom_code)
        table.inputs, table.outputs = list(inputs), list(outputs)
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            if hasattr(schema.BuiltinOptions, name):
                table.builtinOptionsType, table.builtinOptions = getattr(schema.BuiltinOptions, name), options
            else:
                table.builtinOptions2Type, table.builtinOptions2 = getattr(schema.BuiltinOptions2, name), options
        self.table.operators.append(table)


class ModelBuilder:
    """A model under construction: subgraphs, their shared buffers and op codes, and signatures."""

    def __init__(self) -> None:
        self._codes: list[tuple[int, int, str | None]] = []
        self._graphs: list[GraphBuilder] = []
        self.table = schema.ModelT()
        self.table.version = 3
        self.table.description = "litedelegates test model"
        self.table.buffers = [schema.BufferT()]  # buffer 0 means "no data"
        self.table.signatureDefs = []

    def graph(self, name: str = "main") -> GraphBuilder:
        """Add a subgraph; the first one is what an interpreter runs."""
        graph = GraphBuilder(self, len(self._graphs), name)
        self._graphs.append(graph)
        return graph

    def signature(self, key: str, graph: GraphBuilder, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Add a signature over ``graph``: names to tensor indices, in the order given."""
        table = schema.SignatureDefT()
        table.signatureKey, table.subgraphIndex = key, graph.index
        table.inputs, table.outputs = _tensor_maps(inputs), _tensor_maps(outputs)
        self.table.signatureDefs.append(table)

    def add_buffer(self, data: bytes) -> int:
        """Store ``data`` and return the index of its buffer."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.table.buffers.append(buffer)
        return len(self.table.buffers) - 1

    def add_operator_code(self, code: int, version: int, custom_code: str | None) -> int:
        """Return the index of an op code, adding it when it is new."""
        key = (code, version, custom_code)
        if key not in self._codes:
            self._codes.append(key)
        return self._codes.index(key)

    def to_bytes(self) -> bytes:
        """Return the finished model file."""
        self.table.subgraphs = [graph.table for graph in self._graphs]
        self.table.operatorCodes = [_operator_code(*key) for key in self._codes]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.table.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def string_data(strings: Sequence[bytes]) -> bytes:
    """Return ``strings`` in LiteRT's layout: count, offsets, end offset, then the characters."""
    start = 4 * (len(strings) + 2)
    offsets = start + np.cumsum([0, *map(len, strings)])
    return np.array([len(strings), *offsets], np.int32).tobytes() + b"".join(strings)


def bfloat16_from_float(values: Any) -> np.ndarray[Any, Any]:
    """Return float32 ``values`` cut to bfloat16, as uint16 words (numpy has no bfloat16)."""
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def float_from_bfloat16(words: Any) -> np.ndarray[Any, Any]:
    """Return the float32 values of bfloat16 ``words``."""
    return (np.asarray(words, np.uint32) << 16).view(np.float32)


def pack_int4(values: Any) -> bytes:
    """Pack int4 ``values`` two a byte, the earlier one in the low four bits."""
    flat = np.asarray(values, np.int8).ravel().view(np.uint8) & 0xF
    flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
    return (flat[0::2] | (flat[1::2] << 4)).tobytes()


def _tensor_maps(names: Mapping[str, int]) -> list[Any]:
    maps = []
    for name, index in names.items():
        table = schema.TensorMapT()
        table.name, table.tensorIndex = name, index
        maps.append(table)
    return maps


def _operator_code(code: int, version: int, custom_code: str | None) -> Any:
    table = schema.OperatorCodeT()
    table.builtinCode, table.version, table.customCode = code, version, custom_code
    # Readers from before builtinCode take this byte; 127 sends them to builtinCode.
    table.deprecatedBuiltinCode = min(code, 127)
    return table
