from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from litedelegates.measure.interleave import Plan
from litedelegates.measure.loads import interleave_loads
from litedelegates.measure.timed import Timer

PLAN = Plan(max_seconds=0, min_rounds=32, max_rounds=32, runs_per_block=3, discard_runs=1, warmup_seconds=0)


class Shelf:
    """Stands in for models: notes loads and frees; each load has a speed of its own."""

    def __init__(self, load_spread: float = 0.0) -> None:
        self.events: list[str] = []
        self._random, self._spread = np.random.default_rng(0), load_spread

    def loader(self, name: str, time_ns: float = 1e6) -> Callable[[], contextlib.AbstractContextManager[Timer]]:
        @contextlib.contextmanager
        def load() -> Iterator[Timer]:
            self.events.append(f"+{name}")
            mine = time_ns * np.exp(self._random.normal(0, self._spread))
            yield lambda runs: (mine * self._random.uniform(0.999, 1.001, runs)).astype(np.int64)
            self.events.append(f"-{name}")

        return load

    def loaders(self, *names: str) -> dict[str, Callable[[], contextlib.AbstractContextManager[Timer]]]:
        return {name: self.loader(name) for name in names}


def test_everything_is_loaded_anew_each_time_and_freed_before() -> None:
    shelf = Shelf()
    found = interleave_loads(shelf.loaders("a", "b", "c"), PLAN)
    groups = [shelf.events[start : start + 6] for start in range(0, len(shelf.events), 6)]
    assert len(groups) == 4
    for group in groups:
        assert [event[0] for event in group] == ["+"] * 3 + ["-"] * 3
        assert {event[1:] for event in group[:3]} == {"a", "b", "c"}
    assert all(len(timed.load_ns) == 4 for timed in found.timed)


def test_each_second_order_of_loading_is_the_reverse_of_the_one_before() -> None:
    shelf = Shelf()
    interleave_loads(shelf.loaders("a", "b"), PLAN, loads=6)
    orders = [
        "".join(event[1] for event in shelf.events[start : start + 4] if event[0] == "+")
        for start in range(0, len(shelf.events), 4)
    ]
    assert all(first == second[::-1] for first, second in zip(orders[::2], orders[1::2], strict=True))


def test_the_rounds_of_all_loads_are_joined() -> None:
    found = interleave_loads(Shelf().loaders("b", "a"), PLAN)
    assert found.rounds == 32 and found.finished
    assert [timed.name for timed in found.timed] == ["b", "a"]
    for timed in found.timed:
        assert [block.round_index for block in timed.blocks] == list(range(32))
        assert len(timed.samples_ns) == 96


def test_loads_that_differ_are_not_taken_for_configurations_that_differ() -> None:
    verdicts = []
    for seed in range(30):
        shelf = Shelf(load_spread=0.006)
        shelf._random = np.random.default_rng(seed)
        verdicts.append(interleave_loads(shelf.loaders("a", "b"), PLAN, loads=8).ratio("a", "b").verdict)
    assert verdicts.count("no difference shown") == 30


def test_a_real_difference_is_found() -> None:
    shelf = Shelf(load_spread=0.006)
    found = interleave_loads({"a": shelf.loader("a"), "b": shelf.loader("b", 1.05e6)}, PLAN, loads=8)
    assert found.ratio("b", "a").verdict == "slower"


def test_a_model_that_does_not_load_raises_and_the_loaded_ones_are_freed() -> None:
    shelf = Shelf()

    @contextlib.contextmanager
    def broken() -> Iterator[Timer]:
        raise RuntimeError("no such device")
        yield

    with pytest.raises(RuntimeError, match="no such device"):
        interleave_loads({"a": shelf.loader("a"), "b": broken}, PLAN)
    assert shelf.events in ([], ["+a"], ["+a", "-a"])


@pytest.mark.parametrize("loads", [0, 1, 3, -2])
def test_an_odd_number_of_loads_is_refused(loads: int) -> None:
    with pytest.raises(ValueError, match=f"loads={loads} must be even"):
        interleave_loads(Shelf().loaders("a"), PLAN, loads=loads)
