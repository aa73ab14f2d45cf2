"""Inputs made up from a seed, the same ones on every engine."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np

from litedelegates.engines.records import PortInfo
from litedelegates.errors import OptionError
from litedelegates.model import numpy_dtype

if TYPE_CHECKING:
    from litedelegates.engines import Array, Session


def random_feed(session: Session, seed: int = 0) -> dict[str, Array]:
    """Return values for every input of a session; inputs of the same shapes, types and order get the same ones.

    Sizes that may change are those of the file, else 1.

    Raises:
        OptionError: An input is of a type that values cannot be made up for, such as strings.
    """
    rng = np.random.default_rng(seed)
    return {info.name: random_value(info, rng) for info in session.inputs}


def random_value(info: PortInfo, rng: np.random.Generator) -> Array:
    """Return values that fit an input: floats in [0, 1), 8-bit integers below 100, other integers 0 or 1.

    They are those of `tensor_info.random_value`, whose quantized integers have 8 bits here. Other integers may be
    indices or counts, which larger values would put out of range.

    Raises:
        OptionError: The input is of a type that values cannot be made up for, such as strings, or is larger than any
            array can be.
    """
    known = info.default if len(info.default) == len(info.shape) else info.shape
    shape = [size if size > 0 else max(other, 1) for size, other in zip(info.shape, known, strict=True)]
    dtype = numpy_dtype(info.element_type)
    if math.prod(shape) > sys.maxsize // 8:
        raise OptionError(f"input {info.name!r} is of shape {shape}, which is larger than an array can be")
    if dtype.kind in "fc" or info.element_type == "bfloat16":
        return rng.random(shape, np.float32).astype(dtype)
    if dtype.kind in "iub":
        return rng.integers(0, 100 if dtype.itemsize == 1 and dtype.kind != "b" else 2, shape).astype(dtype)
    raise OptionError(f"input {info.name!r} is of type {info.element_type}: its values have to be given")
