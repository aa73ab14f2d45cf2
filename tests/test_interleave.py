from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from litedelegates.measure.interleave import Plan, interleave
from litedelegates.measure.timed import Interleaved, Samples

QUICK = Plan(max_seconds=0, min_rounds=6, max_rounds=6, runs_per_block=3, discard_runs=2, warmup_seconds=0)


class Recorder:
    """Stands in for configurations: notes who was called for how many runs, returns made-up times."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def timer(self, name: str, time_ns: float = 1000.0, seed: int = 0) -> Callable[[int], Samples]:
        random = np.random.default_rng(seed)

        def run(runs: int) -> Samples:
            self.calls.append((name, runs))
            return (time_ns * random.uniform(0.95, 1.05, runs)).astype(np.int64)

        return run

    def timers(self, *names: str) -> dict[str, Callable[[int], Samples]]:
        return {name: self.timer(name, seed=seed) for seed, name in enumerate(names)}

    def rounds(self, count: int) -> list[str]:
        """The orders of the rounds, warm-up calls left out."""
        names = [name for name, runs in self.calls if runs > 1]
        return ["".join(names[start : start + count]) for start in range(0, len(names), count)]


def test_every_round_times_each_configuration_once() -> None:
    recorder = Recorder()
    found = interleave(recorder.timers("a", "b", "c"), QUICK)
    assert found.rounds == 6 and found.finished
    assert all(sorted(order) == ["a", "b", "c"] for order in recorder.rounds(3))
    for timed in found.timed:
        assert [block.round_index for block in timed.blocks] == list(range(6))


def test_the_orders_are_shuffled_and_come_from_the_seed() -> None:
    def orders(seed: int) -> list[str]:
        recorder = Recorder()
        interleave(recorder.timers("a", "b", "c"), replace(QUICK, max_rounds=20, min_rounds=20, seed=seed))
        return recorder.rounds(3)

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)
    assert len(set(orders(1))) > 3


def test_two_configurations_alternate_as_abba() -> None:
    recorder = Recorder()
    interleave(recorder.timers("a", "b"), QUICK)
    orders = recorder.rounds(2)
    assert all(first == second[::-1] for first, second in zip(orders[::2], orders[1::2], strict=True))


def test_two_configurations_stop_only_after_the_second_half_of_abba() -> None:
    plan = Plan(max_seconds=0, min_rounds=7, max_rounds=100, runs_per_block=2, warmup_seconds=0)
    assert interleave(Recorder().timers("a", "b"), plan).rounds == 8


def test_the_first_runs_of_a_block_are_kept_apart() -> None:
    def counting(runs: int) -> Samples:
        return np.arange(1, runs + 1)

    found = interleave({"a": counting}, QUICK)
    for block in found["a"].blocks:
        assert block.discarded_ns.tolist() == [1, 2]
        assert block.samples_ns.tolist() == [3, 4, 5]
    assert len(found["a"].samples_ns) == 18


def test_by_default_a_quarter_of_a_block_more_is_run_and_discarded() -> None:
    plan = Plan(max_seconds=0, runs_per_block=8, warmup_seconds=0)
    block = interleave(Recorder().timers("a"), plan)["a"].blocks[0]
    assert (len(block.discarded_ns), len(block.samples_ns)) == (2, 8)


def test_blocks_are_sized_by_time() -> None:
    recorder = Recorder()
    timers = {"quick": recorder.timer("quick", 1e5), "slow": recorder.timer("slow", 1e10)}
    found = interleave(timers, Plan(max_seconds=0, block_seconds=0.01, warmup_seconds=0))
    assert 90 <= found["quick"].runs_per_block <= 110
    assert found["slow"].runs_per_block == 1


def test_blocks_sized_by_time_can_be_bounded_so_that_quick_configurations_run_no_more_than_needed() -> None:
    recorder = Recorder()
    timers = {"quick": recorder.timer("quick", 1e6), "slow": recorder.timer("slow", 20e6)}
    plan = replace(QUICK, runs_per_block=None, block_seconds=0.1, max_runs_per_block=10)
    found = interleave(timers, plan)
    assert found["quick"].runs_per_block == 10
    assert 4 <= found["slow"].runs_per_block <= 6
    with pytest.raises(ValueError, match="max_runs_per_block=0"):
        Plan(max_runs_per_block=0)


def test_warm_up_comes_before_the_first_block_and_does_not_count() -> None:
    found = interleave(Recorder().timers("a"), Plan(max_seconds=0, runs_per_block=4, warmup_seconds=0.01))
    assert len(found["a"].warmup_ns) > 1
    assert len(found["a"].samples_ns) == 4 * found.rounds


def test_it_stops_by_rounds_or_by_seconds_but_never_before_the_least_rounds() -> None:
    by_rounds = Plan(max_seconds=60, min_rounds=1, max_rounds=4, runs_per_block=1, warmup_seconds=0)
    assert interleave(Recorder().timers("a"), by_rounds).rounds == 4
    by_seconds = Plan(max_seconds=0, min_rounds=9, max_rounds=100, runs_per_block=1, warmup_seconds=0)
    assert interleave(Recorder().timers("a"), by_seconds).rounds == 9


def test_progress_sees_everything_found_so_far() -> None:
    seen: list[Interleaved] = []
    found = interleave(Recorder().timers("a", "b"), QUICK, progress=seen.append)
    assert [state.rounds for state in seen] == [1, 2, 3, 4, 5, 6]
    assert [state.finished for state in seen] == [False] * 5 + [True]
    assert len(seen[2]["b"].samples_ns) == 9
    assert seen[-1] is found


def test_a_failure_is_raised_unless_the_others_should_go_on() -> None:
    calls = 0

    def failing(runs: int) -> Samples:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise RuntimeError("the device is gone")
        return np.full(runs, 1000)

    with pytest.raises(RuntimeError, match="the device is gone"):
        interleave({"a": failing}, QUICK)
    calls = 0
    found = interleave({"a": failing, **Recorder().timers("b")}, QUICK, keep_going=True)
    assert found["a"].failure == "RuntimeError: the device is gone"
    assert len(found["a"].blocks) == 2
    assert (found["b"].failure, len(found["b"].blocks)) == (None, 6)


def test_when_all_have_failed_it_ends() -> None:
    def failing(runs: int) -> Samples:
        raise RuntimeError("no")

    found = interleave({"a": failing, "b": failing}, Plan(max_seconds=3600), keep_going=True)
    assert found.rounds == 1
    assert found["a"].samples_ns.size == 0


def test_the_ratio_of_interleaved_configurations() -> None:
    recorder = Recorder()
    timers = {"quick": recorder.timer("quick", 5e5, seed=1), "slow": recorder.timer("slow", 1e6, seed=2)}
    found = interleave(timers, Plan(max_seconds=0, min_rounds=10, runs_per_block=20, warmup_seconds=0))
    assert found.ratio("quick", "slow").verdict == "faster"
    assert found.ratio("slow", "quick").ratio == pytest.approx(2, rel=0.02)
    interval = found["slow"].median_interval_ns()
    assert interval is not None and interval.low <= found["slow"].median_ns <= interval.high
    assert found["slow"].summary().count == 200


def test_the_same_configuration_twice_shows_no_difference() -> None:
    recorder = Recorder()
    plan = Plan(max_seconds=0, min_rounds=12, runs_per_block=10, warmup_seconds=0)
    verdicts = []
    for seed in range(40):
        timers = {"a": recorder.timer("a", 1e6, seed=seed), "b": recorder.timer("b", 1e6, seed=seed + 1000)}
        verdicts.append(interleave(timers, plan).ratio("a", "b").verdict)
    assert verdicts.count("no difference shown") >= 35


def test_a_timer_that_returns_another_number_of_samples_is_told() -> None:
    with pytest.raises(ValueError, match=r"asked for 1 runs and returned an array of shape \(1, 2\)"):
        interleave({"a": lambda runs: np.ones((runs, 2), np.int64)}, QUICK)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    found = interleave(Recorder().timers("a"), QUICK)
    with pytest.raises(KeyError, match="'b' was not timed; these were"):
        found["b"]


def test_nothing_to_time_and_impossible_plans_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to time"):
        interleave({})
    for wrong in ({"min_rounds": 0}, {"max_seconds": -1}, {"min_rounds": 7, "max_rounds": 6}, {"runs_per_block": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Plan(**wrong)  # type: ignore[arg-type]
