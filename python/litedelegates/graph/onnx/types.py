"""Element types in this package's words, and ONNX's types made of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from litedelegates.engines.onnxruntime.extras import require_onnx

# What ONNX's enumeration calls differently from numpy and TFLite.
_WORDS = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT4E2M1": "float4_e2m1fn",
    "UNDEFINED": "unknown",
}


@lru_cache(maxsize=1)
def words() -> dict[int, str]:
    """Return the word for each of ONNX's element types."""
    items = require_onnx().TensorProto.DataType.items()
    return {number: _WORDS.get(name, name.lower()) for name, number in items}


def element_type_of(type_proto: Any) -> str:
    """Return the word for the element type, or the kind of what is no tensor; ``unknown`` where it is not said."""
    kind = type_proto.WhichOneof("value") if type_proto is not None else None
    if kind == "tensor_type":
        return words().get(type_proto.tensor_type.elem_type, "unknown")
    return {None: "unknown", "sequence_type": "sequence", "map_type": "map", "optional_type": "optional"}.get(
        kind, "sparse_tensor" if kind == "sparse_tensor_type" else "unknown"
    )


def shape_of(type_proto: Any) -> tuple[int, ...] | None:
    """Return the sizes of a tensor, -1 for those that are not known; None where the rank is not."""
    if type_proto is None or type_proto.WhichOneof("value") != "tensor_type":
        return None
    if not type_proto.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else -1
        for dim in type_proto.tensor_type.shape.dim
    )


def tensor_type(element_type: str, shape: Sequence[int | str | None] | None) -> Any:
    """Return ONNX's type of a tensor."""
    onnx = require_onnx()
    numbers = {word: number for number, word in words().items()}
    return onnx.helper.make_tensor_type_proto(numbers[element_type], shape)
