"""Is a reported GPU time the time until the result is there?"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import (
    MODELS,
    NOT_REACHED,
    Status,
    describe_machine,
    existing_file,
    identify,
    make_parser,
    make_plan,
    random_input,
    result_path,
    save_json,
    skip,
)
from litedelegates.measure import Interleaved, Interval, interleave, median_interval
from tables import format_table, say_conditions, say_interval, say_number

DESCRIPTION = """\
On a GPU a run returns when the work is queued; a time counts only when it waited for the result. Four ways to time the
same model on the same GPU, interleaved in one process:

  reported            litedelegates' time_runs: upload + run + read-back of each run, timed by the native loop
  wall clock          set_tensor + invoke + get_tensor around the same interpreter, timed in Python
  official, no wait   ai_edge_litert's CompiledModel, timing run_by_index alone, as LiteRT's own Python benchmark does
  official, read      the same, timing run_by_index and the reading of the outputs

Each is compared with the wall clock. "reported" is also compared with the wall clock around the very same runs and a
last reading of the outputs, which no drift of the machine can blur. Wanted there: the whole interval from 0.98 to 1.02;
and the interleaved one not outside. "official, no wait" shows the fault; its queue is emptied after each block, outside
the time, so that it does not weigh on the others.

A GPU is a Vulkan device that the runtime accepts. Without one, a software device stands in (times mean nothing, the
ratios do): SwiftShader, with VK_ICD_FILENAMES=.../vk_swiftshader_icd.json.

examples:
  python benchmarks/gpu_wait.py --quick
  python benchmarks/gpu_wait.py --model mobilenet.tflite --seconds 20
