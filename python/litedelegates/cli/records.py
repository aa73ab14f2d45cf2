"""What a command found as plain values, for JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def print_json(record: dict[str, Any]) -> None:
    """Print a record; what JSON has no form for (NaN, infinity, arrays, bytes, records) is written as text or lists."""
    print(json.dumps(plain(record), indent=1, allow_nan=False))


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
