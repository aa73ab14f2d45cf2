"""Why a layer has the choice it has: what each other choice would change, in words, from the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.plan.problem import ENERGY, ERROR, LATENCY, MEMORY, NBYTES, Array, Flow, Goal, Problem, Solution
from litedelegates.plan.records import Choice
from litedelegates.words import say_nbytes, say_us

_ALIKE = 1e-9


@dataclass(frozen=True, eq=False)
class Change:
    """What another choice for one node would do, with all else as it is.

    Attributes:
        choice: The other one.
        own: Change of the node's own quantities.
        handing: Change of what its tensors cost to hand on.
        gain: Change of the objective; negative is better.
        broken: Budgets that the plan then exceeds.
    """

    choice: Choice
    own: Array
    handing: Array
    gain: float
    broken: tuple[str, ...]

    @property
    def total(self) -> Array:
        """Change of all quantities."""
        return self.own + self.handing


def reasons(problem: Problem, goal: Goal, solution: Solution) -> dict[int, str]:
    """Return for each layer's node why it has its choice and not another.

    The other choices are looked at one layer at a time: what speaks against a choice for many layers at once, such as a
    whole stage on another device, is in the plan's rivals.
    """
    chosen = np.asarray(solution.assignment)
    flows: dict[int, list[Flow]] = {}
    for flow in problem.flows:
        for node in {flow.source, *flow.readers}:
            flows.setdefault(node, []).append(flow)
    found = {}
    for node, layer in enumerate(problem.layers):
        if layer >= 0:
            others = list(changes(problem, goal, solution, node, flows.get(node, [])))
            found[node] = _reason(problem, goal, problem.choices[chosen[node]], others)
    return found


def changes(problem: Problem, goal: Goal, solution: Solution, node: int, flows: Sequence[Flow]) -> Iterator[Change]:
    """Yield what each other choice of a node would change; those that cannot be are left out.

    Args:
        problem: Whose node it is.
        goal: The objective and the budgets.
        solution: The plan.
        node: The node.
        flows: The tensors that it makes or reads.
    """
    assignment, totals = np.asarray(solution.assignment), solution.totals
    value = goal.value(problem, totals)
    before = _handing(problem, flows, assignment)
    own = problem.cost[node, assignment[node]]
    for place in np.flatnonzero(problem.allowed[node]):
        if place == assignment[node]:
            continue
        other = assignment.copy()
        other[node] = place
        handing = _handing(problem, flows, other) - before
        after = totals + (problem.cost[node, place] - own) + handing
        if not np.isfinite(after).all():
            continue
        broken = tuple(name for name, bound in goal.budgets.items() if _exceeds(after[problem.index(name)], bound))
        gain = goal.value(problem, after) - value
        yield Change(problem.choices[place], problem.cost[node, place] - own, handing, gain, broken)


def _handing(problem: Problem, flows: Sequence[Flow], assignment: Array) -> Array:
    total = np.zeros(len(problem.quantities))
    for flow in flows:
        readers = assignment[list(flow.readers)]
        for toll in flow.tolls:
            total = total + toll.cost[assignment[flow.source], np.unique(toll.form[readers])].sum(axis=0)
    return total


def _exceeds(value: float, bound: float) -> bool:
    return bool(value > bound * (1 + _ALIKE) + 1e-12)


def _reason(problem: Problem, goal: Goal, choice: Choice, found: list[Change]) -> str:
    if not found:
        return "it has no other choice here"
    said = []
    barred = [change for change in found if change.broken and change.gain < 0]
    if barred:
        best = min(barred, key=lambda change: change.gain)
        limits = ", ".join(_beyond(name, goal.budgets[name]) for name in best.broken)
        said.append(f"{_name(best.choice, choice)} would give {_saved(problem, goal, best)}, but {limits}")
    free = [change for change in found if not change.broken]
    if free:
        said.append(
            _next_best(problem, goal, choice, min(free, key=lambda change: (change.gain, _time(problem, change))))
        )
    eaten = [change for change in free if _own_time(problem, change) < 0 < _time(problem, change)]
    if eaten:
        most = min(eaten, key=lambda change: _own_time(problem, change))
        own, handing = -_own_time(problem, most), _time(problem, most) - _own_time(problem, most)
        said.append(
            f"{_name(most.choice, choice)} alone takes {say_us(own)} less, but handing on takes {say_us(handing)} more"
        )
    return "; ".join(dict.fromkeys(said))


def _next_best(problem: Problem, goal: Goal, choice: Choice, change: Change) -> str:
    name, time = _name(change.choice, choice), _time(problem, change)
    if change.gain < 0:
        return f"{name} would give {_saved(problem, goal, change)} by this model of costs: the search stopped before"
    own, handing = _own_time(problem, change), time - _own_time(problem, change)
    is_worth_telling = abs(handing) > 0.05 * abs(time)
    parts = f" ({say_us(own)} in the layer, {say_us(handing)} in handing on)" if is_worth_telling else ""
    how = f"{say_us(abs(time))} {'slower' if time > 0 else 'quicker'}" if abs(time) > 1e-3 else "as quick"
    less = _lesser(problem, change)
    also = f" and {less}" if less else ""
    worth = "" if goal.weights.get(LATENCY) or change.gain > 0 else ", which changes nothing in the objective"
    return f"next best is {name}: {how}{parts}{also}{worth}"


def _saved(problem: Problem, goal: Goal, change: Change) -> str:
    """Return the gain in the terms of the objective."""
    heaviest = max(goal.weights, key=lambda name: goal.weights[name]) if goal.weights else LATENCY
    gain = change.gain if not goal.weights or heaviest == LATENCY else float(change.total[problem.index(heaviest)])
    return f"{_amount(heaviest, -gain)} less"


def _lesser(problem: Problem, change: Change) -> str:
    """Return the error that a choice would add or spare, where that is worth a word."""
    if ERROR not in problem.quantities:
        return ""
    error = float(change.total[problem.index(ERROR)])
    if abs(error) < 1e-12:
        return ""
    return f"{abs(error) ** 0.5:.2g} {'more' if error > 0 else 'less'} error"


def _beyond(name: str, bound: float) -> str:
    if name == ERROR:
        return f"the error would exceed {bound**0.5:.3g}"
    words = {LATENCY: "latency", ENERGY: "energy", NBYTES: "bytes over links"}
    word = f"weights on {name[len(MEMORY) :]}" if name.startswith(MEMORY) else words.get(name, name)
    return f"the {word} would exceed {_amount(name, bound)}"


def _amount(name: str, value: float) -> str:
    if name == NBYTES or name.startswith(MEMORY):
        return say_nbytes(value)
    return f"{value:.3g} mJ" if name == ENERGY else say_us(value)


def _name(other: Choice, own: Choice) -> str:
    """Return what tells a choice from the one that was made."""
    if other.device != own.device:
        return f"{other.precision} on {other.device}"
    if (other.delegate, other.threads) == (own.delegate, own.threads):
        return other.precision
    return f"{other.precision} {other.delegate} {other.threads}t"


def _time(problem: Problem, change: Change) -> float:
    return float(change.total[problem.index(LATENCY)])


def _own_time(problem: Problem, change: Change) -> float:
    return float(change.own[problem.index(LATENCY)])
