"""``litedelegates quantize``: write a smaller, quicker copy of a model, as a whole or op by op."""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, add_shapes, image_size, numbers, shapes_of
from litedelegates.cli.outcome import complain
from litedelegates.cli.python_words import on_the_command_line
from litedelegates.errors import OptionError, QuantizationError, QuantizationWarning
from litedelegates.files import read_json
from litedelegates.quantize import BORDERS, METHODS, PRECISIONS, Images, Record, quantize_file
from litedelegates.quantize.request import PLAN_PRECISIONS

EXAMPLES = """examples:
  litedelegates quantize model.tflite float16 -o small.tflite
  litedelegates quantize model.tflite int8 -o int8.tflite --calibration samples.npy
  litedelegates quantize model.tflite int8 -o int8.tflite --calibration photos/ --mean 127.5 --std 127.5 --limit 100
  litedelegates quantize model.tflite int8 -o fast.tflite --calibration random     # for measuring speed only

mixed by layer: a KEY is the index of an op, its name (that of its first output, or of the ONNX node), its type, or a
pattern over names; an index wins over a name, a name over a pattern, a pattern over a type, later over earlier:
  litedelegates quantize model.tflite int8 -o mixed.tflite --calibration samples.npy --exclude FULLY_CONNECTED
  litedelegates quantize model.tflite -o mixed.tflite --op CONV_2D=dynamic --op 'head/*=float16' --op 3=float32
  litedelegates quantize model.onnx -o mixed.onnx --plan plan.json --calibration samples.npz

plan.json holds the same as an object: {"CONV_2D": "dynamic", "head/*": "float16", "3": "float32"}
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "quantize",
        help="quantize a .tflite, .onnx or Keras model",
        description="Quantize a float32 model: .tflite and .onnx stay what they are; .keras, .h5 and SavedModel\n"
        "folders become .tflite. What cannot be done as asked is an error that names the ops.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a float32 model: .tflite, .onnx, .keras, .h5 or a SavedModel")
    parser.add_argument(
        "precision",
        metavar="PRECISION",
        nargs="?",
        help=f"{', '.join(PRECISIONS)}; may be left out with --op or --plan",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write the quantized model")
    _add_plan(parser.add_argument_group("mixed by layer"))
    _add_calibration(parser.add_argument_group("calibration, for int8 and int16x8"))
    parser.add_argument("--format", choices=("qdq", "qoperator"), help="for .onnx in int8: how it is written")
    add_shapes(parser, "for .onnx in int8 and int16x8: ")
    parser.add_argument(
        "--allow-float32-ops", action="store_true", help="accept that ops which cannot be quantized stay float32"
    )
    parser.add_argument(
        "--no-value-check",
        action="store_true",
        help="leave out running the result beside the model, which tells of values that are off (10 seconds at most)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads for calibration (default: all CPUs)")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Quantize and write."""
    given = {
        "plan": _plan(options),
        "only": options.only,
        "exclude": options.exclude,
        "border": options.border,
        "method": options.method,
        "percentile": options.percentile,
        "format": options.format,
        "shapes": shapes_of(options),
        "num_threads": options.threads,
    }
    extra = {name: value for name, value in given.items() if value is not None}
    calibration = _calibration(options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", QuantizationWarning)
        try:
            record = quantize_file(
                options.model,
                options.output,
                options.precision,
                calibration,
                allow_float32_ops=options.allow_float32_ops,
                check_values=not options.no_value_check,
                **extra,
            )
        except QuantizationError as error:
            raise type(error)(on_the_command_line(str(error))) from error
    for warning in caught:
        if issubclass(warning.category, QuantizationWarning):
            complain("quantize", f"warning: {on_the_command_line(str(warning.message))}")
    _report(options, record)
    return 0


def _add_plan(group: Any) -> None:
    group.add_argument(
        "--op",
        action="append",
        metavar="KEY=PRECISION",
        help=f"what some ops become: {', '.join(PLAN_PRECISIONS)}; may be repeated",
    )
    group.add_argument("--plan", metavar="FILE", help="a .json with such keys and precisions; --op adds to it")
    group.add_argument("--only", action="append", metavar="KEY", help="only these ops change; may be repeated")
    group.add_argument("--exclude", action="append", metavar="KEY", help="these ops stay float32; may be repeated")


def _add_calibration(group: Any) -> None:
    group.add_argument(
        "--calibration",
        metavar="SOURCE",
        help="a .npy with samples along its first axis, a .npz with such an array for each input, a folder of images "
        "(state --mean and --std), or `random`, good for measuring speed only",
    )
    group.add_argument("--image-size", metavar="N|HxW", help="height and width of the images (default: the model's)")
    group.add_argument("--mean", metavar="X[,Y,Z]", help="subtracted from pixels of 0 to 255, one or for each channel")
    group.add_argument("--std", metavar="X[,Y,Z]", help="what they are divided by: --mean 0 --std 255 gives 0 to 1")
    group.add_argument("--layout", choices=("NHWC", "NCHW"), help="order of the axes (default: as it fits the model)")
    group.add_argument("--limit", type=int, metavar="N", help="take at most N images, evenly spaced over the folder")
    group.add_argument("--border", choices=BORDERS, help="type of the model's inputs and outputs (default: float32)")
    group.add_argument("--method", choices=METHODS, help="how ranges are found (default: minmax)")
    group.add_argument("--percentile", type=float, metavar="P", help="for --method percentile, such as 99.9")


def _plan(options: argparse.Namespace) -> dict[int | str, str] | None:
    if options.plan is None and options.op is None:
        return None
    plan: dict[int | str, str] = {}
    if options.plan is not None:
        try:
            loaded = read_json(options.plan)
        except ValueError as error:
            raise OptionError(f"--plan {options.plan}: not JSON: {error}") from error
        if not isinstance(loaded, dict):
            raise OptionError(
                f'--plan {options.plan}: holds a {type(loaded).__name__}, not {{"KEY": "PRECISION", ...}}'
            )
        if "schema_version" in loaded:
            raise OptionError(
                f"--plan {options.plan}: this was written by `litedelegates plan`, whose models are made by "
                f'`litedelegates deploy {options.plan} -o FOLDER`; here a plan is {{"KEY": "PRECISION", ...}}'
            )
        plan |= loaded
    for text in options.op or []:
        key, equals, precision = text.rpartition("=")
        if not equals or not key:
            raise OptionError(f"--op {text}: write it as KEY=PRECISION, such as CONV_2D=int8")
        plan.pop(key, None)  # so that it counts as the later of two
        plan[key] = precision
    return plan


def _calibration(options: argparse.Namespace) -> Any:
    source = options.calibration
    names = ("image_size", "mean", "std", "layout", "limit")
    image_options = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
    if source is None or not Path(source).is_dir():
        if image_options:
            raise OptionError(f"{', '.join(image_options)}: only for --calibration FOLDER, a folder of images")
        return source
    if options.mean is None or options.std is None:
        raise OptionError(
            f"--calibration {source}: state how the model was trained to see images with --mean and --std, such as "
            "--mean 127.5 --std 127.5 for -1 to 1"
        )
    return Images(
        source,
        mean=numbers("--mean", options.mean),
        std=numbers("--std", options.std),
        size=image_size(options.image_size),
        layout=options.layout,
        limit=options.limit,
    )


def _report(options: argparse.Namespace, record: Record) -> None:
    before, after = _bytes_of(Path(options.model)), _bytes_of(Path(options.output))
    if options.json:
        shown = {"output": options.output, "bytes": after, "source_bytes": before, "record": asdict(record)}
        print(json.dumps(shown))
        return
    print(f"{options.output}: {after} bytes, {100 * after / before:.0f} % of {before}")
    if len(record.recipe["plan"]) > 1:
        print(", ".join(f"{precision}: {len(ops)} ops" for precision, ops in record.recipe["plan"].items()))


def _bytes_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
