"""Why a layer is what it is: from the numbers, in words."""

from __future__ import annotations

import numpy as np

from litedelegates.plan.problem import ERROR, LATENCY, Array, Goal, Problem, Solution


def reasons(problem: Problem, goal: Goal, solution: Solution) -> dict[int, str]:
    """Return a sentence for each node: what the best other choice for this layer alone would change.

    Everything else stays as it is, so what is said is exact for one change and no promise for several.
    """
    flows: dict[int, list[int]] = {}
    for place, flow in enumerate(problem.flows):
        for node in {flow.source, *flow.readers}:
            flows.setdefault(node, []).append(place)
    return {
        node: _reason(problem, goal, solution, node, flows.get(node, []))
        for node, layer in enumerate(problem.layers)
        if layer >= 0
    }


def _reason(problem: Problem, goal: Goal, solution: Solution, node: int, flows: list[int]) -> str:
    chosen = solution.assignment.copy()
    own = int(chosen[node])
    others: list[tuple[float, int, Array]] = []
    before = _part(problem, chosen, node, flows)
    for choice in map(int, np.flatnonzero(problem.allowed[node])):
        if choice == own:
            continue
        chosen[node] = choice
        with np.errstate(invalid="ignore"):
            totals = solution.totals - before + _part(problem, chosen, node, flows)
        if np.isfinite(totals).all():
            others.append((goal.value(problem, totals) - solution.value, choice, totals))
    if not others:
        return "nothing else is possible here"
    quicker = [other for other in others if other[0] < -1e-9 * abs(solution.value)]
    gain, choice, totals = min(quicker or others, key=lambda other: other[0])
    name = _named(problem, own, choice)
    change = totals - solution.totals
    if quicker:
        broken = [bound for bound, most in goal.budgets.items() if totals[problem.index(bound)] > most]
        return f"{name} would gain {_amount(problem, goal, -gain)} and exceed {' and '.join(broken)}"
    said = f"{name} would cost {_amount(problem, goal, gain)} more"
    if ERROR in problem.quantities and change[problem.index(ERROR)] < 0:
        said += f" to take {-change[problem.index(ERROR)] / max(solution.totals[problem.index(ERROR)], 1e-300):.1%} off the squared error"
    return said


def _part(problem: Problem, chosen: Array, node: int, flows: list[int]) -> Array:
    total = problem.cost[node, chosen[node]]
    for place in flows:
        flow = problem.flows[place]
        readers = chosen[list(flow.readers)]
        for toll in flow.tolls:
            total = total + toll.cost[chosen[flow.source], np.unique(toll.form[readers])].sum(axis=0)
    return np.asarray(total)


def _named(problem: Problem, own: int, other: int) -> str:
    """Return what is different about another choice."""
    mine, theirs = problem.choices[own], problem.choices[other]
    pairs = [
        (mine.precision, theirs.precision),
        (mine.device, f"on {theirs.device}"),
        (mine.delegate, f"with {theirs.delegate}"),
        (str(mine.threads), f"on {theirs.threads} threads"),
    ]
    said = [text for before, text in pairs if before != text.removeprefix("on ").removeprefix("with ").split(" thr")[0]]
    return " ".join(said)


def _amount(problem: Problem, goal: Goal, value: float) -> str:
    if goal.largest or goal.weights.get(LATENCY) == 1.0:
        return f"{value:.3g} us" if abs(value) < 1000 else f"{value / 1000:.3g} ms"
    return f"{value:.3g}"
