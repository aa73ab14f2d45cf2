"""The packages that run and read ONNX models, which are extras."""

from __future__ import annotations

import importlib
from typing import Any

from litedelegates.errors import MissingExtraError, install_extra


def require_onnxruntime() -> Any:
    """Return the module ``onnxruntime``.

    Raises:
        MissingExtraError: It is not installed; says what to install.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError(f"running ONNX models needs ONNX Runtime ({error}): {install_extra('onnx')}") from error


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
        raise MissingExtraError(f"ONNX models need the package onnx ({error}): {install_extra('onnx')}") from error
