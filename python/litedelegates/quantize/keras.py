"""Keras models and SavedModels, by the converter of TensorFlow."""

from __future__ import annotations

from typing import Any

from litedelegates.errors import UnsupportedError
from litedelegates.quantize.provenance import Quantized
from litedelegates.quantize.request import Request


def quantize_keras(model: Any, request: Request) -> Quantized:
    """Raise, until this backend is there."""
    raise UnsupportedError("quantizing Keras models is not possible yet")
