"""Choose the delegate, the precision and the split of a neural network by measurement, from Python."""

from __future__ import annotations

import atexit

from litedelegates.delegates import Gpu, Hosted, Xnnpack
from litedelegates.errors import (
    CompileError,
    DelegateError,
    DelegateUnavailableError,
    InvalidModelError,
    LiteDelegatesError,
    MissingExtraError,
    OptionError,
    QuantizationError,
    RunError,
    RuntimeLibraryError,
    UnsupportedError,
)
from litedelegates.interpreter import Interpreter, close_all
from litedelegates.placement import Placement

__version__ = "0.1.0"

__all__ = [
    "CompileError",
    "DelegateError",
    "DelegateUnavailableError",
    "Gpu",
    "Hosted",
    "Interpreter",
    "InvalidModelError",
    "LiteDelegatesError",
    "MissingExtraError",
    "OptionError",
    "Placement",
    "QuantizationError",
    "RunError",
    "RuntimeLibraryError",
    "UnsupportedError",
    "Xnnpack",
]

atexit.register(close_all)
