"""What op types mean to a cut, for both formats: TFLite's types are written LIKE_THIS and ONNX's LikeThis."""

from __future__ import annotations

# They say the same values in another element type, so a cut may fall on either side of them.
CONVERSIONS = frozenset(
    {"CAST", "DEQUANTIZE", "QUANTIZE", "Cast", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"}
)

# They give other values each time: never made twice, and never taken for a constant.
RANDOM = frozenset(
    {
        "MULTINOMIAL",
        "RANDOM_STANDARD_NORMAL",
        "RANDOM_UNIFORM",
        "STABLEHLO_RNG_BIT_GENERATOR",
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)

# They say of a tensor how large it is, and read no value of it.
SHAPES = frozenset({"RANK", "SHAPE", "Shape", "Size"})

# They make a handle to state out of nothing; the state itself belongs to the ops that use the handle.
HANDLES = frozenset({"HASHTABLE", "VAR_HANDLE"})

# Values of these types mean nothing outside the process that made them.
UNTRANSPORTABLE = frozenset({"resource", "variant", "sequence", "optional", "map", "sparse_tensor"})

ELEMENT_BITS = {
    "bool": 8,
    "bfloat16": 16,
    "complex64": 64,
    "complex128": 128,
    "float16": 16,
    "float32": 32,
    "float64": 64,
    "float4_e2m1fn": 4,
    "float8_e4m3fn": 8,
    "float8_e4m3fnuz": 8,
    "float8_e5m2": 8,
    "float8_e5m2fnuz": 8,
    "float8_e8m0fnu": 8,
    "int2": 2,
    "int4": 4,
    "int8": 8,
    "int16": 16,
    "int32": 32,
    "int64": 64,
    "uint2": 2,
    "uint4": 4,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
}

FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
