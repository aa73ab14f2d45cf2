"""Trials of convolutions, dense layers, pools and resizing, with each fused activation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from op_trials import ACTIVATIONS, SAME, VALID, Const, In, Trial, integers, normal, options


def activations() -> Iterator[Trial]:
    """Return trials of every op with a fused activation, with bias and without.

    The built-in kernels and XNNPACK leave out a fused TANH or SIGN_BIT of convolutions: nothing to compare with.
    """
    for activation, code in ACTIVATIONS.items():
        shape = (1, 8, 8, 4)
        fused = {"fusedActivationFunction": code}
        for bias, padding, stride in itertools.product((True, False), (SAME, VALID), (1, 2)):
            said = f"fused {activation}{', bias' * bias}, padding {padding}, stride {stride}"
            strides = {"padding": padding, "strideW": stride, "strideH": stride, **fused}
            yield Trial(
                "CONV_2D",
                said,
                (In(shape, -9, 9), Const(normal(6, 3, 3, 4)), Const(normal(6) * 3) if bias else None),
                options("Conv2D", dilationWFactor=1, dilationHFactor=1, **strides),
            )
            yield Trial(
                "DEPTHWISE_CONV_2D",
                said,
                (In(shape, -9, 9), Const(normal(1, 3, 3, 4)), Const(normal(4) * 3 if bias else normal(4) * 0)),
                options("DepthwiseConv2D", depthMultiplier=1, dilationWFactor=1, dilationHFactor=1, **strides),
            )
            size = 8 * stride + (3 - stride if padding == VALID else 0)
            yield Trial(
                "TRANSPOSE_CONV",
                said,
                (
                    integers(1, size, size, 6),
                    Const(normal(6, 3, 3, 4)),
                    In(shape, -9, 9),
                    *((Const(normal(6) * 3),) if bias else ()),
                ),
                options("TransposeConv", **strides),
                version=4 if code else 3 if bias else 1,
            )
        for bias, keep in itertools.product((True, False), repeat=2):
            for shape in ((1, 8, 8, 4), (2, 4), (2, 3, 4)):
                yield Trial(
                    "FULLY_CONNECTED",
                    f"{shape} fused {activation}{', bias' * bias}{', keeps dimensions' * keep}",
                    (In(shape, -9, 9), Const(normal(6, 4)), Const(normal(6) * 3) if bias else None),
                    options("FullyConnected", keepNumDims=keep, **fused),
                    version=5 if keep else 1,
                )
        shape = (1, 8, 8, 4)
        for axis in (1, 2, 3, -1):
            yield Trial(
                "CONCATENATION",
                f"axis {axis} fused {activation}",
                (In(shape, -9, 9), In(shape, -9, 9)),
                options("Concatenation", axis=axis, **fused),
            )
        for op in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"):
            # Below zero, where what is not there would be the largest.
            pool = options("Pool2D", padding=SAME, strideW=1, strideH=1, filterWidth=2, filterHeight=2, **fused)
            yield Trial(op, f"below zero, fused {activation}", (In(shape, -9, -1),), pool)
            pool = options("Pool2D", strideW=2, strideH=2, filterWidth=2, filterHeight=2, **fused)
            yield Trial(op, f"fused {activation}", (In(shape, -9, 9),), pool)
        yield Trial("L2_NORMALIZATION", f"fused {activation}", (In(shape, -9, 9),), options("L2Norm", **fused))


def convolutions() -> Iterator[Trial]:
    """Return trials of convolutions of every kind."""
    for shape, filters, dilation, padding, stride in (
        ((1, 8, 8, 4), (4, 3, 3, 2), 1, SAME, 1),
        ((1, 8, 8, 8), (8, 3, 3, 2), 1, SAME, 1),
        ((1, 8, 8, 8), (8, 1, 1, 4), 1, VALID, 1),
        ((1, 8, 8, 16), (16, 3, 3, 4), 1, SAME, 2),
        ((1, 8, 8, 16), (32, 3, 3, 8), 1, SAME, 1),
        ((1, 8, 8, 6), (6, 3, 3, 1), 1, SAME, 1),
        ((1, 8, 8, 6), (12, 3, 3, 1), 1, SAME, 1),
        ((1, 8, 8, 8), (4, 3, 3, 4), 1, SAME, 1),
        ((1, 8, 8, 12), (6, 3, 3, 4), 1, SAME, 1),
        ((1, 8, 8, 8), (6, 3, 3, 4), 1, SAME, 1),
        ((1, 8, 8, 12), (4, 3, 3, 6), 1, SAME, 1),
        ((1, 8, 8, 16), (8, 1, 1, 8), 1, SAME, 1),
        ((2, 8, 8, 16), (8, 3, 3, 8), 1, SAME, 1),
        ((1, 8, 8, 3), (5, 1, 1, 3), 1, VALID, 1),
        ((1, 7, 9, 5), (7, 2, 4, 5), 1, SAME, 1),
        ((1, 9, 9, 3), (4, 3, 3, 3), 2, SAME, 1),
        ((1, 9, 9, 3), (4, 3, 3, 3), 3, VALID, 1),
        ((1, 9, 9, 3), (4, 5, 5, 3), 1, SAME, 3),
        ((1, 1, 20, 4), (8, 1, 5, 4), 1, SAME, 1),
        ((1, 20, 1, 4), (8, 5, 1, 4), 1, SAME, 1),
        ((2, 8, 8, 4), (4, 3, 3, 4), 1, SAME, 1),
        ((3, 8, 8, 3), (5, 3, 3, 3), 1, VALID, 2),
    ):
        table = options(
            "Conv2D",
            padding=padding,
            strideW=stride,
            strideH=stride,
            dilationWFactor=dilation,
            dilationHFactor=dilation,
        )
        groups = shape[3] // filters[3]
        said = f"{shape} with {filters}, stride {stride}, dilation {dilation}" + f", {groups} groups" * (groups > 1)
        weights = normal(*filters) / np.float32(np.sqrt(np.prod(filters[1:])))
        yield Trial("CONV_2D", said, (In(shape), Const(weights), Const(normal(filters[0]))), table)
        if dilation == 1 and groups == 1:
            yield Trial("CONV_2D", f"{said}, weights are an input", (In(shape), In(filters), None), table)
    unequal = options("Conv2D", padding=SAME, strideW=1, strideH=2, dilationWFactor=1, dilationHFactor=1)
    weights = Const(normal(4, 3, 3, 3) / 5)
    yield Trial("CONV_2D", "strides 2 and 1", (In((1, 8, 8, 3)), weights, Const(normal(4))), unequal)
    for multiplier, dilation, padding, stride, shape in (
        (1, 1, SAME, 1, (1, 8, 8, 4)),
        (1, 1, SAME, 2, (1, 9, 7, 3)),
        (2, 1, SAME, 1, (1, 8, 8, 3)),
        (4, 1, SAME, 1, (1, 8, 8, 1)),
        (3, 1, VALID, 2, (1, 8, 8, 5)),
        (1, 2, SAME, 1, (1, 9, 9, 4)),
        (2, 2, VALID, 1, (1, 9, 9, 3)),
        (1, 1, SAME, 1, (2, 8, 8, 4)),
    ):
        table = options(
            "DepthwiseConv2D",
            padding=padding,
            strideW=stride,
            strideH=stride,
            dilationWFactor=dilation,
            dilationHFactor=dilation,
            depthMultiplier=multiplier,
        )
        width = shape[3] * multiplier
        said = f"{shape} multiplier {multiplier}, stride {stride}, dilation {dilation}"
        yield Trial("DEPTHWISE_CONV_2D", said, (In(shape), Const(normal(1, 3, 3, width)), Const(normal(width))), table)
    for shape, filters, stride, padding in (
        ((1, 4, 4, 4), (6, 2, 2, 4), 2, SAME),
        ((1, 5, 3, 3), (5, 4, 4, 3), 2, SAME),
        ((1, 4, 4, 3), (5, 5, 5, 3), 1, SAME),
        ((1, 4, 4, 3), (5, 3, 3, 3), 3, VALID),
        ((1, 4, 4, 3), (5, 2, 2, 3), 3, SAME),
        ((2, 4, 4, 3), (5, 3, 3, 3), 2, SAME),
    ):
        size = [shape[i] * stride + (max(filters[i] - stride, 0) if padding == VALID else 0) for i in (1, 2)]
        table = options("TransposeConv", padding=padding, strideW=stride, strideH=stride)
        reads = (integers(shape[0], *size, filters[0]), Const(normal(*filters)), In(shape), Const(normal(filters[0])))
        yield Trial("TRANSPOSE_CONV", f"{shape} with {filters}, stride {stride}", reads, table, version=3)
    cube = {"padding": SAME, "strideD": 1, "strideW": 1, "strideH": 1}
    dilations = {"dilationDFactor": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    reads = (In((1, 4, 5, 6, 3)), Const(normal(2, 3, 3, 3, 4)), Const(normal(4)))
    yield Trial("CONV_3D", "4 x 5 x 6", reads, options("Conv3D", **cube, **dilations))


def dense() -> Iterator[Trial]:
    """Return trials of FULLY_CONNECTED and BATCH_MATMUL."""
    for shape, width in itertools.product(((1, 16), (2, 3, 16), (1, 1, 1, 16), (1, 2, 2, 16), (16,)), (1, 3, 8)):
        for keep in (True, False):
            table = options("FullyConnected", keepNumDims=keep)
            reads = (In(shape), Const(normal(width, 16)), Const(normal(width)))
            said = f"{shape} to {width}{', keeps dimensions' * keep}"
            yield Trial("FULLY_CONNECTED", said, reads, table, version=5 if keep else 1)
    for shape in ((1, 2, 2, 4), (2, 2, 2, 4), (1, 4, 4), (2, 4, 4)):
        reads = (In(shape), Const(normal(3, 16)), Const(normal(3)))
        yield Trial("FULLY_CONNECTED", f"{shape} flattened", reads, options("FullyConnected"))
    reads_two = (In((2, 16)), In((8, 16)), None)
    yield Trial("FULLY_CONNECTED", "weights are an input", reads_two, options("FullyConnected"))
    yield Trial(
        "FULLY_CONNECTED", "rows of 8 split", (In((2, 8)), Const(normal(3, 16)), None), options("FullyConnected")
    )
    for left, right in (
        ((2, 3), (3, 4)),
        ((2, 2, 3), (2, 3, 4)),
        ((1, 2, 5, 3), (1, 2, 3, 4)),
        ((2, 2, 5, 3), (2, 2, 3, 4)),
        ((2, 2, 5, 3), (1, 2, 3, 4)),
        ((2, 2, 5, 3), (3, 4)),
        ((1, 5, 3), (2, 3, 4)),
    ):
        for turn_left, turn_right in itertools.product((False, True), repeat=2):
            first = (*left[:-2], left[-1], left[-2]) if turn_left else left
            second = (*right[:-2], right[-1], right[-2]) if turn_right else right
            table = options("BatchMatMul", adjX=turn_left, adjY=turn_right)
            said = f"{first} {second}{' left turned' * turn_left}{' right turned' * turn_right}"
            yield Trial("BATCH_MATMUL", said, (In(first), In(second)), table)
            yield Trial("BATCH_MATMUL", f"{said}, constant", (In(first), Const(normal(*second))), table)


def pools() -> Iterator[Trial]:
    """Return trials of pools."""
    for op, padding in itertools.product(("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"), (SAME, VALID)):
        for shape, size, stride in (
            ((1, 8, 8, 4), (2, 2), (2, 2)),
            ((1, 7, 9, 3), (3, 3), (2, 2)),
            ((1, 7, 9, 3), (3, 2), (1, 3)),
            ((1, 7, 7, 3), (7, 7), (1, 1)),
            ((2, 6, 6, 5), (3, 3), (1, 1)),
        ):
            table = options(
                "Pool2D",
                padding=padding,
                filterHeight=size[0],
                filterWidth=size[1],
                strideH=stride[0],
                strideW=stride[1],
            )
            yield Trial(op, f"{shape} size {size} stride {stride} padding {padding}", (In(shape),), table)


def resizing() -> Iterator[Trial]:
    """Return trials of resizing of images."""
    for op, shape, size in itertools.product(
        ("ResizeBilinear", "ResizeNearestNeighbor"),
        ((1, 4, 5, 3), (1, 1, 1, 3), (2, 4, 4, 5)),
        ((8, 10), (3, 2), (9, 11), (4, 4), (1, 1)),
    ):
        for align, half in ((False, False), (True, False), (False, True)):
            table = options(op, alignCorners=align, halfPixelCenters=half)
            code = {"ResizeBilinear": "RESIZE_BILINEAR"}.get(op, "RESIZE_NEAREST_NEIGHBOR")
            said = f"{shape} to {size}{' aligned' * align}{' half pixels' * half}"
            yield Trial(code, said, (In(shape), integers(*size)), table, version=3)
