"""The single cuts of a network in the planner's model of costs; what `split.py` runs some of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from litedelegates.graph import Graph
from litedelegates.plan import LayerPlan, Link, Plan, Source, make_plan
from litedelegates.plan.planning import costs_of
from litedelegates.plan.problem import Problem
from litedelegates.plan.stages import Stages
from split_network import EDGE, SERVER

PRECISIONS = ("float32", "int8")


@dataclass(frozen=True)
class Cut:
    """A single cut.

    Attributes:
        after: Layer before the cut, by its place in the order of execution.
        name: Of that layer.
        precisions: Before and behind the cut.
        nbytes: That go over the link for one input, there and back.
        latency_us: Predicted of one input.
        period_us: Predicted between two outputs.
        chosen: The assignment in the planner's problem.
    """

    after: int
    name: str
    precisions: tuple[str, str]
    nbytes: int
    latency_us: float
    period_us: float
    chosen: tuple[int, ...]


def search(graph: Graph, problem: Problem) -> list[Cut]:
    """Return every single cut that is legal, with what the planner's model of costs says of it."""
    inner = [node for node, layer in enumerate(problem.layers) if layer >= 0]
    ends = {node: int(np.flatnonzero(problem.allowed[node])[0]) for node in range(len(problem.layers))}
    places = {(choice.device, choice.precision): place for place, choice in enumerate(problem.choices)}
    found = []
    for before in PRECISIONS:
        for behind in PRECISIONS:
            pair = places[EDGE, before], places[SERVER, behind]
            for count in range(1, len(inner)):
                chosen = dict(ends)
                chosen.update(dict.fromkeys(inner[:count], pair[0]) | dict.fromkeys(inner[count:], pair[1]))
                assignment = np.array([chosen[node] for node in range(len(problem.layers))])
                if not problem.allowed[np.arange(len(assignment)), assignment].all():
                    continue
                costs_total = problem.totals(assignment)
                if not np.isfinite(costs_total).all():
                    continue
                costs = costs_of(problem, costs_total)
                layer = problem.layers[inner[count - 1]]
                name = graph.ops[layer].makes[0].name
                found.append(
                    Cut(
                        layer, name, (before, behind), costs.nbytes, costs.latency_us, costs.period_us,
                        tuple(map(int, assignment)),
                    )
                )  # fmt: skip
    return found


def chosen(cuts: Sequence[Cut], others: int) -> Iterator[tuple[str, Cut]]:
    """Yield the cuts to run: the best ones, and some others evenly spread over the float32 ones."""
    best = {
        "best latency": min(cuts, key=lambda cut: cut.latency_us),
        "best period": min(cuts, key=lambda cut: cut.period_us),
    }
    yield from best.items()
    plain = [cut for cut in cuts if cut.precisions == ("float32", "float32") and cut not in best.values()]
    for place in np.linspace(0, len(plain) - 1, others + 2)[1:-1]:
        yield "another", plain[round(place)]


def plan_of(
    model: Path, graph: Graph, problem: Problem, sources: Sequence[Source], links: Sequence[Link], cut: Cut
) -> Plan:
    """Return a cut as a plan."""
    assignment = np.array(cut.chosen)
    stages = Stages(problem, assignment)
    layers = tuple(
        LayerPlan(layer, graph.ops[layer].type, "", problem.choices[cut.chosen[node]], stages.number(node), 0.0)
        for node, layer in enumerate(problem.layers)
        if layer >= 0
    )
    free = make_plan(sources[:1], model=model)  # for what all plans of a model have
    return replace(
        free,
        objective="latency",
        devices=tuple(source.device for source in sources),
        links=tuple(links),
        layers=layers,
        stages=stages.plans(),
        crossings=stages.crossings(graph, sources[0].study, links),
        costs=costs_of(problem, problem.totals(assignment)),
        rivals=(),
        notes=(),
    )
