"""The grids that QKeras quantizers put values on, and the FakeQuant ranges that say the same in a ``.tflite``.

A ``.tflite`` holds 8-bit integers: ``value = scale * (integer - zero_point)``. A learned grid of fewer bits is kept by
its step becoming the scale:

- **Weights** (any quantizer whose values are multiples of one step a channel, at most 127 of them): the scale is the
  step, so each weight in the file is the very value that QKeras computes with. With batch normalization behind it the
  converter folds its factor into scale and bias; the integers stay.
- **Activations** up to 8 bits (``quantized_relu``, ``quantized_bits`` with a fixed ``alpha``): the scale is the step
  and the zero point such that the upper end saturates at the learned one; a ReLU, or a MAXIMUM for signed ones of
  fewer than 8 bits, holds the lower end.

Not kept: how halves are rounded (QKeras to the even neighbour, LiteRT's kernels away from zero), so that an activation
may differ by one step; -2^(bits-1) as the lowest of an 8-bit weight, which TFLite does not allow; the lowest value of
a symmetric 8-bit activation is one step lower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_STEPS = 127  # TFLite's weights go from -127 to 127
LEVELS = 255
_TOLERANCE = 0.02  # of a step; float32 leaves 1e-5


@dataclass(frozen=True)
class ActivationGrid:
    """The values of an activation: multiples of ``step`` from ``low`` to ``high``."""

    low: float
    high: float
    step: float

    @property
    def bottom(self) -> float:
        """The lowest value that 8 bits with this step hold when the highest is ``high``."""
        return self.high - LEVELS * self.step

    @property
    def needs_lower_end(self) -> bool:
        """Whether something else than saturation must hold the lower end."""
        return self.low - self.bottom > 1.5 * self.step


def find_step(values: NDArray[Any], most: int = MOST_STEPS) -> float | None:
    """Return the largest step of which all ``values`` are multiples from ``-most`` to ``most``, or None.

    Zeros alone have the step 1.
    """
    sizes = np.unique(np.abs(values.astype(np.float64)))
    sizes = sizes[sizes > 0]
    if sizes.size == 0:
        return 1.0
    gaps = np.diff(sizes, prepend=0.0)
    smallest = gaps[gaps > sizes[-1] * 1e-4].min()  # smaller ones are float32's rounding of the same value
    for parts in range(1, most + 1):
        step = smallest / parts
        if sizes[-1] / step > most + 0.5:
            return None
        counts = sizes / step
        whole = np.round(counts)
        if np.abs(counts - whole).max() < _TOLERANCE:
            return float((sizes @ whole) / (whole @ whole))  # least squares
    return None


def find_steps(values: NDArray[Any]) -> NDArray[np.float32] | None:
    """Return the step of each output channel (last axis) of ``values``, or None where one has none.

    Where one step serves all channels, all get that one: it is what the quantizer was told (``alpha=1``).
    """
    shared = find_step(values)
    channels = values.shape[-1]
    if shared is not None:
        return np.full(channels, shared, np.float32)
    steps = [find_step(values[..., channel]) for channel in range(channels)]
    return None if None in steps else np.array(steps, np.float32)


def activation_grid(quantizer: Any) -> ActivationGrid | None:
    """Return the grid of a QKeras activation quantizer, or None where it has none that 8 bits can hold."""
    kind = type(quantizer).__name__
    bits, integer = int(getattr(quantizer, "bits", 99)), int(getattr(quantizer, "integer", 0))
    if bits > 8 or getattr(quantizer, "use_stochastic_rounding", False):
        return None
    top = 2.0**integer
    if kind == "quantized_relu":
        clipped = quantizer.is_quantized_clip or quantizer.relu_upper_bound is None
        if quantizer.use_sigmoid or quantizer.negative_slope or not clipped:
            return None
        step = top / 2**bits
        return ActivationGrid(0.0, top - step, step)
    if kind in ("quantized_bits", "quantized_linear"):
        alpha = 1.0 if quantizer.alpha is None else quantizer.alpha
        value_bits = bits - bool(quantizer.keep_negative)
        if isinstance(alpha, str) or np.size(alpha) != 1 or value_bits == 0:
            return None
        factor = float(np.ravel(alpha)[0])
        step = top / 2**value_bits
        low = -top + step * bool(quantizer.symmetric) if quantizer.keep_negative else 0.0
        return ActivationGrid(factor * low, factor * (top - step), factor * step)
    return None
