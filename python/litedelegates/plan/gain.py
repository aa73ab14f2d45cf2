"""Whether a plan is better than the default, or only seems so: the gain, its interval, and what to do.

The default is what there is without a plan: float32 for all layers, on the delegate and device where it is best within
the bounds. The gain is what the default costs over what the plan costs. Its interval is that of the logarithm, from
everything that was measured and differs between the two; what both share takes no part in it. The plan was picked among
several choices, and the best of several seems better than it is: the interval has the width at which, in 95 % of
studies of models in which no choice is better, none seems to be (C. E. Bonferroni's correction).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from litedelegates.plan.problem import BUSY, LATENCY, Array, Goal, Problem, Solution
from litedelegates.plan.records import Choice, Gain
from litedelegates.plan.uncertainty import Effects, Uncertainty
from litedelegates.quantize.request import FLOAT32

_TAIL = 0.025


def default_of(problem: Problem, goal: Goal) -> tuple[Choice, Array] | None:
    """Return the choice and the assignment of the default; None where float32 is no choice, or exceeds the bounds."""
    found = (one for one in _uniform(problem, goal) if one[0].precision == FLOAT32)
    return min(found, key=lambda one: goal.value(problem, problem.totals(one[1])), default=None)


def shown_plan(known: Uncertainty, goal: Goal, solution: Solution) -> tuple[Solution, str]:
    """Return a plan that is shown to be better than the default, and a note where that is not the one that was found.

    A mixture is less sure than a model in one precision, whose time was measured. Where the best plan is not shown to
    be better than the default and such a model is, the best of those is taken.
    """
    gain = gain_of(known, goal, solution.assignment)
    if gain is None or gain.is_shown:
        return solution, ""
    problem = known.problem
    better = []
    for choice, assignment in _uniform(problem, goal):
        own = gain_of(known, goal, assignment)
        if own is not None and own.is_shown:
            totals = problem.totals(assignment)
            better.append((goal.value(problem, totals), choice.label, assignment, totals))
    if not better:
        return solution, ""
    value, label, assignment, totals = min(better, key=lambda one: one[0])
    note = (
        f"a mixture with {1 - solution.value / value:.1%} less is expected, and is not shown to be better than "
        f"{gain.name} (95 % interval {gain.low:.2f} to {gain.high:.2f} times); {label} everywhere is, and was taken"
    )
    method = f"{solution.method}, then the best in one precision"
    return Solution(assignment, totals, value, min(solution.bound, value), method, solution.seconds), note


def _uniform(problem: Problem, goal: Goal) -> Iterator[tuple[Choice, Array]]:
    """Yield each choice that all layers can have within the bounds, and its assignment."""
    ends = np.array(problem.layers) < 0
    for place, choice in enumerate(problem.choices):
        chosen = np.where(ends, problem.allowed.argmax(axis=1), place)
        if not problem.allowed[np.arange(len(chosen)), chosen].all():
            continue
        totals = problem.totals(chosen)
        if np.isfinite(goal.value(problem, totals)) and goal.is_within(problem, totals):
            yield choice, chosen


def gain_of(known: Uncertainty, goal: Goal, assignment: Sequence[int] | Array) -> Gain | None:
    """Return how much better an assignment is than the default; None where there is no default, or nothing to gain.

    Args:
        known: How sure the problem's times are.
        goal: The objective and the budgets.
        assignment: The plan.
    """
    problem, chosen = known.problem, np.asarray(assignment)
    found = default_of(problem, goal)
    if found is None:
        return None
    default, other = found
    if (chosen == other).all():
        return Gain(default, 1.0, 1.0, 1.0)
    own, base = (_Side.of(known, goal, one) for one in (chosen, other))
    if min(own.value, base.value) <= 0:  # such as bytes where nothing is sent
        return None
    variance = own.alone**2 + base.alone**2
    for part in ("layers", "wholes", "devices"):
        both = [getattr(side.effects, part) / side.value for side in (own, base)]
        variance += float(np.sum((both[0] - both[1]) ** 2))
    ratio = base.value / own.value
    reach = NormalDist().inv_cdf(1 - _TAIL / max(1, len(problem.choices) - 1)) * variance**0.5
    return Gain(default, ratio, ratio * float(np.exp(-reach)), ratio * float(np.exp(reach)))


@dataclass(frozen=True, eq=False)
class _Side:
    """One of two assignments: its objective, what makes it unsure, and the part of that which no other shares."""

    value: float
    effects: Effects
    alone: float

    @classmethod
    def of(cls, known: Uncertainty, goal: Goal, assignment: Array) -> _Side:
        problem, totals = known.problem, known.problem.totals(assignment)
        quantity = _quantity(problem, goal, totals)
        value, effects = float(totals[quantity]), known.effects(assignment, quantity)
        is_time = problem.quantities[quantity] == LATENCY or problem.quantities[quantity].startswith(BUSY)
        guessed = known.guessed(assignment) if is_time else 0.0
        return cls(value, effects, float(np.hypot(effects.mixing, guessed)) / value if value else 0.0)


def _quantity(problem: Problem, goal: Goal, totals: Array) -> int:
    """Return the quantity that the objective is: of several the largest, of a sum the one with the most weight."""
    if goal.largest:
        return max(map(problem.index, goal.largest), key=lambda place: float(totals[place]))
    return problem.index(max(goal.weights, key=lambda name: goal.weights[name]))
