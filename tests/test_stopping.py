from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from litedelegates.measure.interleave import Plan, interleave
from litedelegates.measure.stopping import StopRule, is_steady
from litedelegates.measure.timed import Samples
from noise import Noise, ar1


def test_without_a_precision_it_stops_by_rounds_or_by_seconds() -> None:
    rule = StopRule(min_rounds=6, max_rounds=50, max_seconds=3)
    assert rule.judge(5, 99) is None
    assert rule.judge(6, 2.9) is None
    assert rule.judge(6, 3) == "time is over"
    assert rule.judge(50, 0) == "enough runs"


def rounds_until_precise(rule: StopRule, blocks: list[list[np.ndarray]]) -> int | None:
    for rounds in range(1, len(blocks[0]) + 1):
        if rule.judge(rounds, 1.0, [entry[:rounds] for entry in blocks]) == "precise enough":
            return rounds
    return None


def noisy(random: np.random.Generator, rounds: int, spread: float) -> list[np.ndarray]:
    return [np.full(3, 1e6 * math.exp(random.normal(0, spread))) for _ in range(rounds)]


def test_the_noisier_the_blocks_the_longer_it_takes() -> None:
    random, rule = np.random.default_rng(0), StopRule(precision=0.01, max_seconds=60)
    quiet = rounds_until_precise(rule, [noisy(random, 1000, 0.005)])
    loud = rounds_until_precise(rule, [noisy(random, 1000, 0.05)])
    assert quiet == 16
    assert loud is not None and 60 < loud < 600


def test_the_interval_that_stopped_it_holds_the_true_median_nearly_as_often_as_it_says() -> None:
    random, rule = np.random.default_rng(1), StopRule(precision=0.01, max_seconds=60)
    errors = []
    for _ in range(200):
        blocks = noisy(random, 800, 0.03)
        rounds = rounds_until_precise(rule, [blocks])
        assert rounds is not None
        errors.append(abs(np.median([np.median(block) for block in blocks[:rounds]]) / 1e6 - 1))
    # "95 % within 1 %", less what stopping at the first narrow interval costs.
    assert np.mean(np.array(errors) <= 0.01) >= 0.91


def test_the_interval_of_the_ratio_that_stopped_it_does_so_too() -> None:
    random, noise = np.random.default_rng(2), Noise(load_spread=0.0)
    rule = StopRule(ratio_precision=0.02, max_seconds=60)
    errors = []
    for _ in range(60):
        a, b = noise.blocks(random, 1.1, 600)
        rounds = rounds_until_precise(rule, [b, a])
        assert rounds is not None
        logs = [np.log(np.median(x) / np.median(y)) for x, y in zip(a[:rounds], b[:rounds], strict=True)]
        errors.append(abs(np.median(logs) - np.log(1.1)))
    assert np.mean(np.array(errors) <= 0.02) >= 0.9


def test_every_configuration_has_to_be_known() -> None:
    random, rule = np.random.default_rng(3), StopRule(precision=0.01, max_seconds=60)
    quiet, loud = noisy(random, 30, 0.001), noisy(random, 30, 0.3)
    assert rounds_until_precise(rule, [quiet, quiet]) == 16
    assert rounds_until_precise(rule, [quiet, loud]) is None


def test_dependent_blocks_are_not_believed_as_soon() -> None:
    random, rule = np.random.default_rng(4), StopRule(precision=0.02, max_seconds=60)
    soon, late = [], []
    for _ in range(20):
        wandering = [np.full(3, 1e6 * math.exp(step)) for step in ar1(random, 1000, 0.8, 0.04)]
        soon.append(rounds_until_precise(rule, [noisy(random, 1000, 0.04)]) or 1000)
        late.append(rounds_until_precise(rule, [wandering]) or 1000)
    assert np.median(late) > 1.5 * np.median(soon)


