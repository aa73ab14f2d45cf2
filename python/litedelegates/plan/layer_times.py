"""The time of each layer in each setting: as the profiler saw it in place, and what the layer alone adds to that."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from litedelegates.layers import Alone, InPlace, LayerStudy, PartTiming, Setting

# Profilers that tell whole microseconds cut off the rest: a part took up to this much longer than the mean says.
_TICK_US = 1.0


@dataclass(frozen=True)
class LayerTimes:
    """Microseconds by layer in a setting.

    Attributes:
        setting: Which.
        us: Time of the layer in the model. Layers that the engine computes with another have 0.
        conversion_us: What of that is conversions.
        fused: By layer without a time of its own, the layer that has it.
        alone_us: Time of the layer as a model of its own, as far as it was measured.
        spread: Half the width of the 95 % interval of the layer's time, as a share of it.
        whole_us: Of the whole model; None where it was not measured.
        whole_spread: As ``spread``, of the whole model: what disturbs the machine for longer than a layer is in it.
        is_in_place: Whether the times are of the whole model's layers; otherwise they are those alone.
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


def layer_times(study: LayerStudy) -> dict[Setting, LayerTimes]:
    """Return the times in place of each setting, or those alone where there are none in place."""
    alone: dict[Setting, dict[int, Alone]] = {}
    for record in study.alone:
        if record.median_us is not None:
            alone.setdefault(record.setting, {})[record.layer] = record
    found = {}
    for setting in study.settings:
        in_place, own = study.in_place_of(setting), alone.get(setting, {})
        if in_place is not None and in_place.refusal is None and in_place.parts:
            found[setting] = _in_place(study, in_place, own)
        elif own:
            found[setting] = _alone(setting, own)
    return found


def _in_place(study: LayerStudy, record: InPlace, alone: Mapping[int, Alone]) -> LayerTimes:
    us, fused = {layer.index: 0.0 for layer in study.layers}, {}
    parts: dict[int, list[PartTiming]] = {}
    for part in record.parts:
        if part.layers:
            parts.setdefault(part.layers[0], []).append(part)
            if part.role == "layer":
                fused.update(dict.fromkeys(part.layers[1:], part.layers[0]))
    us.update(record.layer_us())
    fused = {layer: main for layer, main in fused.items() if layer not in parts}
    is_coarse = all(sample.is_integer() for part in record.parts for sample in part.samples_us)
    with_others = set(fused.values())
    for layer, own in alone.items():
        if is_coarse and layer in parts and layer not in with_others and own.median_us is not None:
            us[layer] = min(max(own.median_us, us[layer]), us[layer] + _TICK_US * len(parts[layer]))
    spread = {layer: _spread_of_runs(record, own) for layer, own in parts.items() if layer not in alone}
    spread |= {layer: _spread(own.median_us, own.low_us, own.high_us) for layer, own in alone.items()}
    return LayerTimes(
        record.setting,
        us,
        record.conversion_us(),
        fused,
        {layer: own.median_us for layer, own in alone.items() if own.median_us is not None},
        spread,
        record.whole_us,
        _spread(record.whole_us, record.whole_low_us, record.whole_high_us),
    )


def _alone(setting: Setting, alone: Mapping[int, Alone]) -> LayerTimes:
    us = {layer: own.median_us for layer, own in alone.items() if own.median_us is not None}
    fused = {layer: own.together[0] for own in alone.values() for layer in own.together[1:] if own.together}
    us.update(dict.fromkeys(fused, 0.0))
    spread = {layer: _spread(own.median_us, own.low_us, own.high_us) for layer, own in alone.items()}
    return LayerTimes(setting, us, {}, fused, dict(us), spread, is_in_place=False)


def _spread_of_runs(record: InPlace, parts: Sequence[PartTiming]) -> float:
    """Return half the 95 % interval of the mean over the runs, as a share of it."""
    sums = [sum(part.samples_us[run] for part in parts) for run in record.settled_runs]
    mean = statistics.fmean(sums) if sums else 0.0
    return 1.96 * statistics.stdev(sums) / math.sqrt(len(sums)) / mean if len(sums) > 1 and mean else 0.0


def _spread(median_us: float | None, low_us: float | None, high_us: float | None) -> float:
    if not median_us or low_us is None or high_us is None:
        return 0.0
    return (high_us - low_us) / 2 / median_us
