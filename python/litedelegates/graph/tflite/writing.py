"""Writing a graph as a ``.tflite``: the schema's objects for its ops and tensors, packed with the constants behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Tensor
from litedelegates.graph.tflite.constants import Constants
from litedelegates.graph.tflite.packing import pack

if TYPE_CHECKING:
    from litedelegates.graph.tflite.native import TfliteSource


def chunks(graph: Graph) -> Iterator[bytes | memoryview]:
    """Yield the content of a ``.tflite`` that holds ``graph``.

    Raises:
        InvalidModelError: It would be larger than the 2 GB that a ``.tflite`` can be, or a file that it came from was
            written over.
    """
    files = {tensor.native.source for tensor in graph.tensors}
    for file in {graph.source, *files}:
        file.check_unchanged()
    constants = Constants(by_content=len(files) > 1)
    behind = cast("TfliteSource", graph.source).packed_files
    return chain(pack(_Tree(graph, constants).model, constants.contents), [behind] if behind else [])


class _Tree:
    """The schema's ModelT of a graph, without the constants."""

    def __init__(self, graph: Graph, constants: Constants) -> None:
        source = cast("TfliteSource", graph.source)
        self._schema = source.schema
        self._constants = constants
        self._codes: dict[tuple[Any, ...], int] = {}
        self._subgraphs: dict[Graph, int] = {}
        self._waiting = [graph]
        self.model = self._schema.ModelT()
        self.model.version = 3
        self.model.description = source.description
        self.model.operatorCodes = []
        self._subgraphs[graph] = 0
        self.model.subgraphs = []
        for called in self._waiting:  # grows while ops that call others are met
            self.model.subgraphs.append(self._subgraph(called))
        self.model.signatureDefs = self._signatures(graph)
        self.model.metadata = [self._metadata(name, content) for name, content in graph.metadata.items()]

    def _subgraph(self, graph: Graph) -> Any:
        made = self._schema.SubGraphT()
        made.name = graph.name
        positions = graph.position
        made.tensors = [self._tensor(tensor, positions) for tensor in graph.tensors]
        made.inputs = [positions[tensor] for tensor in graph.inputs]
        made.outputs = [positions[tensor] for tensor in graph.outputs]
        made.operators = [self._operator(op, positions) for op in graph.ops]
        return made

    def _tensor(self, tensor: Tensor, positions: Any) -> Any:
        made = tensor.native.unpack()
        made.name = tensor.name
        # The runtime may know better than the file, which a cut would otherwise turn into the type of an input.
        made.type = getattr(self._schema.TensorType, tensor.element_type.upper(), made.type)
        if tensor.shape is not None and min(tensor.shape, default=0) >= 0:
            made.shape = list(tensor.shape)  # another than the file's where the graph was read with other sizes
        made.buffer = self._constants.index(tensor.native.data(), tensor.native.origin) if tensor.is_constant else 0
        details = made.quantization.details if made.quantization is not None else None
        for field, companion in tensor.native.companions.items():
            setattr(details, field, positions[companion])
        return made

    def _operator(self, op: Op, positions: Any) -> Any:
        native: Any = op.native
        made = native.unpack()
        made.inputs = _indices(op.inputs, positions)
        made.outputs = _indices(op.outputs, positions)
        made.opcodeIndex = self._code(native)
        if made.intermediates is not None:
            made.intermediates = _indices(op.intermediates, positions)
        for name, graphs in native.nested.items():
            called = [self._called(graph) for graph in graphs]
            options = made.builtinOptions if hasattr(made.builtinOptions, name) else made.builtinOptions2
            setattr(options, name, called[0] if isinstance(getattr(options, name), int) else called)
        return made

    def _called(self, graph: Graph) -> int:
        if graph not in self._subgraphs:
            self._subgraphs[graph] = len(self._waiting)
            self._waiting.append(graph)
        return self._subgraphs[graph]

    def _code(self, native: Any) -> int:
        code = native.unpack_code()
        # Files of old converters say it in one field only; new ones say it in both.
        builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
        code.builtinCode, code.deprecatedBuiltinCode = builtin, min(builtin, 127)
        key = (builtin, code.customCode, code.version)
        if key not in self._codes:
            self._codes[key] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[key]

    def _signatures(self, graph: Graph) -> list[Any] | None:
        if graph.signature is None:
            return None
        made = self._schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = graph.signature.key, 0
        made.inputs = [self._entry(graph, tensor) for tensor in graph.inputs]
        made.outputs = [self._entry(graph, tensor) for tensor in graph.outputs]
        return [made]

    def _entry(self, graph: Graph, tensor: Tensor) -> Any:
        made = self._schema.TensorMapT()
        made.name, made.tensorIndex = graph.public_name(tensor), graph.position[tensor]
        return made

    def _metadata(self, name: str, content: bytes) -> Any:
        made = self._schema.MetadataT()
        made.name, made.buffer = name, self._constants.add(memoryview(content))
        return made


def _indices(tensors: Iterable[Tensor | None], positions: Any) -> list[int]:
    return [-1 if tensor is None else positions[tensor] for tensor in tensors]
