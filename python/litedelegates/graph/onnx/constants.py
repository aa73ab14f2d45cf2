"""Constants where they lie: in the model's bytes, or in files beside it."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from litedelegates.engines.onnxruntime.extras import require_onnx
from litedelegates.errors import InvalidModelError
from litedelegates.files import Stamp, open_regular
from litedelegates.graph.kinds import ELEMENT_BITS
from litedelegates.graph.onnx.checking import check_constant
from litedelegates.graph.onnx.types import words
from litedelegates.graph.onnx.wire import RAW_DATA, fields, thinned

EXTERNAL = 1  # TensorProto.DataLocation


class Constant:
    """An initializer.

    Attributes:
        head: The TensorProto without values, if these are raw bytes; else with them.
        raw: The raw bytes of the values, where they lie; None where the message holds them by element.
        is_external: Whether they lie in a file of their own.
    """

    def __init__(self, stored: memoryview, head: Any, raw: memoryview | None, is_external: bool) -> None:
        self.stored, self.head, self.raw, self.is_external = stored, head, raw, is_external

    def array(self) -> Any:
        """Return the values as a numpy array."""
        onnx = require_onnx()
        message = onnx.TensorProto()
        message.CopyFrom(self.head)
        if self.raw is not None:
            message.raw_data = bytes(self.raw)
        return onnx.numpy_helper.to_array(message)


class DataFiles:
    """The files beside a model that hold values of its tensors, each mapped once.

    They are mapped when the model is read, so that files which take their place later do not change the graph.
    """

    def __init__(self, model: Path | None) -> None:
        self._folder = model.parent if model else None
        self._contents: dict[str, memoryview] = {}
        self._stamps = [Stamp.of(model)] if model else []

    def check_unchanged(self) -> None:
        """Raise an InvalidModelError where somebody has written over the model or a file beside it."""
        for stamp in self._stamps:
            stamp.check_unchanged()

    def find(self, tensor: Any) -> memoryview:
        """Return the raw bytes of a TensorProto's values.

        Raises:
            InvalidModelError: There is no such file, it lies outside the model's folder, or it is too short.
        """
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        content = self._content(location, tensor.name)
        try:
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", len(content) - offset))
        except ValueError as error:
            raise InvalidModelError(f"the place of the values of {tensor.name!r} in {location!r}: {error}") from error
        if offset < 0 or length < 0 or offset + length > len(content):
            raise InvalidModelError(
                f"the values of {tensor.name!r} are bytes {offset} to {offset + length} of {location!r}, which has "
                f"{len(content)}"
            )
        return content[offset : offset + length]

    def _content(self, location: str, name: str) -> memoryview:
        if location not in self._contents:
            if self._folder is None:
                raise InvalidModelError(
                    f"the values of {name!r} lie in the file {location!r} beside the model: give the model's path, "
                    "not its content"
                )
            folder = self._folder.resolve()
            path = (folder / location).resolve()
            if not location or folder not in path.parents:
                raise InvalidModelError(f"the values of {name!r} lie in {location!r}, outside the model's folder")
            try:
                self._contents[location] = mapped(path)
                self._stamps.append(Stamp.of(path))
            except OSError as error:
                raise InvalidModelError(f"the values of {name!r} cannot be read: {error}") from error
        return self._contents[location]


def mapped(path: Path) -> memoryview:
    """Return the content of a file without reading it yet.

    Raises:
        OSError: It cannot be opened.
    """
    with open_regular(path) as file:
        if not path.stat().st_size:  # an empty file cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def constant(content: memoryview, place: tuple[int, int], files: DataFiles) -> Constant:
    """Return the initializer at a place of a model.

    Raises:
        InvalidModelError: Its values are missing, or are not as many bytes as its shape says.
    """
    onnx = require_onnx()
    start, end = place
    stored = content[start:end]
    raw = [entry for entry in fields(content, start, end) if entry.number == RAW_DATA]
    if not raw:
        head = onnx.TensorProto.FromString(bytes(stored))
        if head.data_location != EXTERNAL:
            check_constant(head)
            return Constant(stored, head, None, False)
        found = files.find(head)
        head.ClearField("external_data")
        head.ClearField("data_location")
        _check_size(head, found)
        return Constant(stored, head, found, True)
    head = onnx.TensorProto.FromString(thinned(content, start, end, "tensor"))
    head.ClearField("raw_data")
    values = content[raw[-1].content : raw[-1].end]
    _check_size(head, values)
    return Constant(stored, head, values, False)


def _check_size(head: Any, raw: memoryview) -> None:
    word = words().get(head.data_type, "unknown")
    bits = ELEMENT_BITS.get(word)
    elements = 1
    for size in head.dims:
        elements *= size
    if bits is None:
        raise InvalidModelError(f"the constant {head.name!r} is of type {word}, which raw bytes cannot hold")
    if len(raw) != (elements * bits + 7) // 8:
        raise InvalidModelError(
            f"the constant {head.name!r} of shape {list(head.dims)} and type {word} has {len(raw)} bytes, and should "
            f"have {(elements * bits + 7) // 8}"
        )
