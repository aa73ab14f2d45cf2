"""Does the measurement tell a difference where there is none, and does it find a small one?"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import NOT_REACHED, Status, describe_machine, identify, make_parser, result_path, save_json
from litedelegates import Interpreter
from litedelegates.graph.tflite.packing import pack
from litedelegates.measure import Plan, RatioInterval, Timer, interleave_loads
from tables import format_table, say_number

DESCRIPTION = """\
Compare a model of 33 equal layers (fully connected, 128 x 128, 0.9 ms on a desktop's core; with --quick much less)

  A/A  with itself: every "faster" or "slower" is false;
  A/B  with the same model of 34 layers, which takes 1/33 = 3 % longer: every other answer than "slower" is a miss.

A comparison loads both models four times, in both orders, and times them in shuffled blocks (ABBA), for longer where
the machine is busy: until the ratio is known within 0.7 %, or four times the usual rounds are over. Its verdict is that
of `RatioInterval`: the 95 % interval of the ratio has to be wholly beyond 1 %. All comparisons are made in a shuffled
order, among them pairs of runs of LiteRT's Python benchmark (a process each, one after the other, its defaults). It
gives no verdict; a reader who takes its two averages at their word is taken to call them different when they are at
least 1.5 % apart, half of what is there in A/B.

examples:
  python benchmarks/method.py --quick
  python benchmarks/method.py
"""
EPILOG = "exit code: 0 when at most 2 % of the A/A verdicts are false and 95 % of the A/B ones right, else 3"
LAYERS, WIDTH, ROWS = 33, 128, 192
QUICK_ROWS = 8  # in emulation a run of 192 rows takes seconds
LOADS, ROUNDS, QUICK_ROUNDS = 4, (144, 576), (24, 24)  # at least and at most
PRECISION = 0.007  # a difference of 3 % then clears the 1 % that count as none, also where the estimate is 1 % off
MOST_FALSE, LEAST_FOUND = 0.02, 0.95
READERS_THRESHOLD = 0.015
OFFICIAL = "ai_edge_litert.tools.benchmark_litert_model"
Counts = dict[tuple[str, str], int]
WANTED: Counts = {("ours", "A/A"): 200, ("ours", "A/B"): 100, ("official", "A/A"): 40, ("official", "A/B"): 40}
QUICK: Counts = {("ours", "A/A"): 6, ("ours", "A/B"): 4, ("official", "A/A"): 4, ("official", "A/B"): 4}


@dataclass(frozen=True)
class Trial:
    """One comparison of a second model with a first.

    Attributes:
        method: "ours" or "official".
        kind: "A/A" or "A/B".
        ratio: Time of the second over that of the first; of the averages for "official".
        verdict: What is said of the second.
        interval: Bounds of the ratio; None for "official".
        median_ratio: That of the medians, for "official".
        seconds: How long it took.
        medians_ns: Medians of the blocks, first and second, for "ours".
        conditions: The kinds of what was wrong with the machine meanwhile, for "ours".
    """

    method: str
    kind: str
    ratio: float
    verdict: str
    interval: tuple[float | None, float | None] | None
    median_ratio: float | None
    seconds: float | None
    medians_ns: Any
    conditions: tuple[str, ...] = ()


def chain(length: int, rows: int = ROWS) -> bytes:
    """Return a model of ``length`` equal fully connected layers that share their weights, for so many rows."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = b"main", [], []

    def add(name: str, shape: list[int], buffer: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank, tensor.buffer = name, shape, True, buffer
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    weights, last = add("weights", [WIDTH, WIDTH], 1), add("input", [rows, WIDTH])
    graph.inputs = [last]
    for index in range(length):
        op = schema.OperatorT()
        op.inputs, op.outputs = [last, weights, -1], [add(f"layer_{index}", [rows, WIDTH])]
        op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        op.builtinOptions = schema.FullyConnectedOptionsT()
        graph.operators.append(op)
        last = op.outputs[0]
    graph.outputs = [last]
    code = schema.OperatorCodeT()
    code.version = 1
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    # Of this spread the values neither grow nor fade from layer to layer: both would change the time of a product.
    values = np.random.default_rng(0).standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
    return b"".join(pack(model, [memoryview(b""), memoryview(values.astype(np.float32).tobytes())]))


@contextlib.contextmanager
def load(model: Path) -> Iterator[Timer]:
    with Interpreter(model, "xnnpack", num_threads=1) as interpreter:
        given = interpreter.get_input_details()[0]
        interpreter.set_tensor(given["index"], np.full(given["shape"], 0.5, np.float32))
        yield lambda runs: interpreter.time_runs(min_runs=runs, max_runs=runs)


def try_ours(kind: str, first: Path, second: Path, seed: int, rounds: tuple[int, int]) -> Trial:
    plan = Plan(
        max_seconds=3600,
        min_rounds=rounds[0],
        max_rounds=rounds[1],
        ratio_precision=PRECISION,
        runs_per_block=3,
        discard_runs=1,
        warmup_seconds=0.02,
        seed=seed,
    )
    found = interleave_loads({"first": lambda: load(first), "second": lambda: load(second)}, plan, loads=LOADS)
    ratio: RatioInterval = found.ratio("second", "first")
    medians = [[int(np.median(block)) for block in timed.blocks_ns] for timed in found.timed]
    bounds = (ratio.low, ratio.high)
    wrong = tuple(sorted({condition.kind for condition in found.conditions}))
    return Trial("ours", kind, ratio.ratio, ratio.verdict, bounds, None, found.seconds, medians, wrong)


def try_official(kind: str, first: Path, second: Path) -> Trial:
    averages, medians = zip(*(run_official(model) for model in (first, second)), strict=True)
    ratio = averages[1] / averages[0]
    far = abs(np.log(ratio)) >= np.log1p(READERS_THRESHOLD)
    verdict = ("slower" if ratio > 1 else "faster") if far else "no difference shown"
    return Trial("official", kind, ratio, verdict, None, medians[1] / medians[0], None, None)


def run_official(model: Path) -> tuple[float, float]:
    """Return the average and the median that LiteRT's benchmark writes, in milliseconds.

    Raises:
        RuntimeError: It failed; holds the end of what it said.
    """
    target = model.with_suffix(".json")
    command = [sys.executable, "-m", OFFICIAL, "--model", str(model), "--result_json", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{OFFICIAL} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    latency = json.loads(target.read_text())["latency"]
    return latency["avg_ms"], latency["median_ms"]


def why_no_official() -> str | None:
    """Return why LiteRT's benchmark does not run here, or None: on a Raspberry Pi 4 it dies of the GPU's library."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.tflite"
        model.write_bytes(chain(1, QUICK_ROWS))
        try:
            run_official(model)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return " ".join(str(error).split())
    return None


def run_trials(counts: Counts, seed: int, rounds: tuple[int, int], rows: int, status: Status) -> list[Trial]:
    """Return all trials, made in a shuffled order so that each kind meets every state of the machine."""
    todo = [key for key, count in counts.items() for _ in range(count)]
    order = np.random.default_rng(seed).permutation(len(todo))
    trials = []
    with tempfile.TemporaryDirectory() as folder:
        a, b = Path(folder) / "a.tflite", Path(folder) / "b.tflite"
        a.write_bytes(chain(LAYERS, rows))
        b.write_bytes(chain(LAYERS + 1, rows))
        for number, index in enumerate(order):
            method, kind = todo[index]
            status.update(f"method: {number + 1} of {len(todo)}")
            pair = (a, a if kind == "A/A" else b)
            if method == "ours":
                trials.append(try_ours(kind, *pair, seed + LOADS * number, rounds))
            else:
                trials.append(try_official(kind, *pair))
    return trials


def make_table(trials: list[Trial], counts: Counts) -> str:
    rows = []
    for method, kind in counts:
        chosen = [trial for trial in trials if (trial.method, trial.kind) == (method, kind)]
        said = Counter(trial.verdict for trial in chosen)
        ratios = np.array([trial.ratio for trial in chosen])
        apart = np.abs(np.log(ratios)) - (np.log1p(1 / LAYERS) if kind == "A/B" else 0)
        rows.append(
            [
                {"ours": "this package", "official": "LiteRT's benchmark, twice"}[method],
                kind,
                str(len(chosen)),
                *(str(said[verdict]) for verdict in ("faster", "no difference shown", "slower")),
                " ".join(say_number(value, 4) for value in np.quantile(ratios, [0, 0.05, 0.5, 0.95, 1])),
                str(int(np.count_nonzero(np.abs(apart) > 0.03))),
            ]
        )
    header = ["method", "", "n", "faster", "no difference", "slower", "ratio: min p5 median p95 max", "off by > 3 %"]
    return format_table(header, rows, left=(0, 1))


def main() -> int:
    parser = make_parser(DESCRIPTION)
    parser.epilog = EPILOG
    options = parser.parse_args()
    status, path = Status(), result_path(options, "method")
    counts = QUICK if options.quick else WANTED
    identity = identify("method", options)
    status.stage("method: looking for LiteRT's benchmark")
    no_official = why_no_official()
    if no_official:
        counts = {key: count for key, count in counts.items() if key[0] == "ours"}
    status.stage("method: A/A and A/B, ours and the official way, in a shuffled order")
    rounds, rows = (QUICK_ROUNDS, QUICK_ROWS) if options.quick else (ROUNDS, ROWS)
    trials = run_trials(counts, options.seed, rounds, rows, status)
    status.clear()
    shares = {
        kind: np.mean([trial.verdict == verdict for trial in trials if (trial.method, trial.kind) == ("ours", kind)])
        for kind, verdict in (("A/A", "no difference shown"), ("A/B", "slower"))
    }
    false, found = 1 - shares["A/A"], shares["A/B"]
    reached = bool(false <= MOST_FALSE + 1e-9 and found >= LEAST_FOUND)
    save_json(
        path,
        {
            **identity,
            "trials": trials,
            "false": float(false),
            "found": float(found),
            "reached": reached,
            "no_official": no_official,
        },
    )
    seconds = np.median([trial.seconds for trial in trials if trial.seconds is not None])
    print(f"A model with itself, and with one of a layer more ({LAYERS} and {LAYERS + 1}: 3 %), 1 thread")
    print(f"{describe_machine(identity)}\n")
    print(make_table(trials, counts))
    if no_official:
        print(f"without LiteRT's benchmark, which fails here: {no_official[-200:]}")
    print(f"\nfalse in A/A: {100 * false:.1f} %, at most {100 * MOST_FALSE:g} % wanted")
    print(f"found in A/B: {100 * found:.1f} %, at least {100 * LEAST_FOUND:g} % wanted")
    told = Counter(kind for trial in trials for kind in trial.conditions)
    for kind, count in told.most_common():
        print(f"flagged: {kind}, in {count} of {counts['ours', 'A/A'] + counts['ours', 'A/B']} comparisons")
    print(f"a comparison took {seconds:.1f} s; saved: {path}")
    return 0 if reached else NOT_REACHED


if __name__ == "__main__":
    sys.exit(main())
