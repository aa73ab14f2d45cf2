"""What may be said about a set of times, and when there are too few of them to say it.

Only numpy: a board has no scipy. Each figure that needs a minimum of samples is None below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from litedelegates.errors import LiteDelegatesError

Verdict: TypeAlias = Literal["faster", "slower", "no difference shown"]
Floats: TypeAlias = NDArray[np.float64]

OUTLIER_THRESHOLD = 14.826  # hyperfine's: |x - median| / MAD; ten standard deviations if the times were normal
# Samples from which a percentile is claimed at 99 % confidence: MLPerf LoadGen's table.
SAMPLES_FOR_PERCENTILE = {90: 64, 95: 130, 99: 662}


class SampleError(LiteDelegatesError, ValueError):
    """The samples say nothing: there are none, or they are not finite numbers."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of its samples.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        confidence: Share of such intervals that hold the true value: at least what was asked for.
    """

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Summary:
    """What a set of times amounts to.

    Attributes:
        count: Number of samples.
        median_us: Median.
        mean_us: Mean.
        std_us: Standard deviation with n - 1; None for one sample.
        min_us: Smallest sample.
        max_us: Largest sample.
        mad_us: Median of |x - median|, not scaled.
        iqr_us: Distance between the quartiles (linear interpolation, as numpy's).
        p90_us: 90th percentile; None below 64 samples.
        p95_us: 95th percentile; None below 130 samples.
        p99_us: 99th percentile; None below 662 samples.
        outliers: How many samples are further from the median than 14.826 MAD.
    """

    count: int
    median_us: float
    mean_us: float
    std_us: float | None
    min_us: float
    max_us: float
    mad_us: float
    iqr_us: float
    p90_us: float | None
    p95_us: float | None
    p99_us: float | None
    outliers: int


@dataclass(frozen=True)
class RatioInterval:
    """How the times of A compare to those of B.

    Attributes:
        ratio: Time of A over time of B; below 1 means that A is faster.
        low: Lower bound; None with fewer rounds than the confidence takes.
        high: Upper bound; None likewise.
        confidence: Share of such intervals that hold the true ratio.
        rounds: Rounds compared.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    rounds: int

    @property
    def verdict(self) -> Verdict:
        """Say whether A is "faster" or "slower" than B; "no difference shown" while the interval holds 1."""
        if self.high is not None and self.high < 1:
            return "faster"
        if self.low is not None and self.low > 1:
            return "slower"
        return "no difference shown"

    def inverted(self) -> RatioInterval:
        """Return the ratio of B to A, which is the speed-up that A brings over B."""
        low = None if self.high is None else 1 / self.high
        high = None if self.low is None else 1 / self.low
        return RatioInterval(1 / self.ratio, low, high, self.confidence, self.rounds)


def median_interval(samples: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """Return an interval for the median that assumes no distribution, or None with too few samples (6 for 95 %).

    The interval runs from the k-th smallest to the k-th largest of n samples. It misses the median when fewer than k
    samples fall on one side of it, so with B ~ Binomial(n, 1/2) it holds with probability 1 - 2 P(B < k); k is the
    largest that keeps this at ``confidence``. (W. J. Conover, Practical Nonparametric Statistics, 3rd ed., 1999,
    section 3.2; H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed., 2003, section 7.1.)

    It takes the samples for independent. Back-to-back runs are not: give it the medians of blocks.

    Raises:
        SampleError: There are no samples, or one is not finite.
        ValueError: ``confidence`` is not between 0 and 1.
    """
    ordered = np.sort(_check(samples))
    _check_confidence(confidence)
    n = len(ordered)
    missed = _binomial_cdf(n)
    k = int(np.count_nonzero(1 - 2 * missed[: n // 2] >= confidence))
    if k == 0:
        return None
    return Interval(float(ordered[k - 1]), float(ordered[n - k]), float(1 - 2 * missed[k - 1]))


def summarize(samples_ns: ArrayLike) -> Summary:
    """Return the figures of ``samples_ns`` (nanoseconds) in microseconds.

    A percentile is ``sorted[floor(n p)]`` and is claimed from as many samples as MLPerf LoadGen asks for at 99 %
    confidence. Outliers are counted as hyperfine does, |x - median| / MAD > 14.826; where the MAD is 0 (a coarse
    clock, most samples equal) every sample unlike the median counts, as there.

    Raises:
        SampleError: There are no samples, or one is not finite.
    """
    ordered = np.sort(_check(samples_ns)) / 1000
    n = len(ordered)
    median = float(np.median(ordered))
    deviations = np.abs(ordered - median)
    mad = float(np.median(deviations))
    lower, upper = np.quantile(ordered, [0.25, 0.75])
    return Summary(
        count=n,
        median_us=median,
        mean_us=float(np.mean(ordered)),
        std_us=float(np.std(ordered, ddof=1)) if n > 1 else None,
        min_us=float(ordered[0]),
        max_us=float(ordered[-1]),
        mad_us=mad,
        iqr_us=float(upper - lower),
        p90_us=_percentile(ordered, 90),
        p95_us=_percentile(ordered, 95),
        p99_us=_percentile(ordered, 99),
        outliers=int(np.count_nonzero(deviations > OUTLIER_THRESHOLD * mad)),
    )


def ratio_interval(
    blocks_a: Sequence[ArrayLike],
    blocks_b: Sequence[ArrayLike],
    *,
    confidence: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> RatioInterval:
    """Return the ratio of the median times of A and B over interleaved blocks, with a bootstrap interval.

    Block i of A and block i of B come from the same round, so that a drift of the machine meets both. The ratio is the
    median over the rounds of (median of the block of A) / (median of the block of B), taken on logarithms so that A/B
    and B/A are inverse. Rounds are drawn with replacement, because runs inside a block depend on each other.

    The bounds are expanded percentiles: with few rounds plain ones are too narrow (93 % where 95 % are asked, for 6 to
    16 rounds), so for alpha / 2 the level is Phi(-sqrt(n / (n - 1)) t(1 - alpha / 2, n - 1)). (B. Efron and R. J.
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13; T. Hesterberg, What Teachers Should Know About the
    Bootstrap, The American Statistician 69, 2015, section 5.3.)

    Args:
        blocks_a: Times of A, one array a round, in any unit.
        blocks_b: Times of B in the same unit and of the same rounds.
        confidence: Share of such intervals that hold the true ratio.
        resamples: Draws of the bootstrap.
        seed: The same seed gives the same interval.

    Raises:
        SampleError: Rounds differ in number, a block is empty or not finite, or the median of a block is not above 0.
        ValueError: ``confidence`` is not between 0 and 1, or ``resamples`` is below 1.
    """
    _check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples={resamples} must be at least 1")
    if len(blocks_a) != len(blocks_b):
        raise SampleError(f"A has {len(blocks_a)} blocks and B {len(blocks_b)}: compare blocks of the same rounds")
    logs = np.log(_block_medians("A", blocks_a)) - np.log(_block_medians("B", blocks_b))
    rounds, ratio = len(logs), float(np.exp(np.median(logs)))
    if 1 - 2 * 0.5**rounds < confidence:  # not even the whole range of the rounds is such an interval
        return RatioInterval(ratio, None, None, confidence, rounds)
    random = np.random.default_rng(seed)
    at_once = max(1, 2_000_000 // rounds)  # draws held in memory at a time
    drawn = [
        np.median(logs[random.integers(0, rounds, (min(at_once, resamples - start), rounds))], axis=1)
        for start in range(0, resamples, at_once)
    ]
    level = NormalDist().cdf(-math.sqrt(rounds / (rounds - 1)) * _student_quantile((1 + confidence) / 2, rounds - 1))
    low, high = np.exp(np.quantile(np.concatenate(drawn), [level, 1 - level]))
    return RatioInterval(ratio, float(low), float(high), confidence, rounds)


def _check(samples: Any) -> Floats:
    values: Floats = np.asarray(samples, dtype=np.float64).ravel()
    if len(values) == 0:
        raise SampleError("there are no samples")
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise SampleError(f"{bad} of {len(values)} samples are not finite (NaN or infinity)")
    return values


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must be between 0 and 1, such as 0.95")


def _block_medians(name: str, blocks: Sequence[ArrayLike]) -> Floats:
    if len(blocks) == 0:
        raise SampleError(f"{name} has no blocks")
    medians = np.array([np.median(_check(block)) for block in blocks])
    if (medians <= 0).any():
        index = int(np.argmin(medians))
        raise SampleError(
            f"block {index} of {name} has the median {medians[index]:g}: no ratio can be formed. The clock is too "
            "coarse for so short a run; time several runs as one sample"
        )
    return medians


def _percentile(ordered: Floats, percent: int) -> float | None:
    n = len(ordered)
    return float(ordered[n * percent // 100]) if n >= SAMPLES_FOR_PERCENTILE[percent] else None


def _binomial_cdf(n: int) -> Floats:
    """Return P(B <= k) for k from 0 to n with B ~ Binomial(n, 1/2)."""
    # On logarithms: 0.5 ** n underflows from n = 1075 on.
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_share = log_factorial[n] - log_factorial - log_factorial[::-1] - n * math.log(2)
    return np.asarray(np.cumsum(np.exp(log_share)))


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
