"""How sure a predicted latency is: from the intervals of the layers' times and from how well plans were predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from litedelegates.layers import Setting
from litedelegates.plan.problem import BUSY, ENERGY, LATENCY, Array, Problem
from litedelegates.plan.records import Choice
from litedelegates.plan.shrinkage import NORMAL_95
from litedelegates.plan.sources import Source
from litedelegates.plan.terms import Fit, terms_key

# Of a normal distribution: the median distance from the middle and the 90 % interval, in standard deviations.
_NORMAL_MEDIAN, _NORMAL_90 = 0.6745, 1.645
# Where no mixed model was timed: what predictions of such were off by on the models that they were checked on was up to
# this (a standard deviation, as a share of the time), and conversions between precisions are no better than guessed.
UNCHECKED = 0.05
_GUESSED = 1.0


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Standard deviations of a problem's times, as shares of them.

    The time of a model in one precision was measured; that of a part of its layers is a share of it. So errors of
    layers count only as far as they change such shares, and a uniform plan is as sure as its model. What predictions of
    mixed models were off by is added to the time of all layers that are not such a model.

    Attributes:
        problem: Whose.
        layers: float array of shape (nodes, K): of each layer's time, independent of all others.
        wholes: float array of shape (K,): of the time of the whole model with a choice; 0 where it was not measured.
        is_whole: bool array of shape (K,): whether it was measured: errors of its layers then make up for each other.
        mixing: float array of shape (K,): of models whose layers have several choices, by the choice's system.
        guesses: float array of shape (K,): of conversions and hand-overs, likewise.
        devices: float array of shape (K,): of all times of a device that were predicted from another's.
        systems: int array of shape (K,): the same number for choices of one device, delegate and number of threads.
    """

    problem: Problem
    layers: Array
    wholes: Array
    is_whole: Array
    mixing: Array
    guesses: Array
    devices: Array
    systems: Array

    def interval(self, assignment: Sequence[int] | Array) -> tuple[float, float]:
        """Return the ends of the 95 % interval of an assignment's latency, in microseconds."""
        chosen = np.asarray(assignment)
        total = float(self.problem.totals(chosen)[self.problem.index(LATENCY)])
        return self.interval_of(total, chosen, np.arange(len(chosen)))

    def interval_of(self, total_us: float, assignment: Sequence[int] | Array, nodes: Array) -> tuple[float, float]:
        """Return the same for what is computed by some nodes, such as a stage, and takes ``total_us`` in all."""
        found = self.effects(assignment, self.problem.index(LATENCY), nodes)
        half = NORMAL_95 * float(np.sqrt(found.variance))
        return max(0.0, total_us - half), total_us + half

    def effects(self, assignment: Sequence[int] | Array, quantity: int, nodes: Array | None = None) -> Effects:
        """Return what one standard deviation of everything that is not sure adds to a quantity of an assignment.

        Args:
            assignment: A choice for each node.
            quantity: Index of one that is a time, or grows with times.
            nodes: Count these only; None for all.
        """
        chosen = np.asarray(assignment)
        counted = np.ones(len(chosen), bool)
        if nodes is not None:
            counted = np.isin(np.arange(len(chosen)), nodes)
        cost = np.where(np.isfinite(self.problem.cost[:, :, quantity]), self.problem.cost[:, :, quantity], 0.0)
        taken = (chosen[:, None] == np.arange(cost.shape[1])) & counted[:, None]
        own = np.where(taken, cost, 0.0).sum(axis=0)  # by choice
        whole = cost.sum(axis=0)
        share = np.divide(own, whole, out=np.zeros_like(own), where=(whole > 0) & self.is_whole)
        layers = cost * self.layers * (taken - share)
        systems, mixing = np.zeros(int(self.systems.max()) + 1), 0.0
        np.add.at(systems, self.systems, own)
        for system, used in enumerate(systems):
            within = self.systems == system
            if used and not self._is_uniform(chosen, within):
                mixing = np.hypot(mixing, used * float(self.mixing[within].max()))
        names = [choice.device for choice in self.problem.choices]
        devices = {name: sum(own[k] * self.devices[k] for k, one in enumerate(names) if one == name) for name in names}
        return Effects(layers, own * self.wholes, np.array(list(devices.values())), float(mixing))

    def guessed(self, assignment: Sequence[int] | Array) -> float:
        """Return the standard deviation of an assignment's conversions and hand-overs on devices, in microseconds."""
        chosen = np.asarray(assignment)
        totals, nodes, found = self.problem.totals(chosen), np.arange(len(chosen)), 0.0
        for device in {choice.device for choice in self.problem.choices}:
            busy = self.problem.index(BUSY + device)
            on = [place for place in set(chosen.tolist()) if self.problem.choices[place].device == device]
            handing = float(totals[busy] - self.problem.cost[nodes, chosen, busy].sum())
            found = float(np.hypot(found, handing * max((self.guesses[place] for place in on), default=0.0)))
        return found

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
        mixing = [self._mixing(own) for own in chosen]
        for draw in found:
            change = self._factors(rng) - 1.0
            off = rng.standard_normal(int(self.systems.max()) + 1)[self.systems]
            for place, own in enumerate(chosen):
                mixed = np.exp(off * mixing[place])[own] - 1.0
                draw[place, timed] += (change[nodes, own] + mixed) @ costs[place]
        return found

    @property
    def _timed(self) -> Array:
        names = self.problem.quantities
        return np.flatnonzero([name in (LATENCY, ENERGY) or name.startswith(BUSY) for name in names])

    def _is_uniform(self, assignment: Array, within: Array) -> bool:
        """Return whether all layers have one choice, of a system, whose whole model was measured."""
        inner = np.unique(assignment[np.array(self.problem.layers) >= 0])
        return len(inner) == 1 and bool(within[inner[0]])

    def _mixing(self, assignment: Array) -> Array:
        used = np.array([not self._is_uniform(assignment, self.systems == system) for system in self.systems])
        return np.where(used, self.mixing, 0.0)

    def _factors(self, rng: np.random.Generator) -> Array:
        """Return by what each layer's time is multiplied in a draw, such that measured wholes stay what they are."""
        cost = np.nan_to_num(self.problem.cost[:, :, self.problem.index(LATENCY)], posinf=0.0)
        factor = np.exp(rng.standard_normal(self.layers.shape) * self.layers)
        before, after = cost.sum(axis=0), (cost * factor).sum(axis=0)
        kept = np.divide(before, after, out=np.ones_like(before), where=self.is_whole & (after > 0))
        names = list(dict.fromkeys(choice.device for choice in self.problem.choices))
        numbers = np.array([names.index(choice.device) for choice in self.problem.choices])
        shared = rng.standard_normal(len(names))[numbers] * self.devices + rng.standard_normal(len(kept)) * self.wholes
        return np.asarray(factor * kept * np.exp(shared))


