"""Run every op of `op_trials_*.py` alone on a delegate and compare it with the built-in kernels.

    python tests/compare_ops.py gpu                    every trial, float32 where the delegate has a choice
    python tests/compare_ops.py openvino --only TRANSPOSE_CONV
    python tests/compare_ops.py gpu --unguarded --json results/ops.json

``--unguarded`` lets the GPU take the ops that the package keeps off it, to find them again in another version.

Prints what is off, what ended the worker process and what was refused, then a count. Ends with 1 where an op that the
delegate took is off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from op_trials import Trial
from op_trials_integers import quantized, weights
from op_trials_layers import activations, convolutions, dense, pools, resizing
from op_trials_math import binary, casts, comparisons, others, reductions, selecting, unary
from op_trials_pairs import pairs
from op_trials_shapes import gathering, padding, rearranging, slicing

SECONDS_EACH = 60.0
TOLERANCE = 2e-3
TRIALS = (
    *(unary, binary, activations, comparisons, reductions, convolutions, dense, pools, resizing),
    *(rearranging, padding, slicing, gathering, selecting, casts, weights, quantized, others, pairs),
)


@dataclass(frozen=True)
class Result:
    """What became of a trial.

    Attributes:
        outcome: "right", "off", "not taken" (the op stayed on the built-in kernels), "refused" (an error when it was
            loaded or run), "crashed", or "not built": the built-in kernels do not take it.
        error: Norm of the difference relative to the norm of the right output, the largest of all outputs.
        said: The error's first line.
    """

    name: str
    op: str
    outcome: str
    error: float = 0.0
    said: str = ""


def try_one(trial: Trial, delegate: str) -> Result:
    """Run a trial in this process."""
    from litedelegates import Interpreter, LiteDelegatesError

    def result(outcome: str, error: float = 0.0, said: object = "") -> Result:
        return Result(trial.name, trial.op, outcome, error, " ".join(str(said).split())[:300])

    options: dict[str, Any] = {} if delegate == "xnnpack" else {"precision_loss_allowed": False}
    try:
        model = trial.build()
        with Interpreter(trial.reference.build() if trial.reference else model, None) as plain:
            wanted = [as_tuple(plain.run(*trial.inputs(seed))) for seed in (0, 1)]
    except Exception as error:
        return result("not built", said=error)
    try:
        with Interpreter(model, delegate, **options) as interpreter:
            found = [as_tuple(interpreter.run(*trial.inputs(seed))) for seed in (0, 1)]
            is_taken = any(record.ran == delegate for record in interpreter.placement)
    except LiteDelegatesError as error:
        return result("refused", said=error)
    errors = [off(w, f) for pair in zip(wanted, found, strict=True) for w, f in zip(*pair, strict=True)]
    worst = max(errors)
    if worst > TOLERANCE:
        return result("off", worst)
    return result("right" if is_taken else "not taken", worst)


def off(wanted: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    """Return the difference in norm, relative; of 8-bit integers only what is beyond one step."""
    if wanted.shape != found.shape:
        return float("inf")
    # What is infinite or not a number on the built-in kernels, as 1 / 0, is anything elsewhere.
    finite = np.isfinite(wanted)
    wanted, found = wanted[finite], found[finite]
    wide, other = wanted.astype(np.float64), found.astype(np.float64)
    difference = np.abs(wide - other)
    if wanted.dtype.kind in "iu" and wanted.dtype.itemsize == 1:
        difference = np.maximum(difference - 1, 0)
    if not np.isfinite(other).all():
        return float("inf")
    return float(np.linalg.norm(difference) / max(float(np.linalg.norm(wide)), 1e-6))


def as_tuple(outputs: Any) -> tuple[np.ndarray[Any, Any], ...]:
    """Return outputs as a tuple, also where there is one."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def work(delegate: str, only: str) -> None:
    """Run the trials whose numbers come on standard input; what they write goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    every = chosen(only)
    for line in sys.stdin:
        print(json.dumps(asdict(try_one(every[int(line)], delegate))), file=answers, flush=True)


def chosen(only: str) -> list[Trial]:
    """Return the trials of an op, or all."""
    return [trial for make in TRIALS for trial in make() if not only or trial.op == only]


def compare(delegate: str, only: str = "", seconds: float = SECONDS_EACH) -> list[Result]:
    """Run trials in worker processes: one that crashes or hangs is the result of its trial, and another goes on."""
    every = chosen(only)
    command = [sys.executable, __file__, delegate, "--only", only, "--work"]
    results: list[Result] = []
    while len(results) < len(every):
        rest = range(len(results), len(every))
        # All that are left at once: the worker answers line by line, and what is missing tells where it ended.
        limit = min(seconds * len(rest), 1800.0)
        try:
            done = subprocess.run(
                command,
                input="\n".join(map(str, rest)),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit,
                check=False,
            )
            output, ending = done.stdout, f"{done.returncode}: {done.stderr.strip()[-200:]}"
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else ""
            ending = "did not finish"
        answers = [Result(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]
        results += answers
        if len(answers) < len(rest):
            trial = every[len(results)]
            results.append(Result(trial.name, trial.op, "crashed", said=ending))
    return results


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("delegate", choices=("gpu", "openvino", "xnnpack"))
    parser.add_argument("--only", default="", metavar="OPS", help="trials of these ops alone, as in 'PADV2 CONV_2D'")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result there")
    parser.add_argument("--unguarded", action="store_true", help="let the GPU take what it computes wrongly")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.unguarded:
        os.environ["LITEDELEGATES_UNGUARDED_GPU"] = "1"
    if options.work:
        work(options.delegate, options.only)
        return 0
    results = compare(options.delegate, options.only)
    for result in results:
        if result.outcome in ("off", "crashed", "refused"):
            print(f"{result.outcome:8} {result.name}  {f'{result.error:.0%}' if result.error else ''} {result.said}")
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    counts = Counter(result.outcome for result in results)
    print(f"{len(results)} trials: {', '.join(f'{count} {name}' for name, count in counts.most_common())}")
    return 1 if counts["off"] or counts["crashed"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
