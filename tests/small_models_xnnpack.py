"""A model with every op that XNNPACK takes, each between two convolutions, and with the ops that it merges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from small_models_builder import GraphBuilder, ModelBuilder, Op, schema

SHAPE = (1, 8, 8, 4)
Step: TypeAlias = Callable[[GraphBuilder, int, str], int]


def options(name: str, **values: Any) -> Any:
    """Return an options table of the schema with these fields."""
    table = getattr(schema, f"{name}OptionsT")()
    for key, value in values.items():
        setattr(table, key, value)
    return table


def conv(graph: GraphBuilder, read: int, name: str, *, size: int = 1, seen: Sequence[int] = SHAPE) -> int:
    """Add a convolution to four channels, positive for positive values."""
    weights = np.linspace(0.05, 0.2, 4 * size * size * 4, dtype=np.float32).reshape(4, size, size, 4) / size**2
    made = graph.tensor(name, (1, seen[1] - size + 1, seen[2] - size + 1, 4))
    table = options("Conv2D", padding=schema.Padding.VALID, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    bias = graph.constant(f"{name}/bias", np.full(4, 0.1, np.float32))
    graph.op(Op.CONV_2D, [read, graph.constant(f"{name}/weights", weights), bias], [made], table)
    return made


def step(code: int, *others: Any, table: Any = None, shape: Sequence[int] = SHAPE) -> Step:
    """Return what adds an op that reads a tensor and constants; "self" reads the tensor once more."""

    def add(graph: GraphBuilder, read: int, name: str) -> int:
        made = graph.tensor(name, shape)
        constants = [
            read if isinstance(other, str) else graph.constant(f"{name}/{index}", other)
            for index, other in enumerate(others)
        ]
        graph.op(code, [read, *constants], [made], table)
        return made

    return add


def ints(*values: int) -> Any:
    """Return an int32 array."""
    return np.array(values, np.int32)


def _split(graph: GraphBuilder, read: int, name: str) -> int:
    first, second = graph.tensor(name, (1, 8, 8, 2)), graph.tensor(f"{name}/2", (1, 8, 8, 2))
    axis = graph.constant(f"{name}/axis", np.int32(3))
    graph.op(Op.SPLIT, [axis, read], [first, second], options("Split", numSplits=2))
    made = graph.tensor(f"{name}/product", (1, 8, 8, 2))
    graph.op(Op.MUL, [first, second], [made], options("Mul"))
    return made


def _scores(graph: GraphBuilder, read: int, name: str) -> int:
    """The product of the rows with themselves, transposed before it."""
    rows = step(Op.RESHAPE, ints(1, 64, 4), shape=(1, 64, 4))(graph, read, f"{name}/rows")
    turned = step(Op.TRANSPOSE, ints(0, 2, 1), table=options("Transpose"), shape=(1, 4, 64))(graph, rows, f"{name}/t")
    made = graph.tensor(name, (1, 64, 64))
    graph.op(Op.BATCH_MATMUL, [rows, turned], [made], options("BatchMatMul"))
    return made


def _transpose_conv(graph: GraphBuilder, read: int, name: str) -> int:
    shape = graph.constant(f"{name}/shape", ints(1, 16, 16, 4))
    weights = graph.constant(f"{name}/weights", np.full((4, 2, 2, 4), 0.1, np.float32))
    made = graph.tensor(name, (1, 16, 16, 4))
    table = options("TransposeConv", padding=schema.Padding.VALID, strideH=2, strideW=2)
    graph.op(Op.TRANSPOSE_CONV, [shape, weights, read], [made], table)
    return made


def _padded(graph: GraphBuilder, read: int, name: str) -> int:
    padded = step(Op.PAD, ints(0, 0, 1, 1, 1, 1, 0, 0).reshape(4, 2), shape=(1, 10, 10, 4))
    return conv(graph, padded(graph, read, f"{name}/pad"), name, size=3, seen=(1, 10, 10, 4))


def then(*steps: Step) -> Step:
    """Return what adds one step after the other."""

    def add(graph: GraphBuilder, read: int, name: str) -> int:
        for index, part in enumerate(steps[:-1]):
            read = part(graph, read, f"{name}/{index}")
        return steps[-1](graph, read, name)

    return add


def _swish(graph: GraphBuilder, read: int, name: str) -> int:
    gate = step(Op.LOGISTIC)(graph, read, f"{name}/gate")
    made = graph.tensor(name, SHAPE)
    graph.op(Op.MUL, [read, gate], [made], options("Mul"))
    return made


HALF = np.float32(0.5)
MEAN = options("Reducer", keepDims=True)
POOL = options("Pool2D", padding=schema.Padding.VALID, strideH=2, strideW=2, filterHeight=2, filterWidth=2)
_MEAN_STEP = step(Op.MEAN, ints(3), table=MEAN, shape=(1, 8, 8, 1))
_SUM_STEP = step(Op.SUM, ints(3), table=MEAN, shape=(1, 8, 8, 1))
_SQUARE = step(Op.MUL, "self", table=options("Mul"))

# What one op does, by its name.
SINGLE: dict[str, Step] = {
    **{
        name: step(getattr(Op, name))
        for name in (
            *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LOG", "LOGISTIC", "NEG", "RELU", "RELU6"),
            *("RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "TANH"),
        )
    },
    "GELU": step(Op.GELU, table=options("Gelu")),
    "GELU approximate": step(Op.GELU, table=options("Gelu", approximate=True)),
    "LEAKY_RELU": step(Op.LEAKY_RELU, table=options("LeakyRelu", alpha=0.3)),
    "SOFTMAX": step(Op.SOFTMAX, table=options("Softmax", beta=1.0)),
    "PRELU": step(Op.PRELU, np.full((1, 1, 4), 0.2, np.float32)),
    **{
        f"{name} {what}": step(getattr(Op, name), other, table=options(table))
        for name, table in (
            *(("ADD", "Add"), ("DIV", "Div"), ("MAXIMUM", "MaximumMinimum"), ("MINIMUM", "MaximumMinimum")),
            *(("MUL", "Mul"), ("SQUARED_DIFFERENCE", "SquaredDifference"), ("SUB", "Sub")),
        )
        for what, other in (("scalar", HALF), ("channels", np.full((1, 1, 1, 4), 0.5, np.float32)), ("self", "self"))
        if (name, what) != ("SQUARED_DIFFERENCE", "self")
    },
    "MEAN": _MEAN_STEP,
    "MEAN all": step(Op.MEAN, ints(1, 2), table=options("Reducer"), shape=(1, 4)),
    "SUM": _SUM_STEP,
    "REDUCE_MAX": step(Op.REDUCE_MAX, ints(3), table=MEAN, shape=(1, 8, 8, 1)),
    "REDUCE_MIN": step(Op.REDUCE_MIN, ints(3), table=MEAN, shape=(1, 8, 8, 1)),
    "AVERAGE_POOL_2D": step(Op.AVERAGE_POOL_2D, table=POOL, shape=(1, 4, 4, 4)),
    "MAX_POOL_2D": step(Op.MAX_POOL_2D, table=POOL, shape=(1, 4, 4, 4)),
    "CONV_2D 3x3": lambda graph, read, name: conv(graph, read, name, size=3),
    "DEPTHWISE_CONV_2D": step(
        Op.DEPTHWISE_CONV_2D,
        np.full((1, 2, 2, 4), 0.2, np.float32),
        np.zeros(4, np.float32),
        table=options("DepthwiseConv2D", padding=schema.Padding.VALID, strideH=2, strideW=2, depthMultiplier=1),
        shape=(1, 4, 4, 4),
    ),
    "TRANSPOSE_CONV": _transpose_conv,
    "FULLY_CONNECTED": step(
        Op.FULLY_CONNECTED,
        np.full((3, 256), 0.01, np.float32),
        np.zeros(3, np.float32),
        table=options("FullyConnected"),
        shape=(1, 3),
    ),
    "CONCATENATION": step(Op.CONCATENATION, "self", table=options("Concatenation", axis=3), shape=(1, 8, 8, 8)),
    "DEPTH_TO_SPACE": step(Op.DEPTH_TO_SPACE, table=options("DepthToSpace", blockSize=2), shape=(1, 16, 16, 1)),
    "SPACE_TO_DEPTH": step(Op.SPACE_TO_DEPTH, table=options("SpaceToDepth", blockSize=2), shape=(1, 4, 4, 16)),
    "PAD": step(Op.PAD, ints(0, 0, 0, 0, 0, 0, 1, 1).reshape(4, 2), shape=(1, 8, 8, 6)),
    "RESHAPE": step(Op.RESHAPE, ints(1, 16, 16), shape=(1, 16, 16)),
    "EXPAND_DIMS": step(Op.EXPAND_DIMS, np.int32(0), table=options("ExpandDims"), shape=(1, 1, 8, 8, 4)),
    "RESIZE_BILINEAR": step(
        Op.RESIZE_BILINEAR, ints(16, 16), table=options("ResizeBilinear", halfPixelCenters=True), shape=(1, 16, 16, 4)
    ),
    "SLICE": step(Op.SLICE, ints(0, 1, 1, 0), ints(1, 4, 4, 4), table=options("Slice"), shape=(1, 4, 4, 4)),
    "STRIDED_SLICE": step(
        Op.STRIDED_SLICE,
        ints(0, 0, 2, 0),
        ints(1, 8, 6, 4),
        ints(1, 1, 1, 1),
        table=options("StridedSlice"),
        shape=(1, 8, 4, 4),
    ),
    "SPLIT": _split,
    "TRANSPOSE": step(Op.TRANSPOSE, ints(0, 2, 1, 3), table=options("Transpose")),
    "BATCH_MATMUL": _scores,
}
# Ops that XNNPACK computes as one with others.
MERGED: dict[str, Step] = {
    "mean of a product": then(_SQUARE, _MEAN_STEP),
    "mean of a square": then(SINGLE["SQUARE"], _MEAN_STEP),
    "sum of a product": then(_SQUARE, _SUM_STEP),
    "clip": then(SINGLE["MAXIMUM scalar"], SINGLE["MINIMUM scalar"]),
    "clipped sum": then(SINGLE["ADD channels"], SINGLE["MINIMUM scalar"]),
    "swish": _swish,
    "chain": then(SINGLE["ABS"], SINGLE["MUL scalar"], SINGLE["TANH"], SINGLE["LOGISTIC"], SINGLE["NEG"]),
    "softsign": then(SINGLE["NEG"], SINGLE["EXP"], SINGLE["ADD scalar"], SINGLE["LOG"]),
    "padded convolution": _padded,
    "shared square": then(_SQUARE, lambda graph, read, name: _both(graph, read, name)),
}


def _both(graph: GraphBuilder, read: int, name: str) -> int:
    """The values over their mean: two readers of one tensor."""
    mean = _MEAN_STEP(graph, read, f"{name}/mean")
    made = graph.tensor(name, SHAPE)
    graph.op(Op.DIV, [read, mean], [made], options("Div"))
    return made


def between_convolutions(steps: dict[str, Step]) -> bytes:
    """Return a model that computes each step of the convolved input; a convolution follows where the shape allows."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", SHAPE)
    for name, add in steps.items():
        made = add(graph, conv(graph, x, f"{name}: before"), name)
        if list(graph.table.tensors[made].shape) == list(SHAPE):
            made = conv(graph, made, f"{name}: after")
        graph.table.outputs.append(made)
    return model.to_bytes()
