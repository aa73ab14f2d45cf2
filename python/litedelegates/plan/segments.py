"""Which device has which layers, in the order of the layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from litedelegates.layers.records import Record
from litedelegates.plan.problem import Array, Problem


@dataclass(frozen=True)
class Segment(Record):
    """Layers one after the other on one device.

    Attributes:
        device: Its name.
        first: Index of the first layer.
        last: Index of the last.
        precisions: Layers by precision.
    """

    device: str
    first: int
    last: int
    precisions: Mapping[str, int] = field(default_factory=dict, hash=False)


def segments(problem: Problem, assignment: Array | Sequence[int]) -> tuple[Segment, ...]:
    """Return who has which layers, in the order of the layers' indices."""
    found: list[tuple[str, list[tuple[int, str]]]] = []
    for layer, place in sorted(zip(problem.layers, assignment, strict=True)):
        choice = problem.choices[place]
        if layer < 0:
            continue
        if not found or found[-1][0] != choice.device:
            found.append((choice.device, []))
        found[-1][1].append((layer, choice.precision))
    return tuple(
        Segment(device, own[0][0], own[-1][0], _counts(precision for _, precision in own)) for device, own in found
    )


def where(segments: Sequence[Segment]) -> str:
    """Return where the layers are, such as "pi to layer 12, then server"."""
    if len(segments) == 1:
        return f"all on {segments[0].device}"
    if len(segments) > 4:
        counts: dict[str, int] = {}
        for one in segments:
            counts[one.device] = counts.get(one.device, 0) + sum(one.precisions.values())
        return ", ".join(f"{count} layers on {device}" for device, count in counts.items())
    *parts, last = [f"{one.device} to layer {one.last}" for one in segments]
    return f"{', then '.join(parts)}, then {last.partition(' ')[0]}"


def _counts(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
