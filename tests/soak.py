"""Load, run and close models for a long time, and see that memory stays flat and outputs stay the same.

    python tests/soak.py                      10,000 cycles of every delegate, then an hour in two threads
    python tests/soak.py --cycles 200 --only none --seconds 0

Prints one row for each part and writes ``results/soak.json``. Ends with 1 where memory grew, an output changed or a
part could not be run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import small_models
from litedelegates import Interpreter
from soak_cases import CASES, DIGITS, OFFICIAL_GPU, cycle_of, inputs_for, run
from soak_memory import Samples, Slope

ROOT = Path(__file__).parent.parent
SAMPLES = 200
ALLOWED_BYTES_A_CYCLE = 64  # a leaked interpreter, tensor or option is larger: the smallest model's copy has 700 bytes
ALLOWED_BYTES_A_SECOND = 1024
PREPARED_RUNS = 16
ARENAS = "MALLOC_ARENA_MAX"
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What became of one part.

    Attributes:
        growth: Of the resident memory.
        in_use: Growth of what `malloc` has handed out; None where the C library does not tell.
        per: Of what the growths are, "cycle" or "second".
        allowed: What both growths have to be below; None where they are measured for comparison only.
    """

    name: str
    cycles: int
    seconds: float
    start_bytes: int
    end_bytes: int
    growth: Slope
    in_use: Slope | None
    per: str
    changed_outputs: int
    allowed: float | None

    @property
    def passed(self) -> bool:
        """Whether the outputs stayed the same and memory was flat, by the upper end of each interval."""
        slopes = [slope for slope in (self.growth, self.in_use) if slope is not None]
        is_flat = self.allowed is None or all(slope.upper < self.allowed for slope in slopes)
        return is_flat and self.changed_outputs == 0


def outcome_of(
    name: str, cycles: int, seconds: float, samples: Samples, per: str, changed_outputs: int, allowed: float | None
) -> Outcome:
    start, end = samples.resident[0], samples.resident[-1]
    growths = samples.growth(), samples.growth_in_use()
    return Outcome(name, cycles, seconds, start, end, *growths, per, changed_outputs, allowed)


def cycle(name: str, cycles: int, folder: Path) -> None:
    """Load, run and close ``CASES[name]`` and measure nothing."""
    step = cycle_of(name, folder)
    for _ in range(cycles):
        step()


def cycle_case(name: str, cycles: int, folder: Path, leak: int = 0) -> Outcome:
    """Load, run and close ``CASES[name]`` again and again in this process.

    Args:
        name: Of the case.
        cycles: How many count; a quarter more, and the case's warm-up at least, come before them.
        folder: Where the delegates are compiled to.
        leak: Bytes to lose in each cycle on purpose, which shows that the measurement finds them.
    """
    cycles = max(SAMPLES, cycles)
    step = cycle_of(name, folder)
    changed = 0
    lost: list[bytes] = []

    for _ in range(max(cycles // 4, CASES[name].warm_up)):
        changed += not step()
    start, samples = time.monotonic(), Samples()
    for count in range(1, cycles + 1):
        changed += not step()
        if leak:
            lost.append(b"x" * (leak + count % 2))  # of one value, Python would keep one copy
        if count % (cycles // SAMPLES) == 0:
            samples.take(count)
    seconds = time.monotonic() - start
    allowed = None if name == OFFICIAL_GPU else ALLOWED_BYTES_A_CYCLE
    return outcome_of(name, cycles, seconds, samples, "cycle", changed, allowed)


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
    start, samples = time.monotonic(), Samples()
    while not stop.wait(seconds / SAMPLES) and time.monotonic() - start < seconds:
        samples.take(time.monotonic() - start)
    stop.set()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    name = f"two threads ({runs[0]:,} and {runs[1]:,} runs)"
    seconds = time.monotonic() - start
    return outcome_of(name, sum(runs), seconds, samples, "second", sum(changed), ALLOWED_BYTES_A_SECOND)


@contextlib.contextmanager
def one_arena() -> Iterator[None]:
    """Let processes that are started here have one arena of `malloc`, unless the environment says how many.

    With an arena a thread, each holds the most that was ever in use in it. Where a driver makes threads for each model,
    and they meet other arenas each time, that maximum creeps up for thousands of cycles and looks like a slow leak.
    """
    if ARENAS in os.environ:
        yield
        return
    os.environ[ARENAS] = "1"
    try:
        yield
    finally:
        del os.environ[ARENAS]


def in_own_process(function: Callable[..., T], *arguments: Any) -> T:
    """Call it in a new process: a loaded Flex delegate, for example, serves all models that follow.

    Raises:
        BrokenProcessPool: The process died.
    """
    with one_arena(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def describe(outcome: Outcome) -> str:
    verdict = "FAILED" if not outcome.passed else "ok" if outcome.allowed is not None else "for comparison"
    return (
        f"{outcome.name:45} {outcome.cycles:>11,} {outcome.seconds:>7.0f} s "
        f"{outcome.start_bytes / 1e6:>6.1f} -> {outcome.end_bytes / 1e6:>6.1f} MB "
        f"{describe_slope(outcome.growth)} resident, {describe_slope(outcome.in_use)} in use, B/{outcome.per:6} "
        f"{outcome.changed_outputs} changed  {verdict}"
    )


def describe_slope(slope: Slope | None) -> str:
    return "unknown" if slope is None else f"{slope.slope:>8.2f} [{slope.lower:>8.2f}, {slope.upper:>8.2f}]"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=10_000, help="of each delegate (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="of runs in two threads (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=CASES, help="a case; may be repeated")
    parser.add_argument("--leak", type=int, default=0, help="bytes to lose in each cycle: it has to fail")
    parser.add_argument("--output", type=Path, default=ROOT / "results/soak.json")
    arguments = parser.parse_args()
    outcomes, failures = [], 0
    parts: dict[str, tuple[Any, ...]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.cycles:
            for name in arguments.only or CASES:
                parts[name] = (cycle_case, name, arguments.cycles, Path(folder), arguments.leak)
        if arguments.seconds:
            parts["two threads"] = (run_in_two_threads, arguments.seconds)
        if not parts:
            parser.error("--cycles 0 and --seconds 0 leave nothing to do")
        for name, part in parts.items():
            try:
                outcomes.append(in_own_process(*part))
                print(describe(outcomes[-1]), flush=True)
            except Exception as error:
                failures += 1
                print(f"{name}: {type(error).__name__}: {error}  FAILED", flush=True)
            # After a failure too: the file of an earlier run would be taken for this one's.
            records = [{**asdict(outcome), "passed": outcome.passed} for outcome in outcomes]
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(json.dumps(records, indent=1) + "\n")
    return 1 if failures or not all(outcome.passed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
