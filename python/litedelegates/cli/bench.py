"""``litedelegates bench``: measure models x precisions x delegates x threads, each cell in a process of its own."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from litedelegates.cli import bench_boards, benchmark_model
from litedelegates.cli.arguments import HelpFormatter, integer, seconds, share
from litedelegates.cli.bench_table import cell_line, describe_cells, note_lines
from litedelegates.cli.outcome import INTERRUPTED
from litedelegates.cli.status_line import StatusLine
from litedelegates.cli.tls_arguments import add_tls_arguments
from litedelegates.errors import OptionError
from litedelegates.study import Progress, Store, StoreError, StudyConfig, read_config, run_study

DEFAULT_STORE = "study.sqlite"

EPILOG = """examples:
  litedelegates bench model.tflite
  litedelegates bench a.tflite b.tflite --precisions float32,int8 --delegates none,xnnpack,gpu+xnnpack --threads 1,4
  litedelegates bench model.tflite --delegates 'gpu;precision_loss_allowed=True' --inputs images.npy --labels labels.npy
  litedelegates bench model.tflite --delegates 'xnnpack,external:libvendor.so;cache=/tmp/x'
  litedelegates bench model.tflite --workers tcp://server:8786 --resources gpu=1    # stores study-BOARD.sqlite
  litedelegates bench study.toml                       # models = [...], precisions = [...], threads = [1, 2], ...
  litedelegates bench --graph=model.tflite --num_runs=50 --use_gpu=true      # flags of benchmark_model

