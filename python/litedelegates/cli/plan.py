"""``litedelegates plan``: the best precision, delegate and device for each layer, from what was measured."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, parse_exit, share
from litedelegates.cli.plan_outlook import look_out, write_outlook
from litedelegates.cli.plan_table import plan_lines
from litedelegates.plan import OBJECTIVES, how_sure, make_plan, parse_devices, parse_link, save_plan
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.device_texts import with_memory

DEFAULT_PLAN = "plan.json"
_PLAN_SHARE = 0.4  # of the time limit, where something beside the plan is asked for

EPILOG = """examples:
  litedelegates layers model.tflite --calibration samples.npz --inputs images.npz --parts in_place,alone,error,mixed
  litedelegates plan study.sqlite --max-error 0.02
  litedelegates plan study.sqlite --max-accuracy-drop 0.01 --objective energy --devices 'pi;watts=4'
  litedelegates plan --devices pi=pi.sqlite,server=server.sqlite --link wifi=pi-server:20mbps,latency=2ms
  litedelegates plan study.sqlite --devices pi,server=x8 --link wifi=link.json --objective throughput --report plan.html

A device is NAME=STORE with options behind semicolons: watts=4 (above idle, while it computes), memory=512MB (for
weights), key=... (which layer study of the store), resources=gpu (what its worker offers). NAME=x8 is taken to be 8
times as fast as the first device, which has the inputs and wants the outputs. No device is needed to plan. Then:
  litedelegates deploy plan.json -o out/ && litedelegates verify out/
Exit codes: 0 done, 1 no plan keeps the bounds (says which is in the way), 2 wrong arguments.
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "plan",
        help="choose precision, delegate and device of every layer",
        description="Find the best precision, delegate and device for each layer of a model within bounds of error, "
        "accuracy, memory, latency and energy, from the layer studies of the devices.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("store", metavar="STORE", nargs="?", help="a store with a layer study, for devices without own")
    parser.add_argument("--model", metavar="FILE", help="the float32 model, if it is not where it was studied")
    parser.add_argument("--devices", metavar="D,D", help="devices, the first with the inputs (default: device=STORE)")
    parser.add_argument(
        "--link",
        action="append",
        default=[],
        metavar="NAME=LINK",
        help="between two devices: wifi=pi-server:20mbps,latency=2ms,jitter=1ms,loss=1%%, or a file of "
        "`litedelegates link`; may be repeated",
    )
    parser.add_argument(
        "--objective", default="latency", metavar="O", help=f"{', '.join(OBJECTIVES)} (default: latency)"
    )
    bounds = parser.add_argument_group("bounds")
    bounds.add_argument("--max-error", type=share, metavar="E", help="relative error of the output, such as 0.02")
    bounds.add_argument("--max-accuracy-drop", type=share, metavar="D", help="accuracy that may be lost: 0.01 or 1%%")
    bounds.add_argument("--max-latency-ms", type=float, metavar="MS", help="latency of one input")
    bounds.add_argument("--max-energy-mj", type=float, metavar="MJ", help="millijoules of one input")
    bounds.add_argument("--max-bytes", type=float, metavar="B", help="bytes over links for one input")
    bounds.add_argument(
        "--memory", action="append", default=[], metavar="[D=]SIZE", help="of a device for weights, such as pi=512MB"
    )
    bounds.add_argument("--precisions", metavar="P,P", help="use these only")
    bounds.add_argument("--time-limit", type=float, default=10.0, metavar="S", help="for all of it (default: 10)")
    parser.add_argument(
        "--exit", action="append", default=[], metavar="OUTPUT=S", help="this share of the inputs leaves at an output"
    )
    parser.add_argument(
        "--fallback", action="store_true", help="also plan what the first device does when a link is down"
    )
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", default=DEFAULT_PLAN, metavar="FILE", help=f"default: {DEFAULT_PLAN}")
    out.add_argument(
        "--report",
        metavar="FILE",
        help="write an HTML page: decisions, front, what another link would change, how sure it is",
    )
    out.add_argument(
        "--plots", metavar="FOLDER", help="write the front, other links, the timeline and outlook.json (extra plots)"
    )
    out.add_argument(
        "--sensitivity", action="store_true", help="say how sure it is against plans for other draws of the times"
    )
    out.add_argument("--layers", action="store_true", help="print the decision for each layer and its reason")
    out.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Make the plan, write it, and say what it is."""
    exits = dict(parse_exit(text, "SHARE") for text in options.exit)
    texts = [text.strip() for text in (options.devices or "device").split(",") if text.strip()]
    sources = parse_devices(with_memory(texts, options.memory), options.store)
    links = [parse_link(text, [source.device.name for source in sources]) for text in options.link]
    precisions = options.precisions.split(",") if options.precisions else None
    until, is_asked = Deadline(options.time_limit), options.report is not None or options.plots is not None
    plan = make_plan(
        sources,
        links,
        model=options.model,
        objective=options.objective,
        max_error=options.max_error,
        max_accuracy_drop=options.max_accuracy_drop,
        max_latency_us=None if options.max_latency_ms is None else 1000 * options.max_latency_ms,
        max_energy_mj=options.max_energy_mj,
        max_nbytes=options.max_bytes,
        precisions=precisions,
        exits=exits,
        fallback=options.fallback,
        time_limit_s=options.time_limit * (_PLAN_SHARE if is_asked or options.sensitivity else 1.0),
    )
    save_plan(plan, options.output)
    written = [options.output]
    outlook = look_out(plan, sources, links, precisions, until) if is_asked else None
    if outlook is not None and options.report is not None:
        from litedelegates.report import write_plan_page

        write_plan_page(plan, options.report, **vars(outlook))
        written.append(options.report)
    if outlook is not None and options.plots is not None:
        written += write_outlook(plan, outlook, Path(options.plots))
    sureness = outlook.sensitivity if outlook is not None else None
    if options.sensitivity and outlook is None:
        sureness = how_sure(plan, sources, links, precisions=precisions, deadline=until)
    if options.json:
        more: dict[str, Any] = {}
        if sureness is not None and options.sensitivity:
            more["sensitivity"] = sureness.to_json()
        if until.left_out:
            more["left_out"] = until.left_out
        print(json.dumps({**plan.to_json(), **more}))
        return 0
    for line in plan_lines(plan, with_layers=options.layers):
        print(line)
    if sureness is not None and options.sensitivity:
        print("", *sureness.describe(), sep="\n")
    if until.left_out:
        print(f"\nleft out, as --time-limit {options.time_limit:g} s was over: {'; '.join(until.left_out)}")
    then = "keep float32" if plan.keeps_default else f"litedelegates deploy {options.output} -o out/"
    print(f"\nwritten: {', '.join(written)}; next: {then}")
    return 0
