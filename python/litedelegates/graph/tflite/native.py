"""What stays in the ``.tflite`` file until it is asked for: options, constants, and what writing needs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from litedelegates.files import Stamp
from litedelegates.graph.model import Format, save_in_one_piece
from litedelegates.graph.tflite.options import readable_options
from litedelegates.graph.tflite.packed_files import packed_files

if TYPE_CHECKING:
    from litedelegates.graph.model import Graph
    from litedelegates.graph.parts import Tensor
    from litedelegates.model import Model


class TfliteSource:
    """A ``.tflite`` file, verified and mapped into memory.

    Attributes:
        model: The file.
        schema: LiteRT's generated schema.
    """

    format: Format = "tflite"

    def __init__(self, model: Model) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.model = model
        self.schema: Any = schema
        self._stamp = Stamp.of(model.path) if model.path else None

    @cached_property
    def root(self) -> Any:
        """The schema's Model, of which each part is read when it is asked for."""
        return self.schema.Model.GetRootAs(self.model.file.bytes, 0)

    @property
    def description(self) -> str:
        """What the converter wrote about itself."""
        return (self.root.Description() or b"").decode(errors="replace")

    def metadata(self) -> dict[str, bytes]:
        """Return the file's metadata by name."""
        entries = (self.root.Metadata(index) for index in range(self.root.MetadataLength()))
        return {(entry.Name() or b"").decode(errors="replace"): self._buffer(entry.Buffer()) for entry in entries}

    @cached_property
    def packed_files(self) -> bytes:
        """The archive of files that stands behind the model; empty where there is none."""
        return packed_files(self.model.file.bytes.data)

    def check_unchanged(self) -> None:
        """Raise an InvalidModelError where somebody has written over the file."""
        if self._stamp is not None:
            self._stamp.check_unchanged()

    def chunks(self, graph: Graph) -> Iterator[bytes | memoryview]:
        """Yield the content of a file that holds ``graph``."""
        from litedelegates.graph.tflite.writing import chunks

        return chunks(graph)

    def save(self, graph: Graph, path: str) -> None:
        """Write ``graph`` to a file."""
        save_in_one_piece(graph, path)

    def _buffer(self, index: int) -> bytes:
        buffer = self.root.Buffers(index)
        if buffer.Offset() > 1:  # behind the flatbuffer
            return bytes(self.model.file.bytes[buffer.Offset() : buffer.Offset() + buffer.Size()])
        return b"" if buffer.DataIsNone() else buffer.DataAsNumpy().tobytes()


class TfliteTensor:
    """A tensor in a file.

    Attributes:
        source: The file.
        companions: The tensors that hold its scales and zero points (blockwise quantization), by the schema's field.
    """

    def __init__(self, source: TfliteSource, subgraph: int, index: int) -> None:
        self.source, self._subgraph, self._index = source, subgraph, index
        self.companions: dict[str, Tensor] = {}

    @property
    def origin(self) -> object:
        """Which buffer of which file its content is."""
        return self.source, self.source.model.subgraphs[self._subgraph].tensors[self._index].buffer

    def unpack(self) -> Any:
        """Return the schema's TensorT, which is the caller's to change."""
        stored = self.source.root.Subgraphs(self._subgraph).Tensors(self._index)
        return self.source.schema.TensorT.InitFromObj(stored)

    def data(self) -> memoryview:
        """Return the bytes of a constant, where they lie in the file; empty for any other tensor."""
        content = self.source.model.file.constant_data(self._subgraph, self._index)
        return memoryview(b"" if content is None else content)


class TfliteOp:
    """An op in a file.

    Attributes:
        nested: The graphs that it calls, by the names of the options that refer to them.
    """

    def __init__(self, source: TfliteSource, subgraph: int, index: int, nested: dict[str, list[Graph]]) -> None:
        self._source, self._subgraph, self._index = source, subgraph, index
        self.nested = nested

    def stored(self) -> Any:
        """Return the schema's Operator."""
        return self._source.root.Subgraphs(self._subgraph).Operators(self._index)

    def unpack(self) -> Any:
        """Return the schema's OperatorT, which is the caller's to change."""
        op = self._source.schema.OperatorT.InitFromObj(self.stored())
        if op.largeCustomOptionsOffset > 1:
            start, size = op.largeCustomOptionsOffset, op.largeCustomOptionsSize
            op.customOptions = self._source.model.file.bytes[start : start + size]
        op.largeCustomOptionsOffset = op.largeCustomOptionsSize = 0
        return op

    def unpack_code(self) -> Any:
        """Return the schema's OperatorCodeT."""
        code = self._source.root.OperatorCodes(self.stored().OpcodeIndex())
        return self._source.schema.OperatorCodeT.InitFromObj(code)

    def does_the_same_as(self, other: TfliteOp) -> bool:
        """Return whether another op of the same type has the same options."""
        return self.options() == other.options() and not self.nested and not other.nested

    def inner_constants(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield type and shape of the constants in the subgraphs that the op calls, and in those that they call."""
        for graph in (graph for graphs in self.nested.values() for graph in graphs):
            for op in graph.ops:
                yield from ((tensor.element_type, tensor.shape or ()) for tensor in op.reads if tensor.is_constant)
                if op.native is not None:
                    yield from op.native.inner_constants()

    def options(self) -> dict[str, Any]:
        """Return the op's options by name."""
        return readable_options(self._source.schema, self.unpack())
