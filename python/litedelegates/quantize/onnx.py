"""ONNX models, by onnxruntime."""

from __future__ import annotations

from typing import Any

from litedelegates.errors import UnsupportedError
from litedelegates.quantize.provenance import Quantized
from litedelegates.quantize.request import Request


def quantize_onnx(model: Any, request: Request) -> Quantized:
    """Raise, until this backend is there."""
    raise UnsupportedError("quantizing ONNX models is not possible yet")
