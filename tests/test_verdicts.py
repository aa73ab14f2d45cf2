from __future__ import annotations

import numpy as np
import pytest
from litedelegates.measure.ratios import RatioInterval, ratio_interval
from litedelegates.measure.statistics import find_dependence, series_interval
from noise import Noise, ar1

BUSY = Noise()
QUIET = Noise(wander=0.01, bursts=0.02, drift=0.02)
STORMY = Noise(correlation=0.95, wander=0.2, bursts=0.25, drift=1.0)


def verdicts(noise: Noise, true_ratio: float, trials: int, rounds: int = 144, loads: int = 4) -> list[str]:
    random = np.random.default_rng(round(1000 * true_ratio) + rounds + loads)
    found = []
    for _ in range(trials):
        a, b = noise.blocks(random, true_ratio, rounds, loads=loads)
        found.append(ratio_interval(a, b, resamples=600).verdict)
    return found


@pytest.mark.parametrize("noise", [QUIET, BUSY, STORMY])
def test_at_most_2_percent_of_the_verdicts_on_a_configuration_with_itself_are_false(noise: Noise) -> None:
    assert verdicts(noise, 1.0, 200).count("no difference shown") >= 196


@pytest.mark.parametrize(("noise", "rounds"), [(QUIET, 72), (BUSY, 144), (STORMY, 800)])
def test_a_slowdown_by_3_percent_is_found_in_95_of_100_tries(noise: Noise, rounds: int) -> None:
    found = verdicts(noise, 1.03, 100, rounds)
    assert found.count("slower") >= 95
    assert "faster" not in found


def test_the_mirror_of_a_slowdown_is_a_speed_up() -> None:
    assert verdicts(BUSY, 1 / 1.03, 100).count("faster") >= 95


def test_without_a_least_effect_a_difference_between_two_loads_passes_for_one_of_the_models() -> None:
    random = np.random.default_rng(3)
    apart = Noise(load_spread=0.006, wander=0.01, bursts=0.02, drift=0.02)
    false = {0.0: 0, 0.01: 0}
    for _ in range(100):
        a, b = apart.blocks(random, 1.0, 200, loads=1)
        for least in false:
            false[least] += ratio_interval(a, b, resamples=600, least_effect=least).verdict != "no difference shown"
    assert false[0.0] > 40
    assert false[0.01] < false[0.0] / 3


def test_several_loads_take_the_difference_between_two_loads_away() -> None:
    random = np.random.default_rng(4)
    apart = Noise(load_spread=0.006, wander=0.01, bursts=0.02, drift=0.02)
    errors = {
        loads: [abs(np.log(ratio_interval(*apart.blocks(random, 1.0, 96, loads=loads)).ratio)) for _ in range(60)]
        for loads in (1, 8)
    }
    assert np.mean(errors[8]) < 0.6 * np.mean(errors[1])


def test_two_measurements_one_after_the_other_would_have_been_wrong() -> None:
    # What interleaving is for: the same noise, but first all blocks of A and then all of B.
    random = np.random.default_rng(5)
    wrong = 0
    for _ in range(100):
        a, b = BUSY.blocks(random, 1.0, 100)
        first = np.concatenate([a[:50], b[:50]])
        second = np.concatenate([a[50:], b[50:]])
        wrong += abs(np.log(np.mean(second) / np.mean(first))) > np.log(1.03)
    assert wrong > 50


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.011, 1.2, "slower"),
        (1.009, 1.2, "no difference shown"),
        (0.8, 0.9900, "faster"),
        (0.8, 0.9902, "no difference shown"),
        (0.9, 1.1, "no difference shown"),
    ],
)
def test_the_whole_interval_has_to_be_beyond_the_least_effect(low: float, high: float, verdict: str) -> None:
    found = RatioInterval((low * high) ** 0.5, low, high, 0.95, 100)
    assert found.verdict == verdict
    mirror = {"slower": "faster", "faster": "slower"}.get(verdict, verdict)
    assert found.inverted().verdict == mirror


def test_the_least_effect_changes_the_verdict_and_not_the_interval() -> None:
    random = np.random.default_rng(6)
    a, b = QUIET.blocks(random, 1.05, 60)
    strict, lax = ratio_interval(a, b, least_effect=0.2), ratio_interval(a, b, least_effect=0.0)
    assert (strict.low, strict.high) == (lax.low, lax.high)
    assert (strict.verdict, lax.verdict) == ("no difference shown", "slower")
    with pytest.raises(ValueError, match=r"0\.01 for 1 %"):
        ratio_interval(a, b, least_effect=-0.01)


def test_half_width_is_the_distance_to_the_bounds_as_a_share() -> None:
    assert RatioInterval(2.0, 2 / 1.1, 2 * 1.1, 0.95, 9).half_width == pytest.approx(np.log(1.1))
    assert RatioInterval(2.0, None, None, 0.95, 3).half_width is None


def test_independent_values_are_seldom_called_dependent() -> None:
    random = np.random.default_rng(7)
    assert np.mean([find_dependence(random.exponential(1, 60)) > 1 for _ in range(500)]) < 0.08


@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_values_that_lean_on_their_neighbours_are_recognized(correlation: float) -> None:
    random = np.random.default_rng(8)
    lengths = [find_dependence(ar1(random, 200, correlation, 1.0)) for _ in range(100)]
    assert min(lengths) > 1
    assert max(lengths) <= 200 // 6


def test_one_outlier_does_not_hide_the_dependence() -> None:
    series = ar1(np.random.default_rng(9), 100, 0.9, 1.0)
    series[50] = 1e6
    assert find_dependence(series) > 1


def test_equal_values_and_few_values_are_independent() -> None:
    assert find_dependence([5.0] * 100) == 1
    assert find_dependence(np.arange(11)) == 1
    assert find_dependence([1.0, 2.0] * 50) == 1


def test_the_interval_of_a_dependent_series_holds_the_median_where_the_plain_one_does_not() -> None:
    from litedelegates.measure.statistics import median_interval

    random = np.random.default_rng(10)
    held = {"plain": 0, "series": 0}
    for _ in range(300):
        series = ar1(random, 120, 0.8, 1.0)
        plain, merged = median_interval(series), series_interval(series)
        assert plain is not None and merged is not None
        held["plain"] += plain.low <= 0 <= plain.high
        held["series"] += merged.low <= 0 <= merged.high
    assert held["plain"] / 300 < 0.65
    assert held["series"] / 300 > 0.85


def test_the_interval_of_a_ratio_that_wanders_from_round_to_round_holds_the_true_one() -> None:
    random = np.random.default_rng(11)
    held = 0
    for _ in range(300):
        wandering = 1.1 * np.exp(ar1(random, 120, 0.8, 0.05))
        found = ratio_interval([[value] for value in wandering], [[1.0]] * 120, resamples=600)
        assert found.low is not None and found.high is not None
        held += found.low <= 1.1 <= found.high
    assert held / 300 > 0.85  # 58 % if neighbouring rounds were taken for independent
