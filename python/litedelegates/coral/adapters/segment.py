"""Outputs of models that segment images."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def get_output(interpreter: Any) -> Array:
    """Return a copy of the first output without its batch axis, as uint8: the class id of each pixel."""
    output: Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].astype(np.uint8)
    return output
