"""The classes that a model gives the highest scores."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np

from litedelegates.cli.outcome import complain
from litedelegates.coral.adapters import classify
from litedelegates.coral.utils.dataset import read_label_file
from litedelegates.errors import OptionError, UnsupportedError
from litedelegates.interpreter import Interpreter

_TOP = 5


@dataclass(frozen=True)
class ShownClass:
    """One of the best classes.

    Attributes:
        id: Its index among the scores.
        label: Its name; empty without a file of labels, or without a line for it.
        score: What the model gives, dequantized; with ``--softmax`` its softmax over all classes.
    """

    id: int
    label: str
    score: float


def add_classes(parser: Any) -> None:
    """Add the arguments about classes."""
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one a line: `cat`, `0 cat` or `0: cat`")
    parser.add_argument("--top", type=int, metavar="N", help=f"how many classes to show, best first (default: {_TOP})")
    parser.add_argument("--softmax", action="store_true", help="show the softmax of the scores, for models without one")


def top_classes(interpreter: Interpreter, options: argparse.Namespace) -> tuple[ShownClass, ...] | None:
    """Return the best classes of the first output; None where nobody asked, or an image gave something else.

    Raises:
        OptionError: ``--top`` is below 1.
        UnsupportedError: Classes were asked for, and the output is no list of scores.
        OSError: The labels cannot be read.
    """
    asked = options.labels is not None or options.top is not None or options.softmax
    if not asked and options.image is None:
        return None
    top = _TOP if options.top is None else options.top
    if top < 1:
        raise OptionError(f"--top {top}: show at least one class")
    output = interpreter.outputs[0]
    count = int(np.prod(output.shape, dtype=np.int64))
    if count < 2 or count != max(output.shape):
        if not asked:
            return None
        raise UnsupportedError(
            f"output {output.name!r} of shape {list(output.shape)} is no list of scores, one for each class"
        )
    labels = {} if options.labels is None else read_label_file(options.labels)
    _check_labels(options.labels, labels, count)
    scores = classify.get_scores(interpreter)
    if options.softmax:
        powers = np.exp(scores.astype(np.float64) - scores.max())
        scores = powers / powers.sum()
    found = classify.get_classes_from_scores(scores, top)
    return tuple(ShownClass(one.id, labels.get(one.id, ""), one.score) for one in found)


def _check_labels(path: str, labels: dict[int, str], count: int) -> None:
    named = [number for number, label in labels.items() if label]
    # A file with one line too few or too many mostly lacks, or has, a class "background": every name would be wrong.
    if path is not None and len(named) != count:
        complain(
            "run",
            f"warning: {path} names {len(named)} classes and the model has {count}: the names may be those of others",
        )
