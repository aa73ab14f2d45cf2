"""``litedelegates run``: run a model and say what ran where, how fast, and what came out."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from litedelegates.cli.arguments import add_model_arguments, load_interpreter
from litedelegates.placement import summarize


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="run a model on chosen delegates",
        description="Run a model; print the route, where its ops ran, the latency and the outputs.",
    )
    add_model_arguments(parser)
    parser.add_argument("--runs", type=int, default=50, help="runs to time (default: 50)")
    parser.add_argument("--output", metavar="FILE", help="save the outputs as .npz, by name")
    parser.add_argument("--placement", action="store_true", help="list every op")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Run and print."""
    with load_interpreter(options) as interpreter:
        print(repr(interpreter))
        print(f"route      {interpreter.route.name}: {interpreter.route.reason}")
        if interpreter.choice:
            print(f"chosen     {interpreter.choice.reason}")
        print(f"load       {interpreter.load_ns / 1e6:.2f} ms")
        first = interpreter.time_runs(max_runs=1).sum() / 1e6
        samples_ms = interpreter.time_runs(max_runs=max(options.runs, 1)).sum(axis=1) / 1e6
        print(f"first run  {first:.3f} ms")
        print(f"latency    {np.median(samples_ms):.3f} ms (median of {len(samples_ms)}, from upload to read-back)")
        print(f"ops        {summarize(interpreter.placement)}")
        if options.placement:
            for record in interpreter.placement:
                where = record.ran if record.partition is None else f"{record.ran}, partition {record.partition}"
                print(f"  {record.subgraph}:{record.op_index:<4} {record.op_name:<28} {where}")
        outputs = {info.name: interpreter.get_tensor(info.index) for info in interpreter.outputs}
        for name, value in outputs.items():
            start = np.array2string(value.reshape(-1)[:6], precision=5)
            print(f"output     {name} {value.dtype}{list(value.shape)} {start}{' ...' if value.size > 6 else ''}")
        if options.output:
            np.savez(options.output, allow_pickle=False, **outputs)
    return 0
