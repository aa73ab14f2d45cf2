"""Times of a device that was not measured, from those of another: scaled, or fitted to layers measured on both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from litedelegates.errors import OptionError
from litedelegates.layers import Alone, InPlace, LayerStudy, Setting
from litedelegates.plan.layer_times import layer_times
from litedelegates.plan.records import Device
from litedelegates.plan.sources import Source
from litedelegates.plan.terms import Line, Terms

# A group of n layers keeps n / (n + 2) of what it differs from all layers by.
_SHRINKAGE = 2.0
_FOLDS = 10
_LEAST = 4  # layers measured on both devices; fewer fit no line that could be checked
_Predict: TypeAlias = Callable[[Setting, str, float], float]


@dataclass(frozen=True)
class _Pair:
    """A layer's times on two devices."""

    setting: Setting
    type: str
    like_us: float
    own_us: float

    @property
    def groups(self) -> tuple[Hashable, Hashable]:
        """What it is compared with, the wider one first: layers in its setting, and those of its type there."""
        return self.setting, (self.setting, self.type)


def scaled(source: Source, device: Device, factor: float) -> Source:
    """Return a device that takes ``factor`` times as long for everything; its error is not known.

    Args:
        source: Who was measured.
        device: The other one.
        factor: Above 0; 0.25 for one that is four times as fast.

    Raises:
        OptionError: The factor is not above 0.
    """
    if not factor > 0:
        raise OptionError(f"factor={factor!r}: it must be above 0, such as 0.25 for a device four times as fast")
    study = _study(source.study, source.study.settings, lambda setting, kind, us: us * factor)
    known = replace(device, predicted_from=source.device.name)
    return Source(known, study, _scaled_terms(source.terms, factor))


def predict_source(device: Device, like: Source, anchors: Sequence[tuple[LayerStudy, LayerStudy]]) -> Source:
    """Return a device with times predicted from another's.

    The logarithm of a layer's time is a line over that on the other device, fitted to all layers that were measured on
    both, and shifted for each setting, and for each type of op in a setting, by what those layers differ in the mean,
    the less the fewer they are. `Device.prediction_error` becomes the median relative error of a layer that was left
    out, by ten-fold cross-validation.

    Args:
        device: The one to predict.
        like: Another one, with the study of the model to plan.
        anchors: Pairs of studies of the same model, the first of ``like`` and the second of ``device``: of another
            model, or of some layers of this one. Only delegates that they hold are predicted.

    Raises:
        OptionError: They have fewer than four layers in common settings.
    """
    pairs = [pair for ours, theirs in anchors for pair in _pairs(ours, theirs)]
    if len(pairs) < _LEAST:
        raise OptionError(
            f"device {device.name!r}: {len(pairs)} layer times were measured both there and on {like.device.name!r}; "
            f"at least {_LEAST} are needed: measure a model on both, with the same delegates and precisions"
        )
    predict = _fit(pairs)
    known = {(pair.setting.delegate, pair.setting.threads) for pair in pairs}
    settings = [setting for setting in like.study.settings if (setting.delegate, setting.threads) in known]
    typical = statistics.median(pair.own_us / pair.like_us for pair in pairs)
    found = replace(device, predicted_from=like.device.name, prediction_error=_cross_validated(pairs))
    return Source(found, _study(like.study, settings, predict), _scaled_terms(like.terms, typical))


def _pairs(ours: LayerStudy, theirs: LayerStudy) -> list[_Pair]:
    types = {layer.index: layer.type for layer in ours.layers}
    known, found = layer_times(theirs), []
    for setting, times in layer_times(ours).items():
        for layer, us in times.us.items():
            own = known[setting].us.get(layer, 0.0) if setting in known else 0.0
            if us > 0 and own > 0:
                found.append(_Pair(setting, types[layer], us, own))
    return found


