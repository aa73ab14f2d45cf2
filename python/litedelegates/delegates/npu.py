"""Accelerators behind a vendor's dispatch library: the runtime's way to neural processing units."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from litedelegates import _core
from litedelegates.delegates import base
from litedelegates.delegates.base import Delegate, Payloads
from litedelegates.delegates.options import delegate_options
from litedelegates.errors import DelegateError, DelegateUnavailableError

# The op that a compiler plug-in leaves in place of those it compiled.
DISPATCH_OP = "DISPATCH_OP"
_COMPILER_PLUGIN_DIR, _DISPATCH_DIR = 0, 1  # tags of the runtime's environment
_loaded_from = ""


def environment(dispatch_dir: str, compiler_dir: str | None) -> dict[int, str]:
    """Return the environment's options for a vendor's folders."""
    return {_DISPATCH_DIR: dispatch_dir, **({_COMPILER_PLUGIN_DIR: compiler_dir} if compiler_dir else {})}


def step(dispatch_dir: str) -> _core.Step:
    """Return the runtime's NPU accelerator for a vendor's dispatch library.

    Raises:
        DelegateError: Another one is loaded already: the runtime keeps its first and would use that one silently.
    """
    global _loaded_from
    if _loaded_from and os.path.realpath(_loaded_from) != os.path.realpath(dispatch_dir):
        raise DelegateError(
            f"the runtime takes one dispatch library a process, and has one from {_loaded_from}; {dispatch_dir} needs "
            "a process of its own"
        )
    _loaded_from = dispatch_dir
    return _core.Step.npu()


def check_dispatched(compiled: _core.CompiledModel, who: str) -> None:
    """Raise unless the execution plan holds ops of the accelerator: the runtime runs a model without it silently.

    Raises:
        DelegateError: The accelerator took nothing; with what the runtime said.
    """
    for _, plan in compiled.plans():
        if any(node.name == DISPATCH_OP for node in (*plan.nodes, *plan.replaced)):
            return
    said = [line.removeprefix("ERROR: ") for line in compiled.log_lines if line and not line.startswith("INFO")]
    reason = "\n  ".join(["The runtime said:", *said[-8:]]) if said else "The runtime gave no reason"
    raise DelegateError(
        f"{who} took no op of this model, and the runtime went on without it, on the CPU (the execution plan has no "
        f"{DISPATCH_OP}). {reason}"
    )


@delegate_options
class Npu(Delegate):
    """Run on the accelerator of a vendor's dispatch library (Qualcomm, MediaTek, Google Tensor, ...).

    Untested on such hardware; the same way is tested with OpenVINO. A model that was compiled ahead of time needs no
    compiler plug-in.

    Attributes:
        dispatch_library_dir: Folder of the vendor's ``libLiteRtDispatch_*.so``.
        compiler_plugin_dir: Folder of its ``libLiteRtCompilerPlugin_*.so``, to compile on this machine.
        options: Options by the runtime's identifier, such as ``{"qualcomm": {"htp_performance_mode": 2}}``. They are
            written as they are: the runtime ignores keys that it does not know.
    """

    dispatch_library_dir: str
    compiler_plugin_dir: str | None = None
    options: dict[str, dict[str, Any]] | None = None

    name = "npu"
    hardware = base.NPU

    def __post_init__(self) -> None:
        for option in ("dispatch_library_dir", "compiler_plugin_dir"):
            if isinstance(getattr(self, option), os.PathLike):
                object.__setattr__(self, option, os.fspath(getattr(self, option)))

    def payloads(self) -> Payloads:
        """Return the options as they were given."""
        return {identifier: dict(options) for identifier, options in (self.options or {}).items()}

    def environment(self) -> dict[int, str]:
        """Return the vendor's folders."""
        return environment(self.dispatch_library_dir, self.compiler_plugin_dir)

    def step(self) -> _core.Step:
        """Return the runtime's NPU accelerator."""
        for folder, prefix in (
            (self.dispatch_library_dir, "libLiteRtDispatch"),
            (self.compiler_plugin_dir, "libLiteRtCompilerPlugin"),
        ):
            if folder and not (os.path.isdir(folder) and any(name.startswith(prefix) for name in os.listdir(folder))):
                raise DelegateUnavailableError(f"there is no {prefix}* in {folder}")
        return step(self.dispatch_library_dir)

    def compile(self, make: Callable[[], _core.CompiledModel], in_effect: Payloads) -> _core.CompiledModel:
        """Compile, and make sure that the accelerator took something."""
        compiled = make()
        check_dispatched(compiled, f"the accelerator of {self.dispatch_library_dir}")
        return compiled

    def why_not_classic(self) -> str | None:
        """Only the compiled route has dispatch libraries."""
        return "it has no NPU delegate"
