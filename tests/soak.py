"""Load, run and close models for a long time, and see that memory stays flat and outputs stay the same.

    python tests/soak.py                      10,000 cycles of every delegate, then an hour in two threads
    python tests/soak.py --cycles 200 --only none --seconds 0

Prints one row for each part, writes ``results/soak.json``, and ends with 1 where memory grew or an output changed.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import small_models
from litedelegates import EdgeTpu, External, Flex, Interpreter, Stable
from native_libraries import compile_cpp_library, compile_library

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "models/digits.tflite"
SAMPLES = 200
LEAST_WARM_UP = 600  # cycles; memory grows by a step of a megabyte somewhere in the first hundreds
ALLOWED_BYTES_A_CYCLE = 64  # a leaked interpreter, tensor or option is larger: the smallest model's copy has 700 bytes
ALLOWED_BYTES_A_SECOND = 1024
PREPARED_RUNS = 16


@dataclass(frozen=True)
class Case:
    """A model on a delegate.

    Attributes:
        model: Builds or reads the model.
        delegate: Makes what `Interpreter` is given, from the folder of the compiled libraries.
        share: Part of the cycles asked for that are made; below 1 where one cycle takes tens of milliseconds.
        options: More arguments of `Interpreter`.
    """

    model: Callable[[], bytes]
    delegate: Callable[[Path], Any]
    share: float = 1.0
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Slope:
    """Growth of the resident memory in bytes for each cycle or second: a least-squares line and its 95 % interval."""

    slope: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Outcome:
    """What became of one part: ``per`` says of what the slope is ("cycle" or "second")."""

    name: str
    cycles: int
    seconds: float
    start_bytes: int
    end_bytes: int
    growth: Slope
    per: str
    changed_outputs: int
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether memory was flat (the slope is below what is allowed with 97.5 % confidence) and outputs the same."""
        return self.changed_outputs == 0 and self.growth.upper < self.allowed


def arithmetic(folder: Path) -> str:
    return compile_library("arithmetic_delegate.c", folder / "libarithmetic.so")


def stable(folder: Path, *flags: str) -> str:
    return compile_library("stable_delegate.c", folder / f"libstable{len(flags)}.so", *flags)


def fake_edgetpu(folder: Path) -> EdgeTpu:
    os.environ["FAKE_EDGETPU_DEVICES"] = "pci=/dev/apex_0"
    return EdgeTpu(library=compile_library("fake_edgetpu.c", folder / "libedgetpu.so.1"))


CASES = {
    "none": Case(DIGITS.read_bytes, lambda folder: None),
    "none, classic route": Case(
        DIGITS.read_bytes, lambda folder: None, options=(("experimental_preserve_all_tensors", True),)
    ),
    "xnnpack": Case(DIGITS.read_bytes, lambda folder: "xnnpack"),
    "xnnpack, 2 threads": Case(DIGITS.read_bytes, lambda folder: "xnnpack", options=(("num_threads", 2),)),
    "external": Case(small_models.add, lambda folder: External(arithmetic(folder), options={"number": 3})),
    "stable, host's accessors": Case(small_models.add, lambda folder: Stable(stable(folder))),
    "stable, own accessors": Case(small_models.add, lambda folder: Stable(stable(folder, "-DCARRIES_ACCESSORS"))),
    "flex": Case(
        small_models.flex_op,
        lambda folder: Flex(compile_cpp_library("flex_delegate.cc", folder / "libtensorflowlite_flex.so")),
    ),
    "edgetpu, no device": Case(small_models.compiled_for_edge_tpu, fake_edgetpu),
    "external + stable + xnnpack": Case(
        small_models.partly_delegated,
        lambda folder: [External(arithmetic(folder)), Stable(stable(folder)), "xnnpack"],
    ),
    "gpu": Case(small_models.add, lambda folder: "gpu", share=0.1),
    "openvino": Case(small_models.add, lambda folder: "openvino", share=0.1),
}


