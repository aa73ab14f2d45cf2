"""The record of where a ``.tflite`` came from, kept as metadata inside it."""

from __future__ import annotations

import numpy as np

from litedelegates.graph.tflite.packed_files import packed_files
from litedelegates.graph.tflite.tree import ModelSource, Tree, parse, read_bytes, serialize, text
from litedelegates.quantize.provenance import RECORD_NAME, Record


def put_record(tree: Tree, record: Record) -> None:
    """Write ``record`` into the metadata of ``tree``, over one that is there."""
    from ai_edge_litert import schema_py_generated as schema

    tree.metadata = tree.metadata or []
    entry = next((entry for entry in tree.metadata if text(entry.name) == RECORD_NAME), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = RECORD_NAME, len(tree.buffers)
        tree.metadata.append(entry)
        tree.buffers.append(schema.BufferT())
    tree.buffers[entry.buffer].data = np.frombuffer(record.to_json().encode(), np.uint8)


def with_record(content: bytes, record: Record) -> bytes:
    """Return the ``.tflite`` in ``content`` with ``record`` in its metadata.

    Raises:
        InvalidModelError: ``content`` is not a readable TFLite model.
    """
    tree = parse(content)
    put_record(tree, record)
    return serialize(tree) + packed_files(content)


def record_of(model: ModelSource) -> Record | None:
    """Return the record in the ``.tflite`` ``model``, or None where it has none.

    Raises:
        InvalidModelError: ``model`` is not a readable TFLite model, or its record is damaged.
    """
    tree = parse(read_bytes(model))
    for entry in tree.metadata or []:
        if text(entry.name) == RECORD_NAME:
            return Record.from_json(bytes(tree.buffers[entry.buffer].data))
    return None
