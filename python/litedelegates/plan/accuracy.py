"""From the error of a model's output to how many answers change: what the studies saw, made monotone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.errors import OptionError
from litedelegates.layers import LayerStudy
from litedelegates.plan.errors import noise
from litedelegates.plan.problem import Array


@dataclass(frozen=True, eq=False)
class AccuracyMap:
    """What share of answers is lost at which squared relative error of the output.

    Attributes:
        errors: Squared relative errors that were seen, rising; the first is 0.
        losses: Share that is lost at each, never falling: fitted to what was seen by isotonic regression.
        seen: How many models, with one layer or several in another precision, it is made of.
        samples: Inputs that each share is of, at least: a loss of less than one of them cannot be seen.
        is_accuracy: Whether losses are of the accuracy by labels; otherwise of the agreement with float32.
    """

    errors: Array
    losses: Array
    seen: int
    samples: int
    is_accuracy: bool

    def drop_for(self, error: float) -> float | None:
        """Return the share lost at a squared relative error; None beyond the largest that was seen."""
        if not error <= self.errors[-1]:
            return None
        return float(np.interp(error, self.errors, self.losses))

    def error_for_drop(self, max_drop: float) -> float:
        """Return the largest squared relative error at which at most this share is lost.

        Never more than the largest error that was seen.
        """
        if math.isnan(max_drop) or max_drop < 0:
            raise OptionError(f"max_drop={max_drop!r}: it must be a share of at least 0, such as 0.01")
        above = np.flatnonzero(self.losses > max_drop)
        if not above.size:
            return float(self.errors[-1])
        last = int(above[0])
        if last == 0:
            return 0.0
        return float(np.interp(max_drop, self.losses[last - 1 : last + 1], self.errors[last - 1 : last + 1]))


def accuracy_map(studies: Sequence[LayerStudy]) -> AccuracyMap:
    """Return how accuracy falls with the error, from a study with labels.

    Raises:
        OptionError: No study has labels; says what to measure.
    """
    return _map(studies, is_accuracy=True)


def agreement_map(studies: Sequence[LayerStudy]) -> AccuracyMap:
    """Return how the agreement with float32 falls with the error.

    Raises:
        OptionError: No study has errors of the output; says what to measure.
    """
    return _map(studies, is_accuracy=False)


def _map(studies: Sequence[LayerStudy], *, is_accuracy: bool) -> AccuracyMap:
    for study in studies:
        points = _points(study, is_accuracy=is_accuracy)
        if points:
            break
    else:
        raise OptionError(
            "the studies cannot tell how accuracy falls with the error: measure one with --inputs and --labels"
            if is_accuracy
            else "the studies cannot tell how answers change with the error: measure their error part"
        )
    errors = np.array([0.0, *(error for error, _, _ in points)])
    losses = np.array([0.0, *(loss for _, loss, _ in points)])
    order = np.argsort(errors, kind="stable")
    errors, losses = errors[order], isotonic(losses[order])
    distinct, last = np.unique(errors[::-1], return_index=True)
    return AccuracyMap(
        distinct, np.maximum(losses[::-1][last], 0), len(points), min(count for *_, count in points), is_accuracy
    )


def _points(study: LayerStudy, *, is_accuracy: bool) -> list[tuple[float, float, int]]:
    """Return squared relative error, loss and samples of each model that a study knows."""
    base = next((record.accuracy for record in study.mixed if set(record.precisions.values()) == {"float32"}), None)
    known = [error for error in study.errors if error.kind == "output" and error.sqnr_db is not None]
    if is_accuracy and base is None:
        # A layer that changes no answer leaves the accuracy of float32.
        base = next((error.accuracy for error in known if error.agreement == 1.0), None)
    found = [(noise(error.sqnr_db or 0.0), error.agreement, error.accuracy, error.samples) for error in known]
    found += [
        (record.error, record.agreement, record.accuracy, record.samples)
        for record in study.mixed
        if record.error is not None
    ]
    points = []
    for error, agreement, accuracy, samples in found:
        loss = None
        if is_accuracy and base is not None and accuracy is not None:
            loss = base - accuracy
        elif not is_accuracy and agreement is not None:
            loss = 1 - agreement
        if loss is not None and math.isfinite(error):
            points.append((error, loss, samples))
    return points


def isotonic(values: Array) -> Array:
    """Return the never falling sequence that is the closest to ``values``, in squares.

    Neighbours that fall are pooled to their mean (R. E. Barlow et al., Statistical Inference under Order Restrictions,
    1972, section 1.2).
    """
    pools: list[tuple[float, int]] = []
    for value in values:
        pools.append((float(value), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (left, many), (right, more) = pools[-2:]
            pools[-2:] = [((left * many + right * more) / (many + more), many + more)]
    return np.repeat([mean for mean, _ in pools], [count for _, count in pools])
