"""Choose the delegate, the precision and the split of a neural network by measurement, from Python."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litedelegates.delegates import Flex, Gpu, Hosted, Stable, Xnnpack
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
    from litedelegates.interpreter import Interpreter
    from litedelegates.placement import Placement

__version__ = "0.1.0"

__all__ = [
    "CompileError",
    "DelegateError",
    "DelegateUnavailableError",
    "Flex",
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
    "Stable",
    "UnsupportedError",
    "Xnnpack",
]

_MODULES = {
    "Interpreter": "litedelegates.interpreter",
    "Placement": "litedelegates.placement",
    **dict.fromkeys(("Flex", "Gpu", "Hosted", "Stable", "Xnnpack"), "litedelegates.delegates"),
}


def __getattr__(name: str) -> Any:
    # Loaded when first used: a tool that only wants the version or the errors should not wait for numpy.
    if name not in __all__:
        raise AttributeError(f"module 'litedelegates' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES.get(name, "litedelegates.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
