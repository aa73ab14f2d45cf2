"""The program ``litedelegates`` and its commands, each a module of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import litedelegates
from litedelegates.cli import (
    bench,
    compare,
    completion,
    cut,
    deploy,
    devices,
    graph,
    layers,
    link,
    pipeline,
    plan,
    profile,
    quantize,
    report,
    run,
    simulate,
    verify,
    worker,
)
from litedelegates.cli.arguments import HelpFormatter, unknown_arguments
from litedelegates.cli.outcome import EXIT_CODES, outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code, one of `outcome.EXIT_CODES`."""
    parser = argparse.ArgumentParser(
        prog="litedelegates",
        description="Choose the delegate, the precision and the cuts of a .tflite or .onnx model by measurement.",
        epilog="Start with `litedelegates devices`, then `litedelegates run MODEL --delegate gpu`.\n"
        f"`litedelegates completion bash` writes the completion for a shell.\n\n{EXIT_CODES}",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"litedelegates {litedelegates.__version__}")
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (
        devices,
        run,
        profile,
        graph,
        cut,
        quantize,
        bench,
        layers,
        plan,
        simulate,
        deploy,
        verify,
        pipeline,
        worker,
        link,
        compare,
        report,
        completion,
    ):
        module.add_command(commands)
    # Before the command or behind it; there without a default, which would undo the one before.
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = commands.choices[options.command]
        command.error(unknown_arguments(unknown, command))
    return outcome(options.command, lambda: options.call(options), debug=options.debug)
