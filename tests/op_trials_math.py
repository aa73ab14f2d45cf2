"""Trials of ops that compute each value on its own, and of those that compare and reduce."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from op_trials import ACTIVATIONS, SHAPES, Const, In, Out, Trial, integers, normal, options
from small_models_builder import Type

UNARY = (
    *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC"),
    *("LOG_SOFTMAX", "L2_NORMALIZATION", "NEG", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND"),
    *("RSQRT", "SIGN", "SIN", "SOFTMAX", "SQRT", "SQUARE", "TANH", "ZEROS_LIKE"),
)
BINARY = (
    *("ADD", "SUB", "MUL", "DIV", "ATAN2", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "POW"),
    *("SQUARED_DIFFERENCE",),
)
COMPARISON = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
REDUCTION = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")
_POSITIVE = ("LOG", "RSQRT", "SQRT", "POW", "FLOOR_DIV", "FLOOR_MOD", "DIV")


def unary() -> Iterator[Trial]:
    """Return trials of ops of one input."""
    for op, shape in itertools.product(UNARY, SHAPES):
        low = 0.1 if op in _POSITIVE else -3.0
        table = {
            "GELU": options("Gelu"),
            "LEAKY_RELU": options("LeakyRelu", alpha=0.3),
            "SOFTMAX": options("Softmax", beta=1.0),
        }.get(op)
        yield Trial(op, f"{shape}", (In(shape, low),), table)
    for shape, axis in (((3, 5), 1), ((3, 5), 0), ((2, 3, 5), 1), ((2, 3, 5), 2), ((7,), 0)):
        yield Trial("CUMSUM", f"{shape} axis {axis}", (In(shape), integers(axis)), options("Cumsum"))
    for shape in SHAPES[:3]:
        yield Trial("GELU", f"{shape} approximate", (In(shape),), options("Gelu", approximate=True))
        yield Trial("SOFTMAX", f"{shape} beta 2", (In(shape),), options("Softmax", beta=2.0))
        yield Trial("LEAKY_RELU", f"{shape} alpha -0.5", (In(shape),), options("LeakyRelu", alpha=-0.5))
        yield Trial("LEAKY_RELU", f"{shape} alpha 1.5", (In(shape),), options("LeakyRelu", alpha=1.5))
        for size in (shape[-1:], (1, 1, shape[-1]), shape[1:], (1, 1, 1)):
            yield Trial("PRELU", f"{shape} alpha {size}", (In(shape), Const(normal(*size))))
        yield Trial("PRELU", f"{shape} alpha is an input", (In(shape), In((1, 1, shape[-1]))))
        yield Trial(
            "LOCAL_RESPONSE_NORMALIZATION",
            f"{shape}",
            (In(shape),),
            options("LocalResponseNormalization", radius=2, bias=1.0, alpha=0.1, beta=0.5),
        )
        for axis in (0, 1, 3, -1):
            for exclusive, reverse in itertools.product((False, True), repeat=2):
                yield Trial(
                    "CUMSUM",
                    f"{shape} axis {axis}{' exclusive' * exclusive}{' reverse' * reverse}",
                    (In(shape), integers(axis)),
                    options("Cumsum", exclusive=exclusive, reverse=reverse),
                )


def binary_options(op: str, activation: int = 0) -> Any:
    """Return the options table of an op of two inputs."""
    if op in ("ADD", "SUB", "MUL", "DIV"):
        return options(op.title(), fusedActivationFunction=activation)
    return {
        "MAXIMUM": options("MaximumMinimum"),
        "MINIMUM": options("MaximumMinimum"),
        "POW": options("Pow"),
        "FLOOR_DIV": options("FloorDiv"),
        "FLOOR_MOD": options("FloorMod"),
        "SQUARED_DIFFERENCE": options("SquaredDifference"),
        "ATAN2": options("ATan2"),
    }[op]


def binary() -> Iterator[Trial]:
    """Return trials of ops of two inputs, with broadcasting and with constants on either side."""
    for op in BINARY:
        low = 0.1 if op in _POSITIVE else -3.0
        table = binary_options(op)
        for shape in SHAPES:
            yield Trial(op, f"{shape} {shape}", (In(shape, low), In(shape, low)), table)
            scalar = Const(np.float32(1.5))
            yield Trial(op, f"{shape} scalar", (In(shape, low), scalar), table)
            yield Trial(op, f"scalar {shape}", (scalar, In(shape, low)), table)
            same = Const(np.abs(normal(*shape)) + np.float32(0.5))
            yield Trial(op, f"{shape} constant {shape}", (In(shape, low), same), table)
            yield Trial(op, f"constant {shape} {shape}", (same, In(shape, low)), table)
            if len(shape) > 1:
                row = Const(np.abs(normal(shape[-1])) + 0.5)
                yield Trial(op, f"{shape} row", (In(shape, low), row), table)
                yield Trial(op, f"row {shape}", (row, In(shape, low)), table)
        for left, right in (
            ((1, 4, 5, 3), (1, 1, 1, 3)),
            ((1, 1, 1, 3), (1, 4, 5, 3)),
            ((1, 4, 5, 3), (1, 4, 5, 1)),
            ((1, 4, 5, 1), (1, 4, 5, 3)),
            ((1, 4, 5, 3), (1, 1, 5, 1)),
            ((1, 4, 1, 3), (1, 1, 5, 3)),
            ((2, 4, 5, 3), (1, 4, 5, 3)),
            ((2, 1, 5, 3), (1, 4, 5, 1)),
            ((1, 4, 5, 3), (5, 3)),
            ((1, 4, 5, 3), (1,)),
            ((1, 4, 5, 3), (1, 1, 1, 1)),
            ((2, 4, 5, 3), (2, 1, 1, 1)),
            ((1, 4, 5, 3), ()),
            ((2, 5), (1, 5)),
            ((2, 5), (2, 1)),
            ((2, 5), (5,)),
            ((2, 3, 5), (3, 1)),
            ((2, 3, 5), (2, 1, 5)),
            ((1, 2, 3, 4, 5), (5,)),
        ):
            if op == "ATAN2":  # the built-in kernel does not broadcast, it reads past the smaller operand
                break
            yield Trial(op, f"{left} and {right}", (In(left, low), In(right, low)), table)
            constant = Const(np.abs(normal(*right)) + 0.5)
            yield Trial(op, f"{left} and constant {right}", (In(left, low), constant), table)
            yield Trial(op, f"constant {right} and {left}", (constant, In(left, low)), table)
    for shape in SHAPES:
        yield Trial("ADD_N", f"{shape} of 3", (In(shape), In(shape), In(shape)), options("AddN"))
    for activation in ACTIVATIONS:
        for op, right in itertools.product(("ADD", "SUB", "MUL", "DIV"), ("same", "row", "scalar")):
            shape = (1, 5, 6, 3)
            other = {"same": In(shape, 0.1), "row": Const(normal(3) + 3), "scalar": Const(np.float32(2.5))}[right]
            table = binary_options(op, ACTIVATIONS[activation])
            yield Trial(op, f"fused {activation}, {right}", (In(shape, -9, 9), other), table)


def comparisons() -> Iterator[Trial]:
    boolean = (Out(Type.BOOL),)
    for op, shape in itertools.product(COMPARISON, SHAPES):
        table = options(op.title().replace("_", ""))
        pair = (In(shape, 0, 2, "int32"), In(shape, 0, 2, "int32"))
        yield Trial(op, f"int32 {shape}", pair, table, boolean)
        yield Trial(op, f"float32 {shape}", (In(shape), In(shape)), table, boolean)
        yield Trial(op, f"float32 {shape} scalar", (In(shape), Const(np.float32(0.5))), table, boolean)
    for op, shape in itertools.product(("LOGICAL_AND", "LOGICAL_OR"), SHAPES):
        yield Trial(op, f"{shape}", (In(shape, dtype="bool"), In(shape, dtype="bool")), None, boolean)
    for shape in SHAPES:
        yield Trial("LOGICAL_NOT", f"{shape}", (In(shape, dtype="bool"),), None, boolean)


def reductions() -> Iterator[Trial]:
    """Return trials of reductions, the places of extremes and the largest values."""
    for op, (shape, axes), keep in itertools.product(
        REDUCTION,
        (
            ((1, 5, 6, 3), (1,)),
            ((1, 5, 6, 3), (2,)),
            ((1, 5, 6, 3), (3,)),
            ((1, 5, 6, 3), (1, 2)),
            ((1, 5, 6, 3), (2, 3)),
            ((1, 5, 6, 3), (1, 2, 3)),
            ((2, 5, 6, 3), (0,)),
            ((2, 5, 6, 3), (0, 1, 2, 3)),
            ((2, 5, 6, 3), (-1,)),
            ((3, 5), (1,)),
            ((3, 5), (0,)),
            ((2, 3, 5), (1,)),
            ((2, 3, 5), (2,)),
            ((7,), (0,)),
        ),
        (True, False),
    ):
        boolean = op in ("REDUCE_ANY", "REDUCE_ALL")
        yield Trial(
            op,
            f"{shape} over {axes}{', keeps' * keep}",
            (In(shape, 0.5 if op == "REDUCE_PROD" else -3, 1.5, "bool" if boolean else "float32"), integers(*axes)),
            options("Reducer", keepDims=keep),
            (Out(Type.BOOL),) if boolean else (Out(),),
        )
    for op, shape in itertools.product(("ARG_MAX", "ARG_MIN"), SHAPES[:6]):
        for axis in sorted({0, 1, len(shape) - 1, -1}):
            table = options(op.title().replace("_", ""), outputType=Type.INT32)
            reads = (In(shape, -3, -1), Const(np.int32(axis)))
            yield Trial(op, f"below zero {shape} axis {axis}", reads, table, (Out(Type.INT32),))
    for op, shape in itertools.product(("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "MEAN"), SHAPES[:6]):
        sign = 1 if op == "REDUCE_MIN" else -1
        reads = (In(shape, *sorted((sign, 3 * sign))), integers(-1))
        yield Trial(op, f"of one sign {shape} over the last", reads, options("Reducer", keepDims=True))
    for shape, k in (((1, 8), 3), ((2, 3, 8), 2), ((1, 9), 3), ((2, 3, 9), 2), ((9,), 9)):
        both = (Out(), Out(Type.INT32))
        yield Trial("TOPK_V2", f"{shape} {k}", (In(shape), Const(np.int32(k))), options("TopKV2"), both)


def selecting() -> Iterator[Trial]:
    """Return trials of choices between two inputs."""
    for shape in SHAPES:
        three = (In(shape, dtype="bool"), In(shape), In(shape))
        yield Trial("SELECT", f"{shape}", three, options("Select"))
        yield Trial("SELECT_V2", f"{shape}", three, options("SelectV2"))
        scalars = (three[0], In(shape), Const(np.float32(-9)))
        yield Trial("SELECT_V2", f"{shape} or a scalar", scalars, options("SelectV2"))
    wide = (In((1, 5, 1, 1), dtype="bool"), In((1, 5, 6, 3)), In((1, 5, 6, 3)))
    yield Trial("SELECT_V2", "broadcast condition", wide, options("SelectV2"))


def casts() -> Iterator[Trial]:
    """Return trials of casts."""
    for source, target in itertools.product(("float32", "int32", "bool"), repeat=2):
        if source == target:
            continue
        codes = {"float32": Type.FLOAT32, "int32": Type.INT32, "bool": Type.BOOL}
        table = options("Cast", inDataType=codes[source], outDataType=codes[target])
        for shape in ((1, 5, 6, 3), (7,)):
            reads = (In(shape, -3, 3, source),)
            yield Trial("CAST", f"{shape} {source} to {target}", reads, table, (Out(codes[target]),))


def others() -> Iterator[Trial]:
    """Return trials of shapes, int32 arithmetic and ops that fit nowhere else."""
    for shape in SHAPES:
        yield Trial("SHAPE", f"{shape}", (In(shape),), options("Shape", outType=Type.INT32), (Out(Type.INT32),))
        for op in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "FLOOR_DIV", "FLOOR_MOD"):
            pair = (In(shape, 1, 9, "int32"), In(shape, 1, 9, "int32"))
            yield Trial(op, f"int32 {shape}", pair, binary_options(op), (Out(Type.INT32),))
        for op in ("ABS", "NEG"):
            yield Trial(op, f"int32 {shape}", (In(shape, -9, 9, "int32"),), None, (Out(Type.INT32),))
    yield Trial("FILL", "(2, 3)", (integers(2, 3), In(())), options("Fill"))
    reads = (In((5, 3)), Const(np.array([0, 0, 1, 2, 2], np.int32)))
    yield Trial("SEGMENT_SUM", "(5, 3)", reads, options("SegmentSum"))
    table = options("MatrixDiag")
    yield Trial("MATRIX_DIAG", "(2, 3)", (In((2, 3)),), table)
    table = options("FakeQuant", min=-2.0, max=2.0, numBits=8)
    yield Trial("FAKE_QUANT", "(1, 5, 6, 3)", (In((1, 5, 6, 3)),), table)
