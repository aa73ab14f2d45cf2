from __future__ import annotations

import math

import numpy as np
import pytest
from litedelegates.errors import LiteDelegatesError
from litedelegates.measure.ratios import _student_quantile, ratio_interval
from litedelegates.measure.statistics import SampleError, median_interval, summarize


def skewed_times(random: np.random.Generator, count: int) -> np.ndarray:
    """Times as a busy machine gives them: a sharp lower edge, a long tail. Their true median is 100 + 10 ln 2."""
    return 100 + random.exponential(10, count)


TRUE_MEDIAN = 100 + 10 * math.log(2)


@pytest.mark.parametrize("count", [6, 9, 30, 101, 1500])
def test_median_interval_holds_the_true_median_as_often_as_it_says(count: int) -> None:
    random = np.random.default_rng(count)
    intervals = [median_interval(skewed_times(random, count)) for _ in range(1000)]
    held = np.mean([i is not None and i.low <= TRUE_MEDIAN <= i.high for i in intervals])
    claimed = intervals[0].confidence if intervals[0] else 0.0
    assert claimed >= 0.95
    # The coverage is exact: 1,000 trials stay within four standard deviations of it.
    assert abs(held - claimed) < 4 * math.sqrt(claimed * (1 - claimed) / 1000)


def test_median_interval_of_ten_samples_runs_from_the_second_to_the_ninth() -> None:
    # The standard table: n = 10, k = 2, confidence 0.9785.
    interval = median_interval([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert interval is not None
    assert (interval.low, interval.high) == (2, 9)
    assert interval.confidence == pytest.approx(1 - 2 * 11 / 1024)


def test_too_few_samples_give_no_median_interval() -> None:
    assert median_interval([1.0]) is None
    assert median_interval(np.arange(5)) is None
    assert median_interval(np.arange(6)) is not None
    assert median_interval(np.arange(7), confidence=0.99) is None
    assert median_interval(np.arange(8), confidence=0.99) is not None


def test_a_long_series_does_not_underflow() -> None:
    interval = median_interval(np.arange(100_001))
    assert interval is not None
    assert 49_600 < interval.low < 50_000 < interval.high < 50_400
    assert 0.95 <= interval.confidence < 0.951


@pytest.mark.parametrize("samples", [[], [1.0, math.nan], [math.inf, 1.0]])
@pytest.mark.parametrize("function", [median_interval, summarize, lambda x: ratio_interval([x], [[1.0]])])
def test_samples_that_say_nothing_are_refused(function: object, samples: list[float]) -> None:
    with pytest.raises(SampleError, match=r"no samples|not finite") as caught:
        function(samples)  # type: ignore[operator]
    assert isinstance(caught.value, LiteDelegatesError) and isinstance(caught.value, ValueError)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan])
def test_a_confidence_outside_0_to_1_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        median_interval([1, 2, 3], confidence)


def test_summary_of_known_samples() -> None:
    summary = summarize([1000, 2000, 3000, 4000, 100_000])
    assert summary.count == 5
    assert summary.median_us == 3
    assert summary.mean_us == pytest.approx(22)
    assert summary.std_us == pytest.approx(np.std([1, 2, 3, 4, 100], ddof=1))
    assert (summary.min_us, summary.max_us) == (1, 100)
    assert summary.mad_us == 1
    assert summary.iqr_us == 2
    assert summary.outliers == 1
    assert summary.p90_us is None


def test_median_of_two_is_their_mean_and_one_sample_has_no_deviation() -> None:
    assert summarize([1000, 2000]).median_us == 1.5
    assert summarize([1000, 2000]).std_us == pytest.approx(math.sqrt(0.5))
    one = summarize([7000])
    assert (one.median_us, one.std_us, one.mad_us, one.outliers) == (7, None, 0, 0)


def test_zeros_are_times_too() -> None:
    summary = summarize([0, 0, 0])
    assert (summary.median_us, summary.mad_us, summary.outliers) == (0, 0, 0)


def test_with_a_coarse_clock_every_sample_unlike_the_median_is_an_outlier() -> None:
    assert summarize([1000] * 10 + [2000]).outliers == 1


