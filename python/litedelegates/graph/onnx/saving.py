"""Saving an ``.onnx``, with its values in a file beside it where they do not fit or did not lie in it before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litedelegates.errors import InvalidModelError
from litedelegates.files import write_whole
from litedelegates.graph.model import Graph
from litedelegates.graph.onnx.constants import EXTERNAL, Constant
from litedelegates.graph.onnx.wire import LARGE
from litedelegates.graph.onnx.writing import Pieces, pieces

_ALIGNMENT = 4096  # a page, so that runtimes can map the values


def save(graph: Graph, path: str, largest: int) -> None:
    """Write a graph to a file, and its large values beside it where that is needed.

    Raises:
        CutError: It cannot be written.
        OSError: It cannot be written; no half of it stays.
        InvalidModelError: It is larger than ``largest`` bytes even without values.
    """
    constants = (tensor.native.constant for tensor in graph.tensors)
    was_outside = any(constant is not None and constant.is_external for constant in constants)
    made = pieces(graph)
    if not was_outside and sum(map(len, made)) <= largest:
        write_whole(path, made)
        return
    target = Path(path).resolve()
    data = _Data(f"{target.name}.data")
    made = pieces(graph, data.take)
    size = sum(map(len, made))
    if size > largest:
        raise InvalidModelError(
            f"the model would have {size} bytes without the values that can lie beside it, and an .onnx can have "
            f"{largest}"
        )
    write_whole(target, _with_data(made, data, target))


def _with_data(made: Pieces, data: _Data, target: Path) -> Iterator[bytes | memoryview]:
    yield from made
    # Both files are complete before either takes the place of what was there: the data as the last thing before the
    # model does.
    if data.pieces:
        write_whole(target.with_name(data.name), data.pieces)


class _Data:
    """The file beside a model.

    Attributes:
        name: Its name.
        pieces: Its content.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.pieces: Pieces = []
        self._size = 0

    def take(self, constant: Constant, head: Any) -> bool:
        """Put the values of a constant here, unless they are few, and say so in its message."""
        raw = constant.raw
        if raw is None or len(raw) <= LARGE:
            return False
        padding = -self._size % _ALIGNMENT
        offset = self._size + padding
        self.pieces += [bytes(padding), raw]
        self._size = offset + len(raw)
        head.data_location = EXTERNAL
        for key, value in (("location", self.name), ("offset", offset), ("length", len(raw))):
            head.external_data.add(key=key, value=str(value))
        return True
