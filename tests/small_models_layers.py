"""Plain layers: add, multiply, convolution, fully connected; float and quantized."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from small_models_builder import OPTIONAL, GraphBuilder, ModelBuilder, Op, Quantization, Type, pack_int4, schema
from small_models_case import Array, Arrays, Case, fixed, floats

RELU = schema.ActivationFunctionType.RELU

CONV_WEIGHTS = (np.arange(18, dtype=np.float32).reshape(2, 3, 3, 1) - 8) / 8
CONV_BIAS = np.array([0.5, -0.25], np.float32)
CONV_INT8_WEIGHTS = (np.arange(18).reshape(2, 3, 3, 1) * 7 - 60).astype(np.int8)
CONV_INT8_BIAS = np.array([100, -50], np.int32)
CONV_INT8_SCALES = (0.02, 0.01)
CONV_INT8_INPUT = Quantization([0.05], [3])
CONV_INT8_OUTPUT = Quantization([0.1], [-10])
DENSE_WEIGHTS = (np.arange(12, dtype=np.float32).reshape(3, 4) - 5) / 4
DENSE_BIAS = np.array([0.25, 0, -0.5], np.float32)
INT4_WEIGHTS = np.array([[-7, 3, 0, 5], [1, -2, 7, -4], [6, -6, 2, -1]], np.int8)
INT4_SCALES = (0.5, 0.25, 0.125)
INT4_INPUT = Quantization([0.0625], [2])
INT4_OUTPUT = Quantization([0.25], [-3])


def add() -> bytes:
    """One ADD of two inputs x and y of shape (1, 4)."""
    model = ModelBuilder()
    graph = model.graph()
    operands = [graph.input("x", (1, 4)), graph.input("y", (1, 4))]
    graph.op(Op.ADD, operands, [graph.output("sum", (1, 4))], schema.AddOptionsT())
    return model.to_bytes()


def scale_by_two() -> bytes:
    """One MUL of the input x by the constant 2."""
    model = ModelBuilder()
    graph = model.graph()
    operands = [graph.input("x", (1, 4)), graph.constant("two", np.float32(2))]
    graph.op(Op.MUL, operands, [graph.output("doubled", (1, 4))], schema.MulOptionsT())
    return model.to_bytes()


def add_chain(num_ops: int = 3) -> bytes:
    """A chain of ADDs; op i adds the constant i + 1, so the tensor ``step_i`` holds x + 1 + ... + (i + 1)."""
    model = ModelBuilder()
    graph = model.graph()
    previous = graph.input("x", (1, 4))
    for step in range(num_ops):
        constant = graph.constant(f"constant_{step}", np.float32(step + 1))
        total = graph.tensor(f"step_{step}", (1, 4))
        graph.op(Op.ADD, [previous, constant], [total], schema.AddOptionsT())
        previous = total
    graph.table.outputs = [previous]
    return model.to_bytes()


def conv(batch: int = 1) -> bytes:
    """CONV_2D of a (1, 4, 4, 1) image with two 3x3 filters, bias and RELU; batch -1 is dynamic."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [
        graph.input("image", (batch, 4, 4, 1)),
        graph.constant("weights", CONV_WEIGHTS),
        graph.constant("bias", CONV_BIAS),
    ]
    graph.op(Op.CONV_2D, inputs, [graph.output("features", (batch, 2, 2, 2))], conv_options())
    return model.to_bytes()


def conv_dynamic_batch() -> bytes:
    """The model of ``conv`` with a batch of -1 in its shape signature."""
    return conv(batch=-1)


def conv_int8() -> bytes:
    """CONV_2D, fully quantized to int8 with a scale for each output channel."""
    model = ModelBuilder()
    graph = model.graph()
    bias_scales = [CONV_INT8_INPUT.scales[0] * scale for scale in CONV_INT8_SCALES]
    inputs = [
        graph.input("image", (1, 4, 4, 1), Type.INT8, CONV_INT8_INPUT),
        graph.constant("weights", CONV_INT8_WEIGHTS, Quantization(CONV_INT8_SCALES, [0, 0])),
        graph.constant("bias", CONV_INT8_BIAS, Quantization(bias_scales, [0, 0])),
    ]
    output = graph.output("features", (1, 2, 2, 2), Type.INT8, CONV_INT8_OUTPUT)
    graph.op(Op.CONV_2D, inputs, [output], conv_options(), version=3)
    return model.to_bytes()


def dense_dynamic_batch() -> bytes:
    """FULLY_CONNECTED from 4 to 3 units with a batch of -1 in its shape signature."""
    model = ModelBuilder()
    graph = model.graph()
    weights, bias = graph.constant("weights", DENSE_WEIGHTS), graph.constant("bias", DENSE_BIAS)
    inputs = [graph.input("x", (-1, 4)), weights, bias]
    graph.op(Op.FULLY_CONNECTED, inputs, [graph.output("y", (-1, 3))], schema.FullyConnectedOptionsT())
    return model.to_bytes()


