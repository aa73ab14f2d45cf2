"""Whether a plan is better than another under what was measured, or only seems so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from litedelegates.plan.problem import LATENCY, Goal, Problem
from litedelegates.plan.sensitivity import Sensitivity, compare, likely_rivals
from plans_by_hand import brute_force, chain_problem

GOAL = Goal({LATENCY: 1.0})
ALL_INT8, ALL_FLOAT = [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]


def compared(problems: Iterable[Problem], goal: Goal, plan: Any, rivals: Mapping[str, Any]) -> Sensitivity:
    """Compare assignments in each of some problems."""
    problem = chain_problem(layers=3)
    totals = [[one.totals(chosen) for chosen in (plan, *rivals.values())] for one in problems]
    return compare(problem, goal, np.array(totals), list(rivals))


def draws(spread: float, count: int = 400, seed: int = 0) -> Iterator[Problem]:
    """Yield a problem whose layers take other times in each draw."""
    rng, problem = np.random.default_rng(seed), chain_problem(layers=3)
    for _ in range(count):
        cost = problem.cost.copy()
        cost[..., 0] *= rng.normal(1.0, spread, cost.shape[:2])
        yield dataclasses.replace(problem, cost=cost)


def test_a_large_gain_is_better_and_its_interval_says_so() -> None:
    found = compared(draws(0.02), GOAL, ALL_INT8, {"float32": ALL_FLOAT}).comparisons[0]
    assert found.verdict == "better"
    assert found.wins == 1.0
    assert found.gain_low < 1.5 < found.gain_high  # float32 takes 2.5 times as long
    assert found.gain == pytest.approx(1.5, abs=0.05)
    back = compared(draws(0.02), GOAL, ALL_FLOAT, {"int8": ALL_INT8})
    assert back.comparisons[0].verdict == "worse"
    assert back.regrets[0].name == "int8"
    assert "takes int8" in back.describe()[-1]


def test_a_gain_smaller_than_the_noise_is_not_called_better() -> None:
    problem = chain_problem(layers=3)
    problem.cost[:, 1, 0] = problem.cost[:, 0, 0] * 0.995
    rng = np.random.default_rng(1)

    def noisy() -> Iterator[Problem]:
        for _ in range(500):
            cost = problem.cost.copy()
            cost[..., 0] *= rng.normal(1.0, 0.03, cost.shape[:2])
            yield dataclasses.replace(problem, cost=cost)

    found = compared(noisy(), GOAL, ALL_INT8, {"float32": ALL_FLOAT})
    assert found.comparisons[0].verdict == "within the noise"
    assert found.comparisons[0].gain_low < 0 < found.comparisons[0].gain_high
    assert "within the noise" in found.describe()[0]


def test_what_two_plans_share_takes_no_part_in_their_difference() -> None:
    problem = chain_problem(layers=3)
    rng = np.random.default_rng(2)

    def shaken() -> Iterator[Problem]:
        for _ in range(200):
            cost = problem.cost.copy()
            cost[1, :, 0] *= rng.uniform(0.5, 2.0)  # the layer that both have alike
            yield dataclasses.replace(problem, cost=cost)

    found = compared(shaken(), GOAL, [0, 0, 1, 1, 0], {"one in float32": [0, 0, 1, 0, 0]}).comparisons[0]
    assert found.wins == 1.0
    assert found.verdict == "better"


def test_the_same_plan_under_another_name_is_a_tie() -> None:
    found = compared(draws(0.1), GOAL, ALL_INT8, {"twin": ALL_INT8})
    assert found.comparisons[0].wins == 0.5
    assert [regret.worst for regret in found.regrets] == [0.0, 0.0]


def test_budgets_are_looked_at_in_each_draw() -> None:
    problem = chain_problem(layers=3)
    value = float(problem.totals(ALL_INT8)[0])
    goal = Goal({LATENCY: 1.0}, budgets={LATENCY: value})
    found = compared(draws(0.1), goal, ALL_INT8, {"float32": ALL_FLOAT})
    assert found.keeps_budgets == pytest.approx(0.5, abs=0.1)
    assert found.comparisons[0].keeps_budgets == 0.0
    assert "exceeds a budget" in found.describe()[-1]


def test_rivals_are_what_other_draws_would_have_taken() -> None:
    problem = next(draws(0.0))
    plan = brute_force(problem, GOAL).assignment
    found = likely_rivals(draws(0.3, count=40, seed=5), GOAL, brute_force, plan)
    assert 1 <= len(found) <= 5
    assert tuple(plan) not in found.values()
    assert likely_rivals(draws(0.001, count=10), GOAL, brute_force, plan) == {}
    told = compared(draws(0.3, seed=6), GOAL, plan, found)
    assert all(comparison.verdict != "worse" for comparison in told.comparisons)
    assert Sensitivity.from_json(told.to_json()) == told


def test_no_draws_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="needs draws"):
        compared([], GOAL, ALL_INT8, {})
