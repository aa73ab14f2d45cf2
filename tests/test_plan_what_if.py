"""What another bandwidth would change: the breakpoints are where two plans cost the same."""

from __future__ import annotations

import math

import pytest
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.problem import ERROR, LATENCY, Goal
from litedelegates.plan.segments import segments
from litedelegates.plan.what_if import WhatIf, on_one_device, what_if
from plans_by_hand import brute_force, chain_problem

LATENCY_ONLY = Goal({LATENCY: 1.0})


@pytest.fixture(scope="module")
def found() -> WhatIf:
    return what_if(chain_problem, LATENCY_ONLY, brute_force, low_mbps=0.5, high_mbps=2000.0, count=9)


def test_a_slow_link_keeps_all_on_the_device_and_a_quick_one_sends_all_away(found: WhatIf) -> None:
    assert found.regimes[0].label == "all on pi"
    assert found.regimes[-1].label == "all on server"
    assert len(found.regimes) > 2
    assert any(len(regime.segments) == 3 or len(regime.cuts) == 1 for regime in found.regimes[1:-1])
    assert found.regimes[0].low == 0.5
    assert found.regimes[-1].high == 2000.0


def test_at_each_breakpoint_the_plans_of_both_sides_cost_the_same(found: WhatIf) -> None:
    for left, right in zip(found.regimes, found.regimes[1:], strict=False):
        problem = chain_problem(right.low)
        both = [problem.totals(regime.assignment)[problem.index(LATENCY)] for regime in (left, right)]
        assert both[0] == pytest.approx(both[1], rel=0.005)
        assert left.high == right.low
    assert len(found.breakpoints) == len(found.regimes) - 1


def test_within_a_regime_its_plan_is_the_best(found: WhatIf) -> None:
    for regime in found.regimes:
        problem = chain_problem(math.sqrt(regime.low * regime.high))
        best = brute_force(problem, LATENCY_ONLY)
        assert problem.totals(regime.assignment)[0] == pytest.approx(best.value)
        assert found.regime_at(math.sqrt(regime.low * regime.high)) is regime


def test_the_best_plan_is_never_slower_than_one_device_alone(found: WhatIf) -> None:
    for point in found.points:
        assert set(point.alone_us) == {"pi", "server"}
        assert point.latency_us <= min(point.alone_us.values()) * (1 + 1e-9)
    assert len({round(point.alone_us["pi"], 6) for point in found.points}) == 1
    assert found.points[0].alone_us["server"] > found.points[-1].alone_us["server"]


def test_a_device_that_cannot_keep_the_budgets_alone_is_not_compared() -> None:
    def problem_at(bandwidth: float) -> object:
        problem = chain_problem(bandwidth, layers=3)
        problem.cost[2, 2:, problem.index(ERROR)] = 1.0
        return problem

    goal = Goal({LATENCY: 1.0}, budgets={ERROR: 0.5})
    found = what_if(problem_at, goal, brute_force, low_mbps=1.0, high_mbps=100.0, count=3)  # type: ignore[arg-type]
    assert all(set(point.alone_us) == {"pi"} for point in found.points)


def test_a_device_without_a_choice_for_a_layer_cannot_have_all() -> None:
    problem = chain_problem(layers=3)
    problem.allowed[2, 2:] = False
    assert on_one_device(problem, "server") is None
    assert on_one_device(problem, "pi") is not None


def test_segments_follow_the_order_of_the_layers() -> None:
    own = segments(chain_problem(layers=4), [0, 0, 1, 3, 3, 0])
    assert [(one.device, one.first, one.last) for one in own] == [("pi", 0, 1), ("server", 2, 3)]
    assert own[0].precisions == {"float32": 1, "int8": 1}


def test_a_deadline_that_is_over_leaves_the_bandwidth_there_is_and_says_so() -> None:
    until = Deadline(0.0)
    found = what_if(chain_problem, LATENCY_ONLY, brute_force, low_mbps=1.0, high_mbps=100.0, count=5, deadline=until)
    assert [point.bandwidth_mbps for point in found.points] == pytest.approx([10.0])
    assert found.solved == 1 and found.points[0].alone_us == {}
    assert until.left_out == ["4 of 5 other bandwidths of the link", "single devices at some bandwidths"]


def test_it_reads_itself_back(found: WhatIf) -> None:
    assert WhatIf.from_json(found.to_json()) == found
