"""The solver against trying everything, on many small problems of all kinds."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np
import pytest
from litedelegates.errors import PlanError
from litedelegates.plan.problem import BUSY, ENERGY, ERROR, LATENCY, Goal, Problem
from litedelegates.plan.program import optimize as solve_program
from litedelegates.plan.solve import min_marginals, solve
from litedelegates.plan.target import Target
from plan_problems import make_goal, make_problem, try_everything

SEEDS = range(360)
PER_TEST = 30


@pytest.mark.parametrize("first", SEEDS[::PER_TEST])
def test_every_sum_without_budgets_is_as_good_as_trying_everything(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        problem, weights = make_problem(seed), dict.fromkeys((LATENCY, ENERGY), 1.0)
        goal = Goal(weights)
        expected = try_everything(problem).best(problem, goal)
        if np.isinf(expected):
            with pytest.raises(PlanError, match="no assignment is possible"):
                solve(problem, goal)
            continue
        solution = solve(problem, goal)
        assert solution.value == pytest.approx(expected, rel=1e-12), seed
        assert solution.is_exact and solution.method == "elimination"
        assert problem.allowed[np.arange(len(problem.layers)), solution.assignment].all()
        assert np.array_equal(solution.totals, problem.totals(solution.assignment))


@pytest.mark.parametrize("first", SEEDS[::PER_TEST])
def test_every_goal_with_budgets_or_the_largest_of_several_is_as_good_as_trying_everything(first: int) -> None:
    pytest.importorskip("scipy")
    for seed in range(first, first + PER_TEST):
        problem = make_problem(seed)
        everything = try_everything(problem)
        goal = make_goal(seed, problem, everything)
        expected = everything.best(problem, goal)
        if np.isinf(expected):
            with pytest.raises(PlanError, match=r"the least that can be reached|no assignment is possible"):
                solve(problem, goal)
            continue
        solution = solve(problem, goal)
        assert solution.value == pytest.approx(expected, rel=1e-9), seed
        assert solution.is_exact, seed
        assert goal.is_within(problem, solution.totals)
        assert problem.allowed[np.arange(len(problem.layers)), solution.assignment].all()


def test_a_budget_in_the_way_is_named_with_what_can_be_reached() -> None:
    pytest.importorskip("scipy")
    problem = make_problem(3)
    least = try_everything(problem).totals[:, problem.index(ENERGY)].min()
    with pytest.raises(PlanError, match=re.escape(f"energy_mj <= {least * 0.9:.6g}: the least that can be reached is")):
        solve(problem, Goal({LATENCY: 1.0}, budgets={ERROR: 1e6, ENERGY: float(least * 0.9)}))


def test_budgets_that_only_together_are_in_the_way_are_told_from_each_other() -> None:
    pytest.importorskip("scipy")
    problem, everything = _opposed()
    energy, latency = (float(everything.totals[:, problem.index(name)].min()) for name in (ENERGY, LATENCY))
    assert np.isinf(everything.best(problem, Goal({ENERGY: 1.0}, budgets={ENERGY: energy, LATENCY: latency})))
    goal = Goal({LATENCY: 1.0}, budgets={ENERGY: energy, LATENCY: latency})
    reachable = everything.best(problem, Goal({LATENCY: 1.0}, budgets={ENERGY: energy}))
    with pytest.raises(PlanError, match=re.escape(f"with energy_mj <= {energy:.6g} is {reachable:.6g}")):
        solve(problem, goal)


def test_the_error_in_the_way_is_told_as_it_is_asked_for() -> None:
    pytest.importorskip("scipy")
    problem = make_problem(3)
    problem.cost[:, :, problem.index(ERROR)] += 0.01
    with pytest.raises(PlanError, match=r"error <= 0\.05: the least"):  # the squares are what is bounded
        solve(problem, Goal({LATENCY: 1.0}, budgets={ERROR: 0.05**2}))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_what_a_choice_forces_is_exact_for_a_sum(first: int) -> None:
    for seed in range(first, first + 20):
        problem, goal = make_problem(seed), Goal({LATENCY: 1.0, ENERGY: 0.5})
        everything = try_everything(problem)
        values = everything.totals @ [goal.weights.get(name, 0.0) for name in problem.quantities]
        expected = np.full(problem.allowed.shape, np.inf)
        for node in range(len(expected)):
            np.minimum.at(expected[node], everything.assignments[:, node], values)
        assert np.allclose(min_marginals(problem, goal), expected), seed


def test_what_a_choice_forces_is_a_bound_with_budgets() -> None:
    pytest.importorskip("scipy")
    for seed in range(60):
        problem = make_problem(seed)
        everything = try_everything(problem)
        goal = make_goal(seed, problem, everything)
        within = [goal.is_within(problem, totals) for totals in everything.totals]
        if not any(within):
            continue
        bounds = min_marginals(problem, goal)
        for assignment, totals in zip(everything.assignments[within], everything.totals[within], strict=True):
            worst = bounds[np.arange(len(assignment)), assignment].max()
            assert worst <= goal.value(problem, totals) * (1 + 1e-9), seed


def test_the_bound_of_what_a_time_limit_cuts_short_is_a_bound() -> None:
    pytest.importorskip("scipy")
    for seed in range(0, 60):
        problem = make_problem(seed)
        everything = try_everything(problem)
        goal = Goal(largest=problem.named(BUSY))
        if len(everything.totals) == 0:
            continue
        try:
            solution = solve(problem, goal, time_limit_s=0.002)
        except PlanError as error:
            assert "allow more time" in str(error)
            continue
        expected = everything.best(problem, goal)
        assert solution.bound <= expected * (1 + 1e-9) <= solution.value * (1 + 2e-9)


def _opposed() -> tuple[Problem, object]:
    """Return a problem in which what takes least energy takes more time, with all its assignments."""
    for seed in range(100):
        problem = make_problem(seed)
        everything = try_everything(problem)
        if len(everything.totals):
            least = everything.totals[:, [problem.index(ENERGY), problem.index(LATENCY)]]
            if not (least == least.min(axis=0)).all(axis=1).any():
                return problem, everything
    raise AssertionError("no such problem among these")


def test_what_the_solver_prints_reaches_nobody(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    milp, called = optimize.milp, []

    def chatty(*arguments: Any, **options: Any) -> Any:
        called.append(ctypes.CDLL(None).puts(b"HighsMipSolverData::transformNewIntegerFeasibleSolution"))
        return milp(*arguments, **options)

    monkeypatch.setattr(optimize, "milp", chatty)
    problem = make_problem(3)
    target = Target(problem, Goal({LATENCY: 1.0}))
    allowed = problem.allowed & np.isfinite(problem.cost).all(axis=2)
    found = solve_program(problem, target, allowed, size=1.0, time_limit_s=5.0)
    assert found.assignment is not None and called
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr() == ("", "")
    print("heard again")
    assert capfd.readouterr().out == "heard again\n"
