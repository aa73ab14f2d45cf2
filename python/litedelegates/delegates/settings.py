"""Write TFLite's acceleration settings as the flatbuffer that stable delegates read."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any

from litedelegates.delegates.settings_schema import ENUMS, ROOT, TABLES
from litedelegates.errors import OptionError, nearest
from litedelegates.files import read_text

# How each scalar is packed; its width is its alignment.
_FORMATS = {"bool": "<?", "int32": "<i", "int64": "<q"}


def read_settings_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the JSON file that LiteRT's tools take as ``--stable_delegate_settings_file``.

    Lines that are ``//`` comments are allowed, as they are there.

    Raises:
        OptionError: The file cannot be read, or is no JSON object.
    """
    name = os.fspath(path)
    try:
        lines = read_text(name).split("\n")
        # Emptied and not removed, so that line numbers in messages stay right.
        content = json.loads("\n".join("" if line.lstrip().startswith("//") else line for line in lines))
    except RecursionError as error:
        raise OptionError(f"cannot read the settings file {name}: it is nested too deeply") from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OptionError(f"cannot read the settings file {name}: {why}") from error
    if not isinstance(content, dict):
        raise OptionError(f"the settings file {name} holds a {type(content).__name__}, and an object is needed")
    return content


def to_flatbuffer(settings: Mapping[str, Any]) -> bytes:
    """Return settings as a flatbuffer whose root table is a ``TFLiteSettings``.

    Args:
        settings: Fields by name; tables are mappings of their own, enumerations names or numbers.

    Raises:
        OptionError: A field that does not exist, naming the nearest one, or a value of the wrong type.
    """
    out = bytearray(4)
    struct.pack_into("<I", out, 0, _write_table(out, ROOT, settings, "settings"))
    return bytes(out)


def _write_table(out: bytearray, table: str, values: Any, where: str) -> int:
    if not isinstance(values, Mapping):
        raise OptionError(f"{where}={values!r}: {where} must be a mapping of {table}'s fields")
    slots = {name: slot for slot, name in enumerate(TABLES[table])}
    for name in values:
        if name not in slots:
            raise OptionError(f"{where} has no field {name!r}. {nearest(str(name), slots)}")
    given = {name: value for name, value in values.items() if value is not None}
    places: dict[str, int] = {}
    size = 4  # the way to the vtable
    for name in given:
        width = _width(TABLES[table][name])
        places[name] = -(-size // width) * width
        size = places[name] + width
    _align(out, 2)
    vtable = len(out)
    count = max((slots[name] + 1 for name in given), default=0)
    entries = [0] * count
    for name, place in places.items():
        entries[slots[name]] = place
    out += struct.pack(f"<{2 + count}H", 4 + 2 * count, size, *entries)
    _align(out, 8)
    start = len(out)
    out += struct.pack("<i", start - vtable) + bytes(size - 4)
    for name, value in given.items():
        _write_field(out, TABLES[table][name], value, f"{where}.{name}", start + places[name])
    return start


def _width(type_name: str) -> int:
    return struct.calcsize(_FORMATS.get(type_name, "<I"))


def _align(out: bytearray, to: int) -> None:
    out += bytes(-len(out) % to)


def _write_field(out: bytearray, type_name: str, value: Any, where: str, place: int) -> None:
    if type_name in _FORMATS or type_name in ENUMS:
        struct.pack_into(_FORMATS.get(type_name, "<i"), out, place, _scalar(type_name, value, where))
        return
    if type_name in TABLES:
        child = _write_table(out, type_name, value, where)
    elif type_name == "string":
        child = _write_string(out, value, where)
    else:
        child = _write_vector(out, type_name[1:-1], value, where)
    struct.pack_into("<I", out, place, child - place)


def _write_string(out: bytearray, value: Any, where: str) -> int:
    if not isinstance(value, (str, os.PathLike)):
        raise _wrong(where, value, "a string")
    _align(out, 4)
    start = len(out)
    try:
        text = os.fspath(value).encode()
    except UnicodeEncodeError as error:
        raise OptionError(f"{where}={value!r}: UTF-8 has no such text ({error.reason})") from error
    out += struct.pack("<I", len(text)) + text + b"\0"
    return start


def _write_vector(out: bytearray, item_type: str, value: Any, where: str) -> int:
    if isinstance(value, (str, Mapping)) or not hasattr(value, "__iter__"):
        raise _wrong(where, value, f"a sequence of {item_type}")
    items = list(value)
    _align(out, 4)
    start = len(out)
    out += struct.pack("<I", len(items))
    if item_type == "uint8":
        if not all(_is_int(item) and 0 <= item < 256 for item in items):
            raise _wrong(where, value, "bytes")
        out += bytes(items)
        return start
    out += bytes(4 * len(items))
    for index, item in enumerate(items):
        _write_field(out, item_type, item, f"{where}[{index}]", start + 4 + 4 * index)
    return start


def _scalar(type_name: str, value: Any, where: str) -> int:
    if type_name == "bool":
        if not isinstance(value, bool):
            raise _wrong(where, value, "True or False")
        return value
    if type_name in ENUMS and isinstance(value, str):
        return _enumerated(type_name, value, where)
    bits = 8 * _width(type_name)
    if not _is_int(value):
        raise _wrong(where, value, "a name or an integer" if type_name in ENUMS else "an integer")
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise OptionError(f"{where}={value!r}: it does not fit in {bits} bits")
    return int(value)


def _enumerated(type_name: str, value: str, where: str) -> int:
    """Flags are or-ed where several are named, with spaces between them."""
    known = ENUMS[type_name]
    total = 0
    for name in value.split() or [value]:
        if name not in known:
            raise OptionError(f"{where}={value!r}: there is no {name!r}. {nearest(name, known)}")
        total |= known[name]
    return total


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(where: str, value: Any, wanted: str) -> OptionError:
    return OptionError(f"{where}={value!r}: {where} must be {wanted}, not {type(value).__name__}")
