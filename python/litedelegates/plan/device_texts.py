"""Devices as people write them: ``pi=pi.sqlite;watts=4;memory=512MB`` or ``server=x8``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from litedelegates.errors import OptionError, nearest
from litedelegates.layers import LayerStudy
from litedelegates.plan.devices import scaled
from litedelegates.plan.records import Device
from litedelegates.plan.sources import Source

HOW = "write it as NAME=STORE, such as pi=pi.sqlite;watts=4;memory=512MB, or NAME=x8 for 8 times as fast as the first"
_FIELDS = ("watts", "memory", "key", "resources")
_SIZES = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_devices(texts: Sequence[str], store: str | None = None) -> list[Source]:
    """Return the devices that texts describe, in their order.

    ``pi=pi.sqlite`` takes the last layer study of a store, ``;key=...`` another of it; ``pi`` alone the store given
    here. ``server=x8`` is 8 times as fast as the first device in everything, which is a guess and is called one. Behind
    semicolons: ``watts=4`` (above idle, while computing), ``memory=512MB`` (for weights), ``resources=gpu`` (what its
    Dask worker offers, else its name).

    Args:
        texts: One a device, the first of which has the inputs and wants the outputs.
        store: Path of the store of devices that name none.

    Raises:
        OptionError: One is not written so, or its store has no layer study.
        OSError: A store is not there.
        StoreError: It is no store.
    """
    found: list[Source] = []
    for text in texts:
        head, *options = [part.strip() for part in text.split(";")]
        name, equals, where = head.partition("=")
        if not name or (equals and not where):
            raise OptionError(f"device {text!r}: {HOW}")
        values = _values(text, options)
        device = Device(
            name,
            watts=_number(text, "watts", values["watts"]) if "watts" in values else None,
            memory_nbytes=_size(text, values["memory"]) if "memory" in values else None,
            resources={values.get("resources", name): 1.0},
        )
        found.append(_source(text, device, where or store, values.get("key"), found))
    return found


def with_memory(texts: Sequence[str], bounds: Sequence[str]) -> list[str]:
    """Return texts of devices with bounds of their memory: ``pi=512MB``, or ``512MB`` where there is one device.

    Raises:
        OptionError: There is no such device, or several and none is named.
    """
    found, names = list(texts), [re.split("[=;]", text)[0].strip() for text in texts]
    for bound in bounds:
        name, _, size = bound.rpartition("=")
        if not name and len(names) > 1:
            raise OptionError(f"memory {bound!r}: of which device? Write {names[0]}={size}")
        name = name or names[0]
        if name not in names:
            raise OptionError(f"memory {bound!r}: there is no device {name!r}. {nearest(name, names)}")
        found[names.index(name)] += f";memory={size}"
    return found


def _source(text: str, device: Device, where: str | None, key: str | None, before: Sequence[Source]) -> Source:
    if where is None:
        raise OptionError(f"device {text!r}: it needs a store; {HOW}")
    if factor := re.fullmatch(r"x(\d+(?:\.\d+)?)", where):
        if not before:
            raise OptionError(f"device {text!r}: the first device cannot be told by another; {HOW}")
        speed = float(factor[1])
        if not speed > 0:
            raise OptionError(f"device {text!r}: a speed must be above 0")
        return scaled(before[0], device, 1 / speed)
    study = LayerStudy.open(where, key)
    return Source(dataclasses.replace(device, store=where, key=study.key), study)


def _values(text: str, options: Sequence[str]) -> dict[str, str]:
    values = {}
    for option in options:
        name, equals, value = option.partition("=")
        if name not in _FIELDS:
            raise OptionError(f"device {text!r}: there is no {name!r}. {nearest(name, _FIELDS)}")
        if not equals or not value:
            raise OptionError(f"device {text!r}: {name} needs a value; {HOW}")
        values[name] = value
    return values


def _size(text: str, value: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?i?b)?", value.lower())
    if found is None or (found[2] or "b") not in _SIZES:
        raise OptionError(f"device {text!r}: memory={value!r} is no size; write it as 512MB or 2GiB")
    return int(float(found[1]) * _SIZES[found[2] or "b"])


def _number(text: str, name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise OptionError(f"device {text!r}: {name}={value!r} must be a number of at least 0")
    return number
