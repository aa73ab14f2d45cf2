"""Load, try and time one precision of a model on one delegate."""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from harness import make_plan
from litedelegates import Gpu, Interpreter, OpenVino, Xnnpack
from litedelegates.devices import available
from litedelegates.measure import Interleaved, RatioInterval, interleave, read_machine
from litedelegates.placement import Placement
from precision_models import Inputs
from precision_table import Row

# By name: what it is, the delegate whose presence it needs, and what is handed to the Interpreter, or what makes that
# of the number of threads.
DELEGATES: dict[str, tuple[str, str, Any]] = {
    "none": ("the runtime's built-in kernels", "none", None),
    "xnnpack": ("XNNPACK, optimized CPU kernels", "xnnpack", "xnnpack"),
    "xnnpack-fp16": (
        "XNNPACK in half precision, for CPUs with native float16; only when named",
        "xnnpack",
        Xnnpack(precision_loss_allowed=True),
    ),
    "gpu": ("the GPU in the runtime's default precision, float32", "gpu", "gpu"),
    "gpu-fp16": ("the GPU in half precision", "gpu", Gpu(precision_loss_allowed=True)),
    "openvino": (
        "OpenVINO in its default precision, bfloat16 where the CPU has it",
        "openvino",
        lambda threads: OpenVino(num_threads=threads),
    ),
}
BY_DEFAULT = ("none", "xnnpack", "openvino", "gpu", "gpu-fp16")

LOADS, LOAD_SECONDS = 5, 2.0  # load this often, but stop after this time
MEMORY_SHARE = 0.5  # of the free memory, for all configurations at a time
MEMORY_PER_FILE = 4  # a loaded model takes about this much of its file: the file, unpacked and repacked weights


