"""Real values at the border of integer models: apply scale and zero point for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from litedelegates.tensor_info import TensorInfo

Array = np.ndarray[Any, Any]


def quantize_array(values: Any, tensor: TensorInfo) -> Array:
    """Return ``round(values / scale) + zero_point``, saturated to the tensor's type.

    Values that are already of the tensor's type, and tensors without a scale, are returned as they are. Ties round to
    even, as in the runtime's QUANTIZE on most platforms. Formula: Jacob et al., "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference", 2018, equation 1.

    Raises:
        ValueError: A value is NaN.
    """
    array = np.asarray(values)
    if not tensor.is_quantized or array.dtype == tensor.dtype:
        return array
    if np.isnan(array).any():
        raise ValueError(f"input {tensor.name!r} holds NaN, which has no quantized value")
    limits = _limits(tensor)
    levels = np.rint(array.astype(np.float64) / tensor.scale) + tensor.zero_point
    quantized: Array = np.clip(levels, *limits).astype(tensor.dtype)
    return quantized


def dequantize_array(values: Array, tensor: TensorInfo) -> Array:
    """Return ``(values - zero_point) * scale`` in float32; tensors without a scale as they are."""
    if not tensor.is_quantized:
        return values
    return ((values.astype(np.int64) - tensor.zero_point) * np.float32(tensor.scale)).astype(np.float32)


def _limits(tensor: TensorInfo) -> tuple[int, int]:
    if tensor.element_type == "int4":
        return -8, 7
    info = np.iinfo(tensor.dtype)
    return int(info.min), int(info.max)
