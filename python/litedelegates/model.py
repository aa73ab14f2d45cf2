"""A verified model: its subgraphs, tensors and signatures, and where its bytes are."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Union

import numpy as np

from litedelegates import _core
from litedelegates.errors import InvalidModelError

ModelSource = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview]

# Element types that numpy has no dtype for, and what carries their values: the bits as they are, or unpacked.
_STAND_INS: dict[str, type[np.generic]] = {
    "string": np.bytes_,
    "resource": np.object_,
    "variant": np.object_,
    "int4": np.int8,
    "int2": np.int8,
    "uint4": np.uint8,
    "float8_e4m3fn": np.int8,
    "float8_e5m2": np.int8,
}


def numpy_dtype(element_type: str) -> np.dtype[Any]:
    """Return the dtype that arrays of an element type have at the border of a model.

    bfloat16 is ``ml_dtypes.bfloat16`` where that package is installed and the 16 bits as uint16 where it is not.

    Raises:
        InvalidModelError: The element type has no values that an array could hold.
    """
    if element_type in _STAND_INS:
        return np.dtype(_STAND_INS[element_type])
    if element_type == "bfloat16":
        return _bfloat16()
    try:
        return np.dtype(element_type)
    except TypeError:
        raise InvalidModelError(f"element type {element_type} cannot be an input or output here") from None


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        return np.dtype(np.uint16)
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a model.

    Attributes:
        name: Its name: the signature's when the model has one for it, else the tensor's.
        index: Tensor index, as the drop-in methods take it.
        shape: Current shape.
        shape_signature: The shape with -1 for every size that may change.
        dtype: dtype of its arrays.
        element_type: The model's element type; differs from ``dtype`` where numpy has no such type.
        scale: Scale of a tensor quantized as a whole, else 0.0.
        zero_point: Its zero point, else 0.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: np.dtype[Any]
    element_type: str
    scale: float
    zero_point: int

    @property
    def is_quantized(self) -> bool:
        """Whether a scale maps its integers to real values."""
        return self.scale != 0.0


@dataclass
class Model:
    """A model file that was verified; the bytes that were verified are the bytes that run."""

    file: _core.ModelFile
    path: Path | None
    _subgraphs: list[_core.Subgraph] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._subgraphs = self.file.subgraphs

    @staticmethod
    def load(source: ModelSource) -> Model:
        """Read and verify a model.

        Args:
            source: Path of a ``.tflite`` file, or its content.

        Raises:
            InvalidModelError: It cannot be read or is not a model that can be run; says why.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return Model(_core.ModelFile.copy(source), None)
        if isinstance(source, Model):
            return source
        try:
            path = Path(source)
        except TypeError:
            raise TypeError(f"a model is a path or bytes, not {type(source).__name__}") from None
        if not path.exists():
            raise InvalidModelError(f"there is no model at {path}")
        return Model(_core.ModelFile.open(str(path)), path)

    @property
    def subgraphs(self) -> list[_core.Subgraph]:
        """The subgraphs; the first is the one that `Interpreter.invoke` runs."""
        return self._subgraphs

    @cached_property
    def signatures(self) -> list[_core.Signature]:
        """The signatures in the order of the file."""
        return self.file.signatures

    @property
    def name(self) -> str:
        """The file's name, or the size when it came as bytes."""
        return self.path.name if self.path else f"{self.file.size} bytes"

    def signature_of(self, subgraph: int) -> int | None:
        """Return the index of the first signature that runs a subgraph; None when no signature does."""
        for index, signature in enumerate(self.signatures):
            if signature.subgraph_index == subgraph:
                return index
        return None

    def names(self, subgraph: int) -> dict[int, str]:
        """Return the signature's names of a subgraph's inputs and outputs, by tensor index."""
        index = self.signature_of(subgraph)
        if index is None:
            return {}
        signature = self.signatures[index]
        return {tensor: name for name, tensor in (*signature.outputs, *signature.inputs)}

    def tensor_info(self, subgraph: int, index: int, shape: tuple[int, ...], name: str | None) -> TensorInfo:
        """Describe a tensor; its current shape is not the file's once it was resized."""
        tensor = self.subgraphs[subgraph].tensors[index]
        scales, zero_points = tensor.scales, tensor.zero_points
        return TensorInfo(
            name=name or tensor.name,
            index=index,
            shape=shape,
            shape_signature=tuple(tensor.shape_signature or tensor.shape),
            dtype=numpy_dtype(tensor.element_type),
            element_type=tensor.element_type,
            scale=scales[0] if len(scales) == 1 else 0.0,
            zero_point=(zero_points[0] if zero_points else 0) if len(scales) == 1 else 0,
        )
