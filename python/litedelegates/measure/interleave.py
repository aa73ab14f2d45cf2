"""Time several configurations side by side, so that a drift of the machine does not pass for a difference.

Two measurements of one configuration, one after the other, have differed twofold within a process. Here every round
times each configuration once, in an order drawn anew, and figures are compared round by round.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from litedelegates.measure.machine_state import read_machine_state
from litedelegates.measure.stopping import StopRule, is_steady
from litedelegates.measure.timed import Block, Interleaved, Samples, Timed, Timer, find_conditions


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
        warmup_seconds: Time for warming each configuration up before the first round, at least.
        warmup_runs: Runs for that, at least.
        warmup_max_seconds: How long to go on until the times have settled (`is_steady`); None does not look.
        seed: The same seed gives the same orders.
        min_seconds: Time in any case, unless ``max_rounds`` come first.
        precision: Stop when every median is known to this share of it (see `StopRule`).
        ratio_precision: Stop when every ratio to the first configuration is.
        max_runs_per_block: Runs kept of a block at most, where ``block_seconds`` sets them.
    """

    max_seconds: float = 10.0
    min_rounds: int = 6
    max_rounds: int = 1000
    block_seconds: float = 0.05
    runs_per_block: int | None = None
    discard_runs: int | None = None
    warmup_seconds: float = 0.2
    warmup_runs: int = 1
    warmup_max_seconds: float | None = None
    seed: int = 0
    min_seconds: float = 0.0
    precision: float | None = None
    ratio_precision: float | None = None
    max_runs_per_block: int = 100_000

    def __post_init__(self) -> None:
        for name in ("runs_per_block", "warmup_runs", "max_runs_per_block"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        for name in ("block_seconds", "warmup_seconds", "warmup_max_seconds", "discard_runs"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name}={value} must be finite and not negative")
        _ = self.stop_rule  # refuses the rest

    @property
    def stop_rule(self) -> StopRule:
        """What ends the measurement."""
        return StopRule(
            self.min_rounds,
            self.max_rounds,
            self.min_seconds,
            self.max_seconds,
            self.precision,
            self.ratio_precision,
        )


def interleave(
    timers: Mapping[str, Timer],
    plan: Plan | None = None,
    *,
    keep_going: bool = False,
    progress: Callable[[Interleaved], None] | None = None,
    pids: Sequence[int] = (),
) -> Interleaved:
    """Time every configuration in blocks of back-to-back runs, in an order shuffled anew each round.

    Two configurations alternate as ABBA: each second round is the reverse of the one before.

    Args:
        timers: By name, what runs a configuration ``n`` times and returns ``n`` times in nanoseconds, for instance
            ``lambda n: interpreter.time_runs(max_runs=n)``: shape (n, 3) for upload, run and read-back, whose sum
            counts, or (n,).
        plan: How long to measure, and in which pieces.
        keep_going: Record what a configuration raises as its ``failure`` and go on with the others.
        progress: Called after each round with everything found so far.
        pids: The processes that run the configurations, where that is not this one: they do not disturb.

    Raises:
        ValueError: There is nothing to time, or a timer returns another number of samples than asked for.
    """
    plan = plan or Plan()
    if not timers:
        raise ValueError("there is nothing to time")
    timed = {name: _attempt(keep_going, Timed(name, 0, _NONE), _warm_up, timers[name], plan) for name in timers}
    orders = Orders(list(timers), plan.seed)
    own = [os.getpid(), *pids]
    state = read_machine_state(own)
    rule, begin = plan.stop_rule, time.perf_counter()
    rounds = 0
    while True:
        for position, name in enumerate(orders.draw()):
            if timed[name].failure is None:
                timed[name] = _attempt(keep_going, timed[name], _add_block, timers[name], plan, rounds, position)
        rounds += 1
        seconds = time.perf_counter() - begin
        alive = [entry.blocks_ns for entry in timed.values() if entry.failure is None]
        reason = rule.judge(rounds, seconds, alive)
        if reason != "enough runs" and orders.half_way:
            reason = None
        finished = reason is not None or not alive
        conditions = find_conditions(timed.values(), state, read_machine_state(own)) if finished else ()
        reason = reason if alive else None
        found = Interleaved(tuple(timed.values()), rounds, seconds, plan.seed, finished, reason, conditions)
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
    """Run until the warm-up is over, each time twice as often, and size the blocks by the last stretch."""
    begin = time.perf_counter()
    stretches, count, made = [_total(_call(timer, 1))], 1, 1
    steady = plan.warmup_max_seconds is None
    while True:
        seconds = time.perf_counter() - begin
        if seconds >= plan.warmup_seconds and made >= plan.warmup_runs:
            is_over = seconds >= (plan.warmup_max_seconds or 0)
            # Times that fall slowly look alike in short stretches.
            is_long = len(stretches[-1]) >= 32 or stretches[-1].sum() >= 0.2e9
            steady = steady or ((is_long or is_over) and is_steady(stretches))
            if steady or is_over:
                break
        stretches.append(_total(_call(timer, count)))
        made += count
        count = min(count * 2, 4096)
    per_run_ns = max(1.0, float(np.median(stretches[-1])))
    fitting = int(plan.block_seconds * 1e9 / per_run_ns)
    runs = plan.runs_per_block or min(max(1, fitting), plan.max_runs_per_block)
    return replace(timed, runs_per_block=runs, warmup_ns=np.concatenate(stretches), is_steady=steady)


def _add_block(timed: Timed, timer: Timer, plan: Plan, round_index: int, position: int) -> Timed:
    runs = timed.runs_per_block
    discard = math.ceil(runs / 4) if plan.discard_runs is None else plan.discard_runs
    samples = _call(timer, discard + runs)
    parts = samples[discard:] if samples.ndim == 2 else None
    total = _total(samples)
    block = Block(round_index, position, total[discard:], total[:discard], parts)
    return replace(timed, blocks=(*timed.blocks, block))


def _call(timer: Timer, runs: int) -> Samples:
    samples: Samples = np.asarray(timer(runs), dtype=np.int64)
    if samples.shape not in ((runs,), (runs, 3)):
        raise ValueError(f"the timer was asked for {runs} runs and returned an array of shape {samples.shape}")
    return samples


def _total(samples: Samples) -> Samples:
    return samples.sum(axis=1) if samples.ndim == 2 else samples
