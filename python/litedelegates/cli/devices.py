"""``litedelegates devices``: what works on this machine, and why the rest does not."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from litedelegates.cli.arguments import HelpFormatter
from litedelegates.devices import available
from litedelegates.runtime import open_runtime


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "devices",
        help="list the delegates that work on this machine",
        description="Run a small model on every delegate, each in its own process, and say which work and why not.",
        epilog="examples:\n  litedelegates devices\n  litedelegates devices --json > devices.json",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Print the list."""
    runtime = open_runtime()
    found = available()
    if options.json:
        print(json.dumps({"runtime": runtime.version, "delegates": [asdict(one) for one in found]}, indent=2))
        return 0
    print(f"ai-edge-litert {runtime.version or '(version unknown)'} at {runtime.folder}")
    for one in found:
        state = "available" + (f" ({one.detail})" if one.detail else "") if one.is_available else f"no: {one.reason}"
        print(f"  {one.name:<8} {state}")
    print("  external, stable, flex and npu delegates are given by their library: External('libvendor.so') in Python")
    return 0
