"""How sure a predicted latency is: from the intervals of the layers' times and from how well plans were predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from litedelegates.layers import Setting
from litedelegates.plan.problem import BUSY, ENERGY, LATENCY, Array, Problem
from litedelegates.plan.records import Choice
from litedelegates.plan.sources import Source
from litedelegates.plan.terms import terms_key

# Of a normal distribution: the 95 % interval and the median distance from the middle, in standard deviations.
_NORMAL_95, _NORMAL_MEDIAN = 1.96, 0.6745


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Standard deviations of a problem's times, as shares of them.

    Attributes:
        problem: Whose.
        layers: float array of shape (nodes, K): of each layer's time, independent of all others.
        choices: float array of shape (K,): common to all layers with a choice. It is how sure the time of the whole
            model is, what predictions of mixed models were off by, and what predictions from another device were, where
            times are such.
        systems: int array of shape (K,): the same number for choices whose predictions are off together.
    """

    problem: Problem
    layers: Array
    choices: Array
    systems: Array

    def interval(self, assignment: Sequence[int] | Array) -> tuple[float, float]:
        """Return the ends of the 95 % interval of an assignment's latency, in microseconds."""
        chosen = np.asarray(assignment)
        total = float(self.problem.totals(chosen)[self.problem.index(LATENCY)])
        return self.interval_of(total, chosen, np.arange(len(chosen)))

    def interval_of(self, total_us: float, assignment: Sequence[int] | Array, nodes: Array) -> tuple[float, float]:
        """Return the same for what is computed by some nodes, such as a stage, and takes ``total_us`` in all."""
        chosen = np.asarray(assignment)[nodes]
        us = self.problem.cost[nodes, chosen, self.problem.index(LATENCY)]
        variance = float(np.sum((us * self.layers[nodes, chosen]) ** 2))
        for system in np.unique(self.systems[chosen]):
            own = self.systems[chosen] == system
            variance += float(np.sum(us[own] * self.choices[chosen[own]]) ** 2)
        half = _NORMAL_95 * float(np.sqrt(variance))
        return max(0.0, total_us - half), total_us + half

    def resampled(self, rng: np.random.Generator) -> Problem:
        """Return the problem with layer times as they might have been measured; what is handed on stays as it is."""
        factor = self._factors(rng)
        cost = self.problem.cost.copy()
        cost[:, :, self._timed] *= factor[:, :, None]
        return replace(self.problem, cost=cost)

    def draws(self, assignments: Sequence[Sequence[int] | Array], count: int, seed: int = 0) -> Array:
        """Return what assignments cost with layer times as they might have been measured, the same for all of them.

        Returns:
            Float array of shape (count, assignments, quantities).
        """
        rng, problem, timed = np.random.default_rng(seed), self.problem, self._timed
        nodes = np.arange(len(problem.layers))
        chosen = [np.asarray(assignment) for assignment in assignments]
        totals = np.array([problem.totals(own) for own in chosen])
        found = np.repeat(totals[None], count, axis=0)
        costs = [problem.cost[nodes, own][:, timed] for own in chosen]
        for draw in found:
            change = self._factors(rng) - 1.0
            for place, own in enumerate(chosen):
                draw[place, timed] += change[nodes, own] @ costs[place]
        return found

    @property
    def _timed(self) -> Array:
        names = self.problem.quantities
        return np.flatnonzero([name in (LATENCY, ENERGY) or name.startswith(BUSY) for name in names])

    def _factors(self, rng: np.random.Generator) -> Array:
        shared = rng.standard_normal(int(self.systems.max()) + 1)[self.systems] * self.choices
        return np.exp(rng.standard_normal(self.layers.shape) * self.layers + shared)


def uncertainty(problem: Problem, sources: Sequence[Source]) -> Uncertainty:
    """Return how sure the times of a problem are.

    Args:
        problem: As `build_problem` made it.
        sources: Those that it was made of, `Source.fitted` for what the check of the fit says.
    """
    by_name = {source.device.name: source for source in sources}
    layers = np.zeros(problem.cost.shape[:2])
    choices = np.zeros(len(problem.choices))
    systems: dict[tuple[str, str, int], int] = {}
    numbers = []
    for place, choice in enumerate(problem.choices):
        source = by_name[choice.device]
        numbers.append(systems.setdefault((choice.device, choice.delegate, choice.threads), len(systems)))
        times = next(own for setting, own in source.times.items() if _is_of(setting, choice))
        layers[:, place] = [times.spread.get(layer, 0.0) / _NORMAL_95 for layer in problem.layers]
        fit = None if source.terms is None else source.terms.fits.get(terms_key(choice.delegate, choice.threads))
        own = [fit.median if fit is not None else None, source.device.prediction_error]
        deviations = [(error or 0.0) / _NORMAL_MEDIAN for error in own]
        choices[place] = np.hypot.reduce([*deviations, times.whole_spread / _NORMAL_95])
    return Uncertainty(problem, layers, choices, np.array(numbers))


def _is_of(setting: Setting, choice: Choice) -> bool:
    own = (choice.precision, choice.delegate, choice.threads)
    return (setting.precision, setting.delegate, setting.threads) == own
