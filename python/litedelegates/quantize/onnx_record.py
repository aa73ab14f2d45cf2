"""The record of where an ONNX model came from, kept in its metadata."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from litedelegates.errors import InvalidModelError
from litedelegates.quantize.onnx_model import OnnxSource, all_graphs, require_onnx
from litedelegates.quantize.provenance import RECORD_NAME, Record

if TYPE_CHECKING:
    import onnx


def put_record(model: onnx.ModelProto, record: Record) -> None:
    """Write ``record`` into the metadata of ``model``, over one that is there."""
    kept = [entry for entry in model.metadata_props if entry.key != RECORD_NAME]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=RECORD_NAME, value=record.to_json())


def record_of(model: OnnxSource) -> Record | None:
    """Return the record in the ONNX model, or None where it has none. Weights beside the file are not read.

    Raises:
        InvalidModelError: It is not a readable ONNX model, or its record is damaged.
    """
    require_onnx()
    import onnx
    from google.protobuf.message import DecodeError

    try:
        if isinstance(model, onnx.ModelProto):
            read = model
        elif isinstance(model, bytes | bytearray | memoryview):
            read = onnx.load_from_string(bytes(model))
        else:
            read = onnx.load(os.fspath(model), load_external_data=False)
    except DecodeError as error:
        raise InvalidModelError(f"the model cannot be read as ONNX: {error}") from error
    for entry in read.metadata_props:
        if entry.key == RECORD_NAME:
            return Record.from_json(entry.value)
    return None


def digest_with_weights(source: OnnxSource) -> str | None:
    """Return the SHA-256 of an ONNX file and the files beside it that hold its weights, None where there are none."""
    import onnx
    from onnx.external_data_helper import uses_external_data

    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source)
    model = onnx.load(os.fspath(path), load_external_data=False)
    files = {
        entry.value
        for graph in all_graphs(model.graph)
        for tensor in graph.initializer
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if not files:
        return None
    digest = hashlib.sha256()
    for file in (path, *(path.parent / name for name in sorted(files))):
        with file.open("rb") as content:
            while block := content.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