def fit(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Fit a line by least squares.

    The residuals count as independent. Those of memory lean on their neighbours, so that the interval is narrower than
    it should be; that errs towards refusing.
    """
    n = len(x)
    line = statistics.linear_regression(x, y)
    residual = math.fsum((b - line.intercept - line.slope * a) ** 2 for a, b in zip(x, y, strict=True))
    spread = math.fsum((a - statistics.fmean(x)) ** 2 for a in x)
    half = 1.96 * math.sqrt(residual / (n - 2) / spread)
    return Slope(line.slope, line.slope - half, line.slope + half)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def inputs_for(interpreter: Interpreter, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [(rng.random(info.shape) * 100).astype(info.dtype) for info in interpreter.inputs]


def run(interpreter: Interpreter, inputs: Sequence[Any]) -> bytes:
    """Run once and return the outputs' bytes."""
    outputs = interpreter.run(*inputs)
    return b"".join(output.tobytes() for output in (outputs if isinstance(outputs, tuple) else (outputs,)))


def _cycle_of(name: str, folder: Path) -> Callable[[], bool]:
    """Return what loads, runs and closes ``CASES[name]`` once and says whether the outputs are the first ones."""
    case = CASES[name]
    model, delegate, options = case.model(), case.delegate(folder), dict(case.options)
    with Interpreter(model, delegate=delegate, **options) as interpreter:
        inputs = inputs_for(interpreter)
        wanted = run(interpreter, inputs)

    def step() -> bool:
        with Interpreter(model, delegate=delegate, **options) as interpreter:
            return run(interpreter, inputs) == wanted

    return step


def cycle(name: str, cycles: int, folder: Path) -> None:
    """Load, run and close ``CASES[name]`` and measure nothing."""
    step = _cycle_of(name, folder)
    for _ in range(cycles):
        step()


def cycle_case(name: str, cycles: int, folder: Path, leak: int = 0) -> Outcome:
    """Load, run and close ``CASES[name]`` again and again in this process.

    Args:
        name: Of the case.
        cycles: How many count; a quarter more, and `LEAST_WARM_UP` at least, come before them.
        folder: Where the delegates are compiled to.
        leak: Bytes to lose in each cycle on purpose, which shows that the measurement finds them.
    """
    cycles = max(SAMPLES, round(cycles * CASES[name].share))
    step = _cycle_of(name, folder)
    changed = 0
    lost: list[bytes] = []

    for _ in range(max(cycles // 4, round(LEAST_WARM_UP * CASES[name].share))):
        changed += not step()
    start, x, y = time.monotonic(), [], []
    for count in range(1, cycles + 1):
        changed += not step()
        if leak:
            lost.append(b"x" * (leak + count % 2))  # of one value, Python would keep one copy
        if count % (cycles // SAMPLES) == 0:
            x.append(float(count))
            y.append(float(resident_bytes()))
    seconds = time.monotonic() - start
    return Outcome(name, cycles, seconds, int(y[0]), int(y[-1]), fit(x, y), "cycle", changed, ALLOWED_BYTES_A_CYCLE)


def run_in_two_threads(seconds: float) -> Outcome:
    """Run digits on XNNPACK in one thread and an int8 convolution on the built-in kernels in another."""
    stop = threading.Event()
    runs, changed, errors = [0, 0], [0, 0], []

    def work(thread: int, model: bytes, delegate: str | None) -> None:
        try:
            with Interpreter(model, delegate=delegate) as interpreter:
                prepared = [inputs_for(interpreter, seed) for seed in range(PREPARED_RUNS)]
                wanted = [run(interpreter, inputs) for inputs in prepared]
                while not stop.is_set():
                    for inputs, right in zip(prepared, wanted, strict=True):
                        changed[thread] += run(interpreter, inputs) != right
                        runs[thread] += 1
        except Exception as error:  # told below: a thread's end would go unseen
            errors.append(error)
            stop.set()

    works = ((0, DIGITS.read_bytes(), "xnnpack"), (1, small_models.conv_int8(), None))
    threads = [threading.Thread(target=work, args=one) for one in works]
    for thread in threads:
        thread.start()
    stop.wait(seconds / 10)
    start, x, y = time.monotonic(), [], []
    while not stop.wait(seconds / SAMPLES) and time.monotonic() - start < seconds:
        x.append(time.monotonic() - start)
        y.append(float(resident_bytes()))
    stop.set()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return Outcome(
        f"two threads ({runs[0]:,} and {runs[1]:,} runs)",
        sum(runs),
        time.monotonic() - start,
        int(y[0]),
        int(y[-1]),
        fit(x, y),
        "second",
        sum(changed),
        ALLOWED_BYTES_A_SECOND,
    )


def in_own_process(function: Callable[..., Outcome], *arguments: Any) -> Outcome:
    """Call it in a new process: a loaded Flex delegate, for example, serves all models that follow.

    Raises:
        BrokenProcessPool: The process died.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def describe(outcome: Outcome) -> str:
    growth = outcome.growth
    return (
        f"{outcome.name:45} {outcome.cycles:>11,} {outcome.seconds:>7.0f} s "
        f"{outcome.start_bytes / 1e6:>6.1f} -> {outcome.end_bytes / 1e6:>6.1f} MB "
        f"{growth.slope:>8.2f} [{growth.lower:>8.2f}, {growth.upper:>8.2f}] B/{outcome.per:6} "
        f"{outcome.changed_outputs} changed  {'ok' if outcome.passed else 'FAILED'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=10_000, help="of each delegate (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="of runs in two threads (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=CASES, help="a case; may be repeated")
    parser.add_argument("--output", type=Path, default=ROOT / "results/soak.json")
    arguments = parser.parse_args()
    outcomes, failures = [], 0
    parts: list[tuple[Any, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        if arguments.cycles:
            parts = [(cycle_case, name, arguments.cycles, Path(folder)) for name in arguments.only or CASES]
        if arguments.seconds:
            parts.append((run_in_two_threads, arguments.seconds))
        for part in parts:
            try:
                outcomes.append(in_own_process(*part))
            except Exception as error:
                failures += 1
                print(f"{part[1]}: {type(error).__name__}: {error}", flush=True)
                continue
            print(describe(outcomes[-1]), flush=True)
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")
    return 1 if failures or not all(outcome.passed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
