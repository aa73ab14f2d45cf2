"""Choose the delegate, the precision and the split of a neural network by measurement, from Python."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litedelegates.delegates import (
        EdgeTpu,
        EdgeTpuDevice,
        External,
        Flex,
        Gpu,
        Hosted,
        Npu,
        OpenVino,
        Stable,
        Xnnpack,
        list_edge_tpus,
    )
    from litedelegates.errors import (
        CompileError,
        DelegateError,
        DelegateUnavailableError,
        FileChangedError,
        InvalidModelError,
        LiteDelegatesError,
        MissingExtraError,
        OptionError,
        QuantizationError,
        QuantizationWarning,
        RunError,
        RuntimeLibraryError,
        RunTimeoutError,
        SaturationWarning,
        SoftwareGpuWarning,
        UnsupportedError,
        WorkerCrashedError,
    )
    from litedelegates.interop import load_delegate
    from litedelegates.interpreter import Interpreter
    from litedelegates.placement import Placement

__version__ = "0.1.0"

__all__ = [
    "CompileError",
    "DelegateError",
    "DelegateUnavailableError",
    "EdgeTpu",
    "EdgeTpuDevice",
    "External",
    "FileChangedError",
    "Flex",
    "Gpu",
    "Hosted",
    "Interpreter",
    "InvalidModelError",
    "LiteDelegatesError",
    "MissingExtraError",
    "Npu",
    "OpenVino",
    "OptionError",
    "Placement",
    "QuantizationError",
    "QuantizationWarning",
    "RunError",
    "RunTimeoutError",
    "RuntimeLibraryError",
    "SaturationWarning",
    "SoftwareGpuWarning",
    "Stable",
    "UnsupportedError",
    "WorkerCrashedError",
    "Xnnpack",
    "list_edge_tpus",
    "load_delegate",
]

_MODULES = {
    "Interpreter": "litedelegates.interpreter",
    "load_delegate": "litedelegates.interop",
    "Placement": "litedelegates.placement",
    **dict.fromkeys(
        (
            "EdgeTpu",
            "EdgeTpuDevice",
            "External",
            "Flex",
            "Gpu",
            "Hosted",
            "Npu",
            "OpenVino",
            "Stable",
            "Xnnpack",
            "list_edge_tpus",
        ),
        "litedelegates.delegates",
    ),
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
