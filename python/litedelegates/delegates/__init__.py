"""The delegates: one typed options class each, and how a chain of them is written."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from litedelegates.delegates.base import Delegate
from litedelegates.delegates.xnnpack import Xnnpack
from litedelegates.errors import OptionError, nearest

if TYPE_CHECKING:
    from litedelegates.delegates.edgetpu import EdgeTpu
    from litedelegates.delegates.edgetpu_library import EdgeTpuDevice, list_edge_tpus
    from litedelegates.delegates.external import External
    from litedelegates.delegates.flex import Flex
    from litedelegates.delegates.gpu import Backend, BufferStorage, Gpu, Precision, Priority, WaitType
    from litedelegates.delegates.hosted import Hosted
    from litedelegates.delegates.npu import Npu
    from litedelegates.delegates.openvino import OpenVino
    from litedelegates.delegates.stable import Stable

__all__ = [
    "Backend",
    "BufferStorage",
    "Delegate",
    "DelegateSpec",
    "EdgeTpu",
    "EdgeTpuDevice",
    "External",
    "Flex",
    "Gpu",
    "Hosted",
    "Npu",
    "OpenVino",
    "Precision",
    "Priority",
    "Stable",
    "WaitType",
    "Xnnpack",
    "chain",
    "list_edge_tpus",
]

DelegateSpec = None | str | Delegate | Iterable[str | Delegate]

# Delegates that can be given by name, and where their options class is.
BY_NAME = {"xnnpack": "Xnnpack", "gpu": "Gpu", "edgetpu": "EdgeTpu", "openvino": "OpenVino"}
# Every other module that has an options class, or part of one.
_MODULES = {
    "EdgeTpu": "edgetpu",
    "EdgeTpuDevice": "edgetpu_library",
    "External": "external",
    "Flex": "flex",
    "Hosted": "hosted",
    "Npu": "npu",
    "OpenVino": "openvino",
    "Stable": "stable",
    "list_edge_tpus": "edgetpu_library",
}


def __getattr__(name: str) -> Any:
    # Options classes take milliseconds to make, and most programs start with XNNPACK alone.
    if name not in __all__:
        raise AttributeError(f"module 'litedelegates.delegates' has no attribute {name!r}")
    module = _MODULES.get(name, "gpu")
    return getattr(importlib.import_module(f"litedelegates.delegates.{module}"), name)


def options_class(name: str) -> type[Any]:
    """Return the options class of a delegate given by name."""
    found: type[Any] = Xnnpack if name == "xnnpack" else __getattr__(BY_NAME[name])
    return found


def option_names(name: str) -> set[str]:
    """Return the names of the options of a delegate given by name."""
    return set(options_class(name).__dataclass_fields__)


def chain(spec: DelegateSpec, options: dict[str, Any]) -> tuple[Delegate, ...]:
    """Turn what a user wrote into the delegates to apply, in order.

    Args:
        spec: None for the built-in kernels, a name, an options object, or a sequence of those.
        options: Options given by keyword; each goes to every delegate given by name that has it.

    Raises:
        OptionError: A delegate or option that does not exist; the nearest valid name is part of the message.
    """
    parts = list(spec) if isinstance(spec, Iterable) and not isinstance(spec, str) else [spec]
    named = [part.lower() if isinstance(part, str) else part for part in parts if part not in (None, "none")]
    for part in named:
        if isinstance(part, str) and part not in BY_NAME:
            valid = ["none", "auto", *BY_NAME]
            if part in ("cpu", "builtin", "tflite"):  # nearest in letters is the GPU
                raise OptionError(
                    f"there is no delegate {part!r}: the CPU is 'xnnpack', or 'none' for the built-in kernels. "
                    f"Valid: {', '.join(sorted(valid))}"
                )
            raise OptionError(f"there is no delegate {part!r}. {nearest(part, valid)}")
        if not isinstance(part, (str, Delegate)):
            raise OptionError(f"a delegate is a name or an object such as Gpu(), not {type(part).__name__}")
    if options:
        _check_taken(options, named)
    return tuple(_with_options(part, options) if isinstance(part, str) else part for part in named)


def _with_options(name: str, options: dict[str, Any]) -> Delegate:
    valid = option_names(name) if options else set()
    made: Delegate = options_class(name)(**{key: value for key, value in options.items() if key in valid})
    return made


def _check_taken(options: dict[str, Any], named: list[Any]) -> None:
    valid = set().union(*(option_names(part) for part in named if isinstance(part, str)))
    for option, value in options.items():
        if option in valid:
            continue
        if not named and option == "precision_loss_allowed":
            if value:
                raise OptionError(
                    "precision_loss_allowed=True: the built-in kernels compute in the model's own precision. "
                    "The gpu and xnnpack delegates can compute in half precision"
                )
            continue
        whom = " and ".join(str(part) for part in named) or "the built-in kernels"
        if not any(isinstance(part, str) for part in named) and named:
            hint = f"give it to the delegate itself, as in {type(named[0]).__name__}({option}=...)"
        else:
            hint = nearest(option, valid) if valid else "they take num_threads only"
        raise OptionError(f"{whom}: no option {option!r}; {hint}")
