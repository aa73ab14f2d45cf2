"""Quantize a model in five precisions and hold each against its source, in processes of their own.

    python -m zoo.quantizing make MODEL FOLDER PRECISION...       leaves what was made in FOLDER
    python -m zoo.quantizing compare MODEL FOLDER PRECISION...    runs both in the engines that judge

A line of JSON after each precision: a process that dies tells how far it came.
"""

from __future__ import annotations

import sys
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from zoo.closeness import compare
from zoo.engines import KERNELS, open_engine, random_values
from zoo.sensitivity import moved_error
from zoo.trial import describe, emit

CALIBRATION_SAMPLES = 8
# What decides is taken over samples that were calibrated with: eight do not show the whole range, and what is cut off
# of others is the calibration's fault and not the precision's. That of others is noted.
SEEN = range(4)
UNSEEN = range(100, 104)
PRECISIONS = ("float16", "weight_only", "dynamic", "int8", "int16x8")
STATIC = ("int8", "int16x8")
_REFUSAL = 2000  # characters of a refusal, which names every op


def make(path: Path, folder: Path, precisions: list[str]) -> None:
    """Quantize, first as a user does; where that is refused, also with ops that may stay float32."""
    entries = open_engine(path, path.suffix, KERNELS[path.suffix][0]).inputs
    samples = [tuple(random_values(entries, seed)) for seed in range(CALIBRATION_SAMPLES)]
    for precision in precisions:
        calibration = samples if precision in STATIC else None
        told: dict[str, Any] = {"precision": precision}
        for allowed in (False, True):
            begin = time.perf_counter()
            content, warned, refusal = _quantize(path, precision, calibration, allowed)
            told |= {"seconds": round(time.perf_counter() - begin, 2), "warnings": warned, "allowed": allowed}
            if content is not None:
                (folder / f"{precision}{path.suffix}").write_bytes(content)
                told |= {"ratio": len(content) / path.stat().st_size}
                break
            told["refused_when_allowed" if allowed else "refused"] = refusal
        emit(**told)


def _quantize(path: Path, precision: str, calibration: Any, allowed: bool) -> tuple[bytes | None, list[str], str]:
    from litedelegates import LiteDelegatesError
    from litedelegates.quantize import quantize

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            content, refusal = quantize(path, precision, calibration, allow_float32_ops=allowed, num_threads=1), ""
        except LiteDelegatesError as error:
            content, refusal = None, describe(error, _REFUSAL)
        except Exception as error:  # whatever else comes out is a fault of its own
            content, refusal = None, f"UNTYPED {describe(error)}"
    ours = [entry for entry in caught if "litedelegates" in type(entry.message).__module__]
    return (
        content,
        [f"{entry.category.__name__}: {' '.join(str(entry.message).split())}"[:_REFUSAL] for entry in ours],
        refusal,
    )


def judge(path: Path, folder: Path, precisions: list[str]) -> None:
    """Run the source and what was made of it on each kind of kernels."""
    sources: dict[str, Any] = {}
    for kernels in KERNELS[path.suffix]:
        engine = open_engine(path, path.suffix, kernels)
        feeds = [random_values(engine.inputs, seed) for seed in (*SEEN, *UNSEEN)]
        sources[kernels] = [engine.run(feed) for feed in feeds]
    first = KERNELS[path.suffix][0]

    @cache
    def moved_by(is_float16: bool) -> float:
        return moved_error(path, is_float16, first, feeds[: len(SEEN)], sources[first][: len(SEEN)])

    for precision in precisions:
        moved = moved_by(precision == "float16")
        for kernels, wanted in sources.items():
            emit(precision=precision, kernels=kernels, doing=True)
            try:
                made = open_engine(folder / f"{precision}{path.suffix}", path.suffix, kernels)
                found = [made.run(feed) for feed in feeds]
            except Exception as error:
                emit(precision=precision, kernels=kernels, error=describe(error))
                continue
            close, further = (compare(found[part], wanted[part]) for part in (slice(len(SEEN)), slice(len(SEEN), None)))
            figures = vars(close) | {"unseen": further.error, "moved": moved}
            emit(precision=precision, kernels=kernels, explained=close.is_explained(precision, moved), **figures)


if __name__ == "__main__":
    stage, model, kept, *names = sys.argv[1:]
    (make if stage == "make" else judge)(Path(model), Path(kept), names)
