"""Time several configurations side by side, so that a drift of the machine does not pass for a difference.

Two measurements of one configuration, one after the other, have differed twofold within a process. Here every round
times each configuration once, in an order drawn anew, and figures are compared round by round.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.measure.statistics import (
    Interval,
    RatioInterval,
    Summary,
    median_interval,
    ratio_interval,
    summarize,
)

Samples: TypeAlias = NDArray[np.int64]
Timer: TypeAlias = Callable[[int], Samples]


@dataclass(frozen=True)
class Block:
    """Runs of one configuration, back to back.

    Attributes:
        round_index: The round it belongs to, from 0.
        position: Its place in the order of that round, from 0.
        samples_ns: Time of each run in nanoseconds, shape (runs,), the discarded ones taken off.
        discarded_ns: Time of the runs before them, which still felt the pause.
    """

    round_index: int
    position: int
    samples_ns: Samples
    discarded_ns: Samples


@dataclass(frozen=True)
class Timed:
    """What was measured of one configuration.

    Attributes:
        name: The configuration.
        runs_per_block: Runs kept of each block.
        warmup_ns: Time of each warm-up run in nanoseconds, the first run first.
        blocks: One block a round.
        failure: What ended it early; None if nothing did.
    """

    name: str
    runs_per_block: int
    warmup_ns: Samples
    blocks: tuple[Block, ...] = ()
    failure: str | None = None

    @property
    def blocks_ns(self) -> list[Samples]:
        """The samples of each block in nanoseconds."""
        return [block.samples_ns for block in self.blocks]

    @property
    def samples_ns(self) -> Samples:
        """The samples of all blocks in nanoseconds."""
        return np.concatenate(self.blocks_ns) if self.blocks else np.empty(0, np.int64)

    @property
    def median_ns(self) -> float:
        """The median over the rounds of the median of each block: what `median_interval_ns` is an interval of."""
        return float(np.median([np.median(block) for block in self.blocks_ns]))

    def median_interval_ns(self, confidence: float = 0.95) -> Interval | None:
        """Return the interval of the median from the medians of the blocks; None with too few rounds."""
        return median_interval([np.median(block) for block in self.blocks_ns], confidence)

    def summary(self) -> Summary:
        """Return the figures over all samples."""
        return summarize(self.samples_ns)


@dataclass(frozen=True)
class Interleaved:
    """What an interleaved measurement has found, or has found so far.

    Attributes:
        timed: One entry a configuration, in the order given.
        rounds: Rounds that are complete.
        seconds: Time since the first round began.
        seed: What the orders were drawn from.
        finished: False in what the progress callback sees before the last round.
    """

    timed: tuple[Timed, ...]
    rounds: int
    seconds: float
    seed: int
    finished: bool

    def __getitem__(self, name: str) -> Timed:
        """Return the configuration called ``name``."""
        for timed in self.timed:
            if timed.name == name:
                return timed
        raise KeyError(f"{name!r} was not timed; these were: {[timed.name for timed in self.timed]}")

    def ratio(self, name: str, base: str, confidence: float = 0.95) -> RatioInterval:
        """Return the time of ``name`` over that of ``base`` in the rounds that both finished."""
        blocks, base_blocks = self[name].blocks_ns, self[base].blocks_ns
        common = min(len(blocks), len(base_blocks))
        return ratio_interval(blocks[:common], base_blocks[:common], confidence=confidence, seed=self.seed)


@dataclass(frozen=True)
class Plan:
    """How long to measure, and in which pieces.

    Attributes:
        max_seconds: Stop after the round in which this time is over, once there are ``min_rounds``.
        min_rounds: Rounds in any case; 6 is the least for an interval at 95 %.
        max_rounds: Rounds at most.
        block_seconds: Time that a block should last; sets the runs of a block where ``runs_per_block`` is None.
        runs_per_block: Runs kept of each block.
        discard_runs: Runs at the start of each block that do not count; None takes a quarter of a block more, at least
            one. After a pause of 30 ms a network of a few milliseconds takes twice its time at first.
        warmup_seconds: Time for warming each configuration up before the first round.
        seed: The same seed gives the same orders.
    """

    max_seconds: float = 10.0
    min_rounds: int = 6
    max_rounds: int = 1000
    block_seconds: float = 0.05
    runs_per_block: int | None = None
    discard_runs: int | None = None
    warmup_seconds: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("min_rounds", "max_rounds", "runs_per_block"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        for name in ("max_seconds", "block_seconds", "warmup_seconds", "discard_runs"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name}={value} must be finite and not negative")
        if self.min_rounds > self.max_rounds:
            raise ValueError(f"min_rounds={self.min_rounds} is above max_rounds={self.max_rounds}")


def interleave(
    timers: Mapping[str, Timer],
    plan: Plan | None = None,
    *,
    keep_going: bool = False,
    progress: Callable[[Interleaved], None] | None = None,
) -> Interleaved:
    """Time every configuration in blocks of back-to-back runs, in an order shuffled anew each round.

    Two configurations alternate as ABBA: each second round is the reverse of the one before.

    Args:
        timers: By name, what runs a configuration ``n`` times and returns ``n`` times in nanoseconds, for instance
            ``lambda n: interpreter.time_runs(max_runs=n).sum(axis=1)``.
        plan: How long to measure, and in which pieces.
        keep_going: Record what a configuration raises as its ``failure`` and go on with the others.
        progress: Called after each round with everything found so far.

    Raises:
        ValueError: There is nothing to time, or a timer returns another number of samples than asked for.
    """
    plan = plan or Plan()
    if not timers:
        raise ValueError("there is nothing to time")
    timed = {name: _attempt(keep_going, Timed(name, 0, _NONE), _warm_up, timers[name], plan) for name in timers}
    orders = Orders(list(timers), plan.seed)
    begin = time.perf_counter()
    rounds = 0
    while True:
        for position, name in enumerate(orders.draw()):
            if timed[name].failure is None:
                timed[name] = _attempt(keep_going, timed[name], _add_block, timers[name], plan, rounds, position)
        rounds += 1
        seconds = time.perf_counter() - begin
        all_failed = all(entry.failure is not None for entry in timed.values())
        time_over = rounds >= plan.min_rounds and seconds >= plan.max_seconds and not orders.half_way
        finished = all_failed or time_over or rounds >= plan.max_rounds
        found = Interleaved(tuple(timed.values()), rounds, seconds, plan.seed, finished)
        if progress is not None:
            progress(found)
        if finished:
            return found


_NONE: Samples = np.empty(0, np.int64)


class Orders:
    """Draws the order of each round; the second round of a pair of two configurations is the reverse of the first."""

    def __init__(self, names: list[str], seed: int) -> None:
        self._names, self._random, self._reverse = names, np.random.default_rng(seed), False
        self._last: list[str] = []

    @property
    def half_way(self) -> bool:
        """Whether the second half of ABBA is still to come."""
        return self._reverse

    def draw(self) -> list[str]:
        if self._reverse:
            self._reverse, self._last = False, self._last[::-1]
        else:
            self._last = [self._names[index] for index in self._random.permutation(len(self._names))]
            self._reverse = len(self._names) == 2
        return self._last


def _attempt(keep_going: bool, timed: Timed, step: Callable[..., Timed], timer: Timer, *arguments: object) -> Timed:
    try:
        return step(timed, timer, *arguments)
    except Exception as error:
        if not keep_going:
            raise
        return replace(timed, failure=f"{type(error).__name__}: {error}")


def _warm_up(timed: Timed, timer: Timer, plan: Plan) -> Timed:
    """Run until the warm-up time is over, each time twice as often, and size the blocks by the last stretch."""
    begin = time.perf_counter()
    stretches, count = [_call(timer, 1)], 1
    while time.perf_counter() - begin < plan.warmup_seconds:
        stretches.append(_call(timer, count))
        count = min(count * 2, 4096)
    per_run_ns = max(1.0, float(np.median(stretches[-1])))
    fitting = int(plan.block_seconds * 1e9 / per_run_ns)
    runs = plan.runs_per_block or min(max(1, fitting), 100_000)
    return replace(timed, runs_per_block=runs, warmup_ns=np.concatenate(stretches))


def _add_block(timed: Timed, timer: Timer, plan: Plan, round_index: int, position: int) -> Timed:
    runs = timed.runs_per_block
    discard = math.ceil(runs / 4) if plan.discard_runs is None else plan.discard_runs
    samples = _call(timer, discard + runs)
    block = Block(round_index, position, samples[discard:], samples[:discard])
    return replace(timed, blocks=(*timed.blocks, block))


def _call(timer: Timer, runs: int) -> Samples:
    samples: Samples = np.asarray(timer(runs), dtype=np.int64)
    if samples.shape != (runs,):
        raise ValueError(f"the timer was asked for {runs} runs and returned an array of shape {samples.shape}")
    return samples
