"""Are models with an open batch loaded and run no slower than by the official Interpreter?"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from harness import (
    NOT_REACHED,
    REPOSITORY,
    Status,
    describe_machine,
    encode_json,
    identify,
    make_parser,
    make_plan,
    random_input,
    result_path,
    save_json,
    skip,
)
from litedelegates.measure import Interleaved, Plan, interleave, interleave_loads
from tables import format_table, say_interval, say_number

DESCRIPTION = """\
Time litedelegates.Interpreter against ai_edge_litert.interpreter.Interpreter on models whose batch is open: the same
XNNPACK, the same threads, alternating in one process. Such a model computes the shapes it reshapes to from that of its
input; folded, it is compiled with static shapes.

  load     make an Interpreter, resize its inputs to the batch, allocate
  first    the first run after that
  later    further runs: set_tensor of every input, invoke, get_tensor of every output; over four loads of each

The ratio is ours / official with its 95 % interval: below 1 litedelegates is quicker. "ops" are those that XNNPACK
took of those that are left to run: in the official Interpreter, which has the model as it is stored, and in ours. Each
model is measured in a process of its own. `make zoo` makes forty such models in .cache/zoo/keras.

Wanted: later runs at most 0.9 times in the geometric mean, and none shown slower.

examples:
  python benchmarks/open_batch.py --quick
  python benchmarks/open_batch.py --folder models/ --batches 1 4 --threads 4
"""
EPILOG = "exit code: 0 when that is so, 3 when it is not, 2 when a model failed, 77 when there is no such model"
WANTED_MEAN = 0.9
OPEN_SIZE = 32  # of an open height, width or length
LIMIT_SECONDS = 1800
WHAT = ("load", "first", "later")


class Subject:
    """One interpreter, ready for a batch."""

    def __init__(self, interpreter: Any, batch: int, seed: int) -> None:
        self.interpreter = interpreter
        for entry in interpreter.get_input_details():
            if -1 in entry["shape_signature"]:
                interpreter.resize_tensor_input(entry["index"], fill(entry, batch))
        interpreter.allocate_tensors()
        random = np.random.default_rng(seed)
        self.feeds = [(entry["index"], random_input(random, entry)) for entry in interpreter.get_input_details()]
        self.outputs = [entry["index"] for entry in interpreter.get_output_details()]

    def run(self) -> list[Any]:
        for index, value in self.feeds:
            self.interpreter.set_tensor(index, value)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs]

    def close(self) -> None:
        getattr(self.interpreter, "close", lambda: None)()


def fill(entry: dict[str, Any], batch: int) -> list[int]:
    """Return the shape of an input with its open sizes filled."""
    sizes = [batch, *([OPEN_SIZE] * (len(entry["shape"]) - 1))]
    pairs = zip(entry["shape"], entry["shape_signature"], sizes, strict=True)
    return [int(size) if signed != -1 else wanted for size, signed, wanted in pairs]


def is_open(model: Path) -> bool:
    """Whether the batch of the model can be chosen; False where it cannot be read."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        entries = Interpreter(str(model)).get_input_details()
    except (ValueError, RuntimeError):
        return False
    return any(len(entry["shape_signature"]) and entry["shape_signature"][0] == -1 for entry in entries)


def time_loads(make: Callable[[], Subject], what: str, count: int) -> Any:
    """Return the nanoseconds of ``count`` loads, or of the first run after each."""
    times_ns = np.empty(count, np.int64)
    for index in range(count):
        begin = time.perf_counter_ns()
        subject = make()
        if what == "first":
            begin = time.perf_counter_ns()
            subject.run()
        times_ns[index] = time.perf_counter_ns() - begin
        subject.close()
    return times_ns


@contextlib.contextmanager
def loaded(make: Callable[[], Subject]) -> Iterator[Callable[[int], Any]]:
    """Load once and give the timer of its runs."""
    subject = make()

    def time_runs(count: int) -> Any:
        times_ns = np.empty(count, np.int64)
        for index in range(count):
            begin = time.perf_counter_ns()
            subject.run()
            times_ns[index] = time.perf_counter_ns() - begin
        return times_ns

    yield time_runs
    subject.close()


