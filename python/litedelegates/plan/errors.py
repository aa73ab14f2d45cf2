"""What each layer adds to the error of the output, in each precision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.layers import LayerStudy, MixedTiming
from litedelegates.quantize.request import FLOAT32

_WORST = 1e6  # what an output that is no number counts as: finite, so that sums stay numbers
_UNKNOWN = 1.0  # of each layer in a precision of which nothing was measured: as much noise as signal
_KINDS = ("output", "local", "propagated")  # the first that was measured of a layer counts


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Squared relative errors that add up.

    That of a layer is 10^(-sqnr_db / 10): the mean square of what only this layer's precision changes in the output,
    over that of the output. Squares add up as long as errors are small and independent of each other. Those of a
    precision are multiplied with a factor by which their sum is what the model with all layers in it was measured to
    have.

    Attributes:
        layers: By precision and layer; float32 has none. A layer of which nothing was measured is taken to be as bad as
            the worst in its precision, and in a precision of which nothing was measured as noise as large as the
            output.
        factors: By precision; 1 where no whole model was measured.
        checked: Root of predicted over root of measured error, less 1, of mixed models.
        notes: What has to be known, in sentences.
    """

    layers: Mapping[str, Mapping[int, float]]
    factors: Mapping[str, float]
    checked: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def total(self, precisions: Mapping[int, str]) -> float:
        """Return the squared relative error of a model whose layers have these precisions."""
        return math.fsum(self.layers[name].get(layer, 0.0) for layer, name in precisions.items())


def error_model(studies: Sequence[LayerStudy], precisions: Iterable[str]) -> ErrorModel | None:
    """Return what layers add to the error of the output; None where no study has errors.

    Args:
        studies: The first with errors in a precision counts for it: they are the same on each device.
        precisions: Of which.
    """
    layers: dict[str, dict[int, float]] = {}
    factors: dict[str, float] = {}
    notes = []
    names = [name for name in dict.fromkeys(precisions) if name != FLOAT32]
    for name in names:
        own, study = next(((found, study) for study in studies if (found := _measured(study, name))), ({}, studies[0]))
        worst = max(own.values(), default=_UNKNOWN)
        layers[name] = {layer.index: own.get(layer.index, worst) for layer in studies[0].layers}
        whole = _whole(study, name) if own else None
        total = math.fsum(layers[name].values())
        if not own:
            notes.append(f"nothing was measured of errors in {name}: each of its layers counts as useless")
        elif whole and total:
            factors[name] = whole / total
            layers[name] = {layer: error * factors[name] for layer, error in layers[name].items()}
        else:
            notes.append(f"errors in {name} are added up and not compared with a whole model")
    if not any(_measured(study, name) for study in studies for name in names):
        return None
    layers[FLOAT32] = {}
    model = ErrorModel(layers, factors)
    checked = tuple(
        math.sqrt(model.total(record.precisions) / record.error) - 1
        for record in next((study.mixed for study in studies if study.mixed), ())
        if _is_check(record, layers) and record.error
    )
    if checked:
        off = np.abs(checked)
        notes.append(
            f"predicted errors of {len(checked)} mixed models were off by {np.median(off):.0%} in the median and "
            f"{off.max():.0%} at worst"
        )
    return ErrorModel(layers, factors, checked, tuple(notes))


def noise(sqnr_db: float) -> float:
    """Return the squared relative error that a signal-to-noise ratio stands for, at most 1e6."""
    return _WORST if math.isnan(sqnr_db) or sqnr_db < -60 else 10.0 ** (-sqnr_db / 10)


def _measured(study: LayerStudy, precision: str) -> dict[int, float]:
    found: dict[int, float] = {}
    for kind in _KINDS:
        for error in study.errors:
            if error.precision == precision and error.kind == kind and error.sqnr_db is not None:
                found.setdefault(error.layer, noise(error.sqnr_db))
    return found


def _whole(study: LayerStudy, precision: str) -> float | None:
    """Return the error of the model with all layers in a precision: as a whole, else at its last layer."""
    for record in study.mixed:
        if record.is_uniform and record.setting.precision == precision and record.error is not None:
            return record.error
    last = study.error_of(study.layers[-1].index, precision, "propagated")
    return None if last is None or last.sqnr_db is None else noise(last.sqnr_db)


def _is_check(record: MixedTiming, known: Mapping[str, Mapping[int, float]]) -> bool:
    names = set(record.precisions.values())
    return len(names) > 1 and names <= known.keys()
