"""The Pareto front: nothing beats what is on it, and the sweep finds what trying everything finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.front import front, non_dominated
from litedelegates.plan.problem import ERROR, LATENCY, NBYTES, Goal, Problem, Solution
from plans_by_hand import brute_force, chain_problem


def everything(problem: Problem, quantities: tuple[str, ...]) -> tuple[Solution, ...]:
    rows = itertools.product(*(np.flatnonzero(row) for row in problem.allowed))
    all_of_them = (Solution(np.array(row), problem.totals(row), 0.0, 0.0, "", 0.0) for row in rows)
    return non_dominated(problem, quantities, all_of_them)


def values(problem: Problem, quantity: str, solutions: tuple[Solution, ...]) -> list[float]:
    return [float(solution.totals[problem.index(quantity)]) for solution in solutions]


@pytest.mark.parametrize("second", [ERROR, NBYTES])
def test_with_enough_budgets_the_front_is_that_of_all_assignments(second: str) -> None:
    problem = chain_problem(3000.0, layers=4)
    truth = everything(problem, (LATENCY, second))
    found = front(problem, (LATENCY, second), brute_force, count=200)
    assert len(truth) == (7 if second == ERROR else 3)
    for quantity in (LATENCY, second):
        assert values(problem, quantity, found) == pytest.approx(values(problem, quantity, truth))


def test_few_budgets_go_where_the_gaps_are_widest() -> None:
    problem = chain_problem(3000.0, layers=5)
    solved = []

    def counting(own: Problem, goal: Goal) -> Solution:
        solved.append(goal)
        return brute_force(own, goal)

    found = front(problem, (LATENCY, ERROR), counting, count=6)
    assert len(solved) == 6 + 3
    truth = everything(problem, (LATENCY, ERROR))
    whole = set(values(problem, LATENCY, truth))
    assert all(min(abs(one - other) for other in whole) < 1e-6 for one in values(problem, LATENCY, found))
    assert values(problem, LATENCY, found)[0] == values(problem, LATENCY, truth)[0]
    assert values(problem, ERROR, found)[-1] == values(problem, ERROR, truth)[-1] == 0


def test_three_quantities_have_a_front_of_their_own() -> None:
    problem = chain_problem(3000.0, layers=4)
    quantities = (LATENCY, ERROR, NBYTES)
    found = front(problem, quantities, brute_force, count=40)
    pairs = front(problem, (LATENCY, ERROR), brute_force, count=40)
    truth = {tuple(np.round(one.totals[:3], 6)) for one in everything(problem, quantities)}
    assert {tuple(np.round(one.totals[:3], 6)) for one in found} <= truth
    assert len(found) > len(pairs)


def test_budgets_of_the_caller_are_kept_by_all() -> None:
    problem = chain_problem(3000.0, layers=4)
    free = front(problem, (LATENCY, NBYTES), brute_force)
    assert max(values(problem, ERROR, free)) > 5e-4
    found = front(problem, (LATENCY, NBYTES), brute_force, budgets={ERROR: 5e-4})
    assert max(values(problem, ERROR, found)) <= 5e-4
    assert len(found) > 1


def test_a_front_without_time_has_the_quickest_plan_and_says_what_is_missing() -> None:
    problem, until = chain_problem(3000.0, layers=4), Deadline(0.0)
    (found,) = front(problem, (LATENCY, ERROR), brute_force, deadline=until)
    assert found.value == brute_force(problem, Goal({LATENCY: 1.0})).value
    assert until.left_out == ["some plans of the front"]
    assert Deadline().left_s is None and not Deadline().is_over
    assert 0 < (Deadline(10.0).part(0.5).left_s or 0) <= 5


def test_a_problem_without_a_choice_has_a_front_of_one() -> None:
    problem = chain_problem(layers=3)
    problem.allowed[1:-1, 1:] = False
    assert len(front(problem, (LATENCY, ERROR), brute_force)) == 1