"""
EPILOG = "exit code: 3 when the reported times are not those of the wall clock, 77 without a GPU, else 0"
LOWEST, HIGHEST = 0.98, 1.02
YES, NO, UNRESOLVED = "yes", "NO", "too few rounds to say"
BLOCK_SECONDS = 0.05
BASE = "wall clock"


def time_steps(step: Callable[[], None], runs: int, finish: Callable[[], Any] | None = None) -> Any:
    """Return the nanoseconds of each of ``runs`` steps; ``finish`` follows them, untimed."""
    times_ns = np.empty(runs, np.int64)
    for index in range(runs):
        begin = time.perf_counter_ns()
        step()
        times_ns[index] = time.perf_counter_ns() - begin
    if finish is not None:
        finish()
    return times_ns


class OwnTimers:
    """The timers "reported" and "wall clock" over one interpreter of ours.

    Attributes:
        shares: For each block of "reported": its samples together, over the wall clock around the very same runs and a
            last reading of the outputs, which would have to wait for what the samples did not.
    """

    def __init__(self, interpreter: Any, inputs: list[Any]) -> None:
        self._interpreter = interpreter
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()
        self._feeds = [(entry["index"], value) for entry, value in zip(details, inputs, strict=True)]
        self._outputs = [entry["index"] for entry in interpreter.get_output_details()]
        self.shares: list[float] = []

    def time_reported(self, runs: int) -> Any:
        begin = time.perf_counter_ns()
        times_ns = self._interpreter.time_runs(min_runs=runs, max_runs=runs).sum(axis=1)
        self._read()
        self.shares.append(float(times_ns.sum()) / (time.perf_counter_ns() - begin))
        return times_ns

    def time_wall_clock(self, runs: int) -> Any:
        return time_steps(self._set_invoke_get, runs)

    def _set_invoke_get(self) -> None:
        for index, value in self._feeds:
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        self._read()

    def _read(self) -> None:
        for index in self._outputs:
            self._interpreter.get_tensor(index)


def make_official_timers(model: Path, inputs: list[Any]) -> dict[str, Callable[[int], Any]]:
    """Return "official, no wait" and "official, read" over one CompiledModel."""
    from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator

    compiled = CompiledModel.from_file(str(model), hardware_accel=HardwareAccelerator.GPU | HardwareAccelerator.CPU)
    input_buffers, output_buffers = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
    for buffer, value in zip(input_buffers, inputs, strict=True):
        buffer.write(value)
    signature = compiled.get_signature_by_index(0)
    details = compiled.get_output_tensor_details(next(iter(compiled.get_signature_list())))
    shapes = [(int(np.prod(details[name]["shape"])), np.dtype(details[name]["dtype"])) for name in signature["outputs"]]

    def run() -> None:
        compiled.run_by_index(0, input_buffers, output_buffers)

    def read() -> None:
        for buffer, (elements, dtype) in zip(output_buffers, shapes, strict=True):
            buffer.read(elements, dtype.type)

    def run_and_read() -> None:
        run()
        read()

    return {
        "official, no wait": lambda runs: time_steps(run, runs, finish=read),
        "official, read": lambda runs: time_steps(run_and_read, runs),
    }


def make_table(found: Interleaved) -> str:
    rows = []
    for timed in found.timed:
        if timed.failure is not None:
            rows.append([timed.name, "-", "-", "-", timed.failure])
            continue
        ratio = found.ratio(timed.name, BASE)
        interval = "" if timed.name == BASE else say_interval(ratio.low, ratio.high)
        note = "does not wait" if ratio.high is not None and ratio.high < 0.9 else ""
        rows.append([timed.name, say_number(timed.median_ns / 1e6), say_number(ratio.ratio), interval, note])
    return format_table(["way of timing", "median ms", "/ wall clock", "95 % interval", ""], rows, left=(0, 4))


def judge(found: Interleaved, share: Interval | None) -> str:
    """Return whether the reported times are those of the wall clock: around the same runs, and interleaved."""
    if found["reported"].failure or found[BASE].failure:
        return NO
    ratio = found.ratio("reported", BASE)
    if share is None or ratio.low is None or ratio.high is None:
        return UNRESOLVED
    if share.low < LOWEST or share.high > HIGHEST or ratio.high < LOWEST or ratio.low > HIGHEST:
        return NO
    return YES


def why_no_gpu() -> str | None:
    """Return why there is no GPU here, or None."""
    from litedelegates.devices import available

    entry = next((entry for entry in available() if entry.name == "gpu"), None)
    if entry is None:
        return "this version of litedelegates knows no GPU"
    return None if entry.is_available else entry.reason


def measure(options: argparse.Namespace, status: Status) -> tuple[Interleaved, list[float]]:
    """Return the four timings and `OwnTimers.shares`; an official one that fails is recorded and ends no other."""
    from litedelegates import Interpreter

    interpreter = Interpreter(options.model, delegate="gpu")
    random = np.random.default_rng(options.seed)
    inputs = [random_input(random, entry) for entry in interpreter.get_input_details()]
    interpreter.run(*inputs)
    own = OwnTimers(interpreter, inputs)
    timers: dict[str, Callable[[int], Any]] = {"reported": own.time_reported, BASE: own.time_wall_clock}
    try:
        timers.update(make_official_timers(options.model, inputs))
    except Exception as error:
        failure = RuntimeError(f"the official CompiledModel failed to load: {error}")
        timers["official, no wait"] = timers["official, read"] = lambda runs: _raise(failure)
    # As many runs for each: sized by its own time, the one that does not wait would queue seconds of work.
    wall_ns = float(np.median(timers[BASE](10)))
    runs = max(2, round(BLOCK_SECONDS * 1e9 / wall_ns))
    plan = make_plan(options, len(timers), runs_per_block=runs, warmup_seconds=0.0, min_rounds=8)
    found = interleave(timers, plan, keep_going=True, progress=status.rounds("gpu_wait"))
    return found, own.shares


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=10, seconds_help="seconds for each of the four")
    parser.epilog = EPILOG
    parser.add_argument("--model", type=existing_file, default=MODELS / "digits.tflite", help="the model")
    options: argparse.Namespace = parser.parse_args()

    path = result_path(options, "gpu_wait")
    identity = identify("gpu_wait", options, [options.model])
    reason = why_no_gpu()
    if reason is not None:
        save_json(path, {**identity, "no_gpu": reason})
        return skip(f"needs a GPU: {reason}")
    status = Status()
    status.stage(f"gpu_wait: {options.model.name}")
    found, shares = measure(options, status)
    status.clear()
    share = median_interval(shares)
    verdict = judge(found, share)
    save_json(path, {**identity, "verdict": verdict, "found": found, "shares_of_the_same_runs": shares})
    print(f"Ways to time a run on the GPU, model {options.model.name}")
    print(f"{describe_machine(identity)}\n")
    print(make_table(found) + say_conditions([found]))
    bounds = say_interval(share.low, share.high) if share else say_interval(None, None)
    print(f"\nreported / wall clock around the very same runs: {say_number(float(np.median(shares)))} {bounds}")
    print(f"reported times are those of the wall clock, from {LOWEST} to {HIGHEST}: {verdict}\nsaved: {path}")
    return NOT_REACHED if verdict == NO else 0


def _raise(error: Exception) -> Any:
    raise error


if __name__ == "__main__":
    sys.exit(main())
