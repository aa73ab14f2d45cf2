"""Load, run and close on every delegate of the CPU, and end: what was never freed is LeakSanitizer's to tell.

    tools/check_sanitized.sh leak PYTHON tests/leaks.py [--leak]

``--leak`` takes a delegate that forgets its options each time, which has to be found.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import small_models
import soak
from litedelegates import External
from native_libraries import compile_library
from soak_cases import Case

CYCLES = 20
# Tens of megabytes of libraries that know nothing of sanitizers; Flex stays in the process for good.
LEFT_OUT = ("gpu", soak.OFFICIAL_GPU, "openvino", "flex")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [case for case in soak.CASES if case not in LEFT_OUT]
        if "--leak" in sys.argv:
            library = compile_library("arithmetic_delegate.c", folder / "libarithmetic_leaks.so", "-DLEAKS")
            soak.CASES["leak"] = Case(small_models.add, lambda folder: External(library))
            cases = ["leak"]
        for case in cases:
            soak.cycle(case, CYCLES, folder)
            print(f"{CYCLES} cycles: {case}", flush=True)


if __name__ == "__main__":
    main()
