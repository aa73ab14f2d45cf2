"""Real values and the integers that stand for them: apply scale and zero point for the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from litedelegates.model import numpy_dtype

if TYPE_CHECKING:
    from litedelegates.tensor_info import TensorInfo

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Quantization:
    """How integers stand for real values: ``real = scale * (integer - zero_point)``.

    Attributes:
        scales: One for the whole tensor, or one for each index along ``axis``.
        zero_points: As many as scales.
        axis: The dimension that the scales belong to; meaningless with one scale.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


def quantize_array(values: Any, tensor: TensorInfo) -> Array:
    """Return ``round(values / scale) + zero_point``, saturated to the tensor's type; see `quantize`.

    Values that are already of the tensor's type, and tensors without a scale, are returned as they are.

    Raises:
        ValueError: A value is NaN.
    """
    array = np.asarray(values)
    if not tensor.is_quantized or array.dtype == tensor.dtype:
        return array
    if np.isnan(array).any():
        raise ValueError(f"input {tensor.name!r} holds NaN, which has no quantized value")
    return quantize(array, tensor.element_type, (tensor.scale,), (tensor.zero_point,))


def dequantize_array(values: Array, tensor: TensorInfo) -> Array:
    """Return ``(values - zero_point) * scale`` in float32; tensors without a scale as they are."""
    if not tensor.is_quantized:
        return values
    return dequantize(values, (tensor.scale,), (tensor.zero_point,)).astype(np.float32)


def quantize(
    values: Array, element_type: str, scales: Sequence[float], zero_points: Sequence[int], axis: int = 0
) -> Array:
    """Return ``round(values / scale) + zero_point``, saturated to the range of ``element_type``.

    Ties round to even, as in the runtime's QUANTIZE on most platforms. Formula: Jacob et al., "Quantization and
    Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, equation 1.

    Args:
        values: Real values, none of them NaN.
        element_type: Such as ``int8``.
        scales: One, or one for each index along ``axis``.
        zero_points: As many.
        axis: The dimension that the scales belong to; meaningless with one scale.
    """
    scale, zero_point = along(scales, values.ndim, axis), along(zero_points, values.ndim, axis)
    levels = np.rint(values.astype(np.float64) / scale) + zero_point
    low, high = limits(element_type)
    quantized: Array = np.clip(levels, low, high).astype(numpy_dtype(element_type))
    return quantized


def dequantize(values: Array, scales: Sequence[float], zero_points: Sequence[int], axis: int = 0) -> Array:
    """Return ``(values - zero_point) * scale`` in float64, where no integer of up to 32 bits is rounded or wraps.

    The difference of two uint8 is no uint8, so nothing is computed in the type of ``values``. Arguments and formula as
    in `quantize`.
    """
    scale, zero_point = along(scales, values.ndim, axis), along(zero_points, values.ndim, axis)
    real: Array = (values.astype(np.float64) - zero_point) * scale
    return real


def along(parameters: ArrayLike, rank: int, axis: int) -> Array:
    """Return scales or zero points as float64, in a shape that broadcasts over tensors of ``rank`` dimensions."""
    found = np.asarray(parameters, np.float64)
    if found.size == 1:
        return found.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return found.reshape(shape)


def limits(element_type: str) -> tuple[int, int]:
    """Return the least and the largest integer of an element type."""
    if element_type == "int4":
        return -8, 7
    info = np.iinfo(numpy_dtype(element_type))
    return int(info.min), int(info.max)
