"""``litedelegates profile``: per-op times."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, add_model_arguments, count, load_interpreter
from litedelegates.cli.records import print_json
from litedelegates.files import write_whole
from litedelegates.profile import Profile
from litedelegates.tables import csv_lines

SCHEMA_VERSION = 1

EXAMPLES = """examples:
  litedelegates profile model.tflite --top 5
  litedelegates profile model.tflite --delegate none --threads 4 --csv ops.csv
  litedelegates profile model.tflite --json > ops.json"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "profile",
        help="per-op times of a model",
        description="Record the runtime's per-op profile. Profiling slows a model down: use `run` for its latency.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    add_model_arguments(parser)
    parser.add_argument("--runs", type=count, default=50, help="runs to record (default: 50)")
    parser.add_argument("--top", type=count, default=20, help="how many ops to print, slowest first (default: 20)")
    parser.add_argument("--csv", metavar="FILE", help="save all ops with all samples")
    parser.add_argument("--json", action="store_true", help="print all ops as JSON, with every sample in ns")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Profile and print."""
    with load_interpreter(options) as interpreter:
        profile = interpreter.profile(options.runs)
    if options.csv:
        _write_csv(profile, options.csv)
    if options.json:
        print_json(_record(profile, options))
    else:
        _print(profile, options.top)
    return 0


def _print(profile: Profile, top: int) -> None:
    if profile.note:
        print(profile.note)
    total = profile.total_us or 1.0
    print(f"{'median us':>10} {'%':>6}  {'ran':<10} {'op':<36} ops of the model")
    for op in profile.slowest(top):
        where = f"{op.op_index}" if op.op_index is not None else f"partition {op.partition}"
        where = where if op.op_index is not None or op.partition is not None else "all"
        print(f"{op.median_us:10.1f} {100 * op.median_us / total:6.1f}  {op.ran:<10} {op.name:<36} {where}")
    print(f"{profile.total_us:10.1f}  100.0  sum of {len(profile.ops)} medians over {profile.runs} runs")


def _write_csv(profile: Profile, path: str) -> None:
    names = ("name", "ran", "op_index", "partition", "median_us", "samples_us")
    rows = (
        (op.name, op.ran, op.op_index, op.partition, f"{op.median_us:g}", " ".join(f"{us:g}" for us in op.samples_us))
        for op in profile.ops
    )
    write_whole(path, [csv_lines(names, rows).encode()])


def _record(profile: Profile, options: argparse.Namespace) -> dict[str, Any]:
    ops = []
    for op in profile.ops:
        fields = asdict(op)
        samples_ns = [round(1000 * sample) for sample in fields.pop("samples_us")]
        ops.append({**fields, "median_ns": 1000 * op.median_us, "samples_ns": samples_ns})
    return {
        "schema_version": SCHEMA_VERSION,
        "model": options.model,
        "delegate": options.delegate,
        "num_threads": options.threads,
        "runs": profile.runs,
        "note": profile.note,
        "total_ns": 1000 * profile.total_us,
        "ops": ops,
    }
