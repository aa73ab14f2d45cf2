"""One image as the input of a model."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.border import quantize_array
from litedelegates.cli.arguments import image_size, numbers
from litedelegates.errors import OptionError
from litedelegates.interpreter import Interpreter
from litedelegates.quantize import Images
from litedelegates.tensor_info import TensorInfo

HOW = (
    "an image, resized to the model's input: uint8 inputs get the bytes of the pixels, others pixel / 255 unless "
    "--mean and --std say otherwise, and integers are then made by scale and zero point"
)


@dataclass(frozen=True)
class ShownImage:
    """How an image became an input.

    Attributes:
        path: The file.
        height: Rows after resizing.
        width: Columns after resizing.
        channels: 3 for RGB, 1 for gray.
        layout: ``NHWC`` or ``NCHW``.
        pixels: What was done to pixels of 0 to 255, in words.
    """

    path: str
    height: int
    width: int
    channels: int
    layout: str
    pixels: str

    def __str__(self) -> str:
        return f"{self.path} as {self.height}x{self.width}x{self.channels} {self.layout}: {self.pixels}"


def add_image(parser: Any) -> None:
    """Add how a picture is read; ``--image`` itself is added where it excludes other inputs."""
    parser.add_argument("--image-size", metavar="N|HxW", help="height and width of the image (default: the model's)")
    parser.add_argument("--mean", metavar="X[,Y,Z]", help="subtracted from pixels of 0 to 255, one or for each channel")
    parser.add_argument(
        "--std", metavar="X[,Y,Z]", help="what they are divided by: --mean 127.5 --std 127.5 is -1 to 1"
    )


def set_image(interpreter: Interpreter, options: argparse.Namespace) -> ShownImage:
    """Put the image into the only input of a model, as the arguments say.

    Raises:
        OptionError: The model takes no single image, or its size or what its integers mean is open.
        MissingExtraError: Pillow is not installed.
        OSError: The file is not there, or is no image.
    """
    if not Path(options.image).is_file():
        raise FileNotFoundError(f"--image {options.image}: no such file")
    if len(interpreter.inputs) != 1:
        names = ", ".join(info.name for info in interpreter.inputs)
        raise OptionError(f"--image: the model takes {len(interpreter.inputs)} inputs ({names}): use --input FILE.npz")
    info, size = interpreter.inputs[0], image_size(options.image_size)
    if size is None and len(info.shape_signature) == 4 and min(info.shape_signature[1:]) < 1:
        raise OptionError(f"the model takes images of any size {list(info.shape_signature)}: state --image-size HxW")
    mean, std, dtype = _pixels(info, options)
    images = Images(options.image, mean, std, size).fit(info.shape_signature or info.shape, dtype)
    (sample,) = images
    if sample.shape != info.shape:
        interpreter.resize_tensor_input(info.index, sample.shape, strict=True)
        interpreter.allocate_tensors()
    interpreter.set_tensor(info.index, quantize_array(sample, info))
    height, width, channels = sample.shape[1:] if images.layout == "NHWC" else (*sample.shape[2:], sample.shape[1])
    words = "the bytes" if dtype == np.uint8 and (mean, std) == (0, 1) else f"(pixel - {mean}) / {std}"
    if info.is_quantized and dtype == np.float32:
        words += f", then / {info.scale:g} + {info.zero_point} as {info.element_type}"
    return ShownImage(options.image, height, width, channels, str(images.layout), words)


def _pixels(info: TensorInfo, options: argparse.Namespace) -> tuple[Any, Any, np.dtype[Any]]:
    """Return what to subtract, what to divide by, and the type of the result, before it is quantized."""
    given = [options.mean, options.std]
    if None in given and given != [None, None]:
        raise OptionError("--mean and --std go together, such as --mean 127.5 --std 127.5 for -1 to 1")
    stated = None not in given
    if not stated and info.dtype == np.uint8:
        return 0, 1, info.dtype
    if not stated and info.dtype.kind in "iu" and not info.is_quantized:
        raise OptionError(
            f"input {info.name!r} is {info.element_type} without a scale, so pixels have no value in it: state --mean "
            "and --std, such as --mean 128 --std 1"
        )
    mean, std = (numbers("--mean", options.mean), numbers("--std", options.std)) if stated else (0, 255)
    is_real = info.is_quantized and info.dtype.kind in "iu"
    return mean, std, np.dtype(np.float32) if is_real else info.dtype
