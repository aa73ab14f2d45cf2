"""How two configurations compare that were timed in the same rounds: a ratio, its interval, a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from litedelegates.measure.statistics import Floats, SampleError, as_samples, check_confidence, find_dependence

Verdict: TypeAlias = Literal["faster", "slower", "no difference shown"]

# One model loaded twice, each copy timed at length in the same rounds, differed by up to 1.5 % (half of the pairs by
# more than 0.6 %): where its memory lies is drawn anew at every load. An interval knows the noise of the rounds but not
# this, and it shrinks with every round; without a least effect 14 to 23 % of such pairs were called different.
LEAST_EFFECT = 0.01


@dataclass(frozen=True)
class RatioInterval:
    """How the times of A compare to those of B.

    Attributes:
        ratio: Time of A over time of B; below 1 means that A is faster.
        low: Lower bound; None with fewer rounds than the confidence takes.
        high: Upper bound; None likewise.
        confidence: Share of such intervals that hold the true ratio.
        rounds: Rounds compared.
        least_effect: The smallest difference that counts: 0.01 is 1 %.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    rounds: int
    least_effect: float = LEAST_EFFECT

    @property
    def verdict(self) -> Verdict:
        """Say whether A is "faster" or "slower" than B: only when the whole interval is beyond the least effect."""
        if self.high is not None and self.high < 1 / (1 + self.least_effect):
            return "faster"
        if self.low is not None and self.low > 1 + self.least_effect:
            return "slower"
        return "no difference shown"

    @property
    def half_width(self) -> float | None:
        """How far the true ratio may be from this one, as a share of it: half the logarithm of high / low."""
        return None if self.low is None or self.high is None else math.log(self.high / self.low) / 2

    def inverted(self) -> RatioInterval:
        """Return the ratio of B to A, which is the speed-up that A brings over B."""
        low = None if self.high is None else 1 / self.high
        high = None if self.low is None else 1 / self.low
        return RatioInterval(1 / self.ratio, low, high, self.confidence, self.rounds, self.least_effect)


def ratio_interval(
    blocks_a: Sequence[ArrayLike],
    blocks_b: Sequence[ArrayLike],
    *,
    confidence: float = 0.95,
    least_effect: float = LEAST_EFFECT,
    resamples: int = 4000,
    seed: int = 0,
) -> RatioInterval:
    """Return the ratio of the median times of A and B over interleaved blocks, with a bootstrap interval.

    Block i of A and block i of B come from the same round, so that a drift of the machine meets both. The ratio is the
    median over the rounds of (median of the block of A) / (median of the block of B), taken on logarithms so that A/B
    and B/A are inverse. Rounds are drawn with replacement, because runs inside a block depend on each other. Where
    neighbouring rounds do too, stretches of them are drawn (circular block bootstrap; D. N. Politis and J. P. Romano,
    in Exploring the Limits of Bootstrap, 1992), as long as `find_dependence` says.

    The bounds are expanded percentiles: with few rounds plain ones are too narrow (93 % where 95 % are asked, for 6 to
    16 rounds), so for alpha / 2 the level is Phi(-sqrt(n / (n - 1)) t(1 - alpha / 2, n - 1)) with n stretches. (B.
    Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13; T. Hesterberg, What Teachers Should
    Know About the Bootstrap, The American Statistician 69, 2015, section 5.3.)

    Args:
        blocks_a: Times of A, one array a round, in any unit.
        blocks_b: Times of B in the same unit and of the same rounds.
        confidence: Share of such intervals that hold the true ratio.
        least_effect: The smallest difference that a verdict may tell; it does not change the interval.
        resamples: Draws of the bootstrap.
        seed: The same seed gives the same interval.

    Raises:
        SampleError: Rounds differ in number, a block is empty or not finite, or the median of a block is not above 0.
        ValueError: ``confidence`` is not between 0 and 1, ``resamples`` is below 1 or ``least_effect`` is negative.
    """
    check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples={resamples} must be at least 1")
    if not 0 <= least_effect < math.inf:
        raise ValueError(f"least_effect={least_effect} must be finite and not negative, such as 0.01 for 1 %")
    if len(blocks_a) != len(blocks_b):
        raise SampleError(f"A has {len(blocks_a)} blocks and B {len(blocks_b)}: compare blocks of the same rounds")
    logs = np.log(_block_medians("A", blocks_a)) - np.log(_block_medians("B", blocks_b))
    rounds, ratio = len(logs), float(np.exp(np.median(logs)))
    if 1 - 2 * 0.5**rounds < confidence:  # not even the whole range of the rounds is such an interval
        return RatioInterval(ratio, None, None, confidence, rounds, least_effect)
    stretch = find_dependence(logs)
    pieces = rounds // stretch
    medians = _resampled_medians(logs, stretch, resamples, np.random.default_rng(seed))
    level = NormalDist().cdf(-math.sqrt(pieces / (pieces - 1)) * _student_quantile((1 + confidence) / 2, pieces - 1))
    low, high = np.exp(np.quantile(medians, [level, 1 - level]))
    return RatioInterval(ratio, float(low), float(high), confidence, rounds, least_effect)


def _resampled_medians(values: Floats, stretch: int, resamples: int, random: np.random.Generator) -> Floats:
    """Return the medians of series drawn from stretches of ``values``; the end of the series is joined to its start."""
    count = len(values)
    pieces = -(-count // stretch)
    at_once = max(1, 2_000_000 // count)  # draws held in memory at a time
    found = []
    for start in range(0, resamples, at_once):
        draws = min(at_once, resamples - start)
        begins = random.integers(0, count, (draws, pieces, 1))
        indices = ((begins + np.arange(stretch)) % count).reshape(draws, -1)[:, :count]
        found.append(np.median(values[indices], axis=1))
    return np.concatenate(found)


def _block_medians(name: str, blocks: Sequence[ArrayLike]) -> Floats:
    if len(blocks) == 0:
        raise SampleError(f"{name} has no blocks")
    medians = np.array([np.median(as_samples(block)) for block in blocks])
    if (medians <= 0).any():
        index = int(np.argmin(medians))
        raise SampleError(
            f"block {index} of {name} has the median {medians[index]:g}: no ratio can be formed. The clock is too "
            "coarse for so short a run; time several runs as one sample"
        )
    return medians


def _student_quantile(share: float, freedom: int) -> float:
    """Return the quantile of Student's t (Abramowitz and Stegun, 26.7.5; within 0.1 % from 5 degrees of freedom)."""
    x = NormalDist().inv_cdf(share)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return math.fsum([x, *(term / freedom**power for power, term in enumerate(terms, start=1))])