def test_it_does_not_look_after_every_round_and_not_before_the_least_time() -> None:
    same = [np.ones(2)] * 200
    rule = StopRule(precision=0.01, max_seconds=60)
    looks = [rounds for rounds in range(1, 101) if rule.judge(rounds, 1.0, [same[:rounds]])]
    assert looks == [16, 20, 25, 32, 40, 50, 63, 79, 99]
    assert replace(rule, min_seconds=2).judge(16, 1.0, [same[:16]]) is None
    assert replace(rule, min_seconds=2).judge(16, 2.0, [same[:16]]) == "precise enough"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_rounds": 0}, "min_rounds=0 must be at least 1"),
        ({"precision": 1.0}, "precision=1.0 must be between 0 and 1: 0.01 is 1 %"),
        ({"ratio_precision": 0.0}, "ratio_precision=0.0"),
        ({"max_seconds": math.inf}, "max_seconds=inf"),
        ({"min_rounds": 9, "max_rounds": 8}, "above max_rounds=8"),
        ({"min_seconds": 5, "max_seconds": 4}, "min_seconds=5 is above max_seconds=4"),
    ],
)
@pytest.mark.parametrize("make", [StopRule, Plan])
def test_a_rule_that_cannot_hold_is_refused(
    make: Callable[..., object], changes: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


def cooling(start: float, time_constant: float, seed: int = 0) -> Callable[[int], Samples]:
    """A timer whose runs take 1 ms in the end and ``start`` times as long at first."""
    random, made = np.random.default_rng(seed), [0]

    def run(runs: int) -> Samples:
        indices = made[0] + np.arange(runs)
        made[0] += runs
        times = 1e6 * (1 + (start - 1) * np.exp(-indices / time_constant)) * random.uniform(0.99, 1.01, runs)
        return times.astype(np.int64)

    return run


def test_warm_up_goes_on_until_the_times_have_settled() -> None:
    plan = Plan(max_seconds=0, warmup_seconds=0, warmup_max_seconds=60, runs_per_block=2)
    quick = interleave({"a": cooling(3, 2)}, plan)["a"]
    slow = interleave({"a": cooling(3, 300)}, plan)["a"]
    assert quick.is_steady and slow.is_steady
    assert len(slow.warmup_ns) > 4 * len(quick.warmup_ns)
    assert slow.median_ns == pytest.approx(1e6, rel=0.05)


def test_warm_up_that_never_settles_ends_and_says_so() -> None:
    time_ns = [1e3]

    def growing(runs: int) -> Samples:
        time_ns[0] *= 1.05
        return np.full(runs, time_ns[0], dtype=np.int64)

    plan = Plan(max_seconds=0, warmup_seconds=0, warmup_max_seconds=0.05, runs_per_block=2)
    assert not interleave({"a": growing}, plan)["a"].is_steady


def test_warm_up_by_count() -> None:
    plan = Plan(max_seconds=0, warmup_seconds=0, warmup_runs=20, runs_per_block=2)
    timed = interleave({"a": cooling(1, 1)}, plan)["a"]
    assert 20 <= len(timed.warmup_ns) < 40
    assert timed.is_steady  # nobody asked for more


def test_the_first_run_is_kept_apart() -> None:
    timed = interleave({"a": cooling(50, 0.1)}, Plan(max_seconds=0, runs_per_block=2))["a"]
    assert timed.first_run_ns == pytest.approx(50e6, rel=0.02)
    assert timed.samples_ns.max() < 2e6


def test_a_step_or_a_slope_is_not_steady_but_noise_is() -> None:
    random = np.random.default_rng(5)
    assert is_steady([random.normal(100, 5, 20), random.normal(100, 5, 40)])
    assert not is_steady([random.normal(120, 5, 20), random.normal(100, 5, 40)])
    assert is_steady([[100.0], [101.0]])
    assert not is_steady([[100.0], [103.0]])
    assert not is_steady([[100.0]])


def test_a_measurement_says_what_ended_it() -> None:
    timers = {"a": cooling(1, 1, seed=1), "b": cooling(1, 1, seed=2)}
    plan = Plan(max_seconds=30, runs_per_block=4, warmup_seconds=0)
    assert interleave(timers, replace(plan, precision=0.01)).stopped_by == "precise enough"
    assert interleave(timers, replace(plan, ratio_precision=0.01)).stopped_by == "precise enough"
    assert interleave(timers, replace(plan, max_rounds=7)).stopped_by == "enough runs"
    assert interleave(timers, replace(plan, max_seconds=0)).stopped_by == "time is over"


def test_upload_run_and_read_back_are_kept_and_their_sum_counts() -> None:
    plan = Plan(max_seconds=0, runs_per_block=2, discard_runs=1, warmup_seconds=0)
    timed = interleave({"a": lambda runs: np.tile([1, 20, 300], (runs, 1))}, plan)["a"]
    assert timed.parts_ns is not None and timed.parts_ns.tolist() == [[1, 20, 300]] * 12
    assert set(timed.samples_ns.tolist()) == {321}
    assert timed.blocks[0].discarded_ns.tolist() == [321]
    assert interleave({"a": cooling(1, 1)}, plan)["a"].parts_ns is None


def test_a_measurement_carries_what_was_wrong_meanwhile() -> None:
    made = [0]

    def drifting(runs: int) -> Samples:
        made[0] += runs
        return np.full(runs, 1_000_000 + 10_000 * made[0])

    plan = Plan(max_seconds=0, min_rounds=30, runs_per_block=2, warmup_seconds=0)
    found = interleave({"steady": lambda runs: np.full(runs, 1000), "drifting": drifting}, plan)
    told = [condition for condition in found.conditions if condition.kind == "drift"]
    assert len(told) == 1 and told[0].text.startswith("drifting: runs took")


def test_a_device_that_did_not_wait_is_told_with_the_measurement() -> None:
    plan = Plan(max_seconds=0, runs_per_block=2, warmup_seconds=0)
    found = interleave({"gpu": lambda runs: np.tile([1_000, 90_000, 20_000_000], (runs, 1))}, plan)
    assert "not waited" in [condition.kind for condition in found.conditions]