def int4_weights() -> bytes:
    """FULLY_CONNECTED with float input and output and packed int4 weights, scaled by channel."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("x", (1, 4)), _int4_weights(graph), graph.constant("bias", DENSE_BIAS)]
    graph.op(Op.FULLY_CONNECTED, inputs, [graph.output("y", (1, 3))], schema.FullyConnectedOptionsT(), version=12)
    return model.to_bytes()


def int4_weights_int8() -> bytes:
    """FULLY_CONNECTED with int8 input and output and packed int4 weights, scaled by channel."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("x", (1, 4), Type.INT8, INT4_INPUT), _int4_weights(graph), OPTIONAL]
    output = graph.output("y", (1, 3), Type.INT8, INT4_OUTPUT)
    graph.op(Op.FULLY_CONNECTED, inputs, [output], schema.FullyConnectedOptionsT(), version=10)
    return model.to_bytes()


def conv_options(padding: int = schema.Padding.VALID) -> schema.Conv2DOptionsT:
    """Return the options of a CONV_2D with stride 1 and RELU."""
    options = schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = padding, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    options.fusedActivationFunction = RELU
    return options


def conv_valid(image: Array, weights: Array) -> Array:
    """Return the VALID convolution of NHWC ``image`` with OHWI ``weights``."""
    windows = np.lib.stride_tricks.sliding_window_view(image, weights.shape[1:3], axis=(1, 2))
    return np.asarray(np.einsum("nyxchw,ohwc->nyxo", windows, weights))


def quantize(values: Array, quantization: Quantization, dtype: type) -> Array:
    """Return ``values`` in the integers of ``dtype`` under a scale and a zero point."""
    limits = np.iinfo(dtype)
    steps = np.round(values / quantization.scales[0]) + quantization.zero_points[0]
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def dequantize(values: Array, quantization: Quantization) -> Array:
    """Return the real numbers that quantized ``values`` stand for."""
    return (values.astype(np.float64) - quantization.zero_points[0]) * quantization.scales[0]


def int8s(*shape: int) -> Callable[[np.random.Generator], Arrays]:
    """Return a factory of one int8 array with values of either sign."""
    return lambda rng: [rng.integers(-100, 100, shape, np.int8)]


def _int4_weights(graph: GraphBuilder) -> int:
    return graph.tensor(
        "weights", (3, 4), Type.INT4, quantization=Quantization(INT4_SCALES, [0, 0, 0]), data=pack_int4(INT4_WEIGHTS)
    )


def _conv_expected(inputs: Arrays) -> Arrays:
    return [np.maximum(conv_valid(inputs[0], CONV_WEIGHTS) + CONV_BIAS, 0)]


def _conv_int8_expected(inputs: Arrays) -> Arrays:
    weights = CONV_INT8_WEIGHTS * np.reshape(CONV_INT8_SCALES, (2, 1, 1, 1))
    bias = CONV_INT8_BIAS * np.array(CONV_INT8_SCALES) * CONV_INT8_INPUT.scales[0]
    real = conv_valid(dequantize(inputs[0], CONV_INT8_INPUT), weights) + bias
    return [quantize(np.maximum(real, 0), CONV_INT8_OUTPUT, np.int8)]


def _dense_expected(inputs: Arrays) -> Arrays:
    return [inputs[0] @ DENSE_WEIGHTS.T + DENSE_BIAS]


def _int4_dense(real: Array) -> Array:
    return np.asarray(real @ (INT4_WEIGHTS * np.reshape(INT4_SCALES, (3, 1))).T.astype(real.dtype))


def _int4_int8_expected(inputs: Arrays) -> Arrays:
    return [quantize(_int4_dense(dequantize(inputs[0], INT4_INPUT)), INT4_OUTPUT, np.int8)]


CASES = (
    Case("add", add, floats((1, 4), (1, 4)), lambda a: [a[0] + a[1]], "two inputs"),
    Case("scale_by_two", scale_by_two, floats((1, 4)), lambda a: [a[0] * 2]),
    Case("add_chain", add_chain, floats((1, 4)), lambda a: [a[0] + 6], "inner tensors step_0 = x + 1, step_1 = x + 3"),
    Case("conv", conv, floats((1, 4, 4, 1)), _conv_expected),
    Case("conv_dynamic_batch", conv_dynamic_batch, floats((1, 4, 4, 1)), _conv_expected, "batch -1"),
    Case("conv_int8", conv_int8, int8s(1, 4, 4, 1), _conv_int8_expected, "per-channel weights", atol=1),
    Case("dense_dynamic_batch", dense_dynamic_batch, floats((1, 4)), _dense_expected, "batch -1"),
    Case(
        "int4_weights",
        int4_weights,
        fixed(np.array([[0.5, -1, 1.5, 2]], np.float32)),
        lambda a: [_int4_dense(a[0]) + DENSE_BIAS],
        "the input is quantized to int8 at run time",
        atol=0.1,
    ),
    Case("int4_weights_int8", int4_weights_int8, int8s(1, 4), _int4_int8_expected, "no bias", atol=1),
)
