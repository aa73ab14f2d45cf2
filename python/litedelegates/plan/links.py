"""Links between devices as people write them, and as files that a measurement wrote."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from litedelegates.errors import OptionError, nearest
from litedelegates.files import read_json
from litedelegates.plan.records import HERE, Link
from litedelegates.study.records import RecordError

HOW = "write it as NAME=DEVICE-DEVICE:20mbps,latency=2ms, or NAME=link.json"
_NUMBER = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z/%]*)", re.IGNORECASE)
_MEGABITS: Mapping[str, float] = {
    **dict.fromkeys(("bps", "bit/s"), 1e-06),
    **dict.fromkeys(("kbps", "kbit", "kbit/s"), 0.001),
    **dict.fromkeys(("mbps", "mbit", "mbit/s"), 1.0),
    **dict.fromkeys(("gbps", "gbit", "gbit/s"), 1000.0),
}
_MICROSECONDS: Mapping[str, float] = {"us": 1.0, "ms": 1e3, "s": 1e6}
_SHARE: Mapping[str, float] = {"": 1.0, "%": 0.01}
_OPTIONS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "latency": ("latency_us", _MICROSECONDS),
    "overhead": ("overhead_us", _MICROSECONDS),
    "overhead_back": ("overhead_back_us", _MICROSECONDS),
    "jitter": ("jitter_us", _MICROSECONDS),
    "loss": ("loss", _SHARE),
    "energy": ("nanojoules_per_byte", {"nj": 1.0}),
}


def parse_link(text: str, devices: Iterable[str]) -> Link:
    """Return the link that ``text`` describes.

    ``wifi=pi-server:20mbps,latency=2ms,jitter=1ms,loss=1%`` gives everything; ``overhead=300us`` is what each message
    costs besides, ``overhead_back=100us`` what one from the second end to the first does where that differs,
    ``energy=80nJ`` what a byte costs both ends together. ``wifi=link.json`` takes what `litedelegates link` measured,
    ``wifi=pi-server:link.json`` the same with other names for its ends, in the same order. The end "here" is the
    program that hands in the inputs and gets the outputs: ``call=here-pi:call.json``.

    Args:
        text: Of the link.
        devices: Names of the devices there are.

    Raises:
        OptionError: It is not written so, a value or unit makes no sense, or there is no such device.
        OSError: The file cannot be read.
    """
    known = [*devices, HERE]
    name, equals, rest = text.partition("=")
    if not equals or not name or not rest:
        raise OptionError(f"link {text!r}: {HOW}")
    if rest.endswith(".json"):
        ends, colon, file = rest.partition(":")
        if not colon:
            ends, file = "", rest
        link = dataclasses.replace(read_link(file), name=name)
        return dataclasses.replace(link, ends=_ends(ends or "-".join(link.ends), known, text))
    ends, colon, values = rest.partition(":")
    if not colon:
        raise OptionError(f"link {text!r}: {HOW}")
    bandwidth, *options = (part.strip() for part in values.split(","))
    fields: dict[str, Any] = {"bandwidth_mbps": _value(bandwidth, _MEGABITS, text)}
    for option in options:
        key, equals, value = option.partition("=")
        if key not in _OPTIONS:
            raise OptionError(f"link {text!r}: there is no {key!r}. {nearest(key, _OPTIONS)}")
        field, units = _OPTIONS[key]
        fields[field] = _value(value, units, text)
    if fields["bandwidth_mbps"] == 0 or fields.get("loss", 0.0) >= 1:
        raise OptionError(f"link {text!r}: nothing would ever arrive")
    return Link(name=name, ends=_ends(ends, known, text), **fields)


def read_link(path: str | os.PathLike[str]) -> Link:
    """Return the link that `litedelegates link -o` wrote.

    Raises:
        OSError: The file cannot be read.
        OptionError: It holds no link.
    """
    try:
        data: Any = read_json(path)
        if not isinstance(data, Mapping):
            raise ValueError(f"it holds a {type(data).__name__}")
        link = Link.from_json(data)
        first, second = link.ends
    except (RecordError, ValueError) as error:
        raise OptionError(f"{os.fspath(path)} holds no link: {error}") from error
    return dataclasses.replace(link, ends=(first, second))


def _ends(text: str, devices: list[str], whole: str) -> tuple[str, str]:
    """Return the two devices of ``A-B``; names may have hyphens themselves."""
    parts = text.split("-")
    splits = [("-".join(parts[:place]), "-".join(parts[place:])) for place in range(1, len(parts))]
    for first, second in splits:
        if first in devices and second in devices and first != second:
            return first, second
    for first, second in splits:
        if first == second and first in devices:
            raise OptionError(f"link {whole!r}: a link is between two devices, not {first!r} and itself")
    named = {name for split in splits for name in split} or {text}
    unknown = sorted(named - set(devices), key=len)
    if not splits or not unknown:
        raise OptionError(f"link {whole!r}: {HOW}; devices: {', '.join(devices)}")
    raise OptionError(f"link {whole!r}: there is no device {unknown[0]!r}. {nearest(unknown[0], devices)}")


def _value(text: str, units: Mapping[str, float], whole: str) -> float:
    found = _NUMBER.fullmatch(text.strip())
    try:
        number = float(found[1]) if found else None
    except ValueError:
        number = None
    if found is None or number is None:
        raise OptionError(f"link {whole!r}: {text!r} is no number with a unit ({', '.join(filter(None, units))})")
    if found[2].lower() not in units:
        raise OptionError(
            f"link {whole!r}: {text!r} has no unit that is known here. {nearest(found[2].lower(), filter(None, units))}"
        )
    return number * units[found[2].lower()]
