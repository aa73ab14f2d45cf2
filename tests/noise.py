"""Times as a shared machine gives them, from a known truth: what statistics are tried on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Noise:
    """What disturbs the runs of two configurations that are timed in turn.

    Attributes:
        correlation: Of the logarithm of neighbouring blocks, as an AR(1) process that both configurations meet.
        wander: Its standard deviation.
        block_spread: Standard deviation of what each block has for itself.
        run_spread: Scale of the exponential tail of every single run.
        bursts: Share of the blocks that another process slows down, by 10 to 100 %.
        drift: By how much the machine is slower at the end than at the beginning.
        load_spread: Standard deviation of what each load of a model has for as long as it lives.
    """

    correlation: float = 0.8
    wander: float = 0.05
    block_spread: float = 0.01
    run_spread: float = 0.02
    bursts: float = 0.1
    drift: float = 0.3
    load_spread: float = 0.004

    def blocks(
        self, random: np.random.Generator, true_ratio: float, rounds: int, runs: int = 4, loads: int = 4
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the blocks of A and of B, where A takes ``true_ratio`` times as long."""
        weather = ar1(random, 2 * rounds, self.correlation, self.wander)
        weather += np.linspace(0, np.log1p(self.drift), 2 * rounds)
        load = random.normal(0, self.load_spread, (2, loads))
        a_first = random.random(rounds) < 0.5
        found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for index in range(rounds):
            for which, blocks in enumerate(found):
                second = (which == 0) != a_first[index]
                log = weather[2 * index + second] + load[which, index * loads // rounds]
                log += random.normal(0, self.block_spread)
                if random.random() < self.bursts:
                    log += np.log1p(random.uniform(0.1, 1))
                times = 1e6 * np.exp(log) * (1 + random.exponential(self.run_spread, runs))
                blocks.append(times * (true_ratio if which == 0 else 1))
        return found


def ar1(random: np.random.Generator, count: int, correlation: float, spread: float) -> np.ndarray:
    """Return an AR(1) series with the standard deviation ``spread`` around 0."""
    steps = random.normal(0, spread * np.sqrt(1 - correlation**2), count)
    series = np.empty(count)
    last = random.normal(0, spread)
    for index, step in enumerate(steps):
        last = series[index] = correlation * last + step
    return series
