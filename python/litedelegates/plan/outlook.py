"""What else there is beside a plan: the front, the best plans over other bandwidths and under other measured times."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from litedelegates.errors import OptionError, nearest
from litedelegates.plan.answers import Answers, costs_of, squared_bound
from litedelegates.plan.costs import build_problem
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.front import FrontPoint, front, front_points
from litedelegates.plan.planning import goal_of, prepared
from litedelegates.plan.problem import ENERGY, ERROR, LATENCY, NBYTES, Array, Problem
from litedelegates.plan.records import Link, Plan
from litedelegates.plan.segments import segments, where
from litedelegates.plan.sensitivity import Sensitivity, compare, likely_rivals
from litedelegates.plan.sources import Source
from litedelegates.plan.uncertainty import uncertainty
from litedelegates.plan.what_if import WhatIf, what_if
from litedelegates.words import counted


def pareto_front(
    sources: Sequence[Source],
    links: Sequence[Link] = (),
    *,
    model: str | os.PathLike[str] | None = None,
    precisions: Collection[str] | None = None,
    budgets: Mapping[str, float] | None = None,
    exits: Mapping[str, float] | None = None,
    count: int = 12,
    deadline: Deadline | None = None,
) -> tuple[FrontPoint, ...]:
    """Return plans none of which is beaten in latency, error, energy and bytes over links, by latency.

    Args:
        sources: As for `make_plan`, like the others.
        links: Between the devices.
        model: Path of the float32 model.
        precisions: Use these only.
        budgets: `Plan.budgets` that all of them keep; those of what the front is about are passed over.
        exits: As for `make_plan`.
        count: About how many.
        deadline: Until then plans are made; what is left out is noted there.

    Raises:
        OptionError: No study has errors, no device has watts, and there are no links: there is nothing but latency.
    """
    _, graph, sources = prepared(sources, model)
    problem = build_problem(graph, sources, links, precisions=precisions, exits=exits)
    quantities = [LATENCY, *(name for name in (ERROR, ENERGY) if name in problem.quantities)]
    quantities += [NBYTES] if links else []
    if len(quantities) < 2:
        raise OptionError(
            "there is only latency to compare: no study has errors, no device has watts, no link is there"
        )
    bounds = {name: bound for name, bound in (budgets or {}).items() if name in problem.quantities}
    bounds = {name: bound for name, bound in bounds.items() if name not in quantities}
    until = deadline or Deadline()
    found = front(problem, quantities, until.solve, count=count, budgets=bounds, deadline=until)
    return front_points(problem, found, functools.partial(costs_of, answers=Answers.of(sources)))


def what_if_bandwidth(
    plan: Plan,
    sources: Sequence[Source],
    links: Sequence[Link],
    name: str,
    *,
    precisions: Collection[str] | None = None,
    span: float = 100.0,
    count: int = 13,
    deadline: Deadline | None = None,
) -> WhatIf:
    """Return the best plan for each bandwidth of a link, with the objective and the bounds of a plan.

    That of the latency is passed over: no plan keeps it over a link that is slow enough.

    Args:
        plan: Whose.
        sources: As for `make_plan`, like the others.
        links: Between the devices.
        name: Of the link whose bandwidth changes.
        precisions: Use these only.
        span: From a share 1 / ``span`` of its bandwidth to ``span`` times as much.
        count: Bandwidths to begin with, evenly in their logarithm.
        deadline: Until then plans are made; what is left out is noted there.

    Raises:
        OptionError: There is no such link.
    """
    links = list(links)
    known = {link.name: place for place, link in enumerate(links)}
    if name not in known:
        raise OptionError(f"there is no link {name!r}. {nearest(name, known)}")
    _, graph, sources = prepared(sources, plan.model)
    link = links[known[name]]

    def problem_at(mbps: float) -> Problem:
        changed = [replace(one, bandwidth_mbps=mbps) if one is link else one for one in links]
        return build_problem(graph, sources, changed, precisions=precisions, exits=plan.exits)

    problem = problem_at(link.bandwidth_mbps)
    bounds = {name: bound for name, bound in _budgets(plan, sources).items() if name != LATENCY}
    goal = goal_of(problem, plan.objective, bounds)
    low, high = link.bandwidth_mbps / span, link.bandwidth_mbps * span
    until = deadline or Deadline()
    return what_if(problem_at, goal, until.solve, low_mbps=low, high_mbps=high, count=count, deadline=until)


def how_sure(
    plan: Plan,
    sources: Sequence[Source],
    links: Sequence[Link] = (),
    *,
    precisions: Collection[str] | None = None,
    solved: int = 8,
    draws: int = 400,
    seed: int = 0,
    deadline: Deadline | None = None,
) -> Sensitivity:
    """Return how a plan compares with those that would have been made, had the layers' times been measured otherwise.

    Args:
        plan: Made of the rest.
        sources: As for `make_plan`, like the others.
        links: Between the devices.
        precisions: Use these only.
        solved: Draws of the measured times for which the best plan is found: those are the rivals.
        draws: Other draws, in which the plan and its rivals are compared.
        seed: Of the draws.
        deadline: Until then rivals are looked for; what is left out is noted there.

    Raises:
        OptionError: The plan was made of something else.
    """
    _, graph, sources = prepared(sources, plan.model)
    problem = build_problem(graph, sources, links, precisions=precisions, exits=plan.exits)
    goal = goal_of(problem, plan.objective, _budgets(plan, sources))
    own, known = _assignment(plan, problem), uncertainty(problem, sources)
    rng = np.random.default_rng(seed)
    until = deadline or Deadline()
    taken = likely_rivals((known.resampled(rng) for _ in range(solved)), goal, until.solve, own, deadline=until)
    rivals = {}
    for name, other in taken.items():
        changed = int(np.sum(own != np.array(other)))
        rivals[f"{name}, {where(segments(problem, other))}, {counted(changed, 'layer')} otherwise"] = other
    sampled = known.draws([own, *rivals.values()], draws, seed + 1)
    return compare(problem, goal, sampled, list(rivals))


def _budgets(plan: Plan, sources: Sequence[Source]) -> dict[str, float]:
    """Return the bounds of a plan as the solver takes them."""
    found = {name: bound for name, bound in plan.budgets.items() if name not in ("error", "accuracy_drop")}
    bounds = plan.budgets.get("error"), plan.budgets.get("accuracy_drop")
    squared = squared_bound(*bounds, Answers.of(sources))
    return found if squared is None else {**found, ERROR: squared}


def _assignment(plan: Plan, problem: Problem) -> Array:
    """Return a plan as the solver has it."""
    places = {choice: place for place, choice in enumerate(problem.choices)}
    chosen = {layer.layer: places.get(layer.choice) for layer in plan.layers}
    ends = {node: int(np.argmax(problem.allowed[node])) for node, layer in enumerate(problem.layers) if layer < 0}
    found = [ends[node] if layer < 0 else chosen.get(layer) for node, layer in enumerate(problem.layers)]
    if None in found:
        raise OptionError("the plan was not made of these devices and precisions")
    return np.array(found)
