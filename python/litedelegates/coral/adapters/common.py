"""Reading and writing the tensors of an interpreter whose first input is an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def output_tensor(interpreter: Any, i: int) -> Array:
    """Return output number ``i`` without copying it; with its batch axis."""
    array: Array = interpreter.tensor(interpreter.get_output_details()[i]["index"])()
    return array


def input_details(interpreter: Any, key: str) -> Any:
    """Return an entry of the first input's details, such as "shape" or "quantization"."""
    return interpreter.get_input_details()[0][key]


def input_size(interpreter: Any) -> tuple[int, int]:
    """Return (width, height) in pixels of the first input, which is an image of shape (N, height, width, channels)."""
    _, height, width, _ = input_details(interpreter, "shape")
    return int(width), int(height)


def input_tensor(interpreter: Any) -> Array:
    """Return the first input without its batch axis, to be written to.

    An Interpreter on the classic route gives a copy; that one is read-only, as what is written to it would be lost.
    """
    array: Array = interpreter.tensor(input_details(interpreter, "index"))()[0]
    route = getattr(interpreter, "route", None)
    if route is not None and route.name == "classic":
        array.flags.writeable = False
    return array


def set_input(interpreter: Any, data: Any) -> None:
    """Copy data into the first input; it is cast to the input's dtype, and broadcast where it has fewer axes.

    Args:
        interpreter: An interpreter whose tensors are allocated.
        data: An array or an image of the input's shape without the batch axis.

    Raises:
        ValueError: The shapes do not fit.
    """
    details = interpreter.get_input_details()[0]
    values: Array = interpreter.get_tensor(details["index"])
    values[0] = data
    interpreter.set_tensor(details["index"], values)


def set_resized_input(
    interpreter: Any, size: tuple[int, int], resize: Callable[[tuple[int, int]], Any]
) -> tuple[Any, tuple[float, float]]:
    """Copy an image into the first input, scaled to fit without distortion, zeros to its right and below it.

    Args:
        interpreter: An interpreter whose tensors are allocated.
        size: (width, height) of the image in pixels.
        resize: Takes the (width, height) that fit and returns the image of that size.

    Returns:
        What ``resize`` returned, and the scale that was applied, as (scale, scale): the ``image_scale`` of
        `detect.get_objects`.
    """
    _, height, width, channels = (int(length) for length in input_details(interpreter, "shape"))
    scale = min(width / size[0], height / size[1])
    fitted_width, fitted_height = int(size[0] * scale), int(size[1] * scale)
    result = resize((fitted_width, fitted_height))
    canvas = np.zeros((height, width, channels), input_details(interpreter, "dtype"))
    canvas[:fitted_height, :fitted_width] = np.reshape(np.asarray(result), (fitted_height, fitted_width, channels))
    set_input(interpreter, canvas)
    return result, (scale, scale)
