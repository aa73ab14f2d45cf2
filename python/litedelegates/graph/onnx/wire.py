"""The bytes of an ``.onnx`` file: where its nodes and constants lie, and the model without the weights.

An ``.onnx`` is a protobuf message. Parsing all of it copies every weight; here the file is walked once, the places are
noted, and only what is small is parsed. Written models take nodes and constants from these places as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from litedelegates.errors import InvalidModelError

# Values of tensors beyond this many bytes stay in the file. Shapes, axes and scales, which shape inference reads, are
# smaller.
LARGE = 4096

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 100  # where protobuf stops, too

# Which field of a message holds which message; the numbers are those of onnx.proto.
_INNER = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
# float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data of a tensor.
_VALUES = frozenset({4, 5, 6, 7, 9, 10, 11})
RAW_DATA = 9


class Field(NamedTuple):
    """A field of a message: from ``start`` to ``end`` with its key, from ``content`` without."""

    number: int
    wire: int
    start: int
    content: int
    end: int


@dataclass
class Layout:
    """Where the parts of a model lie in its file.

    Attributes:
        thin: The model as a serialized message, without large values.
        nodes: Start and end of each node of the graph, in order.
        initializers: Start and end of each initializer.
        sparse: Start and end of each sparse initializer.
        functions: Start and end of each local function.
    """

    thin: bytes = b""
    nodes: list[tuple[int, int]] = field(default_factory=list)
    initializers: list[tuple[int, int]] = field(default_factory=list)
    sparse: list[tuple[int, int]] = field(default_factory=list)
    functions: list[tuple[int, int]] = field(default_factory=list)


def layout(content: memoryview) -> Layout:
    """Return where the parts of a model lie.

    Raises:
        InvalidModelError: The bytes are no protobuf message; says where that shows.
    """
    found = Layout()
    places = {1: found.nodes, 5: found.initializers, 15: found.sparse}
    for entry in fields(content, 0, len(content)):
        if entry.number == 25 and entry.wire == _LENGTH:
            found.functions.append((entry.content, entry.end))
        if entry.number == 7 and entry.wire == _LENGTH:
            for part in fields(content, entry.content, entry.end):
                if part.number in places and part.wire == _LENGTH:
                    places[part.number].append((part.content, part.end))
    found.thin = thinned(content, 0, len(content), "model")
    return found


def thinned(content: memoryview, start: int, end: int, kind: str, depth: int = 0) -> bytes:
    """Return a message without the large values of the tensors in it."""
    if depth > _DEEPEST:
        raise InvalidModelError(f"the model is nested more than {_DEEPEST} levels deep at byte {start}")
    pieces: list[bytes | memoryview] = []
    inner = _INNER.get(kind, {})
    kept = start  # what lies between here and the next large field is taken over in one piece
    for entry in fields(content, start, end):
        if entry.wire != _LENGTH or entry.end - entry.content <= LARGE:
            continue
        if kind == "tensor" and entry.number in _VALUES:
            pieces.append(content[kept : entry.start])
        elif entry.number in inner:
            message = thinned(content, entry.content, entry.end, inner[entry.number], depth + 1)
            pieces += [content[kept : entry.start], key(entry.number, len(message)), message]
        else:
            continue
        kept = entry.end
    pieces.append(content[kept:end])
    return b"".join(pieces)


def fields(content: memoryview, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message between two places.

    Raises:
        InvalidModelError: The bytes there are no message.
    """
    place = start
    while place < end:
        number_and_wire, after = _varint(content, place, end)
        number, wire = number_and_wire >> 3, number_and_wire & 7
        begin = after
        if wire == _LENGTH:
            size, begin = _varint(content, after, end)
            stop = begin + size
        elif wire == _VARINT:
            _, stop = _varint(content, after, end)
        elif wire in (_FIXED64, _FIXED32):
            stop = after + (8 if wire == _FIXED64 else 4)
        else:
            raise InvalidModelError(f"this is no ONNX model, or a damaged one: unknown field kind at byte {place}")
        if stop > end or not number:
            raise InvalidModelError(
                f"this is no ONNX model, or a damaged one: the field at byte {place} goes on to byte {stop}, beyond "
                f"the end at {end}"
            )
        yield Field(number, wire, place, begin, stop)
        place = stop


def key(number: int, size: int) -> bytes:
    """Return what stands before the ``size`` bytes of field ``number``."""
    return _encoded(number << 3 | _LENGTH) + _encoded(size)


def _encoded(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _varint(content: memoryview, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise InvalidModelError(f"this is no ONNX model, or a damaged one: a number at byte {place} has no end")
