"""One model in a process of its own, which may die: python -m zoo.trial official|none|xnnpack|gpu MODEL FOLDER.

``official`` runs the official Interpreter on both its kinds of kernels and leaves what it gave in FOLDER; a delegate
runs ours on the same inputs and compares. Every step ends with a line of JSON on stdout, so that a process that dies
tells how far it came.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = (1, 3)
RUNS = 3
# What an open height, width or length becomes, and what it becomes where that is too small; the first size of an input
# is its batch.
OPEN_SIZES = (32, 2048)
# Two orders of summing up 10,000 float32 numbers differ by 1e-6 in norm, and fifty layers later by less than 1e-4; a
# wrong tensor, or that of another input, is off by 1e-2 or more in every model here (see `changes`).
TOLERANCE = 1e-4
# Where the official Interpreter's own two kinds of kernels differ by more (rounded integers, float16 weights, peaks of
# a map that tie), twice that is taken for equal, up to here.
MOST = 2e-2
# Of integers with a scale: the last step may be rounded the other way.
STEP = 1


def shape_of(entry: dict[str, Any], batch: int, open_size: int = OPEN_SIZES[0]) -> list[int]:
    """Return the shape of an input for ``batch``: its open sizes filled, the others as they are stored."""
    shape = [int(size) for size in entry["shape"]]
    signature = [int(size) for size in entry["shape_signature"]]
    if len(signature) != len(shape):
        return shape
    sizes = [batch, *([open_size] * (len(shape) - 1))]
    return [
        size if asked != -1 else sizes[place] for place, (size, asked) in enumerate(zip(shape, signature, strict=True))
    ]


def is_open(entry: dict[str, Any]) -> bool:
    """Whether the batch of an input can be chosen."""
    return len(entry["shape_signature"]) > 0 and int(entry["shape_signature"][0]) == -1


def values_of(entry: dict[str, Any], shape: list[int], seed: tuple[int, ...]) -> Any:
    """Return random values for an input; integers without a scale are small, as they may be words or places."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(entry["dtype"])
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    if dtype.kind == "b":
        return random.random(shape) < 0.5
    if dtype.kind in "iu":
        scaled = entry["quantization"][0] != 0
        limits = np.iinfo(dtype)
        low, high = (int(limits.min), int(limits.max) + 1) if scaled and dtype.itemsize < 4 else (0, 4)
        return random.integers(low, high, shape).astype(dtype)
    if dtype.kind == "c":
        return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(dtype)
    words = np.array([b"a word", b"and", b"another one"], dtype=object)
    return words[random.integers(0, 3, shape)].astype(np.bytes_)


def distance(value: Any, wanted: Any) -> float:
    """Return the relative error in norm; infinite for another shape or dtype, or another set of infinite values."""
    value, wanted = np.asarray(value), np.asarray(wanted)
    if value.shape != wanted.shape or value.dtype != wanted.dtype:
        return float("inf")
    if value.dtype.kind not in "fiubc" or value.size == 0:
        return 0.0 if np.array_equal(value, wanted) else float("inf")
    kind = np.complex128 if value.dtype.kind == "c" else np.float64
    value, wanted = value.astype(kind), wanted.astype(kind)
    finite = np.isfinite(wanted)
    if not np.array_equal(value[~finite], wanted[~finite], equal_nan=True) or not np.isfinite(value[finite]).all():
        return float("inf")
    error, norm = np.linalg.norm(value[finite] - wanted[finite]), np.linalg.norm(wanted[finite])
    return float(error / norm if norm else error)


