"""Biases that int32 cannot hold at the scale of their weights, and constants that take the place of activations."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from litedelegates import Interpreter
from litedelegates.errors import QuantizationError, QuantizationWarning
from litedelegates.graph.tflite.tree import op_name, parse, type_name
from litedelegates.quantize import quantize
from small_models_builder import GraphBuilder, ModelBuilder, Op, schema

STATIC = {"int8": 0.03, "int16x8": 0.02}
ALL = {"float16": 1e-3, "dynamic": 0.02, "weight_only": 0.02, **STATIC}
BIAS = np.array([0.1, 0.2, 5, 0.1, -0.2, -3, 0.2, 0.1], np.float32)


def random(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


SAMPLES = [random(1, 8, 8, 4, seed=seed) for seed in range(8)]


def convolve(graph: GraphBuilder, kind: str, x: int, weights: np.ndarray[Any, Any], y: int) -> None:
    """Add an op of ``kind`` whose output channels are slices of ``weights``."""
    names = ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"]
    options = [
        schema.Conv2DOptionsT(),
        schema.DepthwiseConv2DOptionsT(),
        schema.TransposeConvOptionsT(),
        schema.FullyConnectedOptionsT(),
    ][names.index(kind)]
    if kind != "FULLY_CONNECTED":
        options.strideH = options.strideW = 1
    if hasattr(options, "dilationHFactor"):
        options.dilationHFactor = options.dilationWFactor = 1
    if kind == "DEPTHWISE_CONV_2D":
        options.depthMultiplier, weights = 2, np.moveaxis(weights[..., 0], 0, -1)[np.newaxis]
    if kind == "FULLY_CONNECTED":
        options.keepNumDims, weights = True, weights[:, 0, 0]
    filters, bias = graph.constant(f"w{y}", weights), graph.constant(f"b{y}", BIAS)
    inputs = [x, filters, bias]
    if kind == "TRANSPOSE_CONV":
        inputs = [graph.constant("shape", np.array([1, 8, 8, 8], np.int32)), filters, x, bias]
    graph.op(getattr(Op, kind), inputs, [y], options, version=3 if kind == "TRANSPOSE_CONV" else 1)


def one_op(kind: str, weights: np.ndarray[Any, Any], offset: float = 0.0, scale: float = 1.0) -> bytes:
    """Return x -> op(relu(scale x - offset))."""
    model = ModelBuilder()
    graph = model.graph()
    x, h, r = graph.input("x", (1, 8, 8, 4)), graph.tensor("h", (1, 8, 8, 4)), graph.tensor("r", (1, 8, 8, 4))
    graph.op(Op.MUL, [x, graph.constant("scale", np.float32(scale))], [h], schema.MulOptionsT())
    sub = schema.SubOptionsT()
    sub.fusedActivationFunction = 1
    graph.op(Op.SUB, [h, graph.constant("offset", np.float32(offset))], [r], sub)
    convolve(graph, kind, r, weights, graph.output("y", (1, 8, 8, 8)))
    return model.to_bytes()


def error(model: bytes, made: bytes) -> float:
    x, y = (np.stack([np.asarray(Interpreter(m, None).run(s)) for s in SAMPLES]) for m in (model, made))
    return float(np.linalg.norm(x - y) / np.linalg.norm(x))


def quantized_silently(model: bytes, precision: str, **keywords: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("error", QuantizationWarning)
        calibration = SAMPLES if precision in STATIC else None
        return quantize(model, precision, calibration, progress=False, **keywords)


@pytest.mark.parametrize("precision", STATIC)
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"])
def test_channels_of_zero_weights_keep_their_bias(kind: str, precision: str) -> None:
    weights = random(8, 3, 3, 4) / 6
    weights[2], weights[5] = 0, 1e-12
    model = one_op(kind, weights)
    assert error(model, quantized_silently(model, precision)) < STATIC[precision]


@pytest.mark.parametrize("precision", STATIC)
@pytest.mark.parametrize("kind", ["CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"])
@pytest.mark.parametrize(("offset", "scale"), [(1000.0, 1.0), (0.0, 1e-9)])
def test_a_bias_behind_a_dead_or_tiny_activation_is_kept(
    kind: str, precision: str, offset: float, scale: float
) -> None:
    model = one_op(kind, random(8, 3, 3, 4), offset, scale)
    assert error(model, quantized_silently(model, precision)) < STATIC[precision]


@pytest.mark.parametrize("precision", STATIC)
def test_weights_that_another_op_reads_keep_their_scale(precision: str) -> None:
    model = ModelBuilder()
    graph = model.graph()
    x, h, y = graph.input("x", (1, 8, 8, 4)), graph.tensor("h", (1, 8, 8, 4)), graph.output("y", (1, 8, 8, 8))
    z = graph.output("z", (1, 8, 8, 8))
    graph.op(Op.MUL, [x, graph.constant("scale", np.float32(1e-9))], [h], schema.MulOptionsT())
    weights = random(8, 3, 3, 4)
    convolve(graph, "CONV_2D", h, weights, y)
    convolve(graph, "CONV_2D", x, weights, z)
    first = graph.table.operators[-2]
    graph.table.operators[-1].inputs = [x, *first.inputs[1:]]  # weights and bias of the other one
    source = model.to_bytes()
    made = quantized_silently(source, precision)
    pairs = [(Interpreter(source, None).run(s), Interpreter(made, None).run(s)) for s in SAMPLES]
    for place in (0, 1):
        a, b = (np.stack([pair[i][place] for pair in pairs]) for i in (0, 1))
        assert np.linalg.norm(a - b) / np.linalg.norm(a) < STATIC[precision]


def with_constant(kind: str, values: np.ndarray[Any, Any]) -> bytes:
    """Return x -> op(x) + op(constant), with the same weights; the constant is added too."""
    model = ModelBuilder()
    graph = model.graph()
    x, first, second = graph.input("x", (1, 8, 8, 4)), *(graph.tensor(name, (1, 8, 8, 8)) for name in "ab")
    convolve(graph, kind, x, random(8, 3, 3, 4) / 6, first)
    constant = graph.constant("state", values)
    convolve(graph, kind, constant, random(8, 3, 3, 4) / 6, second)
    graph.op(Op.ADD, [first, second], [graph.output("y", (1, 8, 8, 8))], schema.AddOptionsT())
    graph.op(Op.ADD, [x, constant], [graph.output("z", (1, 8, 8, 4))], schema.AddOptionsT())
    return model.to_bytes()


@pytest.mark.parametrize("precision", ALL)
@pytest.mark.parametrize("kind", ["CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("zeros", [True, False])
def test_a_constant_in_the_place_of_an_activation_is_one(kind: str, precision: str, zeros: bool) -> None:
    model = with_constant(kind, np.zeros((1, 8, 8, 4), np.float32) if zeros else random(1, 8, 8, 4, seed=9))
    made = quantized_silently(model, precision)
    for sample in SAMPLES:
        for x, y in zip(Interpreter(model, None).run(sample), Interpreter(made, None).run(sample), strict=True):
            assert np.linalg.norm(x - y) / np.linalg.norm(x) < ALL[precision]


@pytest.mark.parametrize("precision", ALL)
def test_weights_that_are_also_added_are_stored_as_asked(precision: str) -> None:
    model = ModelBuilder()
    graph = model.graph()
    x, h, y = graph.input("x", (8, 8)), graph.tensor("h", (8, 8)), graph.output("y", (8, 8))
    weights = graph.constant("w", random(8, 8))
    graph.op(Op.FULLY_CONNECTED, [x, weights, -1], [h], schema.FullyConnectedOptionsT())
    graph.op(Op.ADD, [h, weights], [y], schema.AddOptionsT())
    source, samples = model.to_bytes(), [random(8, 8, seed=seed) for seed in range(8)]
    made = quantize(source, precision, samples if precision in STATIC else None, progress=False)
    for sample in samples:
        a, b = (np.asarray(Interpreter(m, None).run(sample)) for m in (source, made))
        assert np.linalg.norm(a - b) / np.linalg.norm(a) < ALL[precision]


def test_a_computed_filter_stays_float32() -> None:
    model = ModelBuilder()
    graph = model.graph()
    x, k, w = graph.input("x", (1, 8, 8, 4)), graph.input("k", (1, 1, 1, 1)), graph.tensor("w", (8, 3, 3, 4))
    graph.op(Op.MUL, [graph.constant("w0", random(8, 3, 3, 4) + 1), k], [w], schema.MulOptionsT())
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    graph.op(Op.CONV_2D, [x, w, graph.constant("b", BIAS)], [graph.output("y", (1, 8, 8, 8))], options)
    source = model.to_bytes()
    samples = [(x, random(1, 1, 1, 1, seed=seed)) for seed, x in enumerate(SAMPLES)]
    with pytest.raises(QuantizationError, match="1 ops stayed float32: CONV_2D 'y'"):
        quantize(source, "int8", samples, progress=False)
    made = quantize(source, "int8", samples, allow_float32_ops=True, progress=False)
    tree = parse(made)
    assert [op_name(tree, op) for op in tree.subgraphs[0].operators][-1] == "CONV_2D"
    assert type_name(tree.subgraphs[0].tensors[tree.subgraphs[0].outputs[0]]) == "FLOAT32"
    x, y = (np.stack([np.asarray(Interpreter(m, None).run(*s)) for s in samples]) for m in (source, made))
    assert np.linalg.norm(x - y) / np.linalg.norm(x) < 0.03


def test_a_result_that_is_larger_than_its_source_is_said_to_be() -> None:
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 4))
    for number in range(100):
        y = (graph.output if number == 99 else graph.tensor)(f"h{number}", (1, 4))
        weights = graph.constant(f"w{number}", random(4, 4, seed=number) / 2)
        graph.op(Op.FULLY_CONNECTED, [x, weights, -1], [y], schema.FullyConnectedOptionsT())
        x = y
    source, samples = model.to_bytes(), [random(1, 4, seed=seed) for seed in range(8)]
    with pytest.warns(QuantizationWarning, match=r"larger than its source, \d+ bytes instead of \d+"):
        made = quantize(source, "int16x8", samples, progress=False)
    assert len(made) > len(source)
