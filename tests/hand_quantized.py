"""Two layers whose quantization is set by hand, as ``.tflite`` and ``.onnx``, and what their errors are by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hand_variants import HandVariant, by_hand
from litedelegates.graph import Graph, load
from numpy.typing import NDArray
from small_models_builder import ModelBuilder, Op, Quantization, Type, schema

Array = NDArray[Any]

# Two layers, 1 x 1 convolutions of six channels to five to four (or matrix products), without bias.
RANDOM = np.random.default_rng(3)
WEIGHTS = [RANDOM.normal(size=(5, 6)).astype(np.float32), RANDOM.normal(size=(4, 5)).astype(np.float32)]
SAMPLES = [RANDOM.normal(size=(1, 1, 2, 6)).astype(np.float32) for _ in range(3)]


@dataclass(frozen=True)
class Grid:
    """Integers that stand for real values: of a type, with scales (of each channel, the last axis) and zero points."""

    dtype: type
    scale: float | tuple[float, ...]
    zero: int = 0

    @property
    def tflite(self) -> Quantization:
        scales = np.atleast_1d(self.scale).tolist()
        return Quantization(scales, [self.zero] * len(scales))

    def store(self, real: Array, margin: float = 1e-6) -> Array:
        """Return the integers, which are rounded and cut off at the ends of the type.

        No value may lie so near to the middle of two integers that a kernel may round it either way.
        """
        ends = np.iinfo(self.dtype)
        exact = np.asarray(real, np.float64) / self.scale
        assert np.abs(exact % 1 - 0.5).min() > margin
        return np.clip(np.rint(exact) + self.zero, ends.min, ends.max)

    def real(self, stored: Array) -> Array:
        return (stored - self.zero) * np.asarray(self.scale)


@dataclass(frozen=True)
class Net:
    """The grids of the two layers: of x, of what is between, of y, and of the weights."""

    x: Grid
    h: Grid
    y: Grid
    weights: tuple[Grid, Grid]

    def layer(self, index: int, real: Array) -> Array:
        """Return the integers that a layer makes of real values, as the exact sums give them."""
        before, after = ((self.x, self.h), (self.h, self.y))[index]
        grid = self.weights[index]
        weights = grid.real(grid.store(WEIGHTS[index].T)).T
        # LiteRT's kernels for 8 bits round to 1/64 and then again.
        return after.store(before.real(before.store(real)) @ weights.T, 1e-6 if after.dtype is np.int16 else 1 / 128)


NETS = {
    "uint8": Net(
        Grid(np.uint8, 0.03, 110),
        Grid(np.uint8, 0.09, 130),
        Grid(np.uint8, 0.13, 97),
        (Grid(np.uint8, 0.021, 130), Grid(np.uint8, 0.017, 125)),
    ),
    "int8 per channel": Net(
        Grid(np.int8, 0.03, -7),
        Grid(np.int8, 0.08, 12),
        Grid(np.int8, 0.11, -100),  # of which many values are cut off
        (Grid(np.int8, (0.013, 0.02, 0.017, 0.03, 0.015)), Grid(np.int8, (0.014, 0.021, 0.03, 0.018))),
    ),
    # Powers of two: kernels for int16 rescale with 15 bits only.
    "int16 activations": Net(
        Grid(np.int16, 2.0**-12),
        Grid(np.int16, 2.0**-7),
        Grid(np.int16, 2.0**-3),
        (Grid(np.int8, 2.0**-5), Grid(np.int8, 2.0**-5)),
    ),
}


def true_values(sample: Array) -> list[Array]:
    """Return x, h and y in float64."""
    x = sample.astype(np.float64)
    h = x @ WEIGHTS[0].T.astype(np.float64)
    return [x, h, h @ WEIGHTS[1].T.astype(np.float64)]


def figures(references: list[Array], others: list[Array]) -> dict[str, float]:
    """Return what the errors are by definition, over all samples."""
    x, y = np.concatenate([array.ravel() for array in references]), np.concatenate([array.ravel() for array in others])
    return {
        "elements": x.size,
        "rmse": math.sqrt(np.mean((y - x) ** 2)),
        "sqnr_db": 10 * math.log10(np.sum(x**2) / np.sum((y - x) ** 2)),
        "cosine": x @ y / math.sqrt((x @ x) * (y @ y)),
        "max_abs": np.abs(y - x).max(),
    }


def local_by_hand(net: Net, layer: int) -> tuple[dict[str, float], Array]:
    true = [true_values(sample) for sample in SAMPLES]
    stored = [net.layer(layer, values[layer]) for values in true]
    grid = (net.h, net.y)[layer]
    return figures([values[layer + 1] for values in true], [grid.real(array) for array in stored]), np.stack(stored)


def propagated_by_hand(net: Net, layer: int) -> tuple[dict[str, float], Array]:
    true, stored = [true_values(sample) for sample in SAMPLES], []
    for x, _, _ in true:
        stored.append(net.layer(0, x))
        if layer == 1:
            stored[-1] = net.layer(1, net.h.real(stored[-1]))
    grid = (net.h, net.y)[layer]
    return figures([values[layer + 1] for values in true], [grid.real(array) for array in stored]), np.stack(stored)


def output_by_hand(net: Net, layer: int) -> dict[str, float]:
    if layer == 1:
        return local_by_hand(net, 1)[0]
    true = [true_values(sample) for sample in SAMPLES]
    changed = [net.h.real(net.layer(0, x)) @ WEIGHTS[1].T.astype(np.float64) for x, _, _ in true]
    return figures([y for _, _, y in true], changed)


def tflite_variant(name: str, border: str = "integer") -> HandVariant:
    return _tflite_variant(NETS[name], name, border)


def _tflite_variant(net: Net, name: str, border: str) -> HandVariant:
    source = ModelBuilder()
    graph = source.graph()
    x, h, y = graph.input("x", (1, 1, 2, 6)), graph.tensor("h", (1, 1, 2, 5)), graph.output("y", (1, 1, 2, 4))
    for index, (before, after) in enumerate(((x, h), (h, y))):
        weights = graph.constant(f"w{index}", WEIGHTS[index][:, None, None, :])
        bias = graph.constant(f"b{index}", np.zeros(len(WEIGHTS[index]), np.float32))
        graph.op(Op.CONV_2D, [before, weights, bias], [after], _conv())
    made = ModelBuilder()
    graph = made.graph()
    kinds = {np.uint8: Type.UINT8, np.int8: Type.INT8, np.int16: Type.INT16}
    is_float = border == "float"
    ends = (graph.tensor, graph.tensor) if is_float else (graph.input, graph.output)
    if is_float:
        graph.input("x", (1, 1, 2, 6))
    x = ends[0]("x_q", (1, 1, 2, 6), kinds[net.x.dtype], quantization=net.x.tflite)
    h = graph.tensor("h_q", (1, 1, 2, 5), kinds[net.h.dtype], quantization=net.h.tflite)
    y = ends[1]("y_q", (1, 1, 2, 4), kinds[net.y.dtype], quantization=net.y.tflite)
    if is_float:
        graph.op(Op.QUANTIZE, [graph.table.inputs[0]], [x], schema.QuantizeOptionsT())
    wide = np.int64 if net.x.dtype is np.int16 else np.int32
    for index, (before, after, grid) in enumerate(((x, h, net.x), (h, y, net.h))):
        own = net.weights[index]
        stored = own.store(WEIGHTS[index].T).T.astype(own.dtype)[:, None, None, :]
        weights = graph.constant(f"w{index}", stored, own.tflite)
        scales = (np.atleast_1d(own.scale) * grid.scale).tolist()
        bias = graph.constant(f"b{index}", np.zeros(len(stored), wide), Quantization(scales, [0] * len(scales)))
        graph.op(Op.CONV_2D, [before, weights, bias], [after], _conv(), version=3)
    if is_float:
        graph.op(Op.DEQUANTIZE, [y], [graph.output("y", (1, 1, 2, 4))], schema.DequantizeOptionsT(), version=2)
    first = 1 if is_float else 0
    return by_hand(
        name,
        load(source.to_bytes()),
        load(made.to_bytes()),
        {first: 0, first + 1: 1},
        {"x": "x_q", "h": "h_q", "y": "y_q"},
        {0: 0, 3: 1} if is_float else {},
    )


def _conv() -> Any:
    options = schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.VALID, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    return options


def onnx_source() -> Graph:
    import small_onnx_models as small
    from onnx import helper

    nodes = [helper.make_node("MatMul", ["x", "w0"], ["h"]), helper.make_node("MatMul", ["h", "w1"], ["y"])]
    constants = [small.array(f"w{index}", np.ascontiguousarray(WEIGHTS[index].T)) for index in range(2)]
    border = [("x", small.FLOAT, [1, 1, 2, 6])], [("y", small.FLOAT, [1, 1, 2, 4])]
    return load(small.model(nodes, *border, constants))


def _onnx_constants(net: Net) -> list[Any]:
    import small_onnx_models as small

    constants = []
    for name, grid in {"x": net.x, "h": net.h, "y": net.y, "w0": net.weights[0], "w1": net.weights[1]}.items():
        constants.append(small.array(f"{name}_scale", np.asarray(grid.scale, np.float32)))
        constants.append(small.array(f"{name}_zero", np.full(np.shape(grid.scale), grid.zero, grid.dtype)))
    for index, grid in enumerate(net.weights):
        constants.append(small.array(f"w{index}_q", grid.store(WEIGHTS[index].T).astype(grid.dtype)))
    return constants


def onnx_qdq_variant(name: str) -> HandVariant:
    pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    import small_onnx_models as small
    from onnx import helper

    def turn(kind: str, before: str, after: str, grid: str, **more: Any) -> Any:
        return helper.make_node(kind, [before, f"{grid}_scale", f"{grid}_zero"], [after], **more)

    nodes = [turn("QuantizeLinear", "x", "x_q", "x")]
    for index, (before, after) in enumerate((("x", "h"), ("h", "y"))):
        axis = {"axis": 1} if isinstance(NETS[name].weights[index].scale, tuple) else {}
        nodes += [
            turn("DequantizeLinear", f"{before}_q", f"{before}_d", before),
            turn("DequantizeLinear", f"w{index}_q", f"w{index}_d", f"w{index}", **axis),
            helper.make_node("MatMul", [f"{before}_d", f"w{index}_d"], [f"{after}_f"]),
            turn("QuantizeLinear", f"{after}_f", f"{after}_q", after),
        ]
    nodes.append(turn("DequantizeLinear", "y_q", "y", "y"))
    border = [("x", small.FLOAT, [1, 1, 2, 6])], [("y", small.FLOAT, [1, 1, 2, 4])]
    return by_hand(
        name,
        onnx_source(),
        load(small.model(nodes, *border, _onnx_constants(NETS[name]), opset=21, ir_version=10)),
        {3: 0, 7: 1},
        {"x": "x_q", "h": "h_q", "y": "y_q"},
        {0: 0, 1: 0, 4: 0, 5: 1, 8: 1, 9: 1},
        {0: [1, 3, 4], 1: [5, 7, 8]},
    )


def onnx_qoperator_variant(name: str) -> HandVariant:
    pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    import small_onnx_models as small
    from onnx import helper

    def of(tensor: str) -> list[str]:
        return [f"{tensor}_q", f"{tensor}_scale", f"{tensor}_zero"]

    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_q"]),
        helper.make_node("QLinearMatMul", [*of("x"), *of("w0"), "h_scale", "h_zero"], ["h_q"]),
        helper.make_node("QLinearMatMul", [*of("h"), *of("w1"), "y_scale", "y_zero"], ["y_q"]),
        helper.make_node("DequantizeLinear", ["y_q", "y_scale", "y_zero"], ["y"]),
    ]
    border = [("x", small.FLOAT, [1, 1, 2, 6])], [("y", small.FLOAT, [1, 1, 2, 4])]
    return by_hand(
        name,
        onnx_source(),
        load(small.model(nodes, *border, _onnx_constants(NETS[name]))),
        {1: 0, 2: 1},
        {"x": "x_q", "h": "h_q", "y": "y_q"},
        {0: 0, 3: 1},
    )


VARIANTS: dict[str, Callable[[], HandVariant]] = {
    **{f"tflite {name}": lambda name=name: tflite_variant(name) for name in NETS},
    "tflite int8 with a float border": lambda: tflite_variant("int8 per channel", "float"),
    "onnx qdq uint8": lambda: onnx_qdq_variant("uint8"),
    "onnx qdq int8 per channel": lambda: onnx_qdq_variant("int8 per channel"),
    "onnx qdq int16 activations": lambda: onnx_qdq_variant("int16 activations"),
    "onnx qoperator uint8": lambda: onnx_qoperator_variant("uint8"),
}


def feeds() -> list[dict[str, Array]]:
    return [{"x": sample} for sample in SAMPLES]
