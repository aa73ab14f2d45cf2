"""XNNPACK, the runtime's optimized CPU kernels."""

from __future__ import annotations

import os
from typing import Literal

from litedelegates import _core
from litedelegates.delegates.base import Delegate, Payloads
from litedelegates.delegates.options import delegate_options, set_options
from litedelegates.errors import OptionError, nearest

# Bits of the runtime's XNNPACK flags, by name.
FLAGS = {
    "signed_int8": 0x1,
    "unsigned_int8": 0x2,
    "force_fp16": 0x4,
    "dynamic_fully_connected": 0x8,
    "variable_operators": 0x10,
    "transient_indirection_buffer": 0x20,
    "latest_operators": 0x40,
    "subgraph_reshaping": 0x80,
    "slow_consistent_arithmetic": 0x200,
    "no_subgraph_reshaping": 0x400,
}
# What the runtime uses when no flags are given; flags replace the default, so ours are added to it.
DEFAULT_FLAGS = frozenset({"signed_int8", "unsigned_int8"})


@delegate_options
class Xnnpack(Delegate):
    """Run on the CPU with XNNPACK.

    Attributes:
        num_threads: Threads of the CPU kernels; the runtime's default is 1.
        precision_loss_allowed: True computes float models in half precision (made for CPUs with native float16
            arithmetic, such as ARMv8.2; slower where it is emulated). False and unset compute in float32.
        flags: Names of XNNPACK's flags (see `FLAGS`), in place of the runtime's default.
        weight_cache_file_path: File that keeps the repacked weights from one process to the next.
        weight_cache_file_descriptor: The same by an open descriptor.
        kernel_mode: "delegate" is XNNPACK; "builtin" and "reference" switch it off for the runtime's own kernels.
        enable_ynnpack: XNNPACK's successor, in runtimes that were built with it.
        hint_fully_delegated_to_single_delegate: Promise that one delegate takes every op.
    """

    num_threads: int | None = None
    precision_loss_allowed: bool | None = None
    flags: frozenset[str] | None = None
    weight_cache_file_path: str | None = None
    weight_cache_file_descriptor: int | None = None
    kernel_mode: Literal["delegate", "builtin", "reference"] | None = None
    enable_ynnpack: bool | None = None
    hint_fully_delegated_to_single_delegate: bool | None = None

    name = "xnnpack"

    def __post_init__(self) -> None:
        # Anything else than names is left to the check of types.
        if isinstance(self.flags, (set, list, tuple)) and all(isinstance(flag, str) for flag in self.flags):
            object.__setattr__(self, "flags", frozenset(self.flags))
        for flag in sorted(self.flags or (), key=str) if isinstance(self.flags, frozenset) else ():
            if flag not in FLAGS:
                raise OptionError(f"XNNPACK has no flag {flag!r}. {nearest(str(flag), FLAGS)}")
        if isinstance(self.weight_cache_file_path, os.PathLike):
            object.__setattr__(self, "weight_cache_file_path", os.fspath(self.weight_cache_file_path))
        if isinstance(self.num_threads, int) and self.num_threads < 1:
            raise OptionError(f"Xnnpack(num_threads={self.num_threads}): num_threads must be at least 1")
        if self.precision_loss_allowed is False and "force_fp16" in (self.flags or ()):
            raise OptionError("Xnnpack(precision_loss_allowed=False, flags={'force_fp16'}) contradicts itself")

    def payloads(self) -> Payloads:
        """Return the options as the runtime's keys and values."""
        options = set_options(self)
        if options.pop("precision_loss_allowed", False):
            options["flags"] = (self.flags or DEFAULT_FLAGS) | {"force_fp16"}
        if "flags" in options:
            options["flags"] = sum(FLAGS[flag] for flag in options["flags"])
        return {"xnnpack": options}

    def step(self) -> _core.Step:
        """Return the runtime's own CPU accelerator."""
        return _core.Step.cpu()

    def why_not_classic(self) -> str | None:
        """Only the number of threads and the kind of kernels can be told to the classic runtime."""
        extra = set(set_options(self)) - {"num_threads", "kernel_mode"}
        return f"its XNNPACK takes num_threads and kernel_mode and not {', '.join(sorted(extra))}" if extra else None
