"""Does litedelegates start no slower than the official Interpreter?"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
from dataclasses import dataclass
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
    result_path,
    save_json,
)
from litedelegates.measure import Interleaved, interleave
from tables import format_table, say_conditions, say_interval, say_number

DESCRIPTION = """\
Time the start of litedelegates against ai_edge_litert.interpreter: every sample is a fresh Python process, both
alternate (ABBA). The clock runs inside the process, from the first import on, so Python's own start is left out; the
files are in the page cache, as on any but the first start.

  import             import litedelegates                    | from ai_edge_litert.interpreter import Interpreter
  import class       from litedelegates import Interpreter   | the same
  first inference    import, load, allocate, set, invoke, get on one model, XNNPACK, 1 thread

The ratio is ours / official with its 95 % interval: below 1 litedelegates is quicker.

examples:
  python benchmarks/startup.py --quick
  python benchmarks/startup.py --model mobilenet.tflite --seconds 60
"""
EPILOG = "exit code: 0 when litedelegates is shown slower nowhere, 3 when it is somewhere, 2 when a process failed"

CLOCKED = """\
import sys, time
begin = time.perf_counter_ns()
{body}
print(time.perf_counter_ns() - begin)
"""
FIRST_INFERENCE = """\
import numpy
{imports}
interpreter = {construct}
interpreter.allocate_tensors()
for entry in interpreter.get_input_details():
    interpreter.set_tensor(entry["index"], numpy.zeros(entry["shape"], entry["dtype"]))
interpreter.invoke()
interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
"""
OFFICIAL_IMPORT = "from ai_edge_litert.interpreter import Interpreter"
OUR_IMPORT = "from litedelegates import Interpreter"
BODIES = {
    "import": {"ours": "import litedelegates", "official": OFFICIAL_IMPORT},
    "import class": {"ours": OUR_IMPORT, "official": OFFICIAL_IMPORT},
    "first inference": {
        "ours": FIRST_INFERENCE.format(
            imports=OUR_IMPORT, construct='Interpreter(sys.argv[1], delegate="xnnpack", num_threads=1)'
        ),
        "official": FIRST_INFERENCE.format(
            imports=OFFICIAL_IMPORT, construct="Interpreter(sys.argv[1], num_threads=1)"
        ),
    },
}


@dataclass(frozen=True)
class Case:
    """One comparison: what was timed, and the samples, one a process."""

    what: str
    found: Interleaved


def time_processes(body: str, model: Path, count: int) -> Any:
    """Return the nanoseconds that ``body`` takes in each of ``count`` fresh processes.

    Raises:
        RuntimeError: A process failed; holds the end of what it said.
    """
    # Installed packages have their bytecode cached; a source tree gets it in the warm-up run, unless this is set.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times_ns = []
    for _ in range(count):
        command = [sys.executable, "-c", CLOCKED.format(body=body), str(model)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"a fresh process ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        times_ns.append(int(done.stdout.split()[-1]))
    return np.array(times_ns, np.int64)


def compare(what: str, options: argparse.Namespace, status: Status) -> Case:
    """Return the comparison called ``what`` in ``BODIES``."""
    timers = {
        name: functools.partial(time_processes, body, options.model.resolve()) for name, body in BODIES[what].items()
    }
    plan = make_plan(options, 2, runs_per_block=1, discard_runs=0, warmup_seconds=0, min_rounds=8)
    found = interleave(timers, plan, progress=status.rounds(what))
    return Case(what, found)


def make_table(cases: list[Case]) -> str:
    rows = []
    for case in cases:
        ratio = case.found.ratio("ours", "official")
        rows.append(
            [
                case.what,
                say_number(case.found["ours"].median_ns / 1e6),
                say_number(case.found["official"].median_ns / 1e6),
                say_number(ratio.ratio),
                say_interval(ratio.low, ratio.high),
                {"faster": "quicker", "slower": "SLOWER"}.get(ratio.verdict, ratio.verdict),
                str(case.found.rounds),
            ]
        )
    header = ["what", "ours ms", "official ms", "ratio", "95 % interval", "litedelegates is", "processes each"]
    return format_table(header, rows, left=(0, 5))


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=15, seconds_help="seconds for each package in each comparison")
    parser.epilog = EPILOG
    parser.add_argument(
        "--model", type=existing_file, default=MODELS / "digits.tflite", help="model of the first inference"
    )
    options = parser.parse_args()

    status, path, cases, failures = Status(), result_path(options, "startup"), [], {}
    identity = identify("startup", options, [options.model])
    for what in BODIES:
        status.stage(f"startup: {what}")
        try:
            cases.append(compare(what, options, status))
        except Exception as error:
            failures[what] = f"{type(error).__name__}: {error}"
        save_json(path, {**identity, "cases": cases, "failures": failures})
    status.clear()
    print(f"Start in fresh processes, litedelegates against the official Interpreter, model {options.model.name}")
    print(f"{describe_machine(identity)}\n")
    print(make_table(cases))
    for what, failure in failures.items():
        print(f"failed: {what}: {failure}")
    print(f"{say_conditions(case.found for case in cases)}\nsaved: {path}")
    slower = any(case.found.ratio("ours", "official").verdict == "slower" for case in cases)
    return 2 if failures else NOT_REACHED if slower else 0


if __name__ == "__main__":
    sys.exit(main())
