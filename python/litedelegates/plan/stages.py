"""From a choice for each layer to stages: layers that are one model on one device, and what they hand each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litedelegates.graph import Graph
from litedelegates.graph.kinds import ELEMENT_BITS
from litedelegates.layers import LayerStudy
from litedelegates.plan.held import Held, nbytes_in
from litedelegates.plan.problem import BUSY, LATENCY, Array, Flow, Problem
from litedelegates.plan.records import Choice, Crossing, Link, StagePlan
from litedelegates.plan.ways import way_of


class Stages:
    """The stages of an assignment.

    A layer's level is the largest number of changes of the station (device, delegate and threads) on a way from the
    inputs to it. Layers of one station and one level are a stage: a way that leaves a stage leads to higher levels, so
    stages never wait for each other in a circle, and running them by level is an order. Where inputs may leave early,
    all layers that the exit needs come before all others, and no stage has some of both.
    """

    def __init__(self, problem: Problem, assignment: Array) -> None:
        """Group the nodes of a problem by what was chosen for them."""
        self._problem, self._chosen = problem, np.asarray(assignment)
        self._of = self._numbered()
        self._device = {number: self._choice(node).device for node, number in self._of.items()}

    def number(self, node: int) -> int:
        """Return the stage of a node; -1 for the model's inputs and outputs."""
        return self._of[node]

    def plans(self) -> tuple[StagePlan, ...]:
        """Return the stages in the order they run."""
        layers: dict[int, list[int]] = {}
        for node, number in self._of.items():
            if number >= 0:
                layers.setdefault(number, []).append(node)
        return tuple(self._plan(number, layers[number]) for number in sorted(layers))

    def crossings(self, graph: Graph, study: LayerStudy, links: Sequence[Link]) -> tuple[Crossing, ...]:
        """Return what stages hand each other and the caller, in the order it is made.

        Args:
            graph: The float32 model.
            study: Tells in which element types the layers of each precision hand on.
            links: Between the devices.
        """
        held, between = Held(graph, study), {frozenset(link.ends): link for link in links}
        found = []
        for flow in self._problem.flows:
            for reader in _first_readers(flow, self._of) if flow.tensor else ():
                source = self._of[flow.source]
                if source != self._of[reader]:
                    found.append(self._crossing(graph, held, between, flow, reader))
        return tuple(found)

    def _crossing(
        self, graph: Graph, held: Held, between: dict[frozenset[str], Link], flow: Flow, reader: int
    ) -> Crossing:
        tensor, maker, taker = graph.tensor(flow.tensor), self._choice(flow.source), self._choice(reader)
        op = None if self._of[reader] < 0 else graph.ops[self._problem.layers[reader]]
        is_input, is_output = self._of[flow.source] < 0, op is None
        if is_input or op is None:
            dtype = tensor.element_type
        else:
            types = held.made(tensor, maker.precision), held.wanted(tensor, op, taker.precision)
            dtype = min(types, key=lambda name: ELEMENT_BITS.get(name, 0))
        way = way_of(maker.device, taker.device, between, is_input=is_input, is_output=is_output)
        nbytes, link = nbytes_in(tensor, dtype) or 0, between.get(frozenset(way))
        us = link.transfer_us(nbytes, way[0]) if link is not None else 0.0
        name = link.name if link is not None else ""
        return Crossing(tensor.name, self._of[flow.source], self._of[reader], dtype, nbytes, name, us)

    def _choice(self, node: int) -> Choice:
        return self._problem.choices[int(self._chosen[node])]

    def _plan(self, number: int, nodes: Sequence[int]) -> StagePlan:
        choice = self._choice(nodes[0])
        share = self._problem.share(nodes[0])
        us = (float(self._times()[nodes].sum()) + self._conversions_us(number, choice.device)) / share
        layers = tuple(self._problem.layers[node] for node in nodes)
        return StagePlan(number, choice.device, choice.delegate, choice.threads, layers, us, share=share)

    def _times(self) -> Array:
        nodes = np.arange(len(self._chosen))
        return np.asarray(self._problem.cost[nodes, self._chosen, self._problem.index(LATENCY)])

    def _conversions_us(self, number: int, device: str) -> float:
        """Return what a stage pays for handing on, in the mean over all inputs; of two it may be either who pays."""
        busy, total = self._problem.index(BUSY + device), 0.0
        for flow in self._problem.flows:
            source, readers = self._of[flow.source], {self._of[reader] for reader in flow.readers}
            if number != source and number not in readers:
                continue
            forms = self._chosen[list(flow.readers)]
            for toll in flow.tolls:
                paid = float(toll.cost[self._chosen[flow.source], np.unique(toll.form[forms]), busy].sum())
                others = {source, *readers} - {-1, number}
                total += paid / (1 + sum(self._device[other] == device for other in others))
        return total

    def _numbered(self) -> dict[int, int]:
        station = [(choice.device, choice.delegate, choice.threads) for choice in map(self._choice, self._nodes())]
        level = [0] * len(station)
        into: dict[int, list[int]] = {}
        for flow in self._problem.flows:
            for reader in flow.readers:
                into.setdefault(reader, []).append(flow.source)
        inner = [node for node in self._nodes() if self._problem.layers[node] >= 0]
        for node in inner:
            before = [source for source in into.get(node, ()) if self._problem.layers[source] >= 0]
            level[node] = max((level[one] + (station[one] != station[node]) for one in before), default=0)
        keys = {node: (self._problem.rank(node), level[node], station[node]) for node in inner}
        order = sorted(set(keys.values()), key=lambda key: (*key[:2], str(key[2])))
        number = {key: place for place, key in enumerate(order)}
        return {**dict.fromkeys(self._nodes(), -1), **{node: number[key] for node, key in keys.items()}}

    def _nodes(self) -> range:
        return range(len(self._chosen))


def _first_readers(flow: Flow, of: dict[int, int]) -> list[int]:
    """Return the first reader in each stage."""
    return list({of[reader]: reader for reader in reversed(flow.readers)}.values())[::-1]