@dataclass(frozen=True, eq=False)
class Effects:
    """What one standard deviation of each independent error adds to a quantity of an assignment, in its unit.

    Attributes:
        layers: float array of shape (nodes, K).
        wholes: float array of shape (K,).
        devices: float array of shape (devices,).
        mixing: Of what predictions of mixed models are off by.
    """

    layers: Array
    wholes: Array
    devices: Array
    mixing: float

    @property
    def variance(self) -> float:
        """Of the quantity."""
        parts = (self.layers, self.wholes, self.devices)
        return float(sum(np.sum(part**2) for part in parts)) + self.mixing**2


def uncertainty(problem: Problem, sources: Sequence[Source]) -> Uncertainty:
    """Return how sure the times of a problem are.

    Args:
        problem: As `build_problem` made it.
        sources: Those that it was made of, `Source.fitted` for what the check of the fit says.
    """
    by_name = {source.device.name: source for source in sources}
    count = len(problem.choices)
    layers = np.zeros(problem.cost.shape[:2])
    wholes, is_whole, mixing = np.zeros(count), np.zeros(count, bool), np.zeros(count)
    guesses, devices = np.zeros(count), np.zeros(count)
    systems: dict[tuple[str, str, int], int] = {}
    numbers = []
    for place, choice in enumerate(problem.choices):
        source = by_name[choice.device]
        numbers.append(systems.setdefault((choice.device, choice.delegate, choice.threads), len(systems)))
        times = next(own for setting, own in source.times.items() if _is_of(setting, choice))
        layers[:, place] = [times.spread.get(layer, 0.0) / NORMAL_95 for layer in problem.layers]
        wholes[place], is_whole[place] = times.whole_spread / NORMAL_95, times.whole_us is not None
        fit = None if source.terms is None else source.terms.fits.get(terms_key(choice.delegate, choice.threads))
        deviation = None if fit is None else _deviation(fit)
        mixing[place] = UNCHECKED if deviation is None else deviation
        guesses[place] = _GUESSED if deviation is None else 0.0
        devices[place] = (source.device.prediction_error or 0.0) / _NORMAL_MEDIAN
    return Uncertainty(problem, layers, wholes, is_whole, mixing, guesses, devices, np.array(numbers))


def _deviation(fit: Fit) -> float | None:
    """Return the standard deviation of the errors of predictions, by their middle or their end, whichever is more."""
    middle, end = fit.median, fit.quantile(0.9)
    return None if middle is None or end is None else max(middle / _NORMAL_MEDIAN, end / _NORMAL_90)


def _is_of(setting: Setting, choice: Choice) -> bool:
    own = (choice.precision, choice.delegate, choice.threads)
    return (setting.precision, setting.delegate, setting.threads) == own
