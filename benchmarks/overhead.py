"""Does litedelegates' Interpreter cost no more per call than the official one?"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from harness import (
    CACHED_MODELS,
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
)
from litedelegates.measure import Interleaved, interleave
from tables import format_table, say_conditions, say_interval, say_number

DESCRIPTION = """\
Time litedelegates.Interpreter against ai_edge_litert.interpreter.Interpreter: same model, same XNNPACK, same threads,
the same Python loop around both, alternating in one process (ABBA), so that what the machine does meanwhile meets both.

  invoke           interpreter.invoke() alone
  set+invoke+get   set_tensor of every input, invoke, get_tensor of every output: what an application does

The ratio is ours / official with its 95 % interval: below 1 litedelegates is quicker. Wanted: not above 1.

examples:
  python benchmarks/overhead.py --quick
  python benchmarks/overhead.py --models face_detection_front.tflite --seconds 10
"""
EPILOG = "exit code: 0 when litedelegates is shown slower nowhere, 3 when it is somewhere, 2 when a model failed"

SAMPLE_SECONDS = 20e-6  # calls shorter than this are timed several at a time: reading the clock takes some 50 ns


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        model: File name of the model.
        what: "invoke" or "set+invoke+get".
        calls_per_sample: Calls that one sample of ``found`` times together.
        outputs_equal: Whether both gave the same outputs, bit by bit.
        found: The samples.
    """

    model: str
    what: str
    calls_per_sample: int
    outputs_equal: bool
    found: Interleaved


class Subject:
    """An interpreter under test with its inputs; both classes go through the same lines."""

    def __init__(self, interpreter: Any, seed: int) -> None:
        self.interpreter = interpreter
        interpreter.allocate_tensors()
        random = np.random.default_rng(seed)
        self.feeds = [(entry["index"], random_input(random, entry)) for entry in interpreter.get_input_details()]
        self.outputs = [entry["index"] for entry in interpreter.get_output_details()]
        self.set_invoke_get(1)

    def invoke(self, calls: int) -> None:
        interpreter = self.interpreter
        for _ in range(calls):
            interpreter.invoke()

    def set_invoke_get(self, calls: int) -> None:
        interpreter, feeds, outputs = self.interpreter, self.feeds, self.outputs
        for _ in range(calls):
            for index, value in feeds:
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            for index in outputs:
                interpreter.get_tensor(index)

    def read_outputs(self) -> list[Any]:
        return [self.interpreter.get_tensor(index) for index in self.outputs]


def time_calls(step: Callable[[int], None], samples: int, calls: int) -> Any:
    """Return ``samples`` times in nanoseconds, each of ``calls`` calls."""
    times_ns = np.empty(samples, np.int64)
    for index in range(samples):
        begin = time.perf_counter_ns()
        step(calls)
        times_ns[index] = time.perf_counter_ns() - begin
    return times_ns


def time_one_call(step: Callable[[int], None]) -> float:
    """Return about how many nanoseconds a call takes."""
    first_ns = float(np.median(time_calls(step, 3, 1)))
    # 200 calls for a better number take minutes on a small board, and a long call needs none.
    return first_ns if first_ns > 10 * SAMPLE_SECONDS * 1e9 else float(np.median(time_calls(step, 20, 10))) / 10


def compare(model: Path, options: argparse.Namespace, status: Status) -> list[Case]:
    """Return both comparisons for ``model``."""
    from ai_edge_litert.interpreter import Interpreter as Official
    from litedelegates import Interpreter

    ours = Subject(Interpreter(model, delegate="xnnpack", num_threads=options.threads), options.seed)
    official = Subject(Official(str(model), num_threads=options.threads), options.seed)
    equal = all(map(np.array_equal, ours.read_outputs(), official.read_outputs()))
    cases = []
    for what in ("invoke", "set_invoke_get"):
        steps = {"ours": getattr(ours, what), "official": getattr(official, what)}
        slower_ns = max(map(time_one_call, steps.values()))
        calls = max(1, round(SAMPLE_SECONDS * 1e9 / slower_ns))
        call = what.replace("_", "+")
        found = interleave(
            {name: functools.partial(time_calls, step, calls=calls) for name, step in steps.items()},
            make_plan(options, 2),
            progress=status.rounds(f"{model.name} {call}"),
        )
        cases.append(Case(model.name, call, calls, equal, found))
    return cases


def make_table(cases: list[Case]) -> str:
    rows = []
    for case in cases:
        ratio = case.found.ratio("ours", "official")
        per_call_us = {name: case.found[name].median_ns / case.calls_per_sample / 1000 for name in ("ours", "official")}
        rows.append(
            [
                case.model,
                case.what,
                say_number(per_call_us["ours"]),
                say_number(per_call_us["official"]),
                say_number(ratio.ratio),
                say_interval(ratio.low, ratio.high),
                {"faster": "quicker", "slower": "SLOWER"}.get(ratio.verdict, ratio.verdict),
                "yes" if case.outputs_equal else "NO",
            ]
        )
    header = ["model", "call", "ours us", "official us", "ratio", "95 % interval", "litedelegates is", "same outputs"]
    return format_table(header, rows, left=(0, 1, 6, 7))


def find_models(options: argparse.Namespace) -> list[Path]:
    """Return the one-op model, the digits model, and the real ones: those given, else a cached face detection."""
    real = options.models or sorted(CACHED_MODELS.glob("**/*face_detection*.tflite"))[:1]
    one_op = Path(str(resources.files("litedelegates") / "data" / "add.tflite"))
    return [one_op, MODELS / "digits.tflite", *real]


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=5, seconds_help="seconds for each interpreter in each comparison")
    parser.epilog = EPILOG
    parser.add_argument(
        "--models",
        "--model",
        type=existing_file,
        nargs="+",
        default=[],
        metavar="PATH",
        help="further models, after the two small",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads on both sides")
    options = parser.parse_args()

    models, status = find_models(options), Status()
    path, cases, failures = result_path(options, "overhead"), [], {}
    identity = identify("overhead", options, [model for model in models if model.is_file()])
    for model in models:
        status.stage(f"overhead: {model.name}")
        try:
            cases += compare(model, options, status)
        except Exception as error:  # one model that cannot be run must not take the others' results along
            failures[str(model)] = f"{type(error).__name__}: {error}"
        save_json(path, {**identity, "cases": cases, "failures": failures})
    status.clear()
    print(f"Time per call, litedelegates against the official Interpreter, XNNPACK, {options.threads} thread(s)")
    print(f"{describe_machine(identity)}\n")
    print(make_table(cases))
    for name, failure in failures.items():
        print(f"failed: {name}: {failure}")
    print(f"{say_conditions(case.found for case in cases)}\nsaved: {path}")
    slower = any(case.found.ratio("ours", "official").verdict == "slower" for case in cases)
    return 2 if failures else NOT_REACHED if slower else 0


if __name__ == "__main__":
    sys.exit(main())
