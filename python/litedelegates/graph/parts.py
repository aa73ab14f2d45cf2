"""The words that a graph is described with, the same for TFLite and ONNX: tensors, ops, signatures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from litedelegates.border import Quantization as Quantization
from litedelegates.graph.kinds import ELEMENT_BITS, FLOATS


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value that ops read and make. Two tensors are equal only if they are the same one.

    Attributes:
        name: Unique within its graph.
        shape: Sizes, -1 for one that is not known before the model runs; None when not even the rank is.
        element_type: Such as ``float32``; ``unknown`` where the file does not say.
        quantization: None where the values are what they say.
        is_constant: Whether its values are stored in the file.
        is_variable: Whether it keeps its values from run to run.
        native: What the file's format needs to write it again.
    """

    name: str
    shape: tuple[int, ...] | None
    element_type: str
    quantization: Quantization | None = None
    is_constant: bool = False
    is_variable: bool = False
    native: Any = field(default=None, repr=False)

    @property
    def companions(self) -> tuple[Tensor, ...]:
        """Tensors that say how to read this one: the scales of blockwise quantization."""
        return () if self.native is None else tuple(getattr(self.native, "companions", {}).values())

    @property
    def elements(self) -> int | None:
        """Number of elements; None where a size is not known before the model runs."""
        return None if self.shape is None or min(self.shape, default=0) < 0 else math.prod(self.shape)

    @property
    def element_bits(self) -> int | None:
        """Bits of an element; None for types without a fixed size, such as strings."""
        return ELEMENT_BITS.get(self.element_type)

    @property
    def nbytes(self) -> int | None:
        """Bytes of its values; None where they are not known before the model runs."""
        return self._bytes_in(self.element_bits)

    @property
    def float16_nbytes(self) -> int | None:
        """Bytes of its values when float32 ones are sent as float16."""
        return self._bytes_in(16 if self.element_type in FLOATS else self.element_bits)

    @property
    def int8_nbytes(self) -> int | None:
        """Bytes of its values when floating-point ones are sent as 8-bit integers (and one scale, not counted)."""
        return self._bytes_in(8 if self.element_type in FLOATS else self.element_bits)

    def _bytes_in(self, bits: int | None) -> int | None:
        elements = self.elements
        return None if elements is None or bits is None else (elements * bits + 7) // 8


class NativeOp(Protocol):
    """What the file's format knows of an op."""

    def options(self) -> dict[str, Any]:
        """Return the op's options by name."""
        ...

    def inner_constants(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield element type and shape of each constant in the graphs that the op runs, such as a loop's body."""
        ...

    def does_the_same_as(self, other: Any) -> bool:
        """Return whether another op of the same format and type makes the same of the same inputs."""
        ...


@dataclass(frozen=True, eq=False)
class Op:
    """An op of a graph.

    Attributes:
        index: Its position in the order of execution.
        type: Such as ``CONV_2D`` (TFLite) or ``Conv`` (ONNX); a custom op's own name.
        name: The name in the file, or that of its first output where files name no ops (TFLite).
        inputs: What it reads; None where an optional input is left out.
        outputs: What it makes; None where an optional output is left out.
        captures: What its branches or body read from this graph without it being an input (ONNX).
        intermediates: Tensors that only carry the ranges of inner results (TFLite's integer LSTM).
        states: Names of the state (variables, tables) that it reads or writes.
        is_fixed: Whether it always makes the same, from constants alone.
        computes_shape: Whether it only computes sizes from the shapes of tensors, as files with an open batch do: no
            value that it reads or makes is data of the model.
        native: What the file's format needs to write it again.
    """

    index: int
    type: str
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    captures: tuple[Tensor, ...] = ()
    intermediates: tuple[Tensor, ...] = ()
    states: tuple[str, ...] = ()
    is_fixed: bool = False
    computes_shape: bool = False
    native: NativeOp | None = field(default=None, repr=False)

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """What it needs before it can run, constants included."""
        return (*(tensor for tensor in self.inputs if tensor is not None), *self.captures)

    @property
    def makes(self) -> tuple[Tensor, ...]:
        """The outputs that are there."""
        return tuple(tensor for tensor in self.outputs if tensor is not None)

    @property
    def options(self) -> dict[str, Any]:
        """The op's options by name."""
        return {} if self.native is None else self.native.options()

    def __str__(self) -> str:
        return f"op {self.index} ({self.type} {self.name!r})"


@dataclass(frozen=True)
class Signature:
    """An entry point of a model file, with the names that callers use."""

    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
