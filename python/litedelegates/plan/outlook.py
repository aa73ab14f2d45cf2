"""What else there is beside a plan: the front of latency against error, and the best plans over other bandwidths."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Sequence
from dataclasses import replace

from litedelegates.errors import OptionError, nearest
from litedelegates.plan.answers import Answers, costs_of
from litedelegates.plan.costs import build_problem
from litedelegates.plan.front import FrontPoint, front, front_points
from litedelegates.plan.planning import goal_of, prepared
from litedelegates.plan.problem import ERROR, LATENCY, NBYTES, Problem
from litedelegates.plan.records import Link, Plan
from litedelegates.plan.solve import solve
from litedelegates.plan.sources import Source
from litedelegates.plan.what_if import WhatIf, what_if

_SECONDS = 2.0  # for each of the many plans


def pareto_front(
    sources: Sequence[Source],
    links: Sequence[Link] = (),
    *,
    model: str | os.PathLike[str] | None = None,
    precisions: Collection[str] | None = None,
    count: int = 12,
) -> tuple[FrontPoint, ...]:
    """Return plans none of which is beaten in latency, error and bytes over links, by latency.

    Args:
        sources: As for `make_plan`, like the others.
        links: Between the devices.
        model: Path of the float32 model.
        precisions: Use these only.
        count: About how many.

    Raises:
        OptionError: No study has errors, and there are no links: there is nothing but latency.
    """
    _, graph, sources = prepared(sources, model)
    problem = build_problem(graph, sources, links, precisions=precisions)
    quantities = [LATENCY, *([ERROR] if ERROR in problem.quantities else []), *([NBYTES] if links else [])]
    if len(quantities) < 2:
        raise OptionError("there is only latency to compare: no study has errors, and there are no links")
    found = front(problem, quantities, functools.partial(solve, time_limit_s=_SECONDS), count=count)
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
) -> WhatIf:
    """Return the best plan for each bandwidth of a link, with the objective and the bound of the error of a plan.

    Args:
        plan: Whose.
        sources: As for `make_plan`, like the others.
        links: Between the devices.
        name: Of the link whose bandwidth changes.
        precisions: Use these only.
        span: From a share 1 / ``span`` of its bandwidth to ``span`` times as much.
        count: Bandwidths to begin with, evenly in their logarithm.

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
        return build_problem(graph, sources, changed, precisions=precisions)

    problem = problem_at(link.bandwidth_mbps)
    bound = plan.budgets.get("error")
    goal = goal_of(problem, plan.objective, {} if bound is None else {ERROR: bound**2})
    low, high = link.bandwidth_mbps / span, link.bandwidth_mbps * span
    solver = functools.partial(solve, time_limit_s=_SECONDS)
    return what_if(problem_at, goal, solver, low_mbps=low, high_mbps=high, count=count)
