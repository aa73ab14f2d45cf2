"""What does each precision bring on each delegate: size, start, latency, error, accuracy?"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from dataclasses import replace
from typing import Any

from harness import (
    MODELS,
    WIDTH,
    Status,
    describe_machine,
    existing_file,
    identify,
    make_parser,
    result_path,
    save_json,
    save_text,
)
from litedelegates import Interpreter
from litedelegates.errors import LiteDelegatesError
from litedelegates.measure import Interleaved, read_machine
from precision_models import Data, Variant, load_data, make_base, make_variants, variant_folder
from precision_table import Row, format_csv, format_document, format_terminal
from precision_trials import (
    DELEGATES,
    find_delegates,
    group_by_memory,
    reference_outputs,
    speed_up,
    time_rows,
    try_out,
)

DESCRIPTION = """\
Quantize a model three ways (float16, dynamic, int8), run float32 and the three on every delegate of this machine, and
print one table: size, load time, first run, median latency with its 95 % interval, speed-up over float32 on the same
delegate, largest difference from float32 on the built-in kernels, accuracy where labels are at hand, and which kernels
the ops really ran on.

All precisions of all delegates are timed in turn, in blocks of back-to-back runs shuffled anew each round, so that a
machine that slows down meanwhile slows down all of them. A latency is upload, run and read-back, so it has waited.

Read it so: an interval of the speed-up that holds 1 means no difference shown. A precision that ran on built-in kernels
in part pays for it. float16 is a way to store weights; the arithmetic is float32 unless the delegate may do less, so a
GPU in half precision is a delegate of its own here.

delegates:
{delegates}

calibration, for int8 and for the errors (--calibration):
  FILE.npy   for a model of one input: one entry a sample, scaled as for training
  FILE.npz   an array for each input by name and, if wanted, "labels": then the first 64 samples calibrate, the others
             are classified
  none       random inputs: times are valid, errors are not those of real data

examples:
  python benchmarks/precisions.py                                   the digits classifier that comes along
  python benchmarks/precisions.py --model net.tflite --calibration images.npz --threads 4
  python benchmarks/precisions.py --delegates xnnpack,xnnpack-fp16 --quick
"""
EPILOG = """\
results: a .json (everything: machine, options, raw samples in ns), a .csv, a .md and the quantized models. They are
written after each step: what was found before a crash or Ctrl-C is kept. On a board without litert-quantizer copy
the folder results/models of a run on a larger machine. exit code: 0 when a configuration was timed, else 1"""
SAVE_EVERY_SECONDS = 10.0


class Run:
    """One run of the benchmark: what is known so far, and its three files."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.identity = identify("precisions", options, [options.model])
        self.path = result_path(options, f"precisions-{options.model.stem}")
        self.facts: dict[str, Any] = {"stage": "started"}
        self.rows: dict[str, Row] = {}
        self.base = "float32"
        self._saved = 0.0

    def save(self, stage: str) -> None:
        """Bring the speed-ups up to date and write all three files anew."""
        self.enter(*(replace(row, speed_up=speed_up(self.rows, row, self.base)) for row in self.rows.values()))
        rows = list(self.rows.values())
        self.facts["stage"] = stage
        save_json(self.path, {**self.identity, **self.facts, "rows": rows})
        save_text(self.path.with_suffix(".csv"), format_csv(rows))
        save_text(self.path.with_suffix(".md"), format_document(rows, self.heading, self.describe()))
        self._saved = time.monotonic()

    def enter(self, *rows: Row) -> None:
        self.rows.update((row.name, row) for row in rows)

    @property
    def save_is_due(self) -> bool:
        return time.monotonic() - self._saved > SAVE_EVERY_SECONDS

    @property
    def heading(self) -> str:
        return f"{self.options.model.name}: precisions on delegates"

    def describe(self) -> list[str]:
        """Return what stands above the table."""
        absent: dict[str, list[str]] = {}
        for name, reason in self.facts.get("absent_delegates", {}).items():
            absent.setdefault(" ".join(reason.split()), []).append(name)
        missing = [f"not here: {', '.join(names)}: {reason}" for reason, names in absent.items()]
        devices = [f"{name}: {device}" for name, device in self.facts.get("devices", {}).items()]
        data = self.facts.get("data", "not loaded")
        return [describe_machine(self.identity), f"{self.options.threads} thread(s); {data}", *devices, *missing]


