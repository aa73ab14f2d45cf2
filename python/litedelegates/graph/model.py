"""A model as a graph of ops and tensors, whatever file it came from."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsIndex, TypeAlias

from litedelegates.errors import CutError, OptionError, nearest
from litedelegates.files import write_whole
from litedelegates.graph.parts import Op, Signature, Tensor

if TYPE_CHECKING:
    from litedelegates.graph.cuts import Cut

Format: TypeAlias = Literal["tflite", "onnx"]


class Source(Protocol):
    """The file behind a graph: what is not an op or a tensor, and how graphs of its format are written."""

    format: Format

    def chunks(self, graph: Graph) -> Iterator[bytes | memoryview]:
        """Yield the content of a file that holds ``graph``."""
        ...

    def save(self, graph: Graph, path: str) -> None:
        """Write ``graph`` to a file, and whatever belongs beside it."""
        ...


class Graph:
    """A model, or a part of one: ops in the order of execution, and the tensors between them.

    Graphs do not change; `cut`, `extract`, `expose` and `join` make new ones. The constants stay in the file they came
    from until a graph is written.

    Attributes:
        ops: The ops in the order of execution.
        tensors: The tensors; in a graph that was loaded from a ``.tflite``, at the indices of the file.
        inputs: The tensors that a caller gives.
        outputs: The tensors that a caller gets.
        names: What callers call tensors whose name in the file is another (TFLite's signatures).
        signature: The entry point that this graph is; None where the file has none.
        signatures: All entry points of the file it came from.
        metadata: Data that the file carries along, by name.
    """

    def __init__(
        self,
        source: Source,
        ops: Iterable[Op],
        tensors: Iterable[Tensor],
        inputs: Iterable[Tensor],
        outputs: Iterable[Tensor],
        *,
        name: str = "",
        names: Mapping[Tensor, str] | None = None,
        signature: Signature | None = None,
        signatures: Sequence[Signature] = (),
        metadata: Mapping[str, bytes] | None = None,
    ) -> None:
        self.source = source
        self.ops = tuple(ops)
        self.tensors = tuple(tensors)
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.name = name
        self.names: Mapping[Tensor, str] = names or {}
        self.signature = signature
        self.signatures = tuple(signatures)
        self.metadata: Mapping[str, bytes] = metadata or {}

    @property
    def format(self) -> Format:
        """``tflite`` or ``onnx``."""
        return self.source.format

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names by which a caller gives the inputs, in order."""
        return tuple(self.public_name(tensor) for tensor in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names by which a caller gets the outputs, in order."""
        return tuple(self.public_name(tensor) for tensor in self.outputs)

    def public_name(self, tensor: Tensor) -> str:
        """Return what a caller calls a tensor: the name in the signature where it has one, else its own."""
        return self.names.get(tensor, tensor.name)

    @cached_property
    def position(self) -> Mapping[Tensor, int]:
        """Where each tensor stands in `tensors`, which is its index in a ``.tflite`` written from the graph."""
        return {tensor: index for index, tensor in enumerate(self.tensors)}

    @cached_property
    def cuts(self) -> tuple[Cut, ...]:
        """What would travel at each position between two ops; ``cuts[i].position`` is ``i + 1``."""
        from litedelegates.graph.cuts import table

        return table(self)

    def producer(self, tensor: Tensor) -> Op | None:
        """Return the op that makes a tensor; None for inputs and constants."""
        return self._producers.get(tensor)

    def readers(self, tensor: Tensor) -> Sequence[Op]:
        """Return the ops that read a tensor, in the order of execution."""
        return self._readers.get(tensor, ())

    def tensor(self, name: str | Tensor) -> Tensor:
        """Return the tensor of a name.

        Raises:
            CutError: There is none; names the nearest.
        """
        if isinstance(name, Tensor):
            if name not in self.position:
                raise CutError(f"tensor {name.name!r} belongs to another graph")
            return name
        found = self._by_name.get(name)
        if found is None:
            raise CutError(f"the graph has no tensor {name!r}. {nearest(name, self._by_name, limit=5)}")
        return found

    def op(self, key: SupportsIndex | str | Op) -> Op:
        """Return the op of an index or a name.

        Raises:
            CutError: There is none, or several have the name; names the nearest.
        """
        if isinstance(key, Op):
            if key.index >= len(self.ops) or self.ops[key.index] is not key:
                raise CutError(f"{key} belongs to another graph")
            return key
        if not isinstance(key, str):
            if not isinstance(key, SupportsIndex) or not 0 <= operator.index(key) < len(self.ops):
                raise CutError(f"there is no op {key!r}: the graph has ops 0 to {len(self.ops) - 1}")
            return self.ops[operator.index(key)]
        found = self._ops_by_name.get(key, [])
        if not found:
            raise CutError(f"the graph has no op named {key!r}. {nearest(key, self._ops_by_name, limit=5)}")
        if len(found) > 1:
            raise CutError(f"{len(found)} ops are named {key!r}: say which by index: {[op.index for op in found]}")
        return found[0]

    def with_outputs(self, outputs: Iterable[Tensor]) -> Graph:
        """Return the same graph with other outputs."""
        return self._replaced(outputs=tuple(outputs))

    def with_metadata(self, name: str, content: bytes) -> Graph:
        """Return the same graph with an entry of metadata added or replaced."""
        return self._replaced(metadata={**self.metadata, name: content})

    def to_bytes(self) -> bytes:
        """Return the graph as the content of a model file that runs.

        Raises:
            InvalidModelError: It would be larger than its format allows in one piece.
        """
        return b"".join(self.source.chunks(self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the graph as a model file that runs. Either the whole file is there afterwards, or what was before.

        Raises:
            OSError: It cannot be written; no half of it stays.
            InvalidModelError: It would be larger than its format allows.
            OptionError: The name ends like that of another format.
        """
        suffix = Path(path).suffix.lower()
        if suffix in (".onnx", ".tflite") and suffix != f".{self.format}":
            raise OptionError(f"{os.fspath(path)}: the graph is a .{self.format}, give a name that ends so")
        self.source.save(self, os.fspath(path))

    def __repr__(self) -> str:
        return (
            f"<Graph {self.name!r}: {self.format}, {len(self.ops)} ops, "
            f"inputs {list(self.input_names)}, outputs {list(self.output_names)}>"
        )

    def _repr_html_(self) -> str:
        """Return the ops, and what would travel if the graph were cut after each, for notebooks."""
        from litedelegates import notebook

        rows = []
        for op, place in zip_longest(self.ops, self.cuts):
            made = op.makes[0] if op.makes else None
            cut = (None, None, None, None) if place is None else _cut_cells(place)
            rows.append((op.index, op.type, op.name, None if made is None else _kind(made), *cut))
        header = ("op", "type", "name", "makes", "cut at", "bytes", "as float16", "as int8")
        return notebook.page(repr(self), notebook.table(header, rows))

    def _replaced(self, **changes: Any) -> Graph:
        kept = ("source", "ops", "tensors", "inputs", "outputs", "name", "names", "signature", "signatures", "metadata")
        return Graph(**{key: changes.get(key, getattr(self, key)) for key in kept})

    @cached_property
    def _producers(self) -> dict[Tensor, Op]:
        return {tensor: op for op in self.ops for tensor in op.makes}

    @cached_property
    def _readers(self) -> dict[Tensor, list[Op]]:
        readers: dict[Tensor, list[Op]] = {}
        for op in self.ops:
            for tensor in dict.fromkeys(op.reads):
                readers.setdefault(tensor, []).append(op)
        return readers

    @cached_property
    def _by_name(self) -> dict[str, Tensor]:
        named = {tensor.name: tensor for tensor in self.tensors}
        named.update((name, tensor) for tensor, name in self.names.items() if name not in named)
        return named

    @cached_property
    def _ops_by_name(self) -> dict[str, list[Op]]:
        named: dict[str, list[Op]] = {}
        for op in self.ops:
            named.setdefault(op.name, []).append(op)
        return named


def _kind(tensor: Tensor) -> str:
    return f"{tensor.element_type} {'?' if tensor.shape is None else list(tensor.shape)}"


def _cut_cells(place: Cut) -> tuple[int | str | None, ...]:
    if place.refusal:
        return (f"no: {place.refusal}", None, None, None)
    return (place.position, place.nbytes, place.float16_nbytes, place.int8_nbytes)


def save_in_one_piece(graph: Graph, path: str) -> None:
    """Write a graph whose format keeps everything in one file."""
    write_whole(path, graph.source.chunks(graph))
