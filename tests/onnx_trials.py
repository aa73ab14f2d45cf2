"""Quantize ONNX models of ordinary kinds in every precision and compare their values with float32.

    python onnx_trials.py                          all kinds (from ``tests``)
    python onnx_trials.py --name lstm --name loop
    python onnx_trials.py --markdown               as a table for docs/reliability.md

Ends with 1 where values are off and nothing was said.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import small_onnx_kinds
from litedelegates.errors import LiteDelegatesError
from litedelegates.quantize import quantize

RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "float16": ("float16", {}),
    "dynamic": ("dynamic", {}),
    "weight_only": ("weight_only", {}),
    "int8": ("int8", {}),
    "int8 qoperator": ("int8", {"format": "qoperator"}),
    "int16x8": ("int16x8", {}),
}
# What rounding explains in models as small as these.
LIMITS = {"float16": 0.01, "dynamic": 0.1, "weight_only": 0.1, "int8": 0.15, "int8 qoperator": 0.15, "int16x8": 0.05}


@dataclass(frozen=True)
class Outcome:
    """What came of one model in one precision.

    Attributes:
        error: Largest relative error of an output; None where it was refused.
        said: The warnings, or the refusal.
        is_off: Whether the error is more than rounding explains and nothing was said.
    """

    error: float | None
    said: str
    is_off: bool

    def __str__(self) -> str:
        """Return it as a cell of a table."""
        if self.error is None:
            return "refused"
        told = " (said)" if "off" in self.said else ""
        return f"{self.error:.2%}{told}" if not self.is_off else f"**{self.error:.2%}**"


def session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def attempt(name: str, run: str, *, allow: bool = True) -> Outcome:
    """Quantize one model and compare it."""
    model, samples = small_onnx_kinds.make(name)
    precision, options = RUNS[run]
    given = samples if precision.startswith("int") else None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            made = quantize(model, precision, given, allow_float32_ops=allow, progress=False, **options)
        except LiteDelegatesError as error:
            return Outcome(None, f"{type(error).__name__}: {error}", False)
    said = "; ".join(str(entry.message) for entry in told)
    wanted, found = session(model), session(made)
    worst = 0.0
    for sample in samples:
        for x, y in zip(wanted.run(None, sample), found.run(None, sample), strict=True):
            norm = float(np.linalg.norm(x))
            worst = max(worst, float(np.linalg.norm(y - x)) / norm if norm else float(np.abs(y).max()))
    return Outcome(worst, said, worst > LIMITS[run] and "off" not in said)


def main() -> int:
    """Try what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--name", action="append", choices=small_onnx_kinds.KINDS, help="a kind; may be repeated")
    parser.add_argument("--markdown", action="store_true", help="print a table")
    options = parser.parse_args()
    rows = {name: {run: attempt(name, run) for run in RUNS} for name in options.name or small_onnx_kinds.KINDS}
    if options.markdown:
        print("| Model | " + " | ".join(RUNS) + " |\n| --- |" + " ---: |" * len(RUNS))
        for name, row in rows.items():
            print(f"| {name.replace('_', ' ')} | " + " | ".join(map(str, row.values())) + " |")
    else:
        for name, row in rows.items():
            for run, outcome in row.items():
                print(f"{name:28} {run:16} {outcome!s:20} {outcome.said[:300]}", flush=True)
    return int(any(outcome.is_off for row in rows.values() for outcome in row.values()))


if __name__ == "__main__":
    raise SystemExit(main())
