"""How long do the table of all cuts and cutting take, and how much memory?"""

from __future__ import annotations

import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cut_peer import cut_with_onnx, cut_with_schema
from harness import (
    CACHED_MODELS,
    MODELS,
    NOT_REACHED,
    Status,
    describe_machine,
    existing_file,
    identify,
    make_parser,
    result_path,
    save_json,
)
from litedelegates.graph import Cut, check, cut, join, load
from litedelegates.graph.tflite.packing import pack
from litedelegates.measure import median_interval, ratio_interval
from tables import format_table, say_interval, say_number

DESCRIPTION = """\
Cut a model in two halves (near the middle, where least travels), each time in a fresh process, in turn with the way
without litedelegates: for a .tflite the schema's Python objects, read, divided and packed twice; for an .onnx
onnx.utils.Extractor (needs litedelegates[onnx]). Files are in the page cache. Then:
the same for chains of 100 to 10,000 ops, to see how time grows; and ten random cuts, whose parts have to give bit for
bit what the whole gives, and joined again as well.

The default model is ResNet152V2 with random weights (268 ops, 240 MB), which a script of this project makes in seconds;
that of --quick is the digits classifier.

examples:
  python benchmarks/cut.py --quick
  python benchmarks/cut.py --model net.tflite
"""
EPILOG = "exit code: 1 when parts are not equal to the whole, 3 when a wanted figure is not reached, else 0"
WANTED = {"table_ms": 50.0, "write_ms": 500.0, "memory_ratio": 1.3}  # for the default model
LENGTHS = (100, 1_000, 10_000)


@dataclass(frozen=True)
class Sample:
    """One fresh process: times in milliseconds, the most memory it had, and the sizes of what it wrote."""

    load_ms: float
    table_ms: float
    write_ms: float
    peak_bytes: int
    part_bytes: tuple[int, ...]

    @property
    def total_ms(self) -> float:
        return self.load_ms + self.table_ms + self.write_ms


@dataclass(frozen=True)
class Growth:
    """Times for a chain of ``ops`` ops: medians in milliseconds."""

    ops: int
    load_ms: float
    table_ms: float
    write_ms: float


def middle(model: Path) -> Cut:
    """Return the cut near the middle of a model where least travels."""
    cuts = load(model).cuts
    near = [place for place in cuts if not place.refusal and abs(place.position / len(cuts) - 0.5) < 0.1]
    return min(near or cuts, key=lambda place: place.nbytes or math.inf)


@dataclass(frozen=True)
class Task:
    """What a process does: cut a model at a position, where ``border`` travels, into a folder."""

    model: str
    position: int
    border: tuple[str, ...]
    folder: str

    @property
    def paths(self) -> list[Path]:
        return [Path(self.folder) / f"{half}{Path(self.model).suffix}" for half in (0, 1)]


def measure_ours(task: Task) -> Sample:
    begin = time.perf_counter()
    graph = load(task.model)
    loaded = time.perf_counter()
    _ = graph.cuts
    tabled = time.perf_counter()
    for part, path in zip(cut(graph, at=task.position), task.paths, strict=True):
        part.save(path)
    return _sample(begin, loaded, tabled, task.paths)


def measure_peer(task: Task) -> Sample:
    begin = time.perf_counter()
    if task.model.endswith(".onnx"):
        loaded = cut_with_onnx(Path(task.model), task.border, task.paths)
    else:
        loaded = cut_with_schema(Path(task.model), task.position, task.paths)
    return _sample(begin, loaded, loaded, task.paths)


def _sample(begin: float, loaded: float, tabled: float, paths: list[Path]) -> Sample:
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    sizes = tuple(path.stat().st_size for path in paths)
    return Sample((loaded - begin) * 1e3, (tabled - loaded) * 1e3, (end - tabled) * 1e3, peak, sizes)


WAYS: dict[str, Callable[[Task], Sample]] = {"ours": measure_ours, "peer": measure_peer}


