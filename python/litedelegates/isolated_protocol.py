"""What an isolated Interpreter and its worker process say to each other: JSON, and arrays in shared memory."""

from __future__ import annotations

import base64
import builtins
import dataclasses
import enum
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates import delegates, errors
from litedelegates.placement import Placement
from litedelegates.profile import OpTiming, Profile
from litedelegates.routes import Array, Route

if TYPE_CHECKING:
    from litedelegates.shared_memory import Block

_RECORDS: dict[str, Any] = {kind.__name__: kind for kind in (OpTiming, Placement, Profile)}
_TAG = "type"  # what is no plain value is an object with this and "value"


def encode(message: Any, memory: Block) -> bytes:
    """Return a message as a line, with its arrays in the memory.

    Raises:
        UnsupportedError: It holds something that cannot go to another process.
    """
    arrays: dict[str, Array] = {}
    plain = _to_plain(message, arrays)
    places = memory.write(arrays) if arrays else []
    return json.dumps([plain, places]).encode() + b"\n"


def decode(line: bytes | bytearray, memory: Block) -> Any:
    """Return the message of a line; its arrays are copies."""
    plain, places = json.loads(line)
    arrays = memory.read(places) if places else {}
    return _from_plain(plain, arrays)


def _to_plain(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, list):
        return [_to_plain(entry, arrays) for entry in value]
    tag, content = _take_apart(value, arrays)
    return {_TAG: tag, "value": content}


def _take_apart(value: Any, arrays: dict[str, Array]) -> tuple[str, Any]:
    name = type(value).__name__
    if isinstance(value, Route):
        return "route", list(value)
    if isinstance(value, tuple):
        return "tuple", _to_plain(list(value), arrays)
    if isinstance(value, dict):
        return "dict", [_to_plain(list(item), arrays) for item in value.items()]
    if isinstance(value, bytes):
        return "bytes", base64.b64encode(value).decode()
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject or value.dtype.kind in "SU":
            return "strings", [list(value.shape), [_to_plain(entry, arrays) for entry in value.ravel().tolist()]]
        key = str(len(arrays))
        arrays[key] = value
        return "array", key
    if isinstance(value, Exception):
        return "error", [name, str(value)]
    if isinstance(value, enum.Enum):
        return "choice", value.name.lower()  # as options take it
    if isinstance(value, os.PathLike):
        return "path", os.fspath(value)
    if isinstance(value, delegates.Delegate) or name in _RECORDS:
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return name, [_to_plain(list(item), arrays) for item in fields.items()]
    raise errors.UnsupportedError(f"{value!r} ({name}) cannot be handed to a worker process: leave isolated=True out")


def _from_plain(plain: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(plain, list):
        return [_from_plain(entry, arrays) for entry in plain]
    if not isinstance(plain, dict):
        return plain
    tag, content = plain[_TAG], plain["value"]
    if tag == "route":
        return Route(*content)
    if tag == "tuple":
        return tuple(_from_plain(content, arrays))
    if tag == "dict":
        return dict(_from_plain(content, arrays))
    if tag == "bytes":
        return base64.b64decode(content)
    if tag == "array":
        return arrays[content].copy()
    if tag == "strings":
        shape, texts = content
        return np.array(_from_plain(texts, arrays), dtype=object).reshape(shape)
    if tag == "error":
        return _to_error(*content)
    if tag in ("path", "choice"):
        return content
    kind = _RECORDS[tag] if tag in _RECORDS else getattr(delegates, tag)
    return kind(**dict(_from_plain(content, arrays)))


def _to_error(name: str, message: str) -> Exception:
    kind = getattr(errors, name, None) or getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # it takes more than a message
            pass
    return errors.RunError(f"{name}: {message}")
