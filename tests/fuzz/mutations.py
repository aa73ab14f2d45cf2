"""Damage an input: bytes anywhere, or one field of what the bytes mean."""

from __future__ import annotations

import json
import random
from typing import Any

_INTEGERS = (0, 1, -1, 2, 3, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-38, 1e38, float("inf"), float("-inf"), float("nan"))
_TEXTS = ("", "x", "\x00", "ä" * 40, "../x", "0", "-1", "nan", "'", '"', "\\", "\n", "%s", "\ud800")
_SHARE_OF_BYTES = 0.4


def mutate(kind: str, content: bytes, rng: random.Random) -> bytes:
    """Return ``content`` damaged once to thrice; ``kind`` is "tflite", "ops", "onnx", "json" or "bytes".

    Of "ops" only the structure is changed, half of the time for another one: an op with a few unusual tensors.
    """
    if kind == "ops" and rng.random() < 0.5:
        return _unusual_op(rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        structured = _STRUCTURED.get(kind)
        if structured is not None and (kind == "ops" or rng.random() >= _SHARE_OF_BYTES):
            try:
                content = structured(content, rng)
                continue
            except Exception:  # earlier damage went so deep that there are no fields any more, or none that fits
                pass
        content = _mutate_bytes(content, rng)
    return content


def _mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    if not data:
        return rng.randbytes(rng.randrange(1, 16))
    at = rng.randrange(len(data))
    match rng.randrange(7):
        case 0:
            return bytes(data[:at])
        case 1:
            data[at] ^= 1 << rng.randrange(8)
        case 2:  # the header, where one bit decides most
            data[rng.randrange(min(64, len(data)))] = rng.randrange(256)
        case 3:
            value = rng.choice(_INTEGERS) & 0xFFFFFFFF
            data[at : at + 4] = value.to_bytes(4, "little")
        case 4:
            end = min(len(data), at + rng.randrange(1, 64))
            del data[at:end]
        case 5:
            data[at:at] = data[at : at + rng.randrange(1, 64)]
        case 6:
            for _ in range(rng.randrange(2, 9)):
                data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _other(value: Any, rng: random.Random) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, -value, value * 2, rng.choice(_INTEGERS), rng.randrange(200)))
    if isinstance(value, float):
        return rng.choice((value * 2, -value, rng.choice(_FLOATS)))
    if isinstance(value, bytes):
        return _mutate_bytes(value, rng)
    return rng.choice((*_TEXTS, value + "x", value[:-1]))


def _mutate_tflite(content: bytes, rng: random.Random) -> bytes:
    """Change one field of one table, by the schema, and write the file anew."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    places = [place for place in _places(model) if not isinstance(place[0], schema.BufferT)]
    _change(rng.choice(places), rng)
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _unusual_op(rng: random.Random) -> bytes:
    from kernels.attempts import random_attempt
    from kernels.models import build, stored_version

    attempt = random_attempt(rng)
    return build(attempt, stored_version(attempt.op))


def _places(table: Any) -> list[tuple[Any, Any]]:
    """Return where each field is: the table and its attribute, or the list and the index."""
    found: list[tuple[Any, Any]] = []
    tables = [table]
    while tables:
        one = tables.pop()
        for name, value in vars(one).items():
            found.append((one, name))
            if hasattr(value, "__dict__"):
                tables.append(value)
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    found.append((value, index))
                    if hasattr(item, "__dict__"):
                        tables.append(item)
            elif hasattr(value, "tolist") and value.size < 64:  # small vectors come as arrays
                as_list = value.tolist()
                setattr(one, name, as_list)
                found += [(as_list, index) for index in range(len(as_list))]
    return found


def _change(place: tuple[Any, Any], rng: random.Random) -> None:
    holder, key = place
    is_list = isinstance(holder, list)
    value = holder[key] if is_list else getattr(holder, key)
    if is_list and rng.random() < 0.3:
        if rng.random() < 0.5:
            del holder[key]
        else:
            holder.insert(rng.randrange(len(holder) + 1), value)
        return
    if isinstance(value, int | float | str | bytes):
        changed = _other(value, rng)
    elif is_list:
        changed = rng.choice(holder)
    elif isinstance(value, list):
        changed = value[: rng.randrange(len(value) + 1)]
    else:
        changed = None
    if is_list:
        holder[key] = changed
    else:
        setattr(holder, key, changed)


def _mutate_onnx(content: bytes, rng: random.Random) -> bytes:
    """Change, remove or double one field of one message."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    messages = [model]
    for message in messages:  # grows while it is read
        for field, value in message.ListFields():
            if field.message_type is not None:
                messages += list(value) if field.is_repeated else [value]
    message = rng.choice(messages)
    fields = message.ListFields()
    field, value = rng.choice(fields)
    if rng.random() < 0.15:
        message.ClearField(field.name)
    elif field.is_repeated:
        at = rng.randrange(len(value))
        if rng.random() < 0.25:
            del value[at]
        elif field.message_type is not None:
            value.append(value[at])
        else:
            value[at] = _other(value[at], rng)
    elif field.message_type is None:
        setattr(message, field.name, _other(value, rng))
    else:
        message.ClearField(field.name)
    return bytes(model.SerializeToString())


def _mutate_json(content: bytes, rng: random.Random) -> bytes:
    """Change, remove or double one value, give it another type, or nest it."""
    data = json.loads(content)
    holders: list[Any] = [[data]]
    for holder in holders:
        values = holder.values() if isinstance(holder, dict) else holder
        holders += [value for value in values if isinstance(value, dict | list) and value]
    holder = rng.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    key = rng.choice(keys)
    match rng.randrange(5):
        case 0 if holder is not holders[0]:
            del holder[key]
        case 1:
            holder[key] = rng.choice((None, True, 0, -1, 1.5, 10**30, float("nan"), "", "x", [], {}, [[]], {"x": 1}))
        case 2 if isinstance(holder, dict):
            holder[rng.choice((key + "x", "", key.upper()))] = holder[key]
        case 3:
            deep = rng.choice((1, 100, 100_000))
            text = json.dumps(data)
            return text.replace(json.dumps(holder[key]), "[" * deep + "]" * deep, 1).encode()
        case _:
            value = holder[key]
            holder[key] = _other(value, rng) if isinstance(value, int | float | str) else [value, value]
    return json.dumps(holders[0][0]).encode()


_STRUCTURED = {"tflite": _mutate_tflite, "ops": _mutate_tflite, "onnx": _mutate_onnx, "json": _mutate_json}
