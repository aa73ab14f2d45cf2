"""What an interleaved measurement finds: blocks of runs, by configuration and round."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.measure.conditions import Condition, check_between, find_drift, find_unsteady, find_unwaited
from litedelegates.measure.machine_state import MachineState
from litedelegates.measure.ratios import LEAST_EFFECT, RatioInterval, ratio_interval
from litedelegates.measure.statistics import Interval, Summary, series_interval, summarize
from litedelegates.measure.stopping import StopReason

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
        parts_ns: Upload, run and read-back of each sample, shape (runs, 3); None where the timer gives totals only.
    """

    round_index: int
    position: int
    samples_ns: Samples
    discarded_ns: Samples
    parts_ns: Samples | None = None


@dataclass(frozen=True)
class Timed:
    """What was measured of one configuration.

    Attributes:
        name: The configuration.
        runs_per_block: Runs kept of each block.
        warmup_ns: Time of each warm-up run in nanoseconds, the first run first.
        blocks: One block a round.
        failure: What ended it early; None if nothing did.
        is_steady: False when the warm-up should have gone on until the times settled, and its time was over before.
        load_ns: Time of each load, where this loaded it (`interleave_loads`).
    """

    name: str
    runs_per_block: int
    warmup_ns: Samples
    blocks: tuple[Block, ...] = ()
    failure: str | None = None
    is_steady: bool = True
    load_ns: tuple[int, ...] = ()

    @property
    def first_run_ns(self) -> int | None:
        """The very first run, which often compiles or allocates; it is in no other figure."""
        return int(self.warmup_ns[0]) if len(self.warmup_ns) else None

    @property
    def parts_ns(self) -> Samples | None:
        """Upload, run and read-back of all samples, shape (samples, 3); None where the timer gives totals only."""
        parts = [block.parts_ns for block in self.blocks if block.parts_ns is not None]
        return np.concatenate(parts) if parts and len(parts) == len(self.blocks) else None

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
        """Return the interval of `median_ns` from the medians of the blocks; None with too few rounds."""
        return series_interval([np.median(block) for block in self.blocks_ns], confidence) if self.blocks else None

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
        stopped_by: Why it ended; None before, and where every configuration has failed.
        conditions: What was wrong with the machine meanwhile; of the configuration named where it concerns one.
    """

    timed: tuple[Timed, ...]
    rounds: int
    seconds: float
    seed: int
    finished: bool
    stopped_by: StopReason | None = None
    conditions: tuple[Condition, ...] = ()

    def __getitem__(self, name: str) -> Timed:
        """Return the configuration called ``name``."""
        for timed in self.timed:
            if timed.name == name:
                return timed
        raise KeyError(f"{name!r} was not timed; these were: {[timed.name for timed in self.timed]}")

    def ratio(
        self, name: str, base: str, confidence: float = 0.95, least_effect: float = LEAST_EFFECT
    ) -> RatioInterval:
        """Return the time of ``name`` over that of ``base`` in the rounds that both finished."""
        blocks, base_blocks = self[name].blocks_ns, self[base].blocks_ns
        common = min(len(blocks), len(base_blocks))
        return ratio_interval(
            blocks[:common], base_blocks[:common], confidence=confidence, least_effect=least_effect, seed=self.seed
        )


def find_conditions(timed: Iterable[Timed], before: MachineState, after: MachineState) -> tuple[Condition, ...]:
    """Return what a reader of a measurement has to know, from its blocks and the machine before and after it."""
    found = check_between(before, after)
    for entry in timed:
        own = [find_unsteady(entry.is_steady, entry.warmup_ns)]
        if entry.blocks:
            own.append(find_drift([np.median(block) for block in entry.blocks_ns]))
        if (parts := entry.parts_ns) is not None:
            own += find_unwaited(parts)
        found += [replace(condition, text=f"{entry.name}: {condition.text}") for condition in own if condition]
    return tuple(found)