Results go to the store as they come; the same command goes on where it was interrupted or killed. Cells that crash,
hang or fail are part of the result; --retry measures them again. A store keeps to one question: with other inputs,
times or other options name another --store. Exit codes: 0 every cell has ended, 1 none could be measured or an error,
2 wrong arguments, 130 Ctrl-C (the store is valid).
"""

_LISTS = ("precisions", "delegates", "threads")
_PLAIN = (
    ("seconds", seconds, "S", "time of runs measured of each cell (default: 1)"),
    ("rounds", int, "N", "rounds at least (default: 10; 6 is the least for an interval at 95 %%)"),
    ("within", share, "X", "measure until the interval of every median is within this share of it: 0.01 or 1%%"),
    ("ratio_within", share, "X", "the same for every ratio to the base"),
    ("max_seconds", seconds, "S", "time of runs of each cell at most (default with --within: 30)"),
    ("warmup_seconds", seconds, "S", "warm-up of each cell (default: 0.2)"),
    ("block_seconds", seconds, "S", "time of a block of back-to-back runs (default: 0.05)"),
    ("loads", int, "N", "load the cells anew so often, each time for a share of the rounds (default: 1)"),
    ("max_loaded", int, "N", "cells that are loaded and interleaved at a time (default: 8)"),
    ("time_limit", seconds, "S", "a step that takes longer counts as hanging (default: 60)"),
    ("memory_limit_mb", int, "MB", "a cell that takes more is ended (default: 80 %% of what is free)"),
    ("seed", int, "N", "of the orders and the random inputs (default: 0)"),
    ("calibration", str, "SOURCE", "for int8 and int16x8: a .npy or .npz with samples, or random (the default)"),
    ("inputs", str, "FILE", "a .npy (one input) or .npz (by name) with samples along the first axis"),
    ("labels", str, "FILE", "a .npy with the label of each sample, for accuracy"),
)


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "bench",
        help="measure models x precisions x delegates x threads",
        description="Measure a matrix. Cells of one model and thread count are interleaved, and each is compared with "
        "the first precision on the first delegate.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=".tflite files, or a study file (.toml, .yaml, .json)"
    )
    parser.add_argument("--precisions", metavar="P,P", help="float32 (the file as it is), float16, dynamic, int8, ...")
    parser.add_argument("--delegates", metavar="D,D", help="chains such as none, xnnpack, gpu+xnnpack, external:LIB")
    parser.add_argument("--threads", metavar="N,N", help="threads of the CPU kernels (default: 1)")
    parser.add_argument("--store", metavar="FILE", help=f"where the results go (default: {DEFAULT_STORE})")
    for name, kind, metavar, text in _PLAIN:
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=text)
    parser.add_argument(
        "--allow-float32-ops", action="store_true", default=None, help="accept that some ops cannot be quantized"
    )
    parser.add_argument(
        "--workers", metavar="ADDRESS", help="measure on the boards of this Dask scheduler, such as tcp://server:8786"
    )
    parser.add_argument("--boards", metavar="A,B", help="with --workers: on these, by name (default: on all)")
    parser.add_argument("--resources", metavar="R=N", help="with --workers: on those that offer this, such as gpu=1")
    add_tls_arguments(parser, "with --workers: ")
    parser.add_argument("--retry", action="store_true", help="measure cells again that failed before")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    benchmark_model.add_flags(parser)
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Measure, and print what was found."""
    if options.graph is not None:
        return benchmark_model.call(options)
    if given := benchmark_model.given_flags(options):
        raise OptionError(f"{given[0]} is a flag of benchmark_model: it goes with --graph=MODEL")
    config, store = _config(options)
    if options.workers is not None:
        return bench_boards.call(options, config, store)
    for name in ("boards", "resources", "tls_ca_file", "tls_cert", "tls_key"):
        if getattr(options, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise OptionError(f"{option} is about the workers of a scheduler: give --workers tcp://... as well")
    cells = [cell for cell, _ in config.cells()]
    interrupted = False
    try:
        with _ProgressLine(quiet=options.quiet) as line:
            run_study(config, store, retry=options.retry, progress=line, command=sys.argv)
    except KeyboardInterrupt:
        interrupted = True
    try:
        results = Store.open(store)
    except (StoreError, FileNotFoundError):
        if not interrupted:
            raise
        return INTERRUPTED  # before there was anything to tell of
    with results:
        found = describe_cells(results, cells)
    if options.json:
        print(json.dumps({"store": str(store), "interrupted": interrupted, "cells": found}, indent=2))
    else:
        width = max(len(record["label"]) for record in found)
        for record in found:
            print(cell_line(record, width))
        for note in note_lines(found):
            print(note)
        if any(record["status"] not in ("ok", "unfinished", "not begun") for record in found) and not interrupted:
            print("cells that failed are measured again with --retry")
        print(f"\nresults in {store}")
    if interrupted:
        print("litedelegates bench: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0 if any(record["status"] == "ok" for record in found) else 1


def _config(options: argparse.Namespace) -> tuple[StudyConfig, Path]:
    files = [model for model in options.models if Path(model).suffix in (".toml", ".yaml", ".yml", ".json")]
    if files and len(options.models) > 1:
        raise OptionError(f"{files[0]} is a study file: give it alone, it names its models itself")
    fields: dict[str, Any] = read_config(files[0]) if files else {"models": options.models}
    given_store = fields.pop("store", None)
    default_store = Path(files[0]).with_suffix(".sqlite") if files else DEFAULT_STORE
    for name in _LISTS:
        text = getattr(options, name)
        if text is not None:
            fields[name] = [part.strip() for part in text.split(",") if part.strip()]
    if options.threads is not None:
        fields["threads"] = [integer("--threads", part) for part in fields["threads"]]
    for name in [*(name for name, *_ in _PLAIN), "allow_float32_ops"]:
        value = getattr(options, name)
        if value is not None:
            fields[name] = value
    if not fields.get("models"):
        raise OptionError("there is no model: litedelegates bench model.tflite")
    return StudyConfig(**fields), Path(options.store or given_store or default_store)


class _ProgressLine(StatusLine):
    """Shows each step of each cell, or the cells that ended."""

    def __call__(self, progress: Progress) -> None:
        what = f"{progress.doing} {progress.cell.label}" if progress.cell else progress.doing
        is_begun = progress.doing in ("loading", "quantizing and loading", "warming up")
        self.show(
            f"[{progress.done}/{progress.total}] {progress.seconds:.0f} s  {what}",
            is_a_step=progress.round_index is None and not is_begun,
        )
