"""The package that reads and writes ONNX, which is an extra."""

from __future__ import annotations

import importlib
from typing import Any

from litedelegates.errors import MissingExtraError


def require_onnx() -> Any:
    """Return the module ``onnx``.

    Raises:
        MissingExtraError: It is not installed; says what to install.
    """
    try:
        # Submodules that the package itself loads only when they are imported.
        importlib.import_module("onnx.numpy_helper")
        importlib.import_module("onnx.shape_inference")
        return importlib.import_module("onnx")
    except ImportError as error:
        raise MissingExtraError(
            f"ONNX models need the package onnx ({error}): pip install 'litedelegates[onnx]'"
        ) from error
