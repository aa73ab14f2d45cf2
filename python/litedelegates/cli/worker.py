"""``litedelegates worker``: let this machine work for a Dask scheduler."""

from __future__ import annotations

import argparse
import platform
from typing import Any

from litedelegates.cli.arguments import HelpFormatter
from litedelegates.cli.tls_arguments import add_tls_arguments, tls_of
from litedelegates.measure import read_machine

EXAMPLES = """examples:
  dask scheduler --host server --dashboard-address 127.0.0.1:8787  # once, on the machine that the others can reach
  litedelegates worker tcp://server:8786 --name pi4                # on each board; it offers pi4=1
  litedelegates worker tcp://server:8786 --name jetson --resources jetson=1,gpu=1

Whoever can reach the scheduler or a worker can run code there: keep them in a network of your own, or give both
certificates, which `dask scheduler` takes by the same options:
  dask scheduler --host server --dashboard-address 127.0.0.1:8787 --tls-ca-file ca.pem --tls-cert server.pem
  litedelegates worker tls://server:8786 --tls-ca-file ca.pem --tls-cert pi4.pem
It works until Ctrl-C."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "worker",
        help="let this machine work for a Dask scheduler: stages of pipelines, studies",
        description="Join a Dask scheduler and run what it is given: stages of pipelines, studies, measurements of "
        "links. One thing at a time.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("address", metavar="ADDRESS", help="of the scheduler, such as tcp://server:8786")
    parser.add_argument("--name", metavar="NAME", help="of this worker (default: the host's name)")
    parser.add_argument(
        "--resources", metavar="R=N,R=N", help="what it offers, such as gpu=1 (default: its own name, once)"
    )
    parser.add_argument(
        "--no-nanny",
        action="store_true",
        help="work in this process; otherwise in one of its own, which is started again when it crashes",
    )
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        help="to listen on (default: the address of this machine that reaches the scheduler)",
    )
    parser.add_argument(
        "--dashboard-address", metavar="HOST:PORT", help="show Dask's dashboard of this worker there (default: none)"
    )
    add_tls_arguments(parser)
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="to join (default: 60)")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Join, say so, and work."""
    from litedelegates.deploy.dask_cluster import Offer
    from litedelegates.deploy.joining import join, parse_resources

    name = options.name or platform.node() or "worker"
    resources = {name: 1.0} if options.resources is None else parse_resources(options.resources)

    def say(offer: Offer) -> None:
        machine = read_machine()
        what = machine.board or machine.cpu_model or machine.architecture
        packages = ", ".join(f"{package} {version}" for package, version in sorted(machine.packages.items()))
        print(f"joined {options.address} as {offer}: {what}, {machine.cores} cores, {packages}", flush=True)

    with tls_of(options):
        join(
            options.address,
            name,
            resources,
            nanny=not options.no_nanny,
            host=options.host,
            dashboard_address=options.dashboard_address,
            limit=options.time_limit,
            joined=say,
        )
    return 0
