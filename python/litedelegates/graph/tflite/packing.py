"""A ``.tflite`` from the schema's objects: everything but the constants is built, the constants are streamed behind it.

A flatbuffer refers forward by 32-bit offsets. The tables are built with an empty vector in the place of each constant;
then each of these references is pointed at the constant's place behind the tables, and the constants follow, straight
from where they are. So a model is written without being in memory twice, and the file is an ordinary one.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from litedelegates.errors import InvalidModelError

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # what the schema asks of constants
_LARGEST = (1 << 31) - 1  # bytes; the runtime reads offsets as signed numbers
_EMPTY = np.zeros(0, np.uint8)


def pack(model: Any, contents: Sequence[memoryview | None]) -> Iterator[bytes | memoryview]:
    """Yield the content of a ``.tflite``.

    Args:
        model: The schema's ModelT; its buffers are made here from ``contents``.
        contents: The bytes of each buffer, by index, or None for one without data, which the first has to be. No bytes
            are data as well: they make a constant without elements.

    Raises:
        InvalidModelError: It would be larger than the 2 GB that a ``.tflite`` can be.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = copy.copy(model)
    model.buffers = []
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = None if content is None else _EMPTY
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    tables = bytearray(builder.Output())
    paddings = _place(schema.Model.GetRootAs(tables, 0), tables, contents)
    yield bytes(tables)
    for padding, content in zip(paddings, contents, strict=True):
        if content:
            yield padding
            yield content


def _place(root: Any, tables: bytearray, contents: Sequence[memoryview | None]) -> list[bytes]:
    """Point each buffer of ``tables`` at the place of its content behind them; return what stands before each."""
    end, before = len(tables), []
    for index, content in enumerate(contents):
        if not content:
            before.append(b"")
            continue
        table = root.Buffers(index)._tab
        reference = table.Pos + table.Offset(4)  # the first field of a Buffer: its data
        padding = -(end + 4) % _ALIGNMENT
        start = end + padding
        struct.pack_into("<I", tables, reference, start - reference)
        before.append(bytes(padding) + struct.pack("<I", content.nbytes))
        end = start + 4 + content.nbytes
    if end > _LARGEST:
        raise InvalidModelError(f"the model would have {end} bytes, and a .tflite can have {_LARGEST}")
    return before