def in_fresh_process(way: str, task: Task) -> Sample:
    """Return one sample.

    Raises:
        RuntimeError: The process failed; holds the end of what it said.
    """
    command = [sys.executable, __file__, "--child", way, json.dumps(vars(task))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"a process ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return Sample(**json.loads(done.stdout))


def compare(model: Path, rounds: int, status: Status) -> dict[str, list[Sample]]:
    """Return the samples of both ways, taken in turn (ABBA)."""
    place = middle(model)
    found: dict[str, list[Sample]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        task = Task(str(model), place.position, tuple(tensor.name for tensor in place.tensors), folder)
        for way in WAYS:  # fills the page cache
            in_fresh_process(way, task)
        for number in range(rounds):
            status.update(f"cut: round {number + 1} of {rounds}")
            for way in list(WAYS) if number % 2 == 0 else list(WAYS)[::-1]:
                found[way].append(in_fresh_process(way, task))
    return found


def chain(length: int) -> bytes:
    """Return a model of ``length`` ADDs, each of which also reads what the third one before it made."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = "main", [], []
    for index in range(length + 1):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = f"layer_{index}", [1, 8, 8, 4], True
        graph.tensors.append(tensor)
    for index in range(length):
        op = schema.OperatorT()
        op.inputs, op.outputs = [index, max(0, index - 3)], [index + 1]
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
        graph.operators.append(op)
    graph.inputs, graph.outputs = [0], [length]
    code = schema.OperatorCodeT()
    code.version = 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    return b"".join(pack(model, [memoryview(b"")]))


def measure_growth(repeats: int, status: Status) -> list[Growth]:
    """Return the times for chains of all ``LENGTHS``, measured in turn."""
    contents = {length: chain(length) for length in LENGTHS}
    times: dict[int, list[tuple[float, float, float]]] = {length: [] for length in LENGTHS}
    for number in range(repeats):
        status.update(f"growth: {number + 1} of {repeats}")
        for length, content in contents.items():
            begin = time.perf_counter()
            graph = load(content)
            loaded = time.perf_counter()
            _ = graph.cuts
            tabled = time.perf_counter()
            for part in cut(graph, at=length // 2):
                part.to_bytes()
            times[length].append((loaded - begin, tabled - loaded, time.perf_counter() - tabled))
    return [Growth(length, *(1e3 * np.median(times[length], axis=0)).tolist()) for length in LENGTHS]


def check_cuts(model: Path, count: int, seed: int, status: Status) -> dict[int, bool]:
    """Return for each of some random positions whether the parts, and these joined again, equal the whole."""
    graph = load(model)
    legal = [place.position for place in graph.cuts if not place.refusal]
    found = {}
    for position in sorted(random.Random(seed).sample(legal, min(count, len(legal)))):
        status.update(f"check: cut at {position}")
        parts = cut(graph, at=position)
        found[position] = check(parts, graph, runs=1).equal and check([join(parts)], graph, runs=1).equal
    return found


def make_table(found: dict[str, list[Sample]], model: Path, wanted: dict[str, float]) -> tuple[str, bool]:
    """Return the table, and whether everything wanted was reached."""
    rows, reached = [], True
    peer = "onnx.utils" if model.suffix == ".onnx" else "schema objects"
    size = model.stat().st_size
    figures: dict[str, tuple[str, Callable[[Sample], float]]] = {
        "load_ms": ("read, ms", lambda sample: sample.load_ms),
        "table_ms": ("table of all cuts, ms", lambda sample: sample.table_ms),
        "write_ms": ("cut and write both halves, ms", lambda sample: sample.write_ms),
        "total_ms": ("all of that, ms", lambda sample: sample.total_ms),
        "memory_ratio": ("peak memory / model", lambda sample: sample.peak_bytes / size),
    }
    for key, (name, figure) in figures.items():
        ours, theirs = (np.array([figure(sample) for sample in found[way]]) for way in ("ours", "peer"))
        interval = median_interval(ours)
        bounds = (interval.low, interval.high) if interval else (None, None)
        ratio = ratio_interval(ours, theirs) if key in ("total_ms", "memory_ratio") else None
        limit = wanted.get(key)
        reached &= limit is None or float(np.median(ours)) <= limit
        rows.append(
            [
                name,
                f"{say_number(float(np.median(ours)))} {say_interval(*bounds)}",
                "-" if key == "table_ms" else say_number(float(np.median(theirs))),
                "-" if ratio is None else f"{say_number(ratio.ratio)} {say_interval(ratio.low, ratio.high)}",
                "-" if limit is None else f"at most {limit:g}",
            ]
        )
    return format_table(["", "ours", peer, "ratio", "wanted"], rows), reached


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        way, task = sys.argv[2:]
        print(json.dumps(vars(WAYS[way](Task(**json.loads(task))))))
        return 0
    parser = make_parser(DESCRIPTION, seconds=20, seconds_help="seconds for the comparison, about")
    parser.epilog = EPILOG
    parser.add_argument("--model", type=existing_file, help="a .tflite or .onnx (default: ResNet152V2, random weights)")
    options = parser.parse_args()
    status, path = Status(), result_path(options, "cut")
    default = None if options.model or options.quick else make_default_model(status)
    model = default or options.model or MODELS / "digits.tflite"
    rounds = 3 if options.quick else max(8, int(options.seconds / 2))

    identity = identify("cut", options, [model])
    status.stage("cut: reading, cutting and writing in fresh processes")
    found = compare(model, rounds, status)
    status.stage("cut: growth with the number of ops")
    growth = measure_growth(3 if options.quick else 7, status)
    save_json(path, {**identity, "samples": found, "growth": growth})
    status.stage("cut: parts against the whole")
    equal = check_cuts(model, 2 if options.quick else 10, options.seed, status)
    save_json(path, {**identity, "samples": found, "growth": growth, "equal": equal})
    status.clear()

    table, reached = make_table(found, model, WANTED if default else {})
    size = f"{len(load(model).ops)} ops, {model.stat().st_size / 1e6:.1f} MB"
    print(f"Cutting {model.name}: {size}, {rounds} processes each")
    print(f"{describe_machine(identity)}\n")
    print(table)
    print()
    print(make_growth_table(growth))
    print(f"\nbit-equal to the whole, parts and joined: {sum(equal.values())} of {len(equal)} cuts, at {list(equal)}")
    print(f"saved: {path}")
    return 1 if not all(equal.values()) else 0 if reached else NOT_REACHED


def make_growth_table(growth: list[Growth]) -> str:
    rows = [
        [
            str(entry.ops),
            *(
                f"{say_number(value)} ({say_number(1e3 * value / entry.ops)})"
                for value in (entry.load_ms, entry.table_ms, entry.write_ms)
            ),
        ]
        for entry in growth
    ]
    header = ["ops of a chain", "read, ms (us/op)", "table, ms (us/op)", "cut and write, ms (us/op)"]
    return format_table(header, rows, left=())


def make_default_model(status: Status) -> Path:
    target = CACHED_MODELS / "resnet152v2.tflite"
    if not target.is_file():
        status.stage(f"making {target}")
        subprocess.run([sys.executable, str(MODELS / "make_resnet152v2.py"), "--out", str(target)], check=True)
    return target


if __name__ == "__main__":
    sys.exit(main())
