"""How fast is each delegate on real models, and what does its precision cost?"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import (
    CACHED_MODELS,
    MODELS,
    Status,
    describe_machine,
    existing_file,
    identify,
    make_parser,
    make_plan,
    random_input,
    result_path,
    save_json,
)
from litedelegates import Gpu, Interpreter, LiteDelegatesError, OpenVino, Xnnpack
from litedelegates.devices import availability
from litedelegates.measure import Interleaved, interleave
from litedelegates.placement import summarize
from tables import format_table, say_conditions, say_interval, say_number

DESCRIPTION = """\
Time the same models on every delegate that works here, side by side in one process: each round times each delegate
once, in an order shuffled anew. A latency is upload + run + read-back, waited for.

  none            the runtime's built-in kernels
  xnnpack         XNNPACK, float32: what everything is compared with
  openvino        OpenVINO in its default precision, bfloat16 where the CPU has it
  openvino-f32    OpenVINO in float32
  gpu             the GPU in float32
  gpu-fp16        the GPU in half precision

The ratio is the delegate's time / XNNPACK's with its 95 % interval: below 1 the delegate is quicker. The error is the
largest difference from the built-in kernels' outputs, over the spread of those.

examples:
  python benchmarks/delegates.py --quick
  python benchmarks/delegates.py --models net.tflite --threads 4 --seconds 10
