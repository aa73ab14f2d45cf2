"""``litedelegates link``: measure what carries tensors between two machines."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from litedelegates.cli.arguments import HelpFormatter, count
from litedelegates.cli.records import print_json
from litedelegates.cli.status_line import StatusLine
from litedelegates.cli.tls_arguments import add_tls_arguments, tls_of
from litedelegates.errors import OptionError
from litedelegates.files import write_whole

if TYPE_CHECKING:
    from litedelegates.plan.records import Link

EXAMPLES = """examples:
  litedelegates link tcp://server:8786                         # from here to each worker
  litedelegates link tcp://server:8786 --between pi4,jetson -o link.json
  litedelegates plan ... --link wifi=link.json"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "link",
        help="measure bandwidth, latency and overhead between workers, as a pipeline has them",
        description="Send messages of several sizes through Dask, as a pipeline does, and fit bandwidth, latency, "
        "overhead and jitter.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("address", metavar="ADDRESS", help="of the scheduler, such as tcp://server:8786")
    parser.add_argument("--between", metavar="A,B", help="two workers by name (default: from here to each worker)")
    parser.add_argument("--name", default="", metavar="NAME", help="of the link (default: that of its ends)")
    parser.add_argument("--rounds", type=count, default=10, metavar="N", help="messages of each size and direction")
    parser.add_argument(
        "--pause", type=float, default=0.25, metavar="S", help="that making a message takes, as a stage (default: 0.25)"
    )
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="of a message (default: 60)")
    add_tls_arguments(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write the link as JSON, for `plan --link NAME=FILE`")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Measure and print."""
    from litedelegates.deploy.dask_cluster import connect, read_offers
    from litedelegates.deploy.link_measurement import measure_link
    from litedelegates.plan.records import HERE

    found = []
    with tls_of(options), connect(options.address, options.time_limit) as client:
        if options.between is not None:
            ends = tuple(part.strip() for part in options.between.split(","))
            if len(ends) != 2:
                raise OptionError(f"--between {options.between}: write the names of two workers, such as pi4,jetson")
            pairs = [(ends[0], ends[1])]
        else:
            pairs = [(HERE, offer.name) for offer in sorted(read_offers(client).values(), key=lambda one: one.name)]
        if not pairs:
            raise OptionError(f"{options.address} has no workers: start one with `litedelegates worker`")
        if options.output and len(pairs) > 1:
            raise OptionError(f"{options.output} holds one link and there are {len(pairs)}: name two with --between")
        with StatusLine(quiet=options.quiet) as line:
            for pair in pairs:

                def show(doing: str, pair: tuple[str, str] = pair) -> None:
                    line.show(f"{' - '.join(pair)}: {doing}", is_a_step=False)

                found.append(
                    measure_link(
                        client,
                        pair,
                        name=options.name,
                        rounds=options.rounds,
                        limit=options.time_limit,
                        pause_s=options.pause,
                        progress=show,
                    )
                )
    if options.output:
        write_whole(options.output, [json.dumps(found[0].to_json(), indent=2).encode() + b"\n"])
    if options.json:
        print_json({"links": [dataclasses.asdict(link) for link in found]})
        return 0
    for link in found:
        print(
            f"{' - '.join(link.ends)}  {link.bandwidth_mbps:.4g} Mbit/s, latency {link.latency_us / 1e3:.3g} ms, "
            f"overhead {_overhead(link)} a message, jitter {link.jitter_us / 1e3:.3g} ms ({link.measured})"
        )
    return 0


def _overhead(link: Link) -> str:
    there = f"{link.overhead_us / 1e3:.3g} ms"
    return there if link.overhead_back_us is None else f"{there} there and {link.overhead_back_us / 1e3:.3g} ms back"
