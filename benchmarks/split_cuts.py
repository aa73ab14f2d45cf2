"""The single cuts of a network in the planner's model of costs; what `split.py` runs some of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from litedelegates.graph import Graph
from litedelegates.plan import LayerPlan, Link, Plan, Source, make_plan
from litedelegates.plan.answers import costs_of
from litedelegates.plan.problem import Problem
from litedelegates.plan.simulation import timeline
from litedelegates.plan.stages import Stages
from litedelegates.plan.uncertainty import uncertainty
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
        interval_us: Of ``latency_us``, from those of the layers' times.
        period_us: Predicted between two outputs.
        chosen: The assignment in the planner's problem.
    """

    after: int
    name: str
    precisions: tuple[str, str]
    nbytes: int
    latency_us: float
    interval_us: tuple[float, float]
    period_us: float
    chosen: tuple[int, ...]


class Search:
    """All single cuts of a network between two devices.

    Attributes:
        cuts: Every one that is legal, with what the planner's model of costs says of it.
    """

    def __init__(self, graph: Graph, problem: Problem, sources: Sequence[Source], links: Sequence[Link]) -> None:
        """Find them.

        Args:
            graph: The float32 model.
            problem: As `build_problem` made it of the rest.
            sources: The two devices.
            links: Between them and to here.
        """
        self._graph, self._problem, self._sources, self._links = graph, problem, sources, links
        self._whole = make_plan(sources[:1], model=sources[0].study.model)  # for what all plans of a model have
        self.cuts = list(self._find())

    def _find(self) -> Iterator[Cut]:
        problem, sureness = self._problem, uncertainty(self._problem, self._sources)
        inner = [node for node, layer in enumerate(problem.layers) if layer >= 0]
        ends = {node: int(np.flatnonzero(problem.allowed[node])[0]) for node in range(len(problem.layers))}
        places = {(choice.device, choice.precision): place for place, choice in enumerate(problem.choices)}
        for before, behind in itertools.product(PRECISIONS, PRECISIONS):
            pair = places[EDGE, before], places[SERVER, behind]
            for count in range(1, len(inner)):
                chosen = dict(ends)
                chosen.update(dict.fromkeys(inner[:count], pair[0]) | dict.fromkeys(inner[count:], pair[1]))
                assignment = np.array([chosen[node] for node in range(len(problem.layers))])
                if not problem.allowed[np.arange(len(assignment)), assignment].all():
                    continue
                totals = problem.totals(assignment)
                if not np.isfinite(totals).all():
                    continue
                costs = costs_of(problem, totals)
                layer = problem.layers[inner[count - 1]]
                name = self._graph.ops[layer].makes[0].name
                times = costs.latency_us, sureness.interval(assignment), costs.period_us
                yield Cut(layer, name, (before, behind), costs.nbytes, *times, tuple(map(int, assignment)))

    def plan(self, cut: Cut) -> Plan:
        """Return a cut as a plan."""
        problem, assignment = self._problem, np.array(cut.chosen)
        stages = Stages(problem, assignment)
        layers = tuple(
            LayerPlan(layer, self._graph.ops[layer].type, "", problem.choices[cut.chosen[node]], stages.number(node), 0)
            for node, layer in enumerate(problem.layers)
            if layer >= 0
        )
        return replace(
            self._whole,
            objective="latency",
            devices=tuple(source.device for source in self._sources),
            links=tuple(self._links),
            layers=layers,
            stages=stages.plans(),
            crossings=stages.crossings(self._graph, self._sources[0].study, self._links),
            costs=costs_of(problem, problem.totals(assignment)),
            rivals=(),
            notes=(),
        )

    def simulated_us(self, cut: Cut) -> float:
        """Return when the simulation of one input is over."""
        return max(span.to_us for span in timeline(self.plan(cut), 1))


def chosen(cuts: Sequence[Cut], others: int) -> Iterator[tuple[str, Cut]]:
    """Yield the cuts to run: the best ones, and some others evenly spread over the float32 ones."""
    fast, steady = min(cuts, key=lambda cut: cut.latency_us), min(cuts, key=lambda cut: cut.period_us)
    yield "best latency" if fast is not steady else "best both", fast
    if fast is not steady:
        yield "best period", steady
    plain = [cut for cut in cuts if cut.precisions == ("float32", "float32") and cut not in (fast, steady)]
    for place in np.linspace(0, len(plain) - 1, others + 2)[1:-1]:
        yield "another", plain[round(place)]
