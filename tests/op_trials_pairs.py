"""Trials of ops that a compiler merges with the op before."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from op_trials import SAME, VALID, Before, Const, In, Step, Trial, integers, normal, options
from op_trials_math import binary_options


def _followers(channels: int) -> dict[str, Step]:
    """Return ops that a compiler may merge with the op before, by what they are called here."""
    strides = {"padding": VALID, "strideW": 1, "strideH": 1}
    same = {"padding": SAME, "strideW": 1, "strideH": 1}
    dilations = {"dilationWFactor": 1, "dilationHFactor": 1}
    conv = (Before(), Const(normal(5, 3, 3, channels) / 4), Const(normal(5)))
    depthwise = (Before(), Const(normal(1, 3, 3, channels)), Const(normal(channels)))
    pool = {"filterWidth": 3, "filterHeight": 3}
    row, scalar = Const(normal(channels) + 3), Const(np.float32(2.5))
    table = {
        "CONV_2D": Step("CONV_2D", conv, options("Conv2D", **strides, **dilations)),
        "CONV_2D same": Step("CONV_2D", conv, options("Conv2D", **same, **dilations)),
        "DEPTHWISE_CONV_2D": Step(
            "DEPTHWISE_CONV_2D", depthwise, options("DepthwiseConv2D", depthMultiplier=1, **strides, **dilations)
        ),
        "DEPTHWISE_CONV_2D same": Step(
            "DEPTHWISE_CONV_2D", depthwise, options("DepthwiseConv2D", depthMultiplier=1, **same, **dilations)
        ),
        "MAX_POOL_2D": Step("MAX_POOL_2D", (Before(),), options("Pool2D", **strides, **pool)),
        "AVERAGE_POOL_2D": Step("AVERAGE_POOL_2D", (Before(),), options("Pool2D", **strides, **pool)),
        "FULLY_CONNECTED": Step(
            "FULLY_CONNECTED",
            (Before(), Const(normal(5, channels)), Const(normal(5))),
            options("FullyConnected", keepNumDims=True),
            version=5,
        ),
        "RELU": Step("RELU", (Before(),)),
        "RELU6": Step("RELU6", (Before(),)),
        "HARD_SWISH": Step("HARD_SWISH", (Before(),)),
        "LEAKY_RELU": Step("LEAKY_RELU", (Before(),), options("LeakyRelu", alpha=0.3)),
        "PRELU": Step("PRELU", (Before(), Const(normal(1, 1, channels)))),
        "LOGISTIC": Step("LOGISTIC", (Before(),)),
        "ABS": Step("ABS", (Before(),)),
        "MEAN": Step("MEAN", (Before(), integers(1, 2)), options("Reducer", keepDims=True)),
        "SOFTMAX": Step("SOFTMAX", (Before(),), options("Softmax", beta=1.0)),
        "CONCATENATION": Step("CONCATENATION", (Before(), Before()), options("Concatenation", axis=3)),
        "RESIZE_BILINEAR": Step("RESIZE_BILINEAR", (Before(), integers(9, 9)), options("ResizeBilinear"), version=3),
    }
    for op in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "POW"):
        for part, said in ((row, "row"), (scalar, "scalar")):
            table[f"{op} {said}"] = Step(op, (Before(), part), binary_options(op))
            table[f"{said} {op}"] = Step(op, (part, Before()), binary_options(op))
        table[f"{op} itself"] = Step(op, (Before(), Before()), binary_options(op))
    return table


def pairs() -> Iterator[Trial]:
    """Return trials of ops that a compiler merges: padding, sums and products around convolutions, activations."""
    shape = (1, 8, 8, 4)
    widths = Const(np.array([[0, 0], [1, 1], [2, 0], [0, 0]], np.int32))
    deep = Const(np.array([[0, 0], [0, 0], [0, 0], [0, 4]], np.int32))
    for said, step in _followers(4).items():
        for value in (None, 0.0, -9.0):
            reads = (In(shape), widths) if value is None else (In(shape), widths, Const(np.float32(value)))
            op = "PAD" if value is None else "PADV2"
            what = "" if value is None else f"of {value:g} "
            yield Trial(op, f"{what}before {said}", reads, options("Pad" if value is None else "PadV2"), then=(step,))
        yield Trial("MIRROR_PAD", f"before {said}", (In(shape), widths), options("MirrorPad", mode=0), then=(step,))
        for op, part in itertools.product(("ADD", "SUB", "MUL", "DIV"), (Const(normal(4) + 3), Const(np.float32(2.5)))):
            what = "row" if np.ndim(part.values) else "scalar"
            yield Trial(op, f"{what} before {said}", (In(shape), part), binary_options(op), then=(step,))
        yield Trial("RELU", f"before {said}", (In(shape),), then=(step,))
        yield Trial(
            "MEAN",
            f"before {said}",
            (In((1, 8, 8, 4)), integers(3)),
            options("Reducer", keepDims=True),
            then=(_followers(1)[said],),
        )
        table = options("Transpose")
        yield Trial("TRANSPOSE", f"before {said}", (In(shape), integers(0, 2, 1, 3)), table, then=(step,))
        table = options("Conv2D", padding=SAME, strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
        reads = (In(shape), Const(normal(4, 3, 3, 4) / 4), Const(normal(4)))
        yield Trial("CONV_2D", f"before {said}", reads, table, then=(step,))
        none = (In(shape), Const(normal(4, 3, 3, 4) / 4), None)
        yield Trial("CONV_2D", f"without bias before {said}", none, table, then=(step,))
        reads = (In(shape), Const(normal(4, 4)), Const(normal(4)))
        table = options("FullyConnected", keepNumDims=True)
        yield Trial("FULLY_CONNECTED", f"before {said}", reads, table, version=5, then=(step,))
    for said, step in _followers(8).items():
        yield Trial("PAD", f"of channels before {said}", (In(shape), deep), options("Pad"), then=(step,))
        two = (In(shape), In(shape))
        yield Trial("CONCATENATION", f"before {said}", two, options("Concatenation", axis=3), then=(step,))
        zeros = (In(shape), Const(np.zeros(shape, np.float32)))
        yield Trial("CONCATENATION", f"with zeros before {said}", zeros, options("Concatenation", axis=3), then=(step,))
