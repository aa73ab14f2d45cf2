"""``litedelegates run``: run a model and say what ran where, how fast, and what came out."""

from __future__ import annotations

import argparse
import io
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from litedelegates.cli.arguments import HelpFormatter, add_model_arguments, count, load_interpreter
from litedelegates.cli.classes import ShownClass, add_classes, top_classes
from litedelegates.cli.image import HOW, ShownImage, add_image, set_image
from litedelegates.cli.records import print_json
from litedelegates.files import write_whole
from litedelegates.interpreter import Interpreter
from litedelegates.placement import summarize
from litedelegates.routes import Array

SCHEMA_VERSION = 1
_SHOWN_VALUES = 6
# Ctrl-C is heard between two calls of the native loop.
_SECONDS_A_CALL = 0.25


@dataclass(frozen=True)
class _Ran:
    """What a run gave: made in this order, as the fields need each other."""

    image: ShownImage | None
    first: Array
    samples: Array
    outputs: dict[str, Array]
    classes: tuple[ShownClass, ...] | None


EXAMPLES = """examples:
  litedelegates run model.tflite --delegate gpu,xnnpack
  litedelegates run model.tflite --shape image=8,224,224,3
  litedelegates run model.tflite --image cat.jpg --labels labels.txt
  litedelegates run model.tflite --image cat.jpg --mean 127.5 --std 127.5 --top 3 --json"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="run a model on chosen delegates, also on an image",
        description="Run a model; print the route, where its ops ran, the latency and the outputs.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    given = add_model_arguments(parser)
    given.add_argument("--image", metavar="FILE", help=HOW)
    add_image(parser)
    add_classes(parser)
    parser.add_argument("--runs", type=count, default=50, help="runs to time (default: 50)")
    parser.add_argument("--output", metavar="FILE", help="save the outputs as .npz, by name")
    parser.add_argument("--placement", action="store_true", help="list every op")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON, with every sample in ns")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Run and print."""
    with load_interpreter(options) as interpreter:
        ran = _Ran(
            image=set_image(interpreter, options) if options.image is not None else None,
            first=interpreter.time_runs(max_runs=1),
            samples=_time_runs(interpreter, options.runs),
            outputs={info.name: interpreter.get_tensor(info.index) for info in interpreter.outputs},
            classes=top_classes(interpreter, options),
        )
        if options.output:
            _save(options.output, ran.outputs)
        if options.json:
            print_json(_record(interpreter, options, ran))
        else:
            _print(interpreter, options, ran)
    return 0


def _save(path: str, outputs: dict[str, Array]) -> None:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **outputs)
    # As numpy names it.
    write_whole(path if path.endswith(".npz") else f"{path}.npz", [content.getbuffer()])


def _time_runs(interpreter: Interpreter, runs: int) -> Array:
    parts: list[Array] = []
    while (left := runs - sum(map(len, parts))) > 0:
        parts.append(interpreter.time_runs(max_runs=left, max_seconds=_SECONDS_A_CALL))
    return np.concatenate(parts)


def _print(interpreter: Interpreter, options: argparse.Namespace, ran: _Ran) -> None:
    print(repr(interpreter))
    print(f"route      {interpreter.route.name}: {interpreter.route.reason}")
    if interpreter.choice:
        print(f"chosen     {interpreter.choice.reason}")
    print(f"load       {interpreter.load_ns / 1e6:.2f} ms")
    print(f"first run  {ran.first.sum() / 1e6:.3f} ms")
    median_ms = np.median(ran.samples.sum(axis=1)) / 1e6
    print(f"latency    {median_ms:.3f} ms (median of {len(ran.samples)}, from upload to read-back)")
    print(f"ops        {summarize(interpreter.placement)}")
    if options.placement:
        for record in interpreter.placement:
            where = record.ran if record.partition is None else f"{record.ran}, partition {record.partition}"
            print(f"  {record.subgraph}:{record.op_index:<4} {record.op_name:<28} {where}")
    if ran.image is not None:
        print(f"image      {ran.image}")
    for name, value in ran.outputs.items():
        start = np.array2string(value.reshape(-1)[:_SHOWN_VALUES], precision=5)
        more = " ..." if value.size > _SHOWN_VALUES else ""
        print(f"output     {name} {value.dtype}{list(value.shape)} {start}{more}")
    for one in ran.classes or ():
        print(f"class      {one.score:<10.5g} {one.id:>4} {one.label}".rstrip())


def _record(interpreter: Interpreter, options: argparse.Namespace, ran: _Ran) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "model": options.model,
        "device": interpreter.device,
        "delegates": [repr(delegate) for delegate in interpreter.delegates],
        "num_threads": options.threads,
        "options_in_effect": interpreter.options_in_effect,
        "route": {"name": interpreter.route.name, "reason": interpreter.route.reason},
        "choice": None if interpreter.choice is None else interpreter.choice.reason,
        "load_ns": interpreter.load_ns,
        "first_run_ns": int(ran.first.sum()),
        "median_ns": float(np.median(ran.samples.sum(axis=1))),
        "samples_ns": dict(zip(("upload", "run", "read_back"), ran.samples.T, strict=True)),
        "ops": summarize(interpreter.placement),
        "placement": [record.to_json() for record in interpreter.placement],
        "image": None if ran.image is None else asdict(ran.image),
        "inputs": [
            {"name": info.name, "element_type": info.element_type, "shape": info.shape} for info in interpreter.inputs
        ],
        "outputs": [
            {"name": name, "dtype": str(value.dtype), "shape": value.shape, "first": value.reshape(-1)[:_SHOWN_VALUES]}
            for name, value in ran.outputs.items()
        ],
        "classes": None if ran.classes is None else [asdict(one) for one in ran.classes],
        "scores": "softmax" if options.softmax else "dequantized",
    }