"""
EPILOG = "exit code: 0, or 2 when a model ran on fewer than two delegates; which delegate is quicker is no failure"
BASE = "xnnpack"
REAL = ("face_detection_short_range", "face_landmark", "iris_landmark")


@dataclass(frozen=True)
class Entry:
    """One model on one delegate.

    Attributes:
        delegate: Name of the configuration.
        ran: Where the ops ran, from the execution plan.
        device: The hardware, where the delegate tells.
        load_ms: Time until the first run could begin.
        error: Largest difference from the built-in kernels, over the spread of their outputs.
        failure: Why it was not timed; empty when it was.
    """

    delegate: str
    ran: str
    device: str
    load_ms: float | None
    error: float | None
    failure: str


@dataclass(frozen=True)
class Comparison:
    """A model on all delegates.

    Attributes:
        model: File name of the model.
        entries: One for each delegate.
        found: The samples of those that ran.
    """

    model: str
    entries: list[Entry]
    found: Interleaved


def make_delegates(threads: int) -> dict[str, Any]:
    return {
        "none": None,
        BASE: Xnnpack(num_threads=threads),
        "openvino": OpenVino(num_threads=threads),
        "openvino-f32": OpenVino(num_threads=threads, precision_loss_allowed=False),
        "gpu": Gpu(precision_loss_allowed=False),
        "gpu-fp16": Gpu(precision_loss_allowed=True),
    }


def time_runs(interpreter: Interpreter, runs: int) -> Any:
    """Return the latencies of ``runs`` runs in nanoseconds: upload, run and read-back together."""
    return interpreter.time_runs(min_runs=runs, max_runs=runs).sum(axis=1)


def compare(model: Path, options: argparse.Namespace, status: Status) -> Comparison:
    """Return times and errors of ``model`` on every delegate."""
    entries: list[Entry] = []
    wanted: Any = None
    with contextlib.ExitStack() as stack:
        timers = {}
        for name, delegate in make_delegates(options.threads).items():
            status.stage(f"delegates: {model.name} on {name}")
            found_here = availability(name.split("-")[0])
            if not found_here.is_available:
                entries.append(Entry(name, "", "", None, None, found_here.reason))
                continue
            try:
                interpreter = Interpreter(
                    model, delegate=delegate, num_threads=options.threads if delegate is None else None
                )
                stack.enter_context(interpreter)
                random = np.random.default_rng(options.seed)
                inputs = [random_input(random, entry) for entry in interpreter.get_input_details()]
                outputs = interpreter.run(*inputs)
            except LiteDelegatesError as error:
                entries.append(Entry(name, "", "", None, None, str(error).splitlines()[0]))
                continue
            flat = flatten(outputs)
            wanted = flat if wanted is None else wanted
            error = float(np.abs(flat - wanted).max() / (np.ptp(wanted) or 1))
            ran = summarize(interpreter.placement)
            entries.append(Entry(name, ran, interpreter.device, interpreter.load_ns / 1e6, error, ""))
            timers[name] = functools.partial(time_runs, interpreter)
        found = interleave(
            timers, make_plan(options, len(timers)), keep_going=True, progress=status.rounds(f"delegates: {model.name}")
        )
    return Comparison(model.name, entries, found)


def flatten(outputs: Any) -> Any:
    parts = outputs if isinstance(outputs, tuple) else (outputs,)
    return np.concatenate([np.ravel(part).astype(np.float64) for part in parts])


def make_rows(comparison: Comparison) -> list[list[str]]:
    return [make_row(comparison, entry) for entry in comparison.entries]


def make_row(comparison: Comparison, entry: Entry) -> list[str]:
    timed = {timed.name: timed for timed in comparison.found.timed}
    failure = entry.failure or timed[entry.delegate].failure
    if failure:
        return [comparison.model, entry.delegate, "-", "-", "", "-", "-", failure[:70]]
    cells = [comparison.model, entry.delegate, say_number(timed[entry.delegate].median_ns / 1e3)]
    if BASE in timed and not timed[BASE].failure:
        ratio = comparison.found.ratio(entry.delegate, BASE)
        cells += [say_number(ratio.ratio), "" if entry.delegate == BASE else say_interval(ratio.low, ratio.high)]
    else:
        cells += ["-", ""]
    return [*cells, say_number(entry.load_ms), say_number(entry.error, 2), entry.ran]


def say_devices(comparisons: list[Comparison]) -> Mapping[str, str]:
    """Return the hardware of each delegate that tells, so that a GPU in software is seen for what it is."""
    return {e.delegate: e.device for comparison in comparisons for e in comparison.entries if e.device}


def find_models(options: argparse.Namespace) -> list[Path]:
    """Return the models given, else three cached real ones, else the digits model that comes along."""
    cached = [path for name in REAL for path in sorted(CACHED_MODELS.glob(f"**/{name}.tflite"))[:1]]
    return options.models or cached or [MODELS / "digits.tflite"]


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=5, seconds_help="seconds for each delegate on each model")
    parser.epilog = EPILOG
    parser.add_argument(
        "--models", "--model", type=existing_file, nargs="+", default=[], metavar="PATH", help="models to time"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of every delegate that runs on the CPU")
    options = parser.parse_args()

    models, status = find_models(options), Status()
    path, comparisons, failures = result_path(options, "delegates"), [], {}
    identity = identify("delegates", options, models)
    for model in models:
        try:
            comparisons.append(compare(model, options, status))
        except Exception as error:  # one model that cannot be run must not take the others' results along
            failures[str(model)] = f"{type(error).__name__}: {error}"
        save_json(path, {**identity, "comparisons": comparisons, "failures": failures})
    status.clear()
    print(f"Latency by delegate, {options.threads} thread(s); a ratio below 1 is quicker than XNNPACK")
    print(f"{describe_machine(identity)}\n")
    header = ["model", "delegate", "median us", "/ xnnpack", "95 % interval", "load ms", "error", "ran on"]
    print(format_table(header, [row for one in comparisons for row in make_rows(one)], left=(0, 1, 7)))
    for name, device in say_devices(comparisons).items():
        print(f"{name} is {device}")
    for name, failure in failures.items():
        print(f"failed: {name}: {failure}")
    print(f"{say_conditions(one.found for one in comparisons)}\nsaved: {path}")
    return 2 if failures or any(len(one.found.timed) < 2 for one in comparisons) else 0


if __name__ == "__main__":
    sys.exit(main())
