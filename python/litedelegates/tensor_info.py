"""What users read about an input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a model.

    Attributes:
        name: Its name: the signature's when the model has one for it, else the tensor's.
        index: Tensor index, as the drop-in methods take it.
        shape: Current shape.
        shape_signature: The shape with -1 for every size that may change.
        dtype: dtype of its arrays.
        element_type: The model's element type; differs from ``dtype`` where numpy has no such type.
        scale: Scale of a tensor quantized as a whole, else 0.0.
        zero_point: Its zero point, else 0.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: np.dtype[Any]
    element_type: str
    scale: float
    zero_point: int

    @property
    def is_quantized(self) -> bool:
        """Whether a scale maps its integers to real values."""
        return self.scale != 0.0


def random_value(info: TensorInfo, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Return values that fit an input: floats in [0, 1), quantized integers in [0, 100), other integers 0 or 1.

    The last may be indices or counts, which larger values would put out of range.

    Raises:
        ValueError: The input is of a type that values cannot be made up for, such as strings.
    """
    if info.dtype.kind in "fc" or info.element_type == "bfloat16":
        return rng.random(info.shape, np.float32).astype(info.dtype)
    if info.dtype.kind in "iub":
        return rng.integers(0, 100 if info.is_quantized else 2, info.shape).astype(info.dtype)
    raise ValueError(f"input {info.name!r} is of type {info.element_type}: its values have to be given")
