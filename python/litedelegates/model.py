"""A verified model: its subgraphs, tensors and signatures, and where its bytes are."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from litedelegates import _core
from litedelegates.errors import InvalidModelError

if TYPE_CHECKING:
    from litedelegates.tensor_info import TensorInfo

    ModelSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Model"

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


def takes_shape(tensor: _core.Tensor, shape: Sequence[int]) -> bool:
    """Return whether a shape differs from that of a tensor only in sizes that the file leaves open."""
    signature = tensor.shape_signature or tensor.shape
    return len(signature) == len(shape) and all(
        wanted in (-1, size) for wanted, size in zip(signature, shape, strict=True)
    )


class Subgraph:
    """A subgraph as Python values, each made when first asked for: a model may have thousands of tensors."""

    def __init__(self, native: _core.Subgraph) -> None:
        self._native = native
        self.inputs: tuple[int, ...] = tuple(native.inputs)
        self.outputs: tuple[int, ...] = tuple(native.outputs)

    @property
    def name(self) -> str:
        """The subgraph's name."""
        return self._native.name

    @cached_property
    def tensors(self) -> list[_core.Tensor]:
        """The tensors, by index."""
        return self._native.tensors

    def tensor(self, index: int) -> _core.Tensor:
        """Return one tensor, without making all."""
        return self._native.tensor(index)

    @property
    def sparse_tensors(self) -> list[int]:
        """Indices of the tensors whose constant is stored sparsely."""
        return self._native.sparse_tensors

    @property
    def tensors_not_compiled(self) -> list[int]:
        """Indices of the tensors that the compiled route does not take, whatever reads them; see `why_classic`."""
        return self._native.tensors_not_compiled

    @property
    def operator_count(self) -> int:
        """How many ops there are."""
        return self._native.operator_count

    @cached_property
    def operators(self) -> list[_core.Operator]:
        """The ops in the order they run."""
        return self._native.operators

    def overwriting_ops(self, delegated: Collection[int] = ()) -> list[int]:
        """Return the ops whose built-in kernels would overwrite a value that a later op reads.

        The runtime's memory planner lets an op write over an input that no other op reads (ADD, SUB, MUL, DIV,
        SOFTMAX, DYNAMIC_UPDATE_SLICE) and lets the output of RESHAPE, SQUEEZE, EXPAND_DIMS and BITCAST lie in the
        memory of their input, but does not ask whether the other tensors in that memory are still read. The compiled
        route forbids such ops to write in place; in the official Interpreter only keeping all tensors does.

        Sizes are not asked for, so an op may be named that would have memory of its own anyway.

        Args:
            delegated: Indices of ops that delegates took.
        """
        return self._native.overwriting_ops(delegated=list(delegated))


class Model:
    """A model file that was verified; the bytes that were verified are the bytes that run.

    Attributes:
        file: The native core's view of it.
        path: Where it was read from; None when it came as bytes.
        subgraphs: The subgraphs; the first is the one that `Interpreter.invoke` runs.
    """

    def __init__(self, file: _core.ModelFile, path: str | None) -> None:
        self.file = file
        self.path = path
        self.subgraphs = [Subgraph(native) for native in file.subgraphs]

    @staticmethod
    def load(source: ModelSource) -> Model:
        """Read and verify a model.

        Args:
            source: Path of a ``.tflite`` file, or its content; a model that was loaded is returned as it is.

        Raises:
            InvalidModelError: It cannot be read or is not a model that can be run; says why.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return Model(_core.ModelFile.copy(source), None)
        if isinstance(source, Model):
            return source
        try:
            path = os.fsdecode(source)
        except TypeError:
            raise TypeError(f"a model is a path or bytes, not {type(source).__name__}") from None
        if not os.path.exists(path):
            raise InvalidModelError(f"there is no model at {path}")
        if not os.path.isfile(path):  # opening a pipe would wait for somebody to write to it
            raise InvalidModelError(f"{path} is not a model that can be run: it is not a regular file")
        name = cast(str, os.fsencode(path))  # any bytes are a name
        return Model(_core.ModelFile.open(name), path)

    @cached_property
    def signatures(self) -> list[_core.Signature]:
        """The signatures in the order of the file."""
        return self.file.signatures

    @property
    def name(self) -> str:
        """The file's name, or the size when it came as bytes."""
        return os.path.basename(self.path) if self.path else f"{self.file.size} bytes"

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
        from litedelegates.tensor_info import TensorInfo

        tensor = self.subgraphs[subgraph].tensor(index)
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
