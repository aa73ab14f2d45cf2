"""Fit the interaction terms of a device to whole models that were timed there, and say how well they predict others.

A model whose layers have different precisions takes the times of its layers, those of each precision times a factor,
and for each border between precisions ``a + b elements`` microseconds, with other a and b for quantizing than for going
back. Terms are fitted by non-negative least squares of relative errors, in which models whose times are less certain
count less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.graph import Graph
from litedelegates.layers import LayerStudy, MixedTiming, Setting
from litedelegates.plan.flows import Handed, conversions, handed, own_us
from litedelegates.plan.held import Held
from litedelegates.plan.layer_times import LayerTimes, layer_times
from litedelegates.plan.problem import Array
from litedelegates.plan.terms import ASSUMED_CONVERSION, Fit, Line, Terms, terms_key
from litedelegates.words import say_us

# How far a factor may be from what the uniform model says, as a standard deviation beside errors of 1 % of whole
# models: it keeps what a few mixes cannot tell where the uniform model saw it.
_FACTOR_DEVIATION, _WHOLE_DEVIATION = 0.05, 0.01
_LINES = 4  # columns: fixed and by element, of quantizing and of going back
# A uniform model that is predicted further off than this, and than twice how sure its time is, contradicts the terms.
_CONTRADICTION = 0.05


def fit_terms(graph: Graph, study: LayerStudy) -> Terms:
    """Return the terms that a study gives.

    Args:
        graph: The float32 model.
        study: With mixed timings terms are fitted to them, and each is predicted from the others to check them.
            Without, factors are those of the uniform models, and conversions are assumed.
    """
    held, flows, times = Held(graph, study), handed(graph), layer_times(study)
    factors = {setting.label: _uniform_factor(graph, held, flows, own) for setting, own in times.items()}
    quantize, dequantize, fits = {}, {}, {}
    notes = [f"{setting.label}: {own.note}" for setting, own in times.items() if own.note]
    for delegate, threads in dict.fromkeys((setting.delegate, setting.threads) for setting in times):
        key = terms_key(delegate, threads)
        seen = _Seen(
            graph, held, flows, [own for s, own in times.items() if (s.delegate, s.threads) == (delegate, threads)]
        )
        rows = [row for timing in study.mixed if (row := seen.row(timing)) is not None]
        if len(rows) <= len(seen.precisions):
            notes.append(f"{key}: conversions between precisions are assumed, and nothing was checked: no mixed models")
            continue
        prior = np.array([factors[own.setting.label] for own in seen.times.values()])
        found = _fit(rows, prior)
        factors |= {own.setting.label: float(f) for own, f in zip(seen.times.values(), found[_LINES:], strict=True)}
        quantize[key] = Line(float(found[0]), float(found[1]))
        dequantize[key] = Line(float(found[2]), float(found[3]))
        fits[key] = _check(rows, prior)
        notes.append(f"{key}: {fits[key]}")
        for label, factor, note in _contradicted(rows, found, seen):
            factors[label] = factor
            notes.append(note)
    return Terms(quantize, dequantize, factors, fits=fits, notes=tuple(notes))


@dataclass(frozen=True, eq=False)
class _Row:
    """A whole model: microseconds by term, what it took, and half the 95 % interval of that as a share of it."""

    label: str
    terms: Array
    whole_us: float
    half_width: float
    is_uniform: bool


class _Seen:
    """What is known of a delegate with some threads."""

    def __init__(self, graph: Graph, held: Held, flows: Sequence[Handed], times: Sequence[LayerTimes]) -> None:
        self._held, self._flows = held, flows
        self.times = {own.setting.precision: own for own in times}
        self.precisions = list(self.times)
        self._us = {precision: own_us(graph, held, own) for precision, own in self.times.items()}
        self._setting = times[0].setting

    def row(self, timing: MixedTiming) -> _Row | None:
        """Return what a whole model says of the terms; None if it is of another delegate or was not measured."""
        own = Setting(timing.setting.precision, self._setting.delegate, self._setting.threads)
        if timing.setting != own or timing.whole_us is None or not set(timing.precisions.values()) <= set(self.times):
            return None
        terms = np.zeros(_LINES + len(self.precisions))
        for flow in self._flows:
            for conversion in conversions(self._held, flow, timing.precisions):
                start = 0 if conversion.is_quantize else 2
                terms[start : start + 2] += (1, conversion.elements)
        for layer, precision in timing.precisions.items():
            us = self._us[precision].get(layer)
            if us is None:
                return None
            terms[_LINES + self.precisions.index(precision)] += us
        ends = (timing.low_us, timing.high_us)
        half = 0.0 if ends[0] is None or ends[1] is None else (ends[1] - ends[0]) / 2 / timing.whole_us
        return _Row(timing.setting.label, terms, timing.whole_us / self._drift(timing), half, timing.is_uniform)

    def _drift(self, timing: MixedTiming) -> float:
        """Return how much slower the machine was than when the layers were measured, by the uniform models."""
        ratios = [
            us / whole
            for precision, us in timing.uniform_us.items()
            if precision in self.times and (whole := self.times[precision].whole_us)
        ]
        return float(np.exp(np.mean(np.log(ratios)))) if ratios else 1.0


def _fit(rows: Sequence[_Row], prior: Array) -> Array:
    """Return the terms: two of quantizing, two of going back, and a factor for each precision."""
    wholes = np.array([row.whole_us for row in rows])
    sure = _WHOLE_DEVIATION / np.hypot(_WHOLE_DEVIATION, [row.half_width / 1.96 for row in rows])
    design = np.array([row.terms for row in rows]) * (sure / wholes)[:, None]
    weight = _WHOLE_DEVIATION / _FACTOR_DEVIATION
    near = np.hstack([np.zeros((len(prior), _LINES)), np.diag(weight / prior)])
    target = np.concatenate([sure, np.full(len(prior), weight)])
    return nonnegative_least_squares(np.vstack([design, near]), target)


def _check(rows: Sequence[_Row], prior: Array) -> Fit:
    """Predict each mixed model with terms fitted to all the others."""
    errors = {}
    for place, row in enumerate(rows):
        if not row.is_uniform:
            found = _fit([*rows[:place], *rows[place + 1 :]], prior)
            errors[row.label] = float(row.terms @ found / row.whole_us - 1)
    halves = [row.half_width for row in rows if not row.is_uniform]
    return Fit(errors, float(np.median(halves)) if halves else 0.0)


def _contradicted(rows: Sequence[_Row], found: Array, seen: _Seen) -> Iterator[tuple[str, float, str]]:
    """Yield the settings whose uniform model the terms do not predict, with the factor that does, and a sentence."""
    for place, own in enumerate(seen.times.values(), _LINES):
        row = next((row for row in rows if row.is_uniform and row.label == own.setting.label), None)
        if row is None or not row.terms[place]:
            continue
        predicted_us = float(row.terms @ found)
        if abs(predicted_us / row.whole_us - 1) <= _CONTRADICTION + 2 * row.half_width:
            continue
        borders_us = predicted_us - float(row.terms[place] * found[place])
        factor = max(row.whole_us - borders_us, 0.5 * row.whole_us) / float(row.terms[place])
        yield (
            own.setting.label,
            factor,
            f"{own.setting.label}: the whole model took {say_us(row.whole_us)}, and the terms that fit the mixed "
            f"models predict {say_us(predicted_us)}; the times of its layers were scaled to the whole",
        )


def _uniform_factor(graph: Graph, held: Held, flows: Sequence[Handed], times: LayerTimes) -> float:
    """Return the time of the whole, less assumed conversions at its ends, over the sum of its layers."""
    us = own_us(graph, held, times)
    total = sum(us.values())
    if not times.whole_us or not total:
        return 1.0
    uniform = dict.fromkeys(us, times.setting.precision)
    ends = sum(ASSUMED_CONVERSION.at(own.elements) for flow in flows for own in conversions(held, flow, uniform))
    return max(times.whole_us - ends, 0.5 * times.whole_us) / total


def nonnegative_least_squares(design: Array, target: Array) -> Array:
    """Return the non-negative x that makes ``design @ x`` the closest to ``target``, in squares.

    The active-set method of C. L. Lawson and R. J. Hanson, Solving Least Squares Problems, 1974, chapter 23.
    """
    scale = np.linalg.norm(design, axis=0)
    scaled = design / np.where(scale > 0, scale, 1)
    count = scaled.shape[1]
    free, x = np.zeros(count, bool), np.zeros(count)
    for _ in range(3 * count):
        gradient = scaled.T @ (target - scaled @ x)
        gradient[free] = 0
        best = int(np.argmax(gradient))
        if gradient[best] <= 1e-10:
            break
        free[best] = True
        while True:
            trial = np.zeros(count)
            trial[free] = np.linalg.lstsq(scaled[:, free], target, rcond=None)[0]
            falling = free & (trial <= 0)
            if not falling.any():
                break
            step = float(np.min(x[falling] / (x[falling] - trial[falling])))
            x = np.maximum(x + step * (trial - x), 0)
            free &= x > 1e-14
        x = trial
    return np.asarray(x / np.where(scale > 0, scale, 1))
