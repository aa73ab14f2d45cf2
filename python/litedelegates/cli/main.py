"""``litedelegates devices | run | profile | graph | cut | quantize | bench | compare | report``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import litedelegates
from litedelegates.cli import bench, compare, cut, devices, graph, profile, quantize, report, run
from litedelegates.errors import LiteDelegatesError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed with a message, 2 wrong arguments.

    ``bench`` returns 130 when it was interrupted, ``compare`` 3 for what cannot be compared.
    """
    parser = argparse.ArgumentParser(
        prog="litedelegates",
        description="Choose the delegate and the precision of a .tflite model by measurement.",
        epilog="Start with `litedelegates devices`, then `litedelegates run MODEL --delegate gpu`.",
    )
    parser.add_argument("--version", action="version", version=f"litedelegates {litedelegates.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (devices, run, profile, graph, cut, quantize, bench, compare, report):
        module.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        code: int = options.call(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away, as in `... | head`. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (LiteDelegatesError, OSError, ValueError) as error:
        print(f"litedelegates {options.command}: {error}", file=sys.stderr)
        return 1
    return code
