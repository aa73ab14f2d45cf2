"""Decisions in words: each sentence is checked against the numbers it came from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from litedelegates.plan.explaining import changes, reasons
from litedelegates.plan.problem import ERROR, LATENCY, NBYTES, Goal
from litedelegates.plan.records import Costs, Plan, Rival
from litedelegates.plan.story import best_uniform, busy_us, tell
from litedelegates.words import listed, say_nbytes, say_us
from plans_by_hand import brute_force, chain, chain_problem, one_stage


def test_a_change_is_what_the_totals_of_both_assignments_differ_by() -> None:
    problem, goal = chain_problem(50.0), Goal({LATENCY: 1.0})
    solution = brute_force(problem, goal)
    plan = solution.assignment
    for node in range(1, 6):
        touched = [flow for flow in problem.flows if node in (flow.source, *flow.readers)]
        found = list(changes(problem, goal, solution, node, touched))
        assert len(found) == 3
        for change in found:
            other = plan.copy()
            other[node] = problem.choices.index(change.choice)
            np.testing.assert_allclose(change.total, problem.totals(other) - problem.totals(plan), atol=1e-9)
            assert change.gain >= 0


def test_a_layer_that_would_break_the_budget_says_so_with_the_gain_it_forgoes() -> None:
    problem, goal = chain_problem(1.0), Goal({LATENCY: 1.0}, budgets={ERROR: 0.0})
    plan = brute_force(problem, goal)
    why = reasons(problem, goal, plan)
    saved = 0.6 * float(problem.cost[2, 0, 0])
    assert why[2].startswith(f"int8 would give {say_us(saved)} less, but the error would exceed 0")
    assert set(why) == {1, 2, 3, 4, 5}


def test_the_next_best_choice_is_named_with_what_it_would_cost() -> None:
    problem, goal = chain_problem(1.0), Goal({LATENCY: 1.0})
    why = reasons(problem, goal, brute_force(problem, goal))
    slower = 0.6 * float(problem.cost[3, 0, 0])
    assert f"next best is float32: {say_us(slower)} slower" in why[3]
    assert "int8 on server alone takes" in why[3]
    assert "handing on takes" in why[3]


def test_a_layer_without_a_choice_says_that() -> None:
    problem, goal = chain_problem(1.0), Goal({LATENCY: 1.0})
    problem.allowed[3, 1:] = False
    assert reasons(problem, goal, brute_force(problem, goal))[3] == "it has no other choice here"


def test_other_objectives_are_told_in_their_own_units() -> None:
    problem = chain_problem(3000.0)
    goal = Goal({NBYTES: 1.0, LATENCY: 1e-6}, budgets={LATENCY: 1800.0})
    plan = brute_force(problem, goal)
    assert plan.totals[problem.index(NBYTES)] > 0
    words = " ".join(reasons(problem, goal, plan).values())
    assert "the latency would exceed 1.80 ms" in words
    assert "bytes less" in words or "kB less" in words


def told(plan: Plan) -> dict[str, str]:
    return {chapter.title: " ".join(chapter.sentences) for chapter in tell(plan)}


def test_a_plan_is_told_from_its_numbers() -> None:
    rivals = (
        Rival("all int8 on pi", Costs(60_000, 60_000, error=0.01)),
        Rival("all int8 on server", Costs(20_000, 5_000, nbytes=90_000, error=0.5), "error 0.5 above 0.1"),
    )
    plan = dataclasses.replace(chain(), rivals=rivals, budgets={"error": 0.1})
    words = told(plan)
    best = best_uniform(plan)
    assert best is not None and best.name == "all int8 on pi"
    saved = 1 - plan.costs.latency_us / 60_000
    assert f"the plan has {saved:.0%} less" in words["Against one choice for all layers"]
    assert "all int8 on server would have" in words["Against one choice for all layers"]
    assert "error 0.5 above 0.1" in words["Against one choice for all layers"]
    assert (
        "20 kB as float32 in 10.2 ms, of it 8.00 ms for its bytes at 20 Mbit/s and 2.20 ms whatever"
        in words["Borders and cuts"]
    )
    assert "all wait for pi: it works 10.0 ms" in words["What would have to change"]


def test_the_bandwidth_at_which_the_plan_stops_to_pay_is_where_both_take_as_long() -> None:
    plan = dataclasses.replace(chain(), rivals=(Rival("all on pi", Costs(40_000, 40_000)),))
    words = told(plan)["What would have to change"]
    even = float(words.split("Below ")[1].split(" Mbit/s")[0])
    link = dataclasses.replace(plan.links[0], bandwidth_mbps=even)
    assert chain(link).costs.latency_us == pytest.approx(40_000, rel=0.01)


def test_how_busy_each_part_is_gives_the_period() -> None:
    plan = chain()
    assert max(busy_us(plan).values()) == pytest.approx(plan.costs.period_us)
    assert set(busy_us(plan)) == {"pi", "server", "wifi"}


def test_a_plan_that_sends_nothing_and_has_no_rival_can_be_told() -> None:
    assert "In short" in told(one_stage(1000.0))
    assert "Against one choice for all layers" not in told(one_stage(1000.0))


def test_numbers_have_the_unit_that_suits_them() -> None:
    assert [say_us(us) for us in (0.5, 12, 999.7, 3400, 5.6e6)] == [
        "0.500 µs",
        "12.0 µs",
        "1000 µs",
        "3.40 ms",
        "5.60 s",
    ]
    assert [say_nbytes(nbytes) for nbytes in (9, 1500, 2.5e6)] == ["9 bytes", "1.5 kB", "2.5 MB"]
    assert listed(["a", "b", "c"]) == "a, b and c"
