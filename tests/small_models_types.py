"""One model for each element type, rank and size that a tensor can have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from small_models_builder import (
    ModelBuilder,
    Op,
    Quantization,
    Type,
    bfloat16_from_float,
    float_from_bfloat16,
    schema,
    string_data,
)
from small_models_case import Array, Arrays, Case, fixed, floats, strings
from small_models_layers import dequantize, quantize

NO_NUMPY_TYPE = "its tensor details and get_tensor raise ValueError: Invalid data-type for array"
CANNOT_SET = "its set_tensor raises ValueError: got a value of type INT8 but expected INT2"
HALF_WEIGHTS = np.array([[0.5, -1.5, 2, 3.25]], np.float16)
NUMBERS = (0.5, -1.5, 7.0)
CHOICES = (b"zero", b"", b"two \xe2\x82\xac")
UINT8_SCALES = [Quantization([0.5], [10]), Quantization([0.25], [128]), Quantization([1.0], [100])]
INT16_SCALES = [Quantization([0.5], [0]), Quantization([0.25], [0]), Quantization([1.0], [0])]


def copy(element_type: int) -> bytes:
    """RESHAPE from (1, 4) to (4,): output equals input, in any element type."""
    model = ModelBuilder()
    graph = model.graph()
    shape = graph.constant("shape", np.array([4], np.int32))
    inputs = [graph.input("x", (1, 4), element_type), shape]
    graph.op(Op.RESHAPE, inputs, [graph.output("y", (4,), element_type)], schema.ReshapeOptionsT())
    return model.to_bytes()


def cast(from_type: int, *to_types: int) -> bytes:
    """A chain of CASTs of four values from one element type to the next."""
    model = ModelBuilder()
    graph = model.graph()
    previous, previous_type = graph.input("x", (1, 4), from_type), from_type
    for step, element_type in enumerate(to_types):
        tensor = graph.tensor(f"y_{step}", (1, 4), element_type)
        options = schema.CastOptionsT()
        options.inDataType, options.outDataType = previous_type, element_type
        graph.op(Op.CAST, [previous], [tensor], options)
        previous, previous_type = tensor, element_type
    graph.table.outputs = [previous]
    return model.to_bytes()


def add_as(element_type: int, shape: tuple[int, ...] = (1, 4), scales: list[Quantization] | None = None) -> bytes:
    """ADD of two inputs in any element type and shape; ``scales`` are those of x, y and the sum."""
    model = ModelBuilder()
    graph = model.graph()
    of_x, of_y, of_sum = scales or (None, None, None)
    operands = [graph.input("x", shape, element_type, of_x), graph.input("y", shape, element_type, of_y)]
    options = schema.AddOptionsT()
    options.potScaleInt16 = False
    graph.op(Op.ADD, operands, [graph.output("sum", shape, element_type, of_sum)], options, version=2)
    return model.to_bytes()


def logical_and() -> bytes:
    """LOGICAL_AND of two bool inputs."""
    model = ModelBuilder()
    graph = model.graph()
    operands = [graph.input("x", (4,), Type.BOOL), graph.input("y", (4,), Type.BOOL)]
    graph.op(Op.LOGICAL_AND, operands, [graph.output("both", (4,), Type.BOOL)], schema.LogicalAndOptionsT())
    return model.to_bytes()


def float16_weights() -> bytes:
    """MUL of a float32 input by float16 constants that a DEQUANTIZE widens."""
    model = ModelBuilder()
    graph = model.graph()
    half, wide = graph.constant("half", HALF_WEIGHTS), graph.tensor("wide", (1, 4))
    graph.op(Op.DEQUANTIZE, [half], [wide], schema.DequantizeOptionsT(), version=3)
    graph.op(Op.MUL, [graph.input("x", (1, 4)), wide], [graph.output("y", (1, 4))], schema.MulOptionsT())
    return model.to_bytes()


def gather() -> bytes:
    """GATHER from three constant floats by two indices given at run time; its kernel fails on an index out of range."""
    model = ModelBuilder()
    graph = model.graph()
    choices = graph.tensor("choices", (3,), Type.FLOAT32, data=np.array(NUMBERS, np.float32).tobytes())
    inputs = [choices, graph.input("indices", (2,), Type.INT32)]
    graph.op(Op.GATHER, inputs, [graph.output("chosen", (2,))], schema.GatherOptionsT())
    return model.to_bytes()


def string_gather() -> bytes:
    """GATHER from three constant strings, one empty and one beyond ASCII: int32 to string."""
    model = ModelBuilder()
    graph = model.graph()
    choices = graph.tensor("choices", (3,), Type.STRING, data=string_data(CHOICES))
    inputs = [choices, graph.input("indices", (2,), Type.INT32)]
    graph.op(Op.GATHER, inputs, [graph.output("chosen", (2,), Type.STRING)], schema.GatherOptionsT())
    return model.to_bytes()


def string_equal() -> bytes:
    """EQUAL of two string inputs: string to bool."""
    model = ModelBuilder()
    graph = model.graph()
    operands = [graph.input("x", (3,), Type.STRING), graph.input("y", (3,), Type.STRING)]
    graph.op(Op.EQUAL, operands, [graph.output("same", (3,), Type.BOOL)], schema.EqualOptionsT())
    return model.to_bytes()


def _quantized_sum(inputs: Arrays, scales: list[Quantization], dtype: type) -> Arrays:
    total = sum(dequantize(array, scale) for array, scale in zip(inputs, scales, strict=False))
    return [quantize(np.asarray(total), scales[2], dtype)]


def _copy_case(name: str, values: Any, notes: str = "", obstacle: str | None = None) -> Case:
    build = partial(copy, getattr(Type, name.upper()))
    return Case(f"copy_{name}", build, fixed(values), lambda a: [a[0].reshape(4)], notes, obstacle=obstacle)


def _cast_case(from_name: str, to_name: str, values: Any, as_type: Callable[[Array], Array], notes: str = "") -> Case:
    build = partial(cast, getattr(Type, from_name.upper()), getattr(Type, to_name.upper()))
    return Case(f"cast_{from_name}_to_{to_name}", build, fixed(values), lambda a: [as_type(a[0])], notes)


_SMALL = np.array([[1, -2, 3, -4]])
_REAL = np.array([[1.5, -2, 3.25, -4.5]], np.float32)
_BYTES = np.array([[0x38, 0xB8, 0x40, 0]], np.uint8).view(np.int8)

CASES = (
    _copy_case("float16", _REAL.astype(np.float16)),
    _copy_case("float32", _REAL),
    _copy_case("float64", _REAL.astype(np.float64)),
    _copy_case("complex64", (_REAL * (1 + 2j)).astype(np.complex64)),
    _copy_case("complex128", (_REAL * (1 + 2j)).astype(np.complex128)),
    _copy_case("bool", np.array([[True, False, False, True]])),
    _copy_case("int8", _SMALL.astype(np.int8)),
    _copy_case("int16", _SMALL.astype(np.int16)),
    _copy_case("int32", _SMALL.astype(np.int32)),
    _copy_case("int64", _SMALL * 2**40),
    _copy_case("uint8", abs(_SMALL).astype(np.uint8)),
    _copy_case("uint16", abs(_SMALL).astype(np.uint16) + 65000),
    _copy_case("uint32", abs(_SMALL).astype(np.uint32) + 2**31),
    _copy_case("uint64", abs(_SMALL).astype(np.uint64) + np.uint64(2**63)),
    _copy_case("int4", _SMALL.astype(np.int8), "int8 outside, packed inside"),
    _copy_case("uint4", np.array([[1, 2, 15, 0]], np.uint8), "uint8 outside, packed inside"),
    _copy_case("int2", np.array([[1, -2, -1, 0]], np.int8), "packed, four a byte", CANNOT_SET),
    _copy_case("bfloat16", bfloat16_from_float(_REAL), "uint16 words", NO_NUMPY_TYPE),
    _copy_case("float8_e4m3fn", _BYTES, "raw bytes"),
    _copy_case("float8_e5m2", _BYTES, "raw bytes"),
    Case(
        "copy_string",
        partial(copy, Type.STRING),
        lambda rng: [np.array([[b"a", b"", b"longer", b"\xe2\x82\xac"]], np.object_)],
        lambda a: [a[0].reshape(4)],
        "string to string",
    ),
    Case("gather", gather, fixed(np.array([2, 1], np.int32)), lambda a: [np.array(NUMBERS, np.float32)[a[0]]]),
    Case("string_gather", string_gather, fixed(np.array([2, 1], np.int32)), lambda a: [np.array(CHOICES)[a[0]]]),
    Case(
        "string_equal",
        string_equal,
        lambda rng: [*strings(b"a", b"", b"c")(rng), *strings(b"a", b"b", b"c")(rng)],
        lambda a: [a[0] == a[1]],
        "string to bool",
    ),
    _cast_case("float32", "float16", _REAL, lambda x: x.astype(np.float16)),
    _cast_case("float16", "float32", _REAL.astype(np.float16), lambda x: x.astype(np.float32)),
    _cast_case("int64", "int32", _SMALL * 1000, lambda x: x.astype(np.int32)),
    _cast_case("float32", "uint32", abs(_REAL), lambda x: x.astype(np.uint32)),
    _cast_case("uint16", "int64", abs(_SMALL).astype(np.uint16), lambda x: x.astype(np.int64)),
    _cast_case("int4", "float32", _SMALL.astype(np.int8), lambda x: x.astype(np.float32), "packed int4 input"),
    _cast_case("float32", "int4", _REAL, lambda x: x.astype(np.int8), "packed int4 output"),
    Case(
        "bfloat16_inside",
        partial(cast, Type.FLOAT32, Type.BFLOAT16, Type.FLOAT32),
        fixed(_REAL),
        lambda a: [a[0]],
        "float32 at both ends; the values are exact in bfloat16",
    ),
    Case(
        "cast_float32_to_bfloat16",
        partial(cast, Type.FLOAT32, Type.BFLOAT16),
        fixed(_REAL),
        lambda a: [bfloat16_from_float(a[0])],
        "uint16 words",
        obstacle=NO_NUMPY_TYPE,
    ),
    Case(
        "cast_bfloat16_to_float32",
        partial(cast, Type.BFLOAT16, Type.FLOAT32),
        fixed(bfloat16_from_float(_REAL)),
        lambda a: [float_from_bfloat16(a[0])],
        "uint16 words",
        obstacle=NO_NUMPY_TYPE,
    ),
    Case("float16_weights", float16_weights, floats((1, 4)), lambda a: [a[0] * HALF_WEIGHTS]),
    Case(
        "logical_and",
        logical_and,
        fixed(np.array([True, True, False, False]), np.array([True, False, True, False])),
        lambda a: [a[0] & a[1]],
    ),
    Case("add_int64", partial(add_as, Type.INT64), fixed(_SMALL * 2**40, _SMALL), lambda a: [a[0] + a[1]]),
    Case(
        "add_uint8",
        partial(add_as, Type.UINT8, scales=UINT8_SCALES),
        lambda rng: [rng.integers(0, 256, (1, 4), np.uint8), rng.integers(0, 256, (1, 4), np.uint8)],
        lambda a: _quantized_sum(a, UINT8_SCALES, np.uint8),
        "quantized",
        atol=1,
    ),
    Case(
        "add_int16",
        partial(add_as, Type.INT16, scales=INT16_SCALES),
        lambda rng: [rng.integers(-9000, 9000, (1, 4), np.int16), rng.integers(-9000, 9000, (1, 4), np.int16)],
        lambda a: _quantized_sum(a, INT16_SCALES, np.int16),
        "quantized",
        atol=1,
    ),
    Case("scalars", partial(add_as, Type.FLOAT32, ()), floats((), ()), lambda a: [a[0] + a[1]], "rank 0"),
    Case("empty", partial(add_as, Type.FLOAT32, (0, 4)), floats((0, 4), (0, 4)), lambda a: [a[0]], "no elements"),
)