def find_delegates(asked: str | None) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Return the delegates to run, the devices they use by name, and why those that are not here are not.

    Raises:
        ValueError: A name is not in `DELEGATES`.
    """
    names = list(BY_DEFAULT) if asked is None else [name.strip() for name in asked.split(",") if name.strip()]
    if unknown := [name for name in names if name not in DELEGATES]:
        raise ValueError(f"unknown delegate {', '.join(unknown)}; known: {', '.join(DELEGATES)}")
    found = available()
    absent = {entry.name: entry.reason for entry in found if not entry.is_available}
    devices = {entry.name: entry.detail for entry in found if entry.is_available and entry.detail}
    reasons = {name: absent[DELEGATES[name][1]] for name in names if DELEGATES[name][1] in absent}
    return [name for name in names if name not in reasons], devices, reasons


def load(row: Row, content: bytes, options: argparse.Namespace) -> Interpreter:
    """Return the model on the delegate of ``row``."""
    delegate = DELEGATES[row.delegate][2]
    if callable(delegate):
        delegate = delegate(options.threads)
    return Interpreter(content, delegate=delegate, num_threads=options.threads)


def reference_outputs(content: bytes, trials: Sequence[Inputs]) -> list[list[Any]]:
    """Return the outputs of the built-in kernels for each trial."""
    with Interpreter(content, delegate=None) as interpreter:
        return [_run(interpreter, inputs) for inputs in trials]


def try_out(
    row: Row,
    content: bytes,
    trials: Sequence[Inputs],
    wanted: list[list[Any]],
    labels: Any,
    options: argparse.Namespace,
) -> Row:
    """Return ``row`` with load time, first run, errors, accuracy and placement."""
    loads_ns: list[int] = []
    first_runs_ns: list[int] = []
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        while True:
            interpreter = stack.enter_context(load(row, content, options))
            loads_ns.append(interpreter.load_ns)
            _set_inputs(interpreter, trials[0])
            first_runs_ns.append(int(interpreter.time_runs(max_runs=1).sum()))
            if len(loads_ns) >= (1 if options.quick else LOADS) or time.monotonic() - begin > LOAD_SECONDS:
                break
            interpreter.close()
        outputs = [_run(interpreter, inputs) for inputs in trials]
        tried = replace(
            row,
            load_ms=float(np.median(loads_ns)) / 1e6,
            first_run_ms=float(np.median(first_runs_ns)) / 1e6,
            placement=say_placement(interpreter.placement),
            route=interpreter.route.name,
            samples={"load_ns": loads_ns, "first_run_ns": first_runs_ns},
        )
        if interpreter.route.name != "compiled":
            tried = tried.with_note(f"{interpreter.route.name} route: {interpreter.route.reason}")
    return _compare(tried, outputs, wanted, labels)


def time_rows(
    rows: Sequence[Row],
    contents: Mapping[str, bytes],
    inputs: Inputs,
    options: argparse.Namespace,
    progress: Callable[[list[Row], Interleaved], None],
) -> None:
    """Time ``rows`` together; ``progress`` gets them after each round with what was found so far."""
    loaded: list[Row] = []
    timers: dict[str, Callable[[int], Any]] = {}
    with contextlib.ExitStack() as stack:
        for row in rows:
            try:
                interpreter = stack.enter_context(load(row, contents[row.precision], options))
                _set_inputs(interpreter, inputs)
            except Exception as error:  # loaded before, so most likely the memory of the device is full
                row_failed = row.with_note(f"not timed: {type(error).__name__}: {error}")
                progress([row_failed], Interleaved((), 0, 0.0, options.seed, True))
                continue
            loaded.append(row)
            timers[row.name] = functools.partial(_time, interpreter)
        if timers:
            interleave(
                timers,
                make_plan(options, len(timers)),
                keep_going=True,
                progress=lambda found: progress([_enter_times(row, found) for row in loaded], found),
            )


def speed_up(rows: Mapping[str, Row], row: Row, base_precision: str) -> RatioInterval | None:
    """Return the time of ``base_precision`` on the same delegate over that of ``row``; None where one was not timed."""
    base = rows.get(f"{row.delegate} {base_precision}")
    if base is None or base.timed is None or row.timed is None:
        return None
    if row.precision == base_precision:
        return None if not row.timed.blocks else RatioInterval(1.0, 1.0, 1.0, 1.0, len(row.timed.blocks))
    if not base.timed.blocks or not row.timed.blocks:
        return None
    return Interleaved((row.timed, base.timed), 0, 0.0, 0, True).ratio(row.name, base.name).inverted()


def say_placement(placements: Iterable[Placement]) -> str:
    """Return where the ops ran in a few words, such as "xnnpack 14/16, built-in 2"."""
    counts = collections.Counter(placement.ran.replace("builtin", "built-in") for placement in placements)
    if not counts:
        return "unknown"
    (first, most), *others = sorted(counts.items(), key=lambda entry: (entry[0] == "built-in", -entry[1]))
    return ", ".join([f"{first} {most}/{counts.total()}", *(f"{name} {count}" for name, count in others)])


def group_by_memory(rows: Sequence[Row], how: str) -> list[list[Row]]:
    """Return the rows that are timed together: all, or by delegate where all would not fit into memory."""
    if how == "auto":
        needed_mb = sum(row.size_kb or 0 for row in rows) / 1000 * MEMORY_PER_FILE
        free_mb = read_machine().memory_available_mb
        how = "all" if free_mb is None or needed_mb < free_mb * MEMORY_SHARE else "delegate"
    if how == "all":
        return [list(rows)]
    delegates = dict.fromkeys(row.delegate for row in rows)
    return [[row for row in rows if row.delegate == delegate] for delegate in delegates]


def _run(interpreter: Interpreter, inputs: Inputs) -> list[Any]:
    # Integer outputs as real values: their levels mean nothing to the reader.
    outputs = interpreter.run(*inputs, quantize=True)
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def _time(interpreter: Interpreter, runs: int) -> Any:
    """Return the latencies of ``runs`` runs in nanoseconds: upload, run and read-back together."""
    return interpreter.time_runs(min_runs=runs, max_runs=runs).sum(axis=1)


def _set_inputs(interpreter: Interpreter, inputs: Inputs) -> None:
    for info, value in zip(interpreter.inputs, inputs, strict=True):
        interpreter.set_tensor(info.index, value)


def _enter_times(row: Row, found: Interleaved) -> Row:
    timed = found[row.name]
    row = row.with_note(f"timing ended: {timed.failure}") if timed.failure else row
    if not timed.blocks:
        return replace(row, timed=timed)
    interval = timed.median_interval_ns()
    scaled = interval and replace(interval, low=interval.low / 1e6, high=interval.high / 1e6)
    return replace(row, timed=timed, median_ms=timed.median_ns / 1e6, median_interval_ms=scaled)


def _compare(row: Row, outputs: list[list[Any]], wanted: list[list[Any]], labels: Any) -> Row:
    """Return ``row`` with errors against ``wanted`` and, with labels, the share of right classes."""
    pairs = [pair for have, want in zip(outputs, wanted, strict=True) for pair in zip(have, want, strict=True)]
    if any(have.shape != want.shape for have, want in pairs):
        return row.with_note("outputs differ in shape from the reference: no error given")
    flat = [(np.asarray(have, np.float64).ravel(), np.asarray(want, np.float64).ravel()) for have, want in pairs]
    have, want = np.concatenate([pair[0] for pair in flat]), np.concatenate([pair[1] for pair in flat])
    if bad := int(np.count_nonzero(~np.isfinite(have))):
        row = row.with_note(f"{bad} of {have.size} output values are not finite")
    difference = have - want
    scale = float(np.sqrt(np.mean(want**2)))
    relative = float(np.sqrt(np.mean(difference**2))) / scale if scale > 0 else None
    row = replace(row, max_error=float(np.abs(difference).max(initial=0.0)), relative_error=relative)
    if labels is None:
        return row
    guesses = [int(np.argmax(run[0])) for run in outputs]
    return replace(row, accuracy=float(np.mean(np.array(guesses) == labels[: len(guesses)])))
