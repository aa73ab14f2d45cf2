"""``litedelegates simulate``: a plan over time, with many clients, queues and failures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, count
from litedelegates.cli.plan_table import table
from litedelegates.errors import OptionError, nearest
from litedelegates.files import write_whole
from litedelegates.plan.reading import load_plan
from litedelegates.plan.simulation import Failure, Load, Simulation, simulate
from litedelegates.report.plan_page import write_plan_page
from litedelegates.words import say_us

EPILOG = """examples:
  litedelegates simulate plan.json                                    # one client, one input after the other
  litedelegates simulate plan.json --clients 1000 --rate 0.5 --slots server=4
  litedelegates simulate plan.json --clients 200 --rate 2 --fail server:at=20,for=5 --fail wifi:every=60,for=2
  litedelegates simulate plan.json --depth 8 --report plan.html       # a full pipeline, and a page of it

Each client has a first device and links of its own; all share the other devices. --fail NAME:at=S,for=S stops a device
or link once, NAME:every=S,for=S again and again by chance; times in seconds. Meanwhile the plan's fallback is used, if
it has one (litedelegates plan --fallback). Nothing is measured: the plan's predicted times are taken as they are.
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "simulate",
        help="let many clients use a plan over time",
        description="Simulate a plan over time: queues at the server, jitter and loss of links, devices that fail; "
        "with the latencies, the throughput and how busy everything is.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("plan", metavar="FILE", help="that `litedelegates plan` wrote")
    parser.add_argument("--clients", type=count, default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument("--rate", type=float, metavar="R", help="inputs a second of each client (default: no pause)")
    parser.add_argument("--pattern", default="poisson", metavar="P", help="poisson or regular (default: poisson)")
    parser.add_argument(
        "--depth", type=count, metavar="N", help="inputs of a client under way at the same time, at most"
    )
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="to simulate (default: 60)")
    parser.add_argument("--warm-up", type=float, metavar="S", help="not counted before (default: a tenth of that)")
    parser.add_argument("--slots", action="append", default=[], metavar="DEVICE=N", help="inputs it works on at once")
    parser.add_argument("--share", action="append", default=[], metavar="NAME", help="a link that all clients share")
    parser.add_argument("--queue", type=count, metavar="N", help="inputs that may wait for a shared device, at most")
    parser.add_argument("--variation", type=float, default=0.0, metavar="V", help="of times: deviation over mean")
    parser.add_argument("--fail", action="append", default=[], metavar="NAME:at=S,for=S", help="may be repeated")
    parser.add_argument("--notice", type=float, default=0.0, metavar="S", help="to notice a failure (default: 0)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is drawn (default: 0)")
    out = parser.add_argument_group("output")
    out.add_argument("--report", metavar="FILE", help="write an HTML page of the plan with the simulation")
    out.add_argument("--plot", metavar="FILE", help="write the latencies and queues as a .svg or .png")
    out.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Simulate, write the files, and print what was found."""
    plan = load_plan(options.plan)
    shared = None
    if options.share:
        shared = [*(device.name for device in plan.devices[1:]), *options.share]
    found = simulate(
        plan,
        Load(options.rate, options.pattern, options.depth),
        seconds=options.seconds,
        warmup_s=options.warm_up,
        clients=options.clients,
        slots=dict(_slots(text) for text in options.slots),
        shared=shared,
        queue_limit=options.queue,
        variation=options.variation,
        failures=[parse_failure(text) for text in options.fail],
        notice_s=options.notice,
        seed=options.seed,
    )
    if options.report is not None:
        write_plan_page(plan, options.report, simulation=found)
    if options.plot is not None:
        from litedelegates.report.plan_plots import draw_simulation, save_plot

        write_whole(options.plot, [save_plot(lambda: draw_simulation(found), options.plot)])
    if options.json:
        print(json.dumps(found.to_json()))
        return 0
    for line in simulation_lines(found):
        print(line)
    written = [path for path in (options.report, options.plot) if path is not None]
    if written:
        print(f"\nwritten: {', '.join(written)}")
    return 0


def parse_failure(text: str) -> Failure:
    """Return the failure that ``text`` describes, such as "server:at=20,for=5".

    Raises:
        OptionError: It is not written so.
    """
    name, colon, rest = text.partition(":")
    values = dict(part.partition("=")[::2] for part in rest.split(",")) if colon else {}
    for key in values:
        if key not in ("at", "every", "for"):
            raise OptionError(f"--fail {text}: there is no {key!r}. {nearest(key, ('at', 'every', 'for'))}")
    try:
        numbers = {f"{key}_s": float(value) for key, value in values.items()}
    except ValueError:
        numbers = {}
    if not name or not numbers:
        raise OptionError(f"--fail {text}: write it as NAME:at=20,for=5 or NAME:every=60,for=2, in seconds")
    return Failure(name, **numbers)


def simulation_lines(found: Simulation) -> Iterator[str]:
    """Yield what is printed of a simulation."""
    clients = "1 client" if found.clients == 1 else f"{found.clients} clients"
    if found.mean_us is None:
        yield f"{clients}, {found.seconds:g} s: no input was done"
    else:
        known = found.low_us is not None and found.high_us is not None
        interval = f" (95 %: {say_us(found.low_us or 0)} to {say_us(found.high_us or 0)})" if known else ""
        yield f"{clients}, {found.seconds:g} s: {found.finished} inputs done, {found.throughput_per_s:.4g} a second"
        shares = [(50, found.p50_us), (95, found.p95_us), (99, found.p99_us), (100, found.worst_us)]
        yield f"latency: mean {say_us(found.mean_us)}{interval}; " + ", ".join(
            f"{share} % within {say_us(us or 0)}" for share, us in shares
        )
    for count_, words in (
        (found.left_early, "left at an early exit"),
        (found.fell_back, "done by the fallback"),
        (found.lost, "lost, because something was out of order and there is no fallback"),
        (found.turned_away, "turned away, because too many were under way or waiting"),
    ):
        if count_:
            yield f"{count_} {words}"
    yield ""
    rows: list[tuple[str, ...]] = [("", "copies", "slots", "busy", "waiting", "most", "down")]
    for use in found.stations:
        shares_ = f"{use.utilisation:.1%}", f"{use.waiting:.3g}", str(use.most_waiting), f"{use.down:.1%}"
        rows.append((use.name, str(use.copies), str(use.slots), *shares_))
    yield from table(rows)
    yield ""
    yield f"{found.events} events, {found.events_per_s:.3g} a second"


def _slots(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not equals or not value.isdecimal():
        raise OptionError(f"--slots {text}: write it as DEVICE=N, such as server=4")
    return name, int(value)
