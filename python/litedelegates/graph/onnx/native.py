"""What stays in the ``.onnx`` file until it is asked for: attributes, constants, and what writing needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from litedelegates.engines.onnxruntime.extras import require_onnx
from litedelegates.errors import InvalidModelError
from litedelegates.graph.model import Format
from litedelegates.graph.onnx.constants import EXTERNAL, Constant, DataFiles
from litedelegates.graph.onnx.types import words

if TYPE_CHECKING:
    from litedelegates.graph.model import Graph
    from litedelegates.graph.onnx.bodies import FunctionKey
    from litedelegates.graph.parts import Tensor

# Bytes of a protobuf message; what is larger keeps its values in a file beside it.
LARGEST = (1 << 31) - 1


class OnnxSource:
    """An ``.onnx`` file, checked and mapped into memory.

    Attributes:
        model: The ModelProto without large values.
        content: The file.
        files: The files beside it that hold values.
        functions: The local functions that it defines, without large values.
        function_places: Where each of them lies in the file.
    """

    format: Format = "onnx"

    def __init__(
        self, model: Any, content: memoryview, files: DataFiles, functions: dict[FunctionKey, tuple[Any, memoryview]]
    ) -> None:
        self.model, self.content, self.files = model, content, files
        self.functions = {key: function for key, (function, _) in functions.items()}
        self.function_places = {key: place for key, (_, place) in functions.items()}

    def chunks(self, graph: Graph) -> Iterator[bytes | memoryview]:
        """Yield the content of a file that holds ``graph`` with all its values.

        Raises:
            CutError: It cannot be written: the type of an input or output is not known.
            InvalidModelError: It would be larger than the 2 GB of a file without data beside it.
        """
        from litedelegates.graph.onnx.writing import pieces

        made = pieces(graph)
        size = sum(map(len, made))
        if size > LARGEST:
            raise InvalidModelError(
                f"the model would have {size} bytes, and an .onnx in one piece can have {LARGEST}: save it to a path, "
                "where its data goes to a file beside it"
            )
        yield from made

    def save(self, graph: Graph, path: str, *, largest: int = LARGEST) -> None:
        """Write ``graph`` to a file; large values to ``<path>.data`` if its source had such a file or it must be.

        Raises:
            CutError: It cannot be written: the type of an input or output is not known.
            OSError: It cannot be written; no half of it stays.
            InvalidModelError: It is larger than ``largest`` bytes even without values.
        """
        from litedelegates.graph.onnx.saving import save

        save(graph, path, largest)


class OnnxTensor:
    """A tensor in a file.

    Attributes:
        source: The file.
        type: ONNX's TypeProto, as far as it is known; None where it is not.
        value_info: What the file says of it; None where it says nothing.
        constant: Its values, if it is an initializer.
        sparse: The message of a sparse initializer.
        annotation: How the file says that it is quantized, by the names of other tensors; None if it does not.
        is_default: Whether it is an input with a value for when it is left out.
        companions: The tensors that the annotation names.
    """

    def __init__(
        self,
        source: OnnxSource,
        type_proto: Any = None,
        *,
        value_info: Any = None,
        constant: Constant | None = None,
        sparse: memoryview | None = None,
        annotation: Any = None,
        is_default: bool = False,
    ) -> None:
        self.source, self.type, self.value_info = source, type_proto, value_info
        self.constant, self.sparse, self.annotation, self.is_default = constant, sparse, annotation, is_default
        self.companions: dict[str, Tensor] = {}

    def data(self) -> bytes | memoryview:
        """Return what tells the values of an initializer from others; empty for any other tensor."""
        if self.sparse is not None:
            return self.sparse
        if self.constant is None:
            return b""
        return self.constant.stored if self.constant.raw is None else self.constant.raw


class OnnxOp:
    """A node in a file.

    Attributes:
        source: The file.
        node: The NodeProto without large values.
        stored: The NodeProto's bytes in the file.
        captures: What its bodies read from the graph around it, by the names in the file.
    """

    def __init__(
        self, source: OnnxSource, node: Any, stored: memoryview, captures: tuple[str, ...], has_external: bool
    ) -> None:
        self.source, self.node, self.stored, self.captures = source, node, stored, captures
        self.has_external = has_external

    def unpack(self) -> Any:
        """Return the NodeProto with all its values, which is the caller's to change."""
        from litedelegates.graph.onnx.bodies import inner_tensors

        node = require_onnx().NodeProto.FromString(bytes(self.stored))
        for tensor in inner_tensors(node) if self.has_external else ():
            if tensor.data_location == EXTERNAL:
                tensor.raw_data = bytes(self.source.files.find(tensor))
                tensor.ClearField("external_data")
                tensor.ClearField("data_location")
        return node

    def inner_constants(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield type and shape of the constants in the node's bodies, however deep."""
        from litedelegates.graph.onnx.bodies import bodies, inner_tensors

        inner = list(bodies(self.node))
        stored = [tensor for body in inner for tensor in body.initializer]
        stored += [tensor for body in inner for node in body.node for tensor in inner_tensors(node)]
        for tensor in stored:
            yield words().get(tensor.data_type, "unknown"), tuple(tensor.dims)

    def does_the_same_as(self, other: OnnxOp) -> bool:
        """Return whether another node of the same type has the same attributes."""
        own, others = (sorted(op.unpack().attribute, key=lambda entry: str(entry.name)) for op in (self, other))
        return own == others

    def options(self) -> dict[str, Any]:
        """Return the node's attributes by name: numbers, texts, arrays, and ONNX's messages for graphs and types."""
        onnx = require_onnx()
        return {attribute.name: _readable(onnx, attribute) for attribute in self.unpack().attribute}


def _readable(onnx: Any, attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [item.decode(errors="replace") for item in value]
    if attribute.type == onnx.AttributeProto.TENSORS:
        return [onnx.numpy_helper.to_array(item) for item in value]
    return list(value) if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS) else value
