"""The record of where an ONNX model came from."""

from __future__ import annotations

from typing import Any

from litedelegates.errors import UnsupportedError
from litedelegates.quantize.provenance import Record


def record_of(model: Any) -> Record | None:
    """Raise, until this backend is there."""
    raise UnsupportedError("reading the record of an ONNX model is not possible yet")