def emit(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def official(path: str, folder: Path) -> None:
    """Run the official Interpreter and keep what it gave."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kinds = {
        "xnnpack": {},
        # All tensors kept: the plan of the memory has one op overwrite what another reads in a few models.
        "builtin": {
            "experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            "experimental_preserve_all_tensors": True,
        },
    }
    for kind, options in kinds.items():
        try:
            interpreter = Interpreter(path, **options)
            entries = interpreter.get_input_details()
            batches = BATCHES if any(map(is_open, entries)) else BATCHES[:1]
        except Exception as error:
            emit(kernels=kind, batch=1, error=describe(error))
            continue
        for batch in batches:
            try:
                given = _run_official(interpreter, batch, folder)
            except Exception as error:
                emit(kernels=kind, batch=batch, error=describe(error))
                continue
            for (run, position), value in given.items():
                np.save(folder / f"{kind}-{batch}-{run}-{position}.npy", value, allow_pickle=True)
            (folder / f"{kind}-{batch}").touch()  # a model may have no outputs
            outputs = len(given) // RUNS
            changes = max((distance(given[1, place], given[0, place]) for place in range(outputs)), default=0.0)
            emit(kernels=kind, batch=batch, outputs=outputs, changes=min(changes, 1e9))


def _run_official(interpreter: Any, batch: int, folder: Path) -> dict[tuple[int, int], Any]:
    entries = interpreter.get_input_details()
    sizes = (_open_size(folder),) if (folder / "size").is_file() else OPEN_SIZES
    for size in sizes:
        for entry in entries:
            if -1 in entry["shape_signature"]:
                interpreter.resize_tensor_input(entry["index"], shape_of(entry, batch, size))
        try:
            interpreter.allocate_tensors()
        except RuntimeError:
            if size == sizes[-1]:
                raise
        else:
            break
    (folder / "size").write_text(str(size))
    given = {}
    for run in range(RUNS):
        for place, entry in enumerate(entries):
            shape = shape_of(entry, batch, size)
            interpreter.set_tensor(entry["index"], values_of(entry, shape, (batch, run, place)))
        interpreter.invoke()
        for position, entry in enumerate(interpreter.get_output_details()):
            given[run, position] = interpreter.get_tensor(entry["index"])
    return given


def _open_size(folder: Path) -> int:
    return int((folder / "size").read_text())


def ours(delegate: str, path: str, folder: Path) -> None:
    """Run our Interpreter on a delegate, batch after batch and back to the first, and compare."""
    from litedelegates import Interpreter

    kernels = "builtin" if delegate == "none" else "xnnpack"
    begin = time.perf_counter()
    try:
        interpreter = Interpreter(path, delegate=None if delegate == "none" else delegate)
        entries = interpreter.get_input_details()
    except Exception as error:
        emit(refused=describe(error))
        return
    emit(load_ms=1000 * (time.perf_counter() - begin), route=list(interpreter.route))
    batches = [batch for batch in BATCHES if (folder / f"{kernels}-{batch}").is_file()]
    for batch in [*batches, *batches[:-1]]:
        shapes = [shape_of(entry, batch, _open_size(folder)) for entry in entries]
        times = []
        for run in range(RUNS):
            values = [
                values_of(entry, shape, (batch, run, place))
                for place, (entry, shape) in enumerate(zip(entries, shapes, strict=True))
            ]
            begin = time.perf_counter()
            try:
                given = interpreter.run(*values)
            except Exception as error:
                emit(batch=batch, run=run, error=describe(error))
                break
            times.append(1000 * (time.perf_counter() - begin))
            given = given if isinstance(given, tuple) else (given,)
            emit(batch=batch, run=run, ms=times[-1], **_compare(folder, kernels, batch, run, given))
        else:
            emit(batch=batch, placement=_counts(interpreter), route=list(interpreter.route))
    interpreter.close()
    emit(closed=True)


def _compare(folder: Path, kernels: str, batch: int, run: int, given: tuple[Any, ...]) -> dict[str, Any]:
    """Return the worst output: its distance from the reference, what was allowed, and both shapes."""
    other = "xnnpack" if kernels == "builtin" else "builtin"
    count = len(list(folder.glob(f"{kernels}-{batch}-{run}-*.npy")))
    worst: dict[str, Any] = {"equal": count == len(given), "distance": 0.0, "allowed": TOLERANCE}
    for position in range(min(count, len(given))):
        value, wanted = given[position], _reference(folder, kernels, batch, run, position)
        second = _reference(folder, other, batch, run, position)
        own = 0.0 if second is None else distance(second, wanted)
        allowed = min(MOST, max(TOLERANCE, 2 * own))
        found = min(1e9, distance(value, wanted))
        if found <= MOST and wanted.dtype.kind in "iu" and wanted.dtype.itemsize < 4:
            steps = np.abs(value.astype(int) - wanted.astype(int)).max(initial=0)
            allowed = MOST if steps <= STEP else allowed
        if found > allowed and second is not None and distance(value, second) <= TOLERANCE:
            worst["as_other_kernels"] = True
            found = distance(value, second)
        if found > worst["distance"]:
            worst |= {"distance": found, "allowed": allowed, "position": position}
        if found > allowed:
            worst |= {"equal": False, "shapes": [np.shape(value), np.shape(wanted)]}
    return worst


def _reference(folder: Path, kernels: str, batch: int, run: int, position: int) -> Any:
    path = folder / f"{kernels}-{batch}-{run}-{position}.npy"
    return np.load(path, allow_pickle=True) if path.is_file() else None


def _counts(interpreter: Any) -> dict[str, Any]:
    try:
        return dict(Counter(placement.ran for placement in interpreter.placement))
    except Exception as error:
        return {describe(error): 0}


def describe(error: Exception, limit: int = 400) -> str:
    """Return the error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:limit]


if __name__ == "__main__":
    stage, model, kept = sys.argv[1:]
    if stage == "official":
        official(model, Path(kept))
    else:
        ours(stage, model, Path(kept))