def prepare(run: Run, status: Status) -> tuple[list[Variant], Data]:
    """Find the delegates, load the data, make the precisions, and enter a row for each pair."""
    options = run.options
    status.stage("look for delegates")
    delegates, run.facts["devices"], run.facts["absent_delegates"] = find_delegates(options.delegates)
    content = options.model.read_bytes()
    with Interpreter(make_base(content).content, delegate=None) as interpreter:
        data = load_data(options.model, interpreter.inputs, options.calibration, options.seed)
    run.facts["data"] = data.source
    status.stage("quantize: float16, dynamic, int8")
    folder = variant_folder(options.out, options.model, content)
    variants = make_variants(content, data, folder)
    run.facts["quantized_models"] = folder
    run.base = variants[0].precision
    for delegate in delegates:
        for variant in variants:
            size_kb = None if variant.content is None else len(variant.content) / 1000
            run.enter(Row(delegate, variant.precision, size_kb).with_note(variant.note))
    run.save("models made")
    return variants, data


def try_all(run: Run, contents: dict[str, bytes], data: Data, status: Status) -> None:
    """Load every configuration, run it on the data, and enter what came out; saved after each."""
    trials = data.trials[: 100 if run.options.quick else None]
    wanted = reference_outputs(contents[run.base], trials)
    for row in list(run.rows.values()):
        if row.precision not in contents:
            continue
        status.stage(f"load and try: {row.name}")
        try:
            run.enter(try_out(row, contents[row.precision], trials, wanted, data.labels, run.options))
        except Exception as error:  # a configuration that fails is a result: which one, and why
            run.enter(row.with_note(f"failed: {type(error).__name__}: {error}"))
        run.save(f"tried {row.name}")


def time_all(run: Run, contents: dict[str, bytes], data: Data, status: Status) -> None:
    """Time every configuration that ran, interleaved, and enter what was found; saved every ten seconds."""

    def progress(rows: list[Row], found: Interleaved) -> None:
        run.enter(*rows)
        status.update(f"time {len(rows)} configurations in turn: round {found.rounds}, {found.seconds:.0f} s")
        if run.save_is_due or found.finished:
            run.save(f"timed {found.rounds} rounds")

    status.stage("time all configurations in turn")
    working = [row for row in run.rows.values() if row.placement]
    for group in group_by_memory(working, run.options.interleave):
        time_rows(group, contents, data.trials[0], run.options, progress)


def parse_options() -> argparse.Namespace:
    delegates = "\n".join(f"  {name:<14}{meaning}" for name, (meaning, _, _) in DELEGATES.items())
    parser = make_parser(
        DESCRIPTION.format(delegates=delegates), seconds=3, seconds_help="seconds for timing each configuration"
    )
    parser.epilog = EPILOG
    parser.add_argument("--model", type=existing_file, default=MODELS / "digits.tflite", help="a float32 .tflite")
    parser.add_argument("--calibration", type=existing_file, metavar="FILE", help="samples of real data, .npz or .npy")
    parser.add_argument("--delegates", help="names joined by commas; by default all that are here")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU kernels")
    parser.add_argument(
        "--interleave",
        choices=("auto", "all", "delegate"),
        default="auto",
        help="time all configurations in turn, or those of one delegate; auto: all, if they fit into memory",
    )
    options: argparse.Namespace = parser.parse_args()
    return options


def main() -> int:
    run, status = Run(parse_options()), Status()
    try:
        variants, data = prepare(run, status)
        contents = {variant.precision: variant.content for variant in variants if variant.content is not None}
        try_all(run, contents, data, status)
        time_all(run, contents, data, status)
        run.facts["machine_after"] = read_machine()  # hotter or slower than before: the times are not of one machine
        run.save("finished")
    except KeyboardInterrupt:
        run.save("interrupted")
    except (LiteDelegatesError, OSError, ValueError) as error:
        status.clear()
        print(f"precisions.py: {error}", file=sys.stderr)
        return 1
    status.clear()
    above = [textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in run.describe()]
    print("\n".join([run.heading, *above, "", format_terminal(run.rows.values())]))
    print(f"\n{run.facts['stage']}; saved: {run.path} (and .csv, .md)")
    return int(not any(row.median_ms for row in run.rows.values()))


if __name__ == "__main__":
    sys.exit(main())
