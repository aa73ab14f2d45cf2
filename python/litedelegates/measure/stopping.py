"""When a measurement is warm, and when it is long enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from litedelegates.measure.ratios import ratio_interval
from litedelegates.measure.statistics import Floats, as_samples, series_interval

StopReason: TypeAlias = Literal["enough runs", "time is over", "precise enough"]


@dataclass(frozen=True)
class StopRule:
    """When to stop: by runs, by seconds, or once an interval is narrow enough; whatever comes first.

    Attributes:
        min_rounds: Rounds in any case; 6 is the least for an interval at 95 %.
        max_rounds: Rounds at most.
        min_seconds: Time in any case, unless ``max_rounds`` come first.
        max_seconds: Stop after the round in which this time is over, once there are ``min_rounds``.
        precision: Stop when the interval of the median of every configuration is within this share of the median: 0.01
            is 1 %. None does not look.
        ratio_precision: Stop when the interval of the ratio of every other configuration to the first is within this
            share. With both, both must hold.
        confidence: That of these intervals.
    """

    min_rounds: int = 6
    max_rounds: int = 1000
    min_seconds: float = 0.0
    max_seconds: float = 10.0
    precision: float | None = None
    ratio_precision: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name in ("min_rounds", "max_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("min_seconds", "max_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)} must be finite and not negative")
        for name in ("precision", "ratio_precision"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ValueError(f"{name}={value} must be between 0 and 1: 0.01 is 1 %")
        if self.min_rounds > self.max_rounds:
            raise ValueError(f"min_rounds={self.min_rounds} is above max_rounds={self.max_rounds}")
        if self.min_seconds > self.max_seconds:
            raise ValueError(f"min_seconds={self.min_seconds:g} is above max_seconds={self.max_seconds:g}")

    def judge(self, rounds: int, seconds: float, blocks: Sequence[Sequence[ArrayLike]] = ()) -> StopReason | None:
        """Return why to stop now, or None to go on.

        Args:
            rounds: Complete rounds.
            seconds: Time since the first began.
            blocks: For each configuration its blocks of samples, one a round.
        """
        if rounds >= self.max_rounds:
            return "enough runs"
        if rounds < self.min_rounds:
            return None
        if seconds >= self.max_seconds:
            return "time is over"
        if seconds >= self.min_seconds and _is_a_look(rounds) and self._precise(blocks):
            return "precise enough"
        return None

    def _precise(self, blocks: Sequence[Sequence[ArrayLike]]) -> bool:
        if (self.precision is None and self.ratio_precision is None) or not blocks:
            return False
        if self.precision is not None and not all(self._is_known(entry, self.precision) for entry in blocks):
            return False
        return self.ratio_precision is None or (
            len(blocks) > 1
            and all(self._is_ratio_known(entry, blocks[0], self.ratio_precision) for entry in blocks[1:])
        )

    def _is_known(self, blocks: Sequence[ArrayLike], precision: float) -> bool:
        medians = np.array([np.median(as_samples(block)) for block in blocks])
        interval, middle = series_interval(medians, self.confidence), float(np.median(medians))
        return interval is not None and max(interval.high - middle, middle - interval.low) <= precision * middle

    def _is_ratio_known(self, blocks: Sequence[ArrayLike], base: Sequence[ArrayLike], precision: float) -> bool:
        common = min(len(blocks), len(base))
        found = ratio_interval(blocks[:common], base[:common], confidence=self.confidence, resamples=1000)
        return found.half_width is not None and found.half_width <= precision


LEAST_LOOK = 16


def _is_a_look(rounds: int) -> bool:
    """Return whether to look at the intervals now: at 16 rounds, and then whenever there are a quarter more.

    Who looks after every round and stops at the first narrow interval gets many that are narrow by chance, and miss.
    """
    look = LEAST_LOOK
    while look < rounds:
        look = math.ceil(look * 1.25)
    return look == rounds


def is_steady(stretches: Iterable[ArrayLike], tolerance: float = 0.02) -> bool:
    """Return whether a warm-up is over: the last stretch of runs is not quicker than those before it.

    Compares the last stretch with the one before it. Their medians may differ by ``tolerance``, or by what the spread
    of the runs explains (three standard errors of a median, from the MAD).

    Args:
        stretches: Times of runs, in the order in which they were made.
        tolerance: Share of the median: 0.02 is 2 %.
    """
    kept = [as_samples(stretch) for stretch in stretches]
    if len(kept) < 2:
        return False
    before, last = kept[-2:]
    gap = float(np.median(before) - np.median(last))
    return abs(gap) <= max(tolerance * float(np.median(last)), 3 * math.hypot(*map(_median_error, (before, last))))


def _median_error(samples: Floats) -> float:
    """Return the standard error of the median, were the samples normal: 1.2533 sigma / sqrt(n), sigma 1.4826 MAD."""
    mad = float(np.median(np.abs(samples - np.median(samples))))
    return 1.2533 * 1.4826 * mad / math.sqrt(len(samples))
