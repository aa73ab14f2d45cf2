"""``litedelegates deploy``: the models of a plan, each stage in its precisions, and the manifest."""

from __future__ import annotations

import argparse
import json
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, parse_exit
from litedelegates.cli.status_line import StatusLine
from litedelegates.deploy import deploy
from litedelegates.plan import load_plan

EPILOG = """examples:
  litedelegates deploy plan.json -o out/ --calibration samples.npz
  litedelegates deploy plan.json -o out/ --exit early_probabilities=0.9
  litedelegates verify out/ --inputs images.npy --labels labels.npy

The folder has the stages (stage0.tflite, ...), the whole model in the same precisions, and manifest.json: digests, what
goes in and out of each stage with its quantization, devices, delegates, and the plan. Exit codes: 0 done, 1 it cannot
be done (nothing is left behind), 2 wrong arguments.
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "deploy",
        help="write the models of a plan",
        description="Quantize a model as a plan says, split it into the plan's stages, and write them with a manifest.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("plan", metavar="PLAN", help="a file that `litedelegates plan` wrote")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="new, or a deployed plan to replace")
    parser.add_argument("--model", metavar="FILE", help="the float32 model, if it is not where the plan says")
    parser.add_argument(
        "--calibration",
        metavar="SOURCE",
        help="for int8: a .npy or .npz with samples, or random (default: that of the first device's study)",
    )
    parser.add_argument(
        "--exit", action="append", default=[], metavar="OUTPUT=P", help="leave early where an output is this sure"
    )
    parser.add_argument("--json", action="store_true", help="print the manifest")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Write the folder and say what is in it."""
    exits = dict(parse_exit(text, "PROBABILITY") for text in options.exit)
    with StatusLine(quiet=options.quiet) as line:
        manifest = deploy(
            load_plan(options.plan),
            options.output,
            model=options.model,
            calibration=options.calibration,
            exits=exits,
            progress=lambda doing: line.show(doing, is_a_step=True),
        )
    if options.json:
        print(json.dumps(manifest.to_json()))
        return 0
    for stage in manifest.stages:
        given = ", ".join(f"{port.name} {port.dtype}" for port in stage.inputs)
        made = ", ".join(f"{port.name} {port.dtype}" for port in stage.outputs)
        print(f"{stage.file}: {len(stage.layers)} layers on {stage.device} ({stage.delegate}); {given} -> {made}")
    print(f"\nwritten: {options.output}; next: litedelegates verify {options.output}")
    return 0
