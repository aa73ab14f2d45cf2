"""Outputs of models that classify: the classes with the highest scores."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from litedelegates.border import dequantize

Array = np.ndarray[Any, Any]


class Class(NamedTuple):
    """One class that the model found.

    Attributes:
        id: Its index among the scores.
        score: Its score.
    """

    id: int
    score: float


def num_classes(interpreter: Any) -> int:
    """Return the number of classes: the number of elements of the first output."""
    return int(np.prod(interpreter.get_output_details()[0]["shape"], dtype=np.int64))


def get_scores(interpreter: Any) -> Array:
    """Return a copy of the first output, flattened and dequantized.

    Integers become ``scale * (value - zero_point)`` in float64; integers without a scale and floats stay as they are.
    """
    details = interpreter.get_output_details()[0]
    values: Array = interpreter.get_tensor(details["index"]).flatten()
    scale, zero_point = details["quantization"]
    if not np.issubdtype(values.dtype, np.integer) or scale == 0:
        return values
    return dequantize(values, (scale,), (zero_point,))


def get_classes_from_scores(scores: Any, top_k: float = math.inf, score_threshold: float = -math.inf) -> list[Class]:
    """Return the classes by descending score; equal scores by ascending id.

    Args:
        scores: The scores by class id, shape (N,).
        top_k: At most so many.
        score_threshold: Only those with at least this score.
    """
    values = np.asarray(scores)
    last = values.size - 1
    # Sorted backwards and turned round, so that of equal scores the first comes first, in unsigned types too.
    order = last - np.argsort(values[::-1], kind="stable")[::-1]
    count = int(min(max(top_k, 0), values.size))
    return [Class(int(i), float(values[i])) for i in order[:count] if values[i] >= score_threshold]


def get_classes(interpreter: Any, top_k: float = math.inf, score_threshold: float = -math.inf) -> list[Class]:
    """Return the classes of the first output by descending score.

    Args:
        interpreter: An interpreter that ran.
        top_k: At most so many.
        score_threshold: Only those with at least this score.
    """
    return get_classes_from_scores(get_scores(interpreter), top_k, score_threshold)
