"""Runs an interpreter on the raw bytes of its first input, as PyCoral's native functions do."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from litedelegates.errors import UnsupportedError
from litedelegates.official_wrapper import interpreter_of

Array = np.ndarray[Any, Any]


def invoke_with_bytes(interpreter_handle: Any, input_data: bytes) -> None:
    """Copy bytes into the first input and run the model.

    Args:
        interpreter_handle: What ``interpreter._native_handle()`` returns, or the interpreter.
        input_data: The bytes of the input. What goes beyond its size is ignored.

    Raises:
        ValueError: They are too few.
        RuntimeError: `allocate_tensors` was not called.
    """
    interpreter = interpreter_of(interpreter_handle)
    _, shape, dtype = _first_input(interpreter)
    _require(len(input_data), math.prod(shape) * dtype.itemsize)
    _invoke(interpreter, np.frombuffer(input_data, np.uint8))


def invoke_with_membuffer(interpreter_handle: Any, buffer: int, size: int) -> None:
    """Copy memory into the first input and run the model.

    Args:
        interpreter_handle: What ``interpreter._native_handle()`` returns, or the interpreter.
        buffer: Address of the elements, in the input's type.
        size: Number of elements there. What goes beyond the size of the input is not read.

    Raises:
        ValueError: The address is 0, or there are too few elements.
        RuntimeError: `allocate_tensors` was not called.
    """
    interpreter = interpreter_of(interpreter_handle)
    _invoke(interpreter, read_input(interpreter, buffer, size))


def invoke_with_dmabuffer(interpreter_handle: Any, dma_fd: int, size: int) -> None:
    """Raise: memory of a device reaches an Edge TPU only through libedgetpu's C++ interface.

    Raises:
        UnsupportedError: Always; it is a RuntimeError, on which PyCoral's own code maps the buffer.
    """
    raise UnsupportedError(
        f"the dma-buf of file descriptor {dma_fd} cannot be handed to the Edge TPU: only libedgetpu's C++ interface "
        "takes it. Map the buffer and call invoke_with_membuffer, or give run_inference its bytes"
    )


def supports_dmabuf(interpreter_handle: Any) -> bool:
    """Return whether `invoke_with_dmabuffer` can be used: never."""
    return False


def read_input(interpreter: Any, address: int | None, size: int) -> Array:
    """Return the bytes of the first input, read at an address.

    Args:
        interpreter: The interpreter whose input it is.
        address: Where its elements lie.
        size: How many of them are there.

    Raises:
        ValueError: The address is 0, or there are fewer elements than the input has.
    """
    _, shape, dtype = _first_input(interpreter)
    _require(size, math.prod(shape))
    if not address:
        raise ValueError("the address of the input data is 0")
    return np.frombuffer(ctypes.string_at(address, math.prod(shape) * dtype.itemsize), np.uint8)


def _first_input(interpreter: Any) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    details = interpreter.get_input_details()[0]
    return details["index"], tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"])


def _require(size: int, expected: int) -> None:
    if size < expected:
        raise ValueError(f"input size={size}, expected={expected}.")


def _invoke(interpreter: Any, values: Array) -> None:
    index, shape, dtype = _first_input(interpreter)
    if not getattr(interpreter, "_is_ready", True):
        raise RuntimeError("the tensors are not allocated: call allocate_tensors() first")
    interpreter.set_tensor(index, values[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape))
    interpreter.invoke()
