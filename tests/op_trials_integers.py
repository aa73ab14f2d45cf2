"""Trials of float32 ops with float16 and integer weights, and of whole int8 and uint8 ops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from op_trials import ACTIVATIONS, SAME, Const, In, Out, Read, Trial, integers, normal, options
from op_trials_math import binary_options
from small_models_builder import Quantization, Type


def _per_channel(weights: np.ndarray[Any, Any], axis: int, top: int = 127) -> tuple[np.ndarray[Any, Any], Quantization]:
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.abs(weights).max(others) / top
    shape = [1] * weights.ndim
    shape[axis] = -1
    stored = np.rint(weights / scales.reshape(shape)).astype(np.int8)
    return stored, Quantization([float(scale) for scale in scales], [0] * len(scales), axis)


def weights() -> Iterator[Trial]:
    """Return trials of float32 ops with float16 or integer weights."""
    strides = {"padding": SAME, "strideW": 1, "strideH": 1}
    dilations = {"dilationWFactor": 1, "dilationHFactor": 1}
    for op, shape, axis, table, version in (
        ("CONV_2D", (6, 3, 3, 4), 0, options("Conv2D", **strides, **dilations), 5),
        (
            "DEPTHWISE_CONV_2D",
            (1, 3, 3, 4),
            3,
            options("DepthwiseConv2D", depthMultiplier=1, **strides, **dilations),
            6,
        ),
        ("FULLY_CONNECTED", (6, 4), 0, options("FullyConnected", keepNumDims=True), 9),
        ("TRANSPOSE_CONV", (6, 2, 2, 4), 0, options("TransposeConv", padding=SAME, strideW=2, strideH=2), 3),
    ):
        weights = normal(*shape)
        width = shape[axis]
        first = In((1, 8, 8, 4))
        bias = Const(normal(width))
        size = integers(1, 16, 16, 6)

        def reads(
            part: Const, op: str = op, first: In = first, bias: Const = bias, size: Const = size
        ) -> tuple[Read, ...]:
            return (size, part, first, bias) if op == "TRANSPOSE_CONV" else (first, part, bias)

        half = reads(Const(weights.astype(np.float16)))
        yield Trial(op, "float16 weights", half, table, version=3 if op == "TRANSPOSE_CONV" else 1, dequantized=(1,))
        stored, scales = _per_channel(weights, axis)
        whole = np.abs(weights).max() / 127
        one = Const(np.rint(weights / whole).astype(np.int8), Quantization([float(whole)], [0]))
        wide = stored * np.float32(scales.scales).reshape([-1 if at == axis else 1 for at in range(weights.ndim)])
        for part, said, true in (
            (Const(stored, scales), "per channel", wide),
            (one, "per tensor", one.values * np.float32(whole)),
        ):
            # The built-in kernels round the activations to 8 bits here, and read past a scale that is alone.
            exact = Trial(op, "", reads(Const(true)), table, version=3 if op == "TRANSPOSE_CONV" else 1)
            behind = f"int8 weights {said} behind DEQUANTIZE"
            version_behind = 3 if op == "TRANSPOSE_CONV" else 1
            yield Trial(op, behind, reads(part), table, dequantized=(1,), version=version_behind, reference=exact)
            if op != "TRANSPOSE_CONV":
                yield Trial(op, f"int8 weights {said}", reads(part), table, version=version, reference=exact)
        if op in ("CONV_2D", "FULLY_CONNECTED"):
            stored, scales = _per_channel(weights, axis, 7)
            shape_of_scales = [-1 if at == axis else 1 for at in range(weights.ndim)]
            exact = Trial(op, "", reads(Const(stored * np.float32(scales.scales).reshape(shape_of_scales))), table)
            four = reads(Const(stored, scales, int4=True))
            yield Trial(op, "int4 weights per channel", four, table, version=version, reference=exact)


def quantized() -> Iterator[Trial]:
    """Return trials of whole int8 and uint8 ops."""
    for dtype, zero in (("int8", -3), ("uint8", 125)):
        element_type = getattr(Type, dtype.upper())
        low, high = (-128, 127) if dtype == "int8" else (0, 255)

        def q(scale: float, zero_point: int = zero) -> Quantization:
            return Quantization([scale], [zero_point])

        def source(
            shape: tuple[int, ...], scale: float = 0.04, low: int = low, high: int = high, dtype: str = dtype
        ) -> In:
            return In(shape, low, high, dtype, q(scale))

        def out(scale: float, zero_point: int = zero, element_type: int = element_type) -> tuple[Out, ...]:
            return (Out(element_type, q(scale, zero_point)),)

        shape = (1, 6, 6, 4)
        for activation in ("none", "relu", "relu6"):
            code = ACTIVATIONS[activation]
            fused = {"fusedActivationFunction": code}
            said = f"{dtype} fused {activation}"
            for op, scale in (("ADD", 0.08), ("SUB", 0.08), ("MUL", 0.2)):
                table = binary_options(op, code)
                yield Trial(op, said, (source(shape), source(shape, 0.05)), table, out(scale), version=2)
            for op in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
                table = options("Pool2D", strideW=2, strideH=2, filterWidth=2, filterHeight=2, **fused)
                yield Trial(op, said, (source(shape),), table, out(0.04), version=2)
            table = options("Concatenation", axis=3, **fused)
            yield Trial("CONCATENATION", said, (source(shape), source(shape)), table, out(0.04), version=2)
            strides = {"padding": SAME, "strideW": 1, "strideH": 1, **fused}
            dilations = {"dilationWFactor": 1, "dilationHFactor": 1}
            for op, size, axis, table in (
                ("CONV_2D", (6, 3, 3, 4), 0, options("Conv2D", **strides, **dilations)),
                (
                    "DEPTHWISE_CONV_2D",
                    (1, 3, 3, 4),
                    3,
                    options("DepthwiseConv2D", depthMultiplier=1, **strides, **dilations),
                ),
                ("FULLY_CONNECTED", (6, 4), 0, options("FullyConnected", keepNumDims=True, **fused)),
                (
                    "TRANSPOSE_CONV",
                    (6, 2, 2, 4),
                    0,
                    options("TransposeConv", padding=SAME, strideW=2, strideH=2, **fused),
                ),
            ):
                weights = normal(*size)
                if dtype == "int8":
                    stored, scales = _per_channel(weights, axis)
                else:
                    whole = float(np.abs(weights).max() / 127)
                    stored = np.clip(np.rint(weights / whole) + 128, 1, 255).astype(np.uint8)
                    scales = Quantization([whole], [128])
                steps = np.asarray(scales.scales) * 0.04
                bias = Const(
                    np.rint(normal(size[axis]) / steps).astype(np.int32),
                    Quantization([float(step) for step in steps], [0] * len(steps)),
                )
                first = source(shape)
                reads: tuple[Read, ...] = (first, Const(stored, scales), bias)
                version = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 5, "TRANSPOSE_CONV": 3}[op]
                if op == "TRANSPOSE_CONV":
                    reads = (integers(1, 12, 12, 6), reads[1], first, bias)
                    version = 4 if code else 3
                yield Trial(op, said, reads, table, out(0.2), version=version)
        for op, scale, zero_point, table in (
            ("LOGISTIC", 1 / 256, low, None),
            ("TANH", 1 / 128, 0 if dtype == "int8" else 128, None),
            ("SOFTMAX", 1 / 256, low, options("Softmax", beta=1.0)),
            ("HARD_SWISH", 0.04, zero, None),
            ("RELU", 0.04, zero, None),
            ("RELU6", 0.04, zero, None),
            ("LEAKY_RELU", 0.04, zero, options("LeakyRelu", alpha=0.3)),
            ("ELU", 0.04, zero, None),
            ("ABS", 0.04, zero, None),
            ("EXP", 0.5, zero, None),
            ("RSQRT", 0.04, zero, None),
        ):
            yield Trial(op, dtype, (source(shape),), table, out(scale, zero_point), version=2)
        for op, table, more in (
            ("PAD", options("Pad"), Const(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))),
            ("RESHAPE", options("Reshape", newShape=[1, 144]), integers(1, 144)),
            ("TRANSPOSE", options("Transpose"), integers(0, 2, 1, 3)),
            ("RESIZE_BILINEAR", options("ResizeBilinear"), integers(9, 9)),
            ("RESIZE_NEAREST_NEIGHBOR", options("ResizeNearestNeighbor"), integers(9, 9)),
            ("TILE", options("Tile"), integers(1, 2, 1, 1)),
        ):
            yield Trial(op, dtype, (source(shape), more), table, out(0.04), version=2)
        for op in ("MEAN", "SUM", "REDUCE_MAX"):
            reads = (source(shape), integers(1, 2))
            yield Trial(
                op, dtype, reads, options("Reducer", keepDims=True), out(0.04 if op != "SUM" else 0.5), version=2
            )
        for op in ("MAXIMUM", "MINIMUM"):
            yield Trial(op, dtype, (source(shape), source(shape)), options("MaximumMinimum"), out(0.04), version=2)
        yield Trial("QUANTIZE", f"float32 to {dtype}", (In(shape),), options("Quantize"), out(0.04))
        yield Trial(
            "QUANTIZE", f"{dtype} to other steps", (source(shape),), options("Quantize"), out(0.07, zero + 2), version=2
        )
        yield Trial("DEQUANTIZE", f"{dtype} to float32", (source(shape),), options("Dequantize"), version=2)
        yield Trial("PRELU", dtype, (source(shape), Const(np.full((1, 1, 4), 50, dtype), q(0.01, 0))), None, out(0.04))
