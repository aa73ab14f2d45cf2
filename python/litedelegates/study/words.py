"""The protocol of worker processes: one line of JSON a message, samples as base64, how a command can end."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int64]
Status: TypeAlias = Literal["unfinished", "ok", "failed", "crashed", "timeout", "out of memory", "skipped"]


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, default=str).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Return the message of a line.

    Raises:
        ValueError: It is no JSON object.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"a message is an object, not {type(message).__name__}")
    return message


def pack(samples: Samples) -> str:
    """Return samples, shape (runs, 3), as text."""
    return base64.b64encode(np.ascontiguousarray(samples, dtype="<i8").tobytes()).decode()


def unpack(text: str) -> Samples:
    """Return the samples that `pack` made text of."""
    return np.frombuffer(base64.b64decode(text), "<i8").astype(np.int64).reshape(-1, 3)
