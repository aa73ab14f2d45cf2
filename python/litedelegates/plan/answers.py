"""What a plan costs as a record, and what its error does to the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from litedelegates.errors import OptionError
from litedelegates.plan.accuracy import AccuracyMap, accuracy_map, agreement_map
from litedelegates.plan.problem import BUSY, ENERGY, ERROR, LATENCY, MEMORY, NBYTES, Array, Problem
from litedelegates.plan.records import Costs
from litedelegates.plan.sources import Source


@dataclass(frozen=True)
class Answers:
    """What an error does to the answers, as far as the studies tell.

    Attributes:
        agreement: How the share of inputs that keep their largest output falls; None where nothing was measured.
        accuracy: How the accuracy by labels falls; None where no study has labels.
    """

    agreement: AccuracyMap | None = None
    accuracy: AccuracyMap | None = None

    @staticmethod
    def of(sources: Sequence[Source]) -> Answers:
        """Return what the studies of some devices tell."""
        found: list[AccuracyMap | None] = []
        for make in (agreement_map, accuracy_map):
            try:
                found.append(make([source.study for source in sources]))
            except OptionError:
                found.append(None)
        return Answers(*found)


def costs_of(problem: Problem, totals: Array, answers: Answers | None = None) -> Costs:
    """Return what an assignment costs as a record.

    Args:
        problem: Whose quantities they are.
        totals: As `Problem.totals` gives them.
        answers: Tells what an error does to them.
    """
    value = dict(zip(problem.quantities, map(float, totals), strict=True))
    error = value.get(ERROR, 0.0)
    known = answers or Answers()
    lost = None if known.agreement is None else known.agreement.drop_for(error)
    return Costs(
        latency_us=value[LATENCY],
        period_us=max(value[name] for name in problem.named(BUSY)),
        nbytes=round(value[NBYTES]),
        error=error**0.5,
        energy_mj=value.get(ENERGY),
        agreement=None if lost is None else 1 - lost,
        accuracy_drop=None if known.accuracy is None else known.accuracy.drop_for(error),
        memory_nbytes={name[len(MEMORY) :]: round(value[name]) for name in problem.named(MEMORY)},
    )


def squared_bound(max_error: float | None, max_drop: float | None, answers: Answers) -> float | None:
    """Return the bound of the squared error that a bound of the error and one of the accuracy lost give.

    Raises:
        OptionError: A bound makes no sense, or nothing is known of the accuracy.
    """
    bounds = []
    if max_error is not None:
        if max_error < 0:
            raise OptionError(f"max_error={max_error!r}: it must not be negative")
        bounds.append(max_error**2)
    if max_drop is not None:
        known = answers.accuracy or answers.agreement
        if known is None:
            raise OptionError(
                "max_accuracy_drop: the studies cannot tell what an error does to the results; measure errors of kind "
                "output with `litedelegates layers MODEL --inputs samples.npz --labels labels.npy`"
            )
        bounds.append(known.error_for_drop(max_drop))
    return min(bounds) if bounds else None
