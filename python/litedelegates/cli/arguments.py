"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import ast
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from litedelegates.arrays import read_arrays
from litedelegates.errors import OptionError, nearest
from litedelegates.interpreter import Interpreter
from litedelegates.tensor_info import TensorInfo, random_value

Array = np.ndarray[Any, Any]
_HAVE_ARGUMENTS = {"model": "MODEL", "delegate": "--delegate", "num_threads": "--threads"}


class HelpFormatter(argparse.HelpFormatter):
    """Wraps a text of one line, and leaves the lines of others as they are: those of examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


def parse_exit(text: str, what: str) -> tuple[str, float]:
    """Return the output and the number of ``OUTPUT=NUMBER``; ``what`` says what the number is.

    Raises:
        OptionError: It is not written so.
    """
    name, equals, value = text.rpartition("=")
    try:
        if equals:
            return name, float(value)
    except ValueError:
        pass
    raise OptionError(f"--exit {text}: write it as OUTPUT={what}, such as early_probabilities=0.9")


def add_model_arguments(parser: argparse.ArgumentParser) -> Any:
    """Add the model, the delegates, their options and the input; return the group of what excludes that input."""
    parser.add_argument("model", metavar="MODEL", help="a .tflite file")
    parser.add_argument(
        "--delegate",
        default="xnnpack",
        metavar="CHAIN",
        help="none, xnnpack, gpu, edgetpu, openvino, auto, or several in order such as gpu,xnnpack (default: xnnpack)",
    )
    parser.add_argument("--threads", type=count, metavar="N", help="threads of the CPU kernels (default: 1)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of a delegate, such as precision_loss_allowed=True; may be repeated",
    )
    add_shapes(parser)
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--input",
        metavar="FILE",
        help="a .npy (one input) or .npz (inputs by name) file; default: seeded random values",
    )
    return given


def add_shapes(parser: argparse.ArgumentParser, where: str = "") -> None:
    """Add the sizes of inputs that a model leaves open."""
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=N,N,...",
        help=f"{where}the shape of an input whose sizes the model leaves open; may be repeated",
    )


def unknown_arguments(unknown: Sequence[str], command: argparse.ArgumentParser) -> str:
    """Say which arguments a command does not know, and what may have been meant by the first option among them."""
    options = [text.partition("=")[0] for text in unknown if text.startswith("-")]
    known = [name for action in command._actions for name in action.option_strings if action.help != argparse.SUPPRESS]
    hint = f". {nearest(options[0], known, limit=3)}" if options else ""
    return f"unrecognized arguments: {' '.join(unknown)}{hint}"


def count(text: str) -> int:
    """Return a number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def share(text: str) -> float:
    """Return a share, for argparse: 0.05 and 5% are the same."""
    number = text.strip().removesuffix("%")
    try:
        found = float(number) / (1 if number == text.strip() else 100)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 0.05 or 5%")
    return found


def seconds(text: str) -> float:
    """Return a time in seconds, for argparse: finite, and not below 0."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return found


def integer(option: str, text: str) -> int:
    """Return one of the integers that were given to an option."""
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"{option} {text}: it must be integers such as 1,2,4") from None


def shapes_of(options: argparse.Namespace) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes given, by input name."""
    shapes = {}
    for text in options.shape:
        name, _, sizes = text.rpartition("=")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            name = ""
        if not name:
            raise OptionError(f"--shape {text}: write it as INPUT=N,N,..., such as image=1,224,224,3")
    return shapes or None


def load_interpreter(options: argparse.Namespace) -> Interpreter:
    """Load the model as the arguments say, with its inputs set."""
    names = options.delegate.split(",")
    chain = names[0] if len(names) == 1 else names
    given = dict(_option(text) for text in options.option)
    for name, instead in _HAVE_ARGUMENTS.items():
        if name in given:
            raise OptionError(f"--option {name}={given[name]}: give it as {instead}")
    interpreter = Interpreter(options.model, delegate=chain, num_threads=options.threads, **given)
    indices = {info.name: info.index for info in interpreter.inputs}
    for input_name, shape in (shapes_of(options) or {}).items():
        if input_name not in indices:
            raise OptionError(f"--shape {input_name}=...: there is no such input. {nearest(input_name, indices)}")
        interpreter.resize_tensor_input(indices[input_name], shape)
    interpreter.allocate_tensors()
    for info, value in zip(interpreter.inputs, _values(options.input, interpreter.inputs), strict=True):
        interpreter.set_tensor(info.index, value)
    return interpreter


def numbers(option: str, text: str) -> float | tuple[float, ...]:
    """Return the number given, or the numbers, one for each channel."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"{option} {text}: write a number, or one for each channel: 123.7,116.3,103.5") from None
    return found[0] if len(found) == 1 else found


def image_size(text: str | None) -> tuple[int, int] | None:
    """Return height and width."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise OptionError(f"--image-size {text}: write 224, or 192x256 for height and width")
    return int(sides[0]), int(sides[-1])


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"--option {text}: write it as NAME=VALUE, such as precision_loss_allowed=True")
    lowered = {"true": True, "false": False}.get(value.lower())
    if lowered is not None:
        return name, lowered
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _values(path: str | None, infos: tuple[TensorInfo, ...]) -> list[Array]:
    if path is None:
        rng = np.random.default_rng(0)
        return [random_value(info, rng) for info in infos]
    loaded = read_arrays(path)
    if isinstance(loaded, np.ndarray):
        if len(infos) != 1:
            raise OptionError(f"{path} holds one array and the model takes {len(infos)} inputs: use a .npz file")
        return [loaded]
    missing = [info.name for info in infos if info.name not in loaded]
    if missing:
        raise OptionError(f"{path} has no array named {', '.join(missing)}; it has {', '.join(loaded)}")
    return [loaded[info.name] for info in infos]