def _fit(pairs: Sequence[_Pair]) -> _Predict:
    logs = np.log([pair.like_us for pair in pairs])
    targets = np.log([pair.own_us for pair in pairs])
    slope = float(np.polyfit(logs, targets, 1)[0]) if np.ptp(logs) > 0.5 else 1.0
    middle = float(np.mean(targets - slope * logs))
    left = targets - slope * logs - middle
    shifts: dict[Hashable, float] = {}
    for level in range(2):
        groups: dict[Hashable, list[int]] = {}
        for place, pair in enumerate(pairs):
            groups.setdefault(pair.groups[level], []).append(place)
        for group, members in groups.items():
            shifts[group] = float(np.mean(left[members])) * len(members) / (len(members) + _SHRINKAGE)
            left[members] -= shifts[group]

    def predict(setting: Setting, kind: str, us: float) -> float:
        shift = shifts.get(setting, 0.0) + shifts.get((setting, kind), 0.0)
        return float(np.exp(middle + shift + slope * np.log(us))) if us > 0 else 0.0

    return predict


def _cross_validated(pairs: Sequence[_Pair]) -> float:
    order = np.random.default_rng(0).permutation(len(pairs))
    errors: list[float] = []
    for fold in range(min(_FOLDS, len(pairs))):
        out = set(order[fold::_FOLDS].tolist())
        predict = _fit([pair for place, pair in enumerate(pairs) if place not in out])
        for place in out:
            pair = pairs[place]
            errors.append(abs(predict(pair.setting, pair.type, pair.like_us) / pair.own_us - 1))
    return statistics.median(errors)


def _study(study: LayerStudy, settings: Sequence[Setting], predict: _Predict) -> LayerStudy:
    types = {layer.index: layer.type for layer in study.layers}
    in_place = [_in_place(record, types, predict) for record in study.in_place if record.setting in settings]
    alone = [_alone(record, types, predict) for record in study.alone if record.setting in settings]
    return replace(study, in_place=tuple(in_place), alone=tuple(alone), mixed=(), _by_index={})


def _in_place(record: InPlace, types: Mapping[int, str], predict: _Predict) -> InPlace:
    """Return predicted times in place: all parts of a layer as its time says, what has no layer as the sum does."""
    if record.refusal is not None or not record.parts:
        return record
    layers = record.layer_us()
    factors = {layer: predict(record.setting, types[layer], us) / us for layer, us in layers.items() if us > 0}
    total = sum(layers.values())
    typical = sum(factors.get(layer, 1.0) * us for layer, us in layers.items()) / total if total else 1.0
    parts = tuple(
        replace(
            part,
            samples_us=tuple(
                us * (factors.get(part.layers[0], typical) if part.layers else typical) for us in part.samples_us
            ),
        )
        for part in record.parts
    )
    ends = (record.whole_us, record.whole_low_us, record.whole_high_us)
    whole, low, high = (None if us is None else us * typical for us in ends)
    return replace(
        record,
        parts=parts,
        whole_us=whole,
        whole_low_us=low,
        whole_high_us=high,
        profiled_us=None,
        is_estimate=True,
        note="Predicted from the times of another device.",
    )


def _alone(record: Alone, types: Mapping[int, str], predict: _Predict) -> Alone:
    if not record.median_us:
        return record
    factor = predict(record.setting, types[record.layer], record.median_us) / record.median_us
    low, high = (None if us is None else us * factor for us in (record.low_us, record.high_us))
    return replace(
        record,
        median_us=record.median_us * factor,
        low_us=low,
        high_us=high,
        speed_up=None,
        speed_up_low=None,
        speed_up_high=None,
        verdict=None,
    )


def _scaled_terms(terms: Terms | None, factor: float) -> Terms | None:
    """Return the terms of a device that takes ``factor`` times as long; what was checked was so on the other."""
    if terms is None:
        return None

    def lines(known: Mapping[str, Line]) -> dict[str, Line]:
        return {key: Line(line.fixed_us * factor, line.us_per_unit * factor) for key, line in known.items()}

    handover = Line(terms.handover.fixed_us * factor, terms.handover.us_per_unit * factor)
    return Terms(lines(terms.quantize), lines(terms.dequantize), terms.factors, handover, notes=terms.notes)
