"""The solver against trying everything, and what it says where there is no answer."""

from __future__ import annotations

import numpy as np
import plan_networks
import pytest
from litedelegates.errors import PlanError
from litedelegates.plan.problem import ERROR, LATENCY, MEMORY, Goal
from litedelegates.plan.solve import solve

SHAPES = ("chain", "skips", "dag")


@pytest.mark.parametrize("seed", range(150))
def test_a_sum_without_budgets_is_minimized_exactly(seed: int) -> None:
    problem = plan_networks.random_problem(seed, nodes=4, shape=SHAPES[seed % 3])
    goal = plan_networks.random_goal(problem, seed, budgets=0)
    if goal.largest:
        goal = Goal(weights={LATENCY: 1.0})
    solution = solve(problem, goal)
    assert solution.method == "elimination"
    assert solution.is_exact
    assert solution.value == pytest.approx(plan_networks.brute_force(problem, goal), rel=1e-12)
    assert np.allclose(problem.totals(solution.assignment), solution.totals)


@pytest.mark.parametrize("seed", range(150))
def test_budgets_and_the_largest_of_several_give_what_trying_everything_gives(seed: int) -> None:
    pytest.importorskip("scipy")
    problem = plan_networks.random_problem(1000 + seed, nodes=4, shape=SHAPES[seed % 3])
    goal = plan_networks.random_goal(problem, seed, budgets=seed % 3)
    expected = plan_networks.brute_force(problem, goal)
    if expected is None:
        with pytest.raises(PlanError, match="no plan keeps"):
            solve(problem, goal)
        return
    solution = solve(problem, goal)
    assert goal.is_within(problem, solution.totals)
    assert solution.value == pytest.approx(expected, rel=1e-7)
    assert solution.bound <= expected * (1 + 1e-7) + 1e-12
    assert solution.gap <= 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bound_of_a_larger_problem_holds_and_is_close(shape: str) -> None:
    pytest.importorskip("scipy")
    problem = plan_networks.random_problem(5, nodes=60, shape=shape)
    plain = solve(problem, Goal(weights={LATENCY: 1.0}))
    least = solve(problem, Goal(weights={ERROR: 1.0}))
    middle = (plain.totals[problem.index(ERROR)] + least.totals[problem.index(ERROR)]) / 2
    solution = solve(problem, Goal(weights={LATENCY: 1.0}, budgets={ERROR: middle}), time_limit_s=120)
    assert plain.value <= solution.bound * (1 + 1e-9)
    assert solution.bound <= solution.value <= least.totals[problem.index(LATENCY)]
    assert solution.gap < 0.02


def test_a_budget_that_cannot_be_kept_is_named_with_what_can_be_reached() -> None:
    pytest.importorskip("scipy")
    problem = plan_networks.random_problem(3)
    with pytest.raises(PlanError, match=r"memory:d0.*the least that can be reached is 4"):
        solve(problem, Goal(weights={LATENCY: 1.0}, budgets={MEMORY + "d0": 0.5}))