def measure(model: Path, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured of one model at one batch."""
    from ai_edge_litert.interpreter import Interpreter as Official
    from litedelegates import Interpreter

    makers = {
        "ours": lambda: Subject(
            Interpreter(model, delegate="xnnpack", num_threads=options.threads), batch, options.seed
        ),
        "official": lambda: Subject(Official(str(model), num_threads=options.threads), batch, options.seed),
    }
    subjects = {name: make() for name, make in makers.items()}
    worst = max(map(distance, subjects["ours"].run(), subjects["official"].run()))
    placed = Counter(placement.ran for placement in subjects["ours"].interpreter.placement)
    record = {
        "model": model.name,
        "batch": batch,
        "route": list(subjects["ours"].interpreter.route),
        "relative_error": worst,
        "ops": {
            "ours": [placed["xnnpack"], placed.total() - placed["folded"]],
            "official": count_delegated(subjects["official"].interpreter),
        },
    }
    for subject in subjects.values():
        subject.close()
    few = make_plan(options, 2, runs_per_block=1, discard_runs=0, warmup_seconds=0, min_rounds=8, max_rounds=40)
    for what in ("load", "first"):
        timers = {name: functools.partial(time_loads, make, what) for name, make in makers.items()}
        record[what] = describe(interleave(timers, few))
    plan: Plan = make_plan(options, 2, block_seconds=0.02)
    record["later"] = describe(
        interleave_loads({name: functools.partial(loaded, make) for name, make in makers.items()}, plan)
    )
    return record


def distance(value: Any, wanted: Any) -> float:
    """Return the relative error in norm; infinite for another shape."""
    if value.shape != wanted.shape:
        return math.inf
    value, wanted = value.astype(np.float64), wanted.astype(np.float64)
    error, norm = float(np.linalg.norm(value - wanted)), float(np.linalg.norm(wanted))
    return error / norm if norm else error


def count_delegated(interpreter: Any) -> list[int] | None:
    """Return how many ops of the official Interpreter XNNPACK took, of how many; None where it does not tell.

    A delegate's node is in its list beside the ops it replaces: those between the node's outputs and its inputs.
    """
    try:
        nodes = interpreter._get_ops_details()
    except AttributeError:
        return None
    ops = [node for node in nodes if node["op_name"] != "DELEGATE"]
    makers = {int(output): number for number, op in enumerate(ops) for output in op["outputs"]}
    taken: set[int] = set()
    for node in nodes:
        if node["op_name"] != "DELEGATE":
            continue
        inputs = {int(index) for index in node["inputs"]}
        ahead = [int(index) for index in node["outputs"]]
        while ahead:
            index = ahead.pop()
            if index in inputs or index not in makers or makers[index] in taken:
                continue
            taken.add(makers[index])
            ahead += [int(source) for source in ops[makers[index]]["inputs"]]
    return [len(taken), len(ops)]


def describe(found: Interleaved) -> dict[str, Any]:
    ratio = found.ratio("ours", "official")
    return {
        "ours_ms": found["ours"].median_ns / 1e6,
        "official_ms": found["official"].median_ns / 1e6,
        "ratio": ratio.ratio,
        "interval": [ratio.low, ratio.high],
        "verdict": ratio.verdict,
        "found": found,
    }


def measure_apart(model: Path, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what `measure` returns, from a process that may die.

    Raises:
        RuntimeError: It died, or took too long; says how.
    """
    command = [sys.executable, __file__, "--one", str(model), "--batches", str(batch), "--seed", str(options.seed)]
    command += ["--seconds", str(options.seconds), "--threads", str(options.threads)]
    try:
        done = subprocess.run(
            [*command, *(["--quick"] if options.quick else [])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {LIMIT_SECONDS} s") from None
    if done.returncode < 0:
        raise RuntimeError(f"the process was killed by signal {-done.returncode}")
    if done.returncode > 0:
        raise RuntimeError(" ".join(done.stderr.strip().splitlines()[-1:]))
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def make_table(cases: list[dict[str, Any]]) -> str:
    header = ["model", "batch", "ops official", "ops ours"]
    for what in WHAT:
        header += [f"{what} ms", "official", "ratio"]
    rows = []
    for case in [*cases]:
        row = [case["model"], str(case["batch"]), say_ops(case["ops"]["official"]), say_ops(case["ops"]["ours"])]
        for what in WHAT:
            one = case[what]
            row += [say_number(one["ours_ms"]), say_number(one["official_ms"]), say_number(one["ratio"], 3, 2)]
        later = case["later"]
        word = {"faster": "quicker", "slower": "SLOWER"}.get(later["verdict"], later["verdict"])
        rows.append([*row, say_interval(*later["interval"], 3, 2), word])
    return format_table([*header, "95 % interval", "later litedelegates is"], rows, left=(0, len(header) + 1))


def say_ops(counts: list[int] | None) -> str:
    return "unknown" if counts is None else f"{counts[0]} of {counts[1]}"


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=2, seconds_help="seconds for each interpreter in each of the three")
    parser.epilog = EPILOG
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / ".cache" / "zoo" / "keras", help="every .tflite below it"
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 3], help="sizes of the batch")
    parser.add_argument("--threads", type=int, default=1, help="threads on both sides")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(encode_json(measure(options.one, options.batches[0], options)))
        return 0
    models = [model for model in sorted(options.folder.rglob("*.tflite")) if is_open(model)]
    if not models:
        return skip(f"no model with an open batch below {options.folder}; `make zoo` makes some")

    status = Status()
    path, cases, failures = result_path(options, "open_batch"), [], {}
    identity = identify("open_batch", options, models)
    for model in models:
        for batch in options.batches:
            status.stage(f"open_batch: {model.name}, batch {batch}")
            try:
                cases.append(measure_apart(model, batch, options))
            except RuntimeError as error:  # one model that cannot be run must not take the others' results along
                failures[f"{model.name}, batch {batch}"] = str(error)
            save_json(path, {**identity, "cases": cases, "failures": failures})
    status.clear()
    print(f"Models with an open batch, ours against the official Interpreter, XNNPACK, {options.threads} thread(s)")
    print(f"{describe_machine(identity)}\n")
    if cases:
        print(make_table(cases))
    for name, failure in failures.items():
        print(f"failed: {name}: {failure}")
    means = {what: geometric_mean([case[what]["ratio"] for case in cases]) for what in WHAT} if cases else {}
    print("\ngeometric means of the ratios: " + ", ".join(f"{what} {say_number(mean)}" for what, mean in means.items()))
    print(f"saved: {path}")
    slower = [case for case in cases if case["later"]["verdict"] == "slower"]
    missed = bool(slower) or not means or means["later"] > WANTED_MEAN
    return 2 if failures else NOT_REACHED if missed else 0


if __name__ == "__main__":
    sys.exit(main())
