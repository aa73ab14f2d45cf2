"""The time of each layer in each setting: as the profiler saw it in place, and what the layer alone adds to that."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from litedelegates.layers import Alone, InPlace, LayerStudy, MixedTiming, PartTiming, Setting
from litedelegates.plan.shrinkage import NORMAL_95, shrunken
from litedelegates.plan.unmapped import Unmapped, share_out

# Profilers that tell whole microseconds cut off the rest: a part took up to this much longer than the mean says.
_TICK_US = 1.0
# Whole models that were not timed in turn: of pairs of equal models timed one after the other on an idle machine the
# medians of one in eight differed by more than 3 %. A standard deviation, as a share of the time.
_NOT_IN_TURN = 0.02
# A time that was shared out between layers may belong to another of them: half the interval, as a share of it.
_MOST_TIMES = 1e3  # an interval that begins at 0 reaches down to this part of its median
_SHARED_SPREAD = 1.0


@dataclass(frozen=True)
class LayerTimes:
    """Microseconds by layer in a setting.

    Attributes:
        setting: Which.
        us: Expected time of the layer in the model, see `shrinkage`. Layers that the engine computes with another have
            0; layers of which no time is known are not there.
        conversion_us: What of that is conversions.
        fused: By layer without a time of its own, the layer that has it.
        alone_us: Time of the layer as a model of its own, as far as it was measured.
        spread: Half the width of the 95 % interval of the layer's time, as a share of it.
        whole_us: Of the whole model; None where it was not measured.
        whole_spread: As ``spread``, of the whole model: what disturbs the machine for longer than a layer is in it. The
            longer side of the interval, in the logarithm.
        is_in_place: Whether the times are of the whole model's layers; otherwise they are those alone.
        note: What has to be known of them; empty where each layer was measured.
    """

    setting: Setting
    us: Mapping[int, float]
    conversion_us: Mapping[int, float] = field(default_factory=dict)
    fused: Mapping[int, int] = field(default_factory=dict)
    alone_us: Mapping[int, float] = field(default_factory=dict)
    spread: Mapping[int, float] = field(default_factory=dict)
    whole_us: float | None = None
    whole_spread: float = 0.0
    is_in_place: bool = True
    note: str = ""


def layer_times(study: LayerStudy) -> dict[Setting, LayerTimes]:
    """Return the expected times of layers in each setting that has any.

    Those in place, or those alone where there are none in place. A layer that nothing of the profile was mapped to gets
    a time as `share_out` finds it; noisy times are drawn together as `shrunken` says.
    """
    alone: dict[Setting, dict[int, Alone]] = {}
    for record in study.alone:
        if record.median_us is not None:
            alone.setdefault(record.setting, {})[record.layer] = record
    uniform = {record.setting: record for record in study.mixed if record.is_uniform and record.whole_us is not None}
    found: dict[Setting, LayerTimes] = {}
    for setting in study.settings:
        in_place, own = study.in_place_of(setting), alone.get(setting, {})
        like = {
            layer: us for other, known in found.items() if _is_like(other, setting) for layer, us in known.us.items()
        }
        whole = _Whole.of(in_place, uniform.get(setting))
        if in_place is not None and in_place.refusal is None and in_place.parts:
            made = _in_place(study, in_place, own, like, whole)
        elif own:
            made = _alone(study, setting, own, like, whole)
        else:
            continue
        if any(made.us.values()):  # a setting of which all is unknown is none
            found[setting] = made
    return _drawn_together(found)


@dataclass(frozen=True)
class _Whole:
    """The time of a whole model, and the longer side of its 95 % interval, in the logarithm."""

    us: float | None = None
    spread: float = 0.0

    @classmethod
    def of(cls, in_place: InPlace | None, uniform: MixedTiming | None) -> _Whole:
        """Return what is known: models that were timed in turn with others are known best."""
        if uniform is not None:
            known = in_place.whole_us if in_place is not None and in_place.whole_us else uniform.whole_us
            return cls(known, _longer_side(uniform.whole_us, uniform.low_us, uniform.high_us))
        if in_place is None or not in_place.whole_us:
            return cls()
        own = _longer_side(in_place.whole_us, in_place.whole_low_us, in_place.whole_high_us)
        return cls(in_place.whole_us, math.hypot(own, NORMAL_95 * _NOT_IN_TURN))


def _in_place(
    study: LayerStudy, record: InPlace, alone: Mapping[int, Alone], like: Mapping[int, float], whole: _Whole
) -> LayerTimes:
    us, fused = {layer.index: 0.0 for layer in study.layers}, {}
    parts: dict[int, list[PartTiming]] = {}
    computed = set[int]()
    for part in record.parts:
        if part.layers:
            parts.setdefault(part.layers[0], []).append(part)
            if part.role == "layer":
                computed.add(part.layers[0])
                fused.update(dict.fromkeys(part.layers[1:], part.layers[0]))
    us.update(record.layer_us())
    fused = {layer: main for layer, main in fused.items() if layer not in parts}
    is_coarse = all(sample.is_integer() for part in record.parts for sample in part.samples_us)
    with_others = set(fused.values())
    for layer, own in alone.items():
        if is_coarse and layer in parts and layer not in with_others and own.median_us is not None:
            us[layer] = min(max(own.median_us, us[layer]), us[layer] + _TICK_US * len(parts[layer]))
    spread = {layer: _spread_of_runs(record, own, is_coarse) for layer, own in parts.items() if layer not in alone}
    spread |= {layer: _spread(own.median_us, own.low_us, own.high_us) for layer, own in alone.items()}
    alone_us = {layer: own.median_us for layer, own in alone.items() if own.median_us is not None}
    shapes = {layer.index for layer in study.layers if layer.computes_shape}
    missing = [layer for layer in us if layer not in computed and layer not in fused and layer not in shapes]
    shared = share_out(Unmapped(record, whole.us, missing, alone_us, like))
    for layer, more in shared.us.items():
        us[layer] += more
        spread[layer] = _SHARED_SPREAD
    return LayerTimes(
        record.setting,
        us,
        record.conversion_us(),
        fused,
        alone_us,
        spread,
        whole.us,
        whole.spread,
        note=shared.note,
    )


def _alone(
    study: LayerStudy, setting: Setting, alone: Mapping[int, Alone], like: Mapping[int, float], whole: _Whole
) -> LayerTimes:
    us = {layer: own.median_us for layer, own in alone.items() if own.median_us is not None}
    fused = {layer: own.together[0] for own in alone.values() for layer in own.together[1:] if own.together}
    us.update(dict.fromkeys(fused, 0.0))
    us = dict.fromkeys((layer.index for layer in study.layers if layer.computes_shape), 0.0) | us
    spread = {layer: _spread(own.median_us, own.low_us, own.high_us) for layer, own in alone.items()}
    alone_us, note = dict(us), ""
    missing = [layer.index for layer in study.layers if layer.index not in us]
    rest = (whole.us or 0.0) - sum(us.values())
    if missing and rest > 0:
        weights = [like.get(layer) or 0.0 for layer in missing]
        total = sum(weights)
        us |= {
            layer: rest * (weight / total if total else 1 / len(missing))
            for layer, weight in zip(missing, weights, strict=True)
        }
        spread |= dict.fromkeys(missing, _SHARED_SPREAD)
        note = f"{len(missing)} of {len(us)} layers were not timed: they share what the whole takes beside the others"
    elif missing:
        note = f"{len(missing)} of {len(study.layers)} layers have no time, and cannot be planned so"
    return LayerTimes(setting, us, {}, fused, alone_us, spread, whole.us, whole.spread, is_in_place=False, note=note)


def _is_like(setting: Setting, other: Setting) -> bool:
    """Return whether the times of two settings are in proportion, more or less."""
    return (setting.delegate, setting.threads) == (other.delegate, other.threads)


def _drawn_together(found: Mapping[Setting, LayerTimes]) -> dict[Setting, LayerTimes]:
    """Return times with those of each delegate shrunken towards what its precisions have in common."""
    groups: dict[tuple[str, int], list[LayerTimes]] = {}
    for setting, times in found.items():
        groups.setdefault((setting.delegate, setting.threads), []).append(times)
    drawn = dict(found)
    for own in groups.values():
        for times, (us, spread) in zip(own, shrunken([(one.us, one.spread) for one in own]), strict=True):
            drawn[times.setting] = replace(times, us=us, spread=spread)
    return drawn


def _spread_of_runs(record: InPlace, parts: Sequence[PartTiming], is_coarse: bool) -> float:
    """Return half the 95 % interval of the mean over the runs, as a share of it."""
    sums = [sum(part.samples_us[run] for part in parts) for run in record.settled_runs]
    mean = statistics.fmean(sums) if sums else 0.0
    if len(sums) < 2 or not mean:
        return 0.0
    tick_us = _TICK_US / math.sqrt(12) if is_coarse else 0.0  # standard deviation of what was cut off
    error = math.hypot(float(np.std(sums, ddof=1)) / math.sqrt(len(sums)), tick_us)
    return NORMAL_95 * error / mean


def _spread(median_us: float | None, low_us: float | None, high_us: float | None) -> float:
    if not median_us or low_us is None or high_us is None:
        return 0.0
    return (high_us - low_us) / 2 / median_us


def _longer_side(median_us: float | None, low_us: float | None, high_us: float | None) -> float:
    """Return how far an interval reaches from its median, in the logarithm, to the side where it reaches further.

    On a busy machine a time of 14 ms may have been 1.5 ms: half the interval, as a share of 14, would leave that out.
    """
    if not median_us or low_us is None or high_us is None:
        return 0.0
    low, high = max(low_us, median_us / _MOST_TIMES), max(high_us, median_us)
    return max(math.log(median_us / low) if low < median_us else 0.0, math.log(high / median_us))
