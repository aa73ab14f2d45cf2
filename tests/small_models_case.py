"""What a test needs to know of a small model: how to build, feed and check it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Arrays = list[Array]


@dataclass(frozen=True)
class Case:
    """One small model with its inputs and the outputs that numpy computes for them.

    ``expected`` is for the first invoke after loading; None when there is nothing to compare.
    ``obstacle`` says why the official Interpreter cannot run the model; None when it can.
    Values of a type that numpy lacks are in the nearest one: int8 for int4 and float8, uint16 words for bfloat16.
    """

    name: str
    build: Callable[[], bytes]
    inputs: Callable[[np.random.Generator], Arrays]
    expected: Callable[[Arrays], Arrays] | None
    notes: str = ""
    atol: float = 1e-5
    obstacle: str | None = None


def floats(*shapes: Sequence[int]) -> Callable[[np.random.Generator], Arrays]:
    """Return a factory of float32 arrays between -2 and 2, one a shape."""
    return lambda rng: [np.asarray(rng.uniform(-2, 2, shape), np.float32) for shape in shapes]


def fixed(*values: Any) -> Callable[[np.random.Generator], Arrays]:
    """Return a factory that gives the same arrays each time."""
    return lambda rng: [np.array(value) for value in values]


def strings(*values: bytes) -> Callable[[np.random.Generator], Arrays]:
    """Return a factory of one array of bytes objects."""
    return lambda rng: [np.array(values, np.object_)]
