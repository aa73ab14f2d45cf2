"""What a QKeras layer computes, written with TensorFlow's FakeQuant ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.quantize.qkeras_grid import MOST_STEPS, ActivationGrid, find_steps

Function: TypeAlias = Callable[[Any], Any]

WEIGHT_LAYERS = ("QConv2D", "QDense", "QDepthwiseConv2D")


def in_range(low: float, high: float) -> Function:
    """Return a function that puts values on the 256 steps from ``low`` to ``high``, 0 among them."""
    import tensorflow as tf

    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:  # an output that is always 0
        high = 1.0
    return lambda x: tf.quantization.fake_quant_with_min_max_args(x, low, high, num_bits=8)


def on_grid(grid: ActivationGrid) -> Function:
    """Return a function that puts values on ``grid``."""
    import tensorflow as tf

    quantize = in_range(grid.bottom, grid.high)
    if not grid.needs_lower_end:
        return quantize
    if grid.low == 0:
        return lambda x: quantize(tf.nn.relu(x))
    return lambda x: quantize(tf.maximum(quantize(x), grid.low))


def weighted(layer: Any, grid: ActivationGrid | None, lost: list[str]) -> Function:
    """Return what ``layer``, one of ``WEIGHT_LAYERS``, computes; its activation is ``grid`` or a plain one.

    Args:
        layer: Its weights are taken as they are now.
        grid: Of its activation; None where that is not quantized.
        lost: Gets a sentence if the weights lie on no grid of 8 bits.
    """
    import keras
    import tensorflow as tf

    kind = type(layer).__name__
    quantizer = layer.depthwise_quantizer_internal if kind == "QDepthwiseConv2D" else layer.kernel_quantizer_internal
    variable = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    values = _quantized(quantizer, variable)
    channels = values.reshape(*values.shape[:2], -1) if kind == "QDepthwiseConv2D" else values
    steps = find_steps(channels)
    if steps is None:
        lost.append(
            f"the weights of layer {layer.name!r} are multiples of no step that 8 bits can hold (quantizer "
            f"{quantizer}): they are rounded to int8 once more"
        )
        largest = np.abs(channels).reshape(-1, channels.shape[-1]).max(0)
        if kind == "QDense" and len(layer.input.shape) != 2:
            largest = np.full_like(largest, largest.max())
        steps = (np.where(largest > 0, largest, 1) / MOST_STEPS).astype(np.float32)
    bias = _quantized(layer.bias_quantizer_internal, layer.bias) if layer.use_bias else None
    activation = on_grid(grid) if grid is not None else layer.activation or (lambda x: x)

    def add_bias(x: Any) -> Any:
        return x if bias is None else tf.nn.bias_add(x, bias)

    def kernel() -> Any:
        return tf.reshape(_fake_quant(channels, steps), values.shape)

    def convolve(x: Any) -> Any:
        function = keras.ops.depthwise_conv if kind == "QDepthwiseConv2D" else keras.ops.conv
        product = function(
            x,
            kernel(),
            strides=tuple(layer.strides),
            padding=layer.padding,
            data_format=layer.data_format,
            dilation_rate=tuple(layer.dilation_rate),
        )
        return add_bias(product)

    def multiply(x: Any) -> Any:
        if len(set(steps.tolist())) == 1:
            kernel_on_grid = tf.quantization.fake_quant_with_min_max_vars(
                values, -MOST_STEPS * steps[0], MOST_STEPS * steps[0], num_bits=8, narrow_range=True
            )
            return add_bias(tf.matmul(x, kernel_on_grid))
        # TensorFlow's converter cannot turn the weights of a matrix product with a step for each channel, but those of
        # a convolution of 1 x 1.
        inputs, outputs = values.shape
        image = tf.reshape(x, (-1, 1, 1, inputs))
        product = tf.nn.conv2d(image, _fake_quant(channels[np.newaxis, np.newaxis], steps), 1, "VALID")
        return tf.reshape(add_bias(product), (-1, outputs))

    compute = multiply if kind == "QDense" else convolve
    return lambda x: activation(compute(x))


def _fake_quant(values: NDArray[np.float32], steps: NDArray[np.float32]) -> Any:
    import tensorflow as tf

    ends = steps * MOST_STEPS
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(values, -ends, ends, num_bits=8, narrow_range=True)


def _quantized(quantizer: Any, variable: Any) -> NDArray[np.float32]:
    values = variable if quantizer is None else quantizer(variable)
    return np.asarray(values, np.float32)
