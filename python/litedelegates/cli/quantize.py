"""``litedelegates quantize``: write a float16, dynamic or full-integer copy of a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.errors import OptionError
from litedelegates.quantize import BORDERS, PRECISIONS, quantize


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "quantize",
        help="quantize a float32 .tflite",
        description="Quantize a float32 .tflite without TensorFlow (needs the extra litedelegates[quantize]).",
    )
    parser.add_argument("model", help="a float32 .tflite file")
    parser.add_argument("precision", help=", ".join(PRECISIONS))
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write the quantized model")
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="for int8: a .npy with samples along its first axis, or a .npz with such an array for each input",
    )
    parser.add_argument("--border", choices=BORDERS, help="for int8: type of inputs and outputs (default: float32)")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Quantize and write."""
    extra = {"border": options.border} if options.border else {}
    content = quantize(options.model, options.precision, _samples(options.calibration), **extra)
    target = Path(options.output)
    part = target.with_name(target.name + ".part")
    part.write_bytes(content)
    part.replace(target)
    before = Path(options.model).stat().st_size
    print(f"{target}: {len(content)} bytes, {100 * len(content) / before:.0f} % of {before}")
    return 0


def _samples(path: str | None) -> list[Any] | None:
    if path is None:
        return None
    loaded = np.load(path)
    if isinstance(loaded, np.ndarray):
        return [sample[None] for sample in loaded]
    counts = {len(loaded[name]) for name in loaded}
    if len(counts) != 1:
        raise OptionError(f"{path}: its arrays hold different numbers of samples")
    return [{name: loaded[name][index][None] for name in loaded} for index in range(counts.pop())]
