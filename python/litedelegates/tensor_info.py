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
