"""Interpreters that come, run and go in many threads at once, for ThreadSanitizer.

    tools/check_sanitized.sh thread PYTHON tests/stress.py [SECONDS [FLAG]]

Ends with 1 where an output is wrong; data races are for the sanitizer to tell. The flag is for the compiler of the
delegates: with ``-DRACES`` one of them counts its runs without a lock, which has to be found.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import small_models
from litedelegates import External, Interpreter, Stable
from native_libraries import compile_library

THREADS = 6
ONES = np.ones((1, 4), np.float32)


def stress(seconds: float, flags: tuple[str, ...] = ()) -> list[str]:
    """Run all of it for some time and return what went wrong; ``flags`` are for the compiler of the delegates."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        external = compile_library("arithmetic_delegate.c", Path(folder) / "libarithmetic.so", *flags)
        stable = compile_library("stable_delegate.c", Path(folder) / "libstable.so", *flags)
        kinds = (None, "xnnpack", External(external), Stable(stable), [External(external), "xnnpack"])
        shared = Interpreter(small_models.add(), delegate="xnnpack")
        shared.run(ONES, ONES)
        end = time.monotonic() + seconds

        def come_and_go(number: int) -> None:
            while time.monotonic() < end:
                number += 1
                with Interpreter(small_models.add(), delegate=kinds[number % len(kinds)]) as own:
                    for _ in range(number % 4):  # some are never run
                        if own.run(ONES, 2 * ONES).tolist() != [[3.0] * 4]:
                            wrong.append(f"an interpreter on {kinds[number % len(kinds)]}")

        def share(number: int) -> None:
            """Runs of one interpreter wait for each other; its inputs stay as they are."""
            while time.monotonic() < end:
                shared.invoke()
                if shared.get_tensor(shared.outputs[0].index).tolist() != [[2.0] * 4]:
                    wrong.append("the shared interpreter")

        def ask(number: int) -> None:
            while time.monotonic() < end:
                repr(shared), shared.placement, shared.options_in_effect, shared.inputs

        works: list[Callable[[int], None]] = [come_and_go] * THREADS + [share] * 2 + [ask]
        threads = [threading.Thread(target=_noting(work, wrong), args=(at,)) for at, work in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shared.close()
    return wrong


def _noting(work: Callable[[int], None], wrong: list[str]) -> Callable[[int], None]:
    def noting(number: int) -> None:
        try:
            work(number)
        except Exception as error:  # a thread's end would go unseen
            wrong.append(f"{type(error).__name__}: {error}")

    return noting


if __name__ == "__main__":
    found = stress(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0, tuple(sys.argv[2:]))
    print("\n".join(found) or "every output was right")
    sys.exit(bool(found))