@pytest.mark.parametrize(("percent", "least"), [(90, 64), (95, 130), (99, 662)])
def test_a_percentile_is_claimed_only_from_enough_samples(percent: int, least: int) -> None:
    assert getattr(summarize(np.arange(least - 1)), f"p{percent}_us") is None
    samples_ns = np.random.default_rng(0).permutation(least) * 1000
    assert getattr(summarize(samples_ns), f"p{percent}_us") == math.floor(least * percent / 100)


def blocks(random: np.random.Generator, rounds: int, scale: float = 1.0, runs: int = 20) -> list[np.ndarray]:
    return [scale * skewed_times(random, runs) for _ in range(rounds)]


@pytest.mark.parametrize("rounds", [6, 10, 30])
def test_ratio_interval_holds_the_true_ratio_about_as_often_as_it_says(rounds: int) -> None:
    random = np.random.default_rng(rounds)
    held = 0
    for _ in range(300):
        found = ratio_interval(blocks(random, rounds, 1.1), blocks(random, rounds), resamples=1000)
        assert found.low is not None and found.high is not None
        held += found.low <= 1.1 <= found.high
    assert held / 300 >= 0.92  # 95 % less the chance of 300 trials


def test_the_same_configuration_twice_shows_no_difference() -> None:
    random = np.random.default_rng(5)
    verdicts = [ratio_interval(blocks(random, 12), blocks(random, 12), resamples=1000).verdict for _ in range(200)]
    assert verdicts.count("no difference shown") >= 184


def test_a_clear_difference_is_told() -> None:
    random = np.random.default_rng(6)
    quick, slow = blocks(random, 10, 0.8), blocks(random, 10)
    assert ratio_interval(quick, slow).verdict == "faster"
    assert ratio_interval(slow, quick).verdict == "slower"
    assert ratio_interval(quick, slow).ratio == pytest.approx(0.8, rel=0.03)


def test_a_drift_that_meets_both_makes_no_difference() -> None:
    random = np.random.default_rng(7)
    drift = np.repeat([1.0, 2.0, 1.0, 3.0], 5)
    a = [block * factor for block, factor in zip(blocks(random, 20), drift, strict=True)]
    b = [block * factor for block, factor in zip(blocks(random, 20, 1.25), drift, strict=True)]
    found = ratio_interval(a, b)
    assert found.ratio == pytest.approx(0.8, rel=0.03)
    assert found.verdict == "faster"


def test_few_rounds_give_a_ratio_without_an_interval() -> None:
    found = ratio_interval([[1.0]] * 5, [[2.0]] * 5)
    assert (found.ratio, found.low, found.high) == (0.5, None, None)
    assert found.verdict == "no difference shown"
    assert found.inverted().low is None


def test_the_inverse_is_that_of_the_swapped_blocks() -> None:
    random = np.random.default_rng(8)
    a, b = blocks(random, 9), blocks(random, 9, 1.1)
    forth, back = ratio_interval(a, b).inverted(), ratio_interval(b, a)
    assert forth.ratio == pytest.approx(back.ratio)
    assert (forth.low, forth.high) == pytest.approx((back.low, back.high), rel=0.01)
    assert (forth.verdict, back.verdict) == ("slower", "slower")


def test_the_same_seed_gives_the_same_interval() -> None:
    random = np.random.default_rng(9)
    a, b = blocks(random, 40), blocks(random, 40)
    assert ratio_interval(a, b, seed=3) == ratio_interval(a, b, seed=3)
    assert ratio_interval(a, b, seed=3) != ratio_interval(a, b, seed=4)


def test_blocks_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(SampleError, match="A has 2 blocks and B 1"):
        ratio_interval([[1], [1]], [[1]])
    with pytest.raises(SampleError, match="block 1 of B has the median 0"):
        ratio_interval([[1], [1]], [[1], [0]])
    with pytest.raises(SampleError, match="no blocks"):
        ratio_interval([], [])


@pytest.mark.parametrize(
    ("freedom", "share", "quantile"), [(5, 0.975, 2.5706), (9, 0.975, 2.2622), (30, 0.995, 2.7500), (5, 0.995, 4.0321)]
)
def test_students_quantile_agrees_with_the_tables(freedom: int, share: float, quantile: float) -> None:
    assert _student_quantile(share, freedom) == pytest.approx(quantile, rel=1e-3)
