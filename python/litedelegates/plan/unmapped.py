"""Times of layers that no kernel of a profile was mapped to: a time that is not known is not zero.

What the profiler saw of kernels that belong to no layer is time of such layers. It is shared out in proportion to the
layers' times alone, else to their times in another precision on the same delegate, else evenly. What the whole model
takes beside everything that the profiler saw goes to them as well, up to their times alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from litedelegates.layers import InPlace
from litedelegates.words import counted, say_us

# What a whole takes beside its kernels is dispatching them, up to this share of it.
_DISPATCH = 0.1


@dataclass(frozen=True)
class Unmapped:
    """What is known of the layers without a kernel of their own.

    Attributes:
        record: The profile.
        whole_us: Time of the whole model; None where it was not measured.
        layers: Those without a kernel.
        alone_us: Times alone, by layer, of those that have one.
        like_us: Times in another precision on the same delegate, likewise.
    """

    record: InPlace
    whole_us: float | None
    layers: Sequence[int]
    alone_us: Mapping[int, float]
    like_us: Mapping[int, float]


@dataclass(frozen=True)
class Shared:
    """What was shared out: microseconds by layer, and a sentence about it; empty where there was nothing."""

    us: Mapping[int, float] = field(default_factory=dict)
    note: str = ""


def share_out(known: Unmapped) -> Shared:
    """Return the times of layers that no kernel was mapped to.

    A layer stays without time where every kernel is another's and the whole leaves nothing: engines drop layers that
    do nothing, such as reshapes.
    """
    record = known.record
    unclaimed = [part for part in record.parts if not part.layers]
    pool_us = sum(map(record.part_us, unclaimed))
    layers, total_us = list(known.layers), record.total_us
    if not total_us:  # kernels of less than the profiler can tell: only the whole is known
        pool_us = known.whole_us or sum(known.alone_us.values())
        layers = [*dict.fromkeys([*layers, *(layer for part in record.parts for layer in part.layers[:1])])]
    if not layers:
        return Shared()
    weights = _weights(layers, known)
    us = {layer: pool_us * weight for layer, weight in weights.items()}
    left_us = (known.whole_us or 0.0) - max(total_us, pool_us)
    if left_us > _DISPATCH * (known.whole_us or 0.0):
        for layer, weight in weights.items():
            us[layer] += max(0.0, min(left_us * weight, known.alone_us.get(layer, 0.0) - us[layer]))
    us = {layer: own for layer, own in us.items() if own > 0}
    if not us:
        return Shared()
    by = "their times alone" if all(layer in known.alone_us for layer in us) else "times elsewhere, or evenly"
    return Shared(
        us,
        f"{counted(len(us), 'layer')} had no kernel of their own in the profile: they share {say_us(sum(us.values()))} "
        f"of {counted(len(unclaimed), 'kernel')} that could not be mapped, in proportion to {by}",
    )


def _weights(layers: Sequence[int], known: Unmapped) -> dict[int, float]:
    """Return the share of each layer; they sum to one."""
    for times in (known.alone_us, known.like_us):
        own = {layer: times[layer] for layer in layers if times.get(layer)}
        if own:
            typical = statistics.fmean(own.values())
            weights = {layer: own.get(layer, typical) for layer in layers}
            break
    else:
        weights = dict.fromkeys(layers, 1.0)
    total = sum(weights.values())
    return {layer: weight / total for layer, weight in weights.items()}
