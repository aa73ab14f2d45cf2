"""``litedelegates verify``: is a deployed plan what was planned?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, count
from litedelegates.cli.plan_table import table
from litedelegates.cli.status_line import StatusLine
from litedelegates.deploy import Verification, verify
from litedelegates.words import say_us

EPILOG = """examples:
  litedelegates verify out/
  litedelegates verify out/ --inputs images.npy --labels labels.npy
  litedelegates verify out/ --device pi            # on the Raspberry Pi: time its stages only

Exit codes: 0 the stages are the whole, error and accuracy within the plan's bounds, and its times as planned; 1 the
stages, the error or the accuracy are not; 2 wrong arguments; 4 the plan is not shown to be faster than float32 timed
in turn with it, or the ratio of the two is outside of the interval that the plan gives (a plan in several stages: a
stage took a time outside of its interval). --seconds 0 times nothing.
"""


NOT_AS_PLANNED = 4


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="check a deployed plan: bits, error, times",
        description="Compare the stages of a deployed plan with the whole model bit for bit, its error with the plan's "
        "bound, its times with the predicted ones and with those of float32, timed in turn.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="that `litedelegates deploy` wrote")
    parser.add_argument("--model", metavar="FILE", help="the float32 model, if it is not where the plan says")
    parser.add_argument("--inputs", metavar="FILE", help="a .npy or .npz with samples along the first axis")
    parser.add_argument("--labels", metavar="FILE", help="a .npy with the label of each sample, for accuracy")
    parser.add_argument("--samples", type=count, default=64, metavar="N", help="at most (default: 64)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="of runs of each stage; 0: no times")
    parser.add_argument("--device", action="append", metavar="NAME", help="time its stages only; may be repeated")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Check and say what was found."""
    with StatusLine(quiet=options.quiet) as line:
        found = verify(
            options.folder,
            options.inputs,
            options.labels,
            model=options.model,
            samples=options.samples,
            seconds=options.seconds,
            devices=options.device,
            progress=lambda doing: line.show(doing, is_a_step=True),
        )
    if options.json:
        print(json.dumps(found.to_json()))
    else:
        for text in _lines(found):
            print(text)
    if not found.is_good:
        return 1
    return NOT_AS_PLANNED if found.is_faster is False or found.is_as_predicted is False else 0


def _lines(found: Verification) -> Iterator[str]:
    yield "the stages give the bits of the whole" if found.is_equal else f"THE STAGES DIFFER:\n{found.difference}"
    if found.error is not None:
        bound = "" if found.max_error is None else f", bound {found.max_error:.3g}"
        kind = "random inputs, which say little" if found.is_random else "inputs"
        over = f"over {found.samples} {kind}"
        yield f"relative error {found.error:.3g} {over}; predicted {found.predicted_error:.3g}{bound}"
    if found.agreement is not None:
        yield f"{found.agreement:.1%} keep float32's largest output"
    if found.accuracy is not None and found.float32_accuracy is not None:
        bound = "" if found.max_accuracy_drop is None else f"; bound of the drop {found.max_accuracy_drop:.2%}"
        yield f"accuracy {found.accuracy:.2%}; float32 {found.float32_accuracy:.2%}{bound}"
    if found.stages:
        rows: list[tuple[str, ...]] = [("stage", "device", "predicted", "measured", "interval", "off", "ran")]
        for stage in found.stages:
            name = "whole" if stage.stage < 0 else str(stage.stage)
            wanted = "" if stage.predicted_us is None else say_us(stage.predicted_us)
            if stage.median_us is None:
                rows.append((name, stage.device, wanted, "-", "", "", stage.refusal or ""))
                continue
            ends = [end for end in (stage.low_us, stage.high_us) if end is not None]
            interval = f"{say_us(ends[0])} to {say_us(ends[1])}" if ends else ""
            off = "" if stage.off is None else f"{stage.off:+.1%}"
            rows.append((name, stage.device, wanted, say_us(stage.median_us), interval, off, stage.ran))
        yield from table(rows)
    yield from _against(found)
    yield from (f"note: {note}" for note in found.notes)


def _against(found: Verification) -> Iterator[str]:
    """Yield how the plan compares with models in one precision that were timed in turn with it."""
    for uniform in found.uniforms:
        name = f"{uniform.choice.label} everywhere"
        if uniform.median_us is None or uniform.ratio is None:
            yield f"{name}: {uniform.refusal or 'not compared'}"
            continue
        ends = (uniform.ratio_low, uniform.ratio_high)
        interval = "too few rounds for an interval" if None in ends else f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}"
        yield f"{name}: {say_us(uniform.median_us)}, {uniform.ratio:.3f} times as long as the plan, {interval}"
    if found.is_faster is False:
        yield "NOT FASTER: the plan is not shown to be faster than float32; keep float32"
    if found.is_as_predicted is False:
        promised = found.gain
        said = (
            ""
            if promised is None
            else f" (promised {promised.ratio:.2f} times, {promised.low:.2f} to {promised.high:.2f})"
        )
        yield f"NOT AS PREDICTED: outside of the interval that the plan gives{said}"
