"""What may be said about a set of times, and when there are too few of them to say it.

Only numpy: a board has no scipy. Each figure that needs a minimum of samples is None below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from litedelegates.errors import LiteDelegatesError

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
        runs_per_second: Throughput of runs back to back, outliers included: samples over their sum. None if that is 0.
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
    runs_per_second: float | None


def median_interval(samples: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """Return an interval for the median that assumes no distribution, or None with too few samples (6 for 95 %).

    The interval runs from the k-th smallest to the k-th largest of n samples. It misses the median when fewer than k
    samples fall on one side of it, so with B ~ Binomial(n, 1/2) it holds with probability 1 - 2 P(B < k); k is the
    largest that keeps this at ``confidence``. (W. J. Conover, Practical Nonparametric Statistics, 3rd ed., 1999,
    section 3.2; H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed., 2003, section 7.1.)

    It takes the samples for independent. Back-to-back runs are not: see `series_interval`.

    Raises:
        SampleError: There are no samples, or one is not finite.
        ValueError: ``confidence`` is not between 0 and 1.
    """
    ordered = np.sort(as_samples(samples))
    check_confidence(confidence)
    n = len(ordered)
    missed = _binomial_cdf(n)
    k = int(np.count_nonzero(1 - 2 * missed[: n // 2] >= confidence))
    if k == 0:
        return None
    return Interval(float(ordered[k - 1]), float(ordered[n - k]), float(1 - 2 * missed[k - 1]))


def series_interval(series: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """Return an interval for the median of values that may lean on their neighbours, such as the medians of blocks.

    Neighbours that depend on each other (`find_dependence`) are merged into their median first; fewer values give a
    wider interval, and None where too few are left.

    Raises:
        SampleError: There are no samples, or one is not finite.
        ValueError: ``confidence`` is not between 0 and 1.
    """
    values = as_samples(series)
    pieces = np.array_split(values, len(values) // find_dependence(values))
    return median_interval([np.median(piece) for piece in pieces], confidence)


def summarize(samples_ns: ArrayLike) -> Summary:
    """Return the figures of ``samples_ns`` (nanoseconds) in microseconds.

    A percentile is ``sorted[floor(n p)]`` and is claimed from as many samples as MLPerf LoadGen asks for at 99 %
    confidence. Outliers are counted as hyperfine does, |x - median| / MAD > 14.826; where the MAD is 0 (a coarse
    clock, most samples equal) every sample unlike the median counts, as there.

    Raises:
        SampleError: There are no samples, or one is not finite.
    """
    ordered = np.sort(as_samples(samples_ns)) / 1000
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
        runs_per_second=n / (total / 1e6) if (total := float(np.sum(ordered))) > 0 else None,
    )


def find_dependence(series: ArrayLike) -> int:
    """Return over how many neighbours the values of a series lean on each other; 1 where that is not shown.

    Taken from the correlation of neighbouring ranks (ranks, because one outlier would hide it), where it is above what
    one in twenty independent series shows: the length that is best for blocks of an AR(1) series, (sqrt(6) r / (1 -
    r^2))^(2/3) n^(1/3). (E. Carlstein, Annals of Statistics 14, 1986, for the choice; H. R. Kuensch, Annals of
    Statistics 17, 1989, for overlapping blocks.) At least six blocks are left.

    Raises:
        SampleError: There are no samples, or one is not finite.
    """
    values = as_samples(series)
    n = len(values)
    if n < 12:
        return 1
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        return 1
    ranks = np.cumsum(counts) - (counts + 1) / 2  # equal values share the mean of their ranks
    centred = ranks[places.ravel()] - (n - 1) / 2
    # 1 / n is added because the estimate is that much too low (M. G. Kendall, Biometrika 41, 1954).
    correlation = float(centred[1:] @ centred[:-1] / (centred @ centred)) + 1 / n
    if correlation < 1.645 / math.sqrt(n):
        return 1
    correlation = min(correlation, 0.99)
    length = (math.sqrt(6) * correlation / (1 - correlation**2)) ** (2 / 3) * n ** (1 / 3)
    return int(max(1, min(round(length), n // 6)))


def as_samples(samples: Any) -> Floats:
    """Return samples as one row of float64.

    Raises:
        SampleError: There are none, or one is not finite.
    """
    values: Floats = np.asarray(samples, dtype=np.float64).ravel()
    if len(values) == 0:
        raise SampleError("there are no samples")
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise SampleError(f"{bad} of {len(values)} samples are not finite (NaN or infinity)")
    return values


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless ``confidence`` is between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must be between 0 and 1, such as 0.95")


def _percentile(ordered: Floats, percent: int) -> float | None:
    n = len(ordered)
    return float(ordered[n * percent // 100]) if n >= SAMPLES_FOR_PERCENTILE[percent] else None


def _binomial_cdf(n: int) -> Floats:
    """Return P(B <= k) for k from 0 to n with B ~ Binomial(n, 1/2)."""
    # On logarithms: 0.5 ** n underflows from n = 1075 on.
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_share = log_factorial[n] - log_factorial - log_factorial[::-1] - n * math.log(2)
    return np.asarray(np.cumsum(np.exp(log_share)))
