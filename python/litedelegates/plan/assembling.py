"""From an assignment to the record of a plan: its stages, its decisions in words, and the uniform plans beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from litedelegates.files import hash_file
from litedelegates.graph import Graph
from litedelegates.plan.answers import Answers, costs_of
from litedelegates.plan.explaining import reasons
from litedelegates.plan.gain import gain_of
from litedelegates.plan.problem import ERROR, LATENCY, Array, Goal, Problem, Solution
from litedelegates.plan.records import HERE, LayerPlan, Link, Plan, Rival, StagePlan
from litedelegates.plan.sensitivity import Comparison, compare
from litedelegates.plan.sources import Source, shapes_of
from litedelegates.plan.stages import Stages
from litedelegates.plan.uncertainty import Uncertainty, uncertainty

DRAWS = 200  # of the measured times, to compare with each uniform plan


class Assembler:
    """Turns assignments into records."""

    def __init__(
        self,
        graph: Graph,
        sources: Sequence[Source],
        links: Sequence[Link],
        problem: Problem,
        goal: Goal,
        answers: Answers,
    ) -> None:
        self._graph, self._sources, self._links = graph, sources, links
        self._problem, self._goal, self._answers = problem, goal, answers

    def plan(self, path: str, objective: str, solution: Solution) -> Plan:
        """Return the plan of a solution."""
        problem, chosen = self._problem, solution.assignment
        sureness = uncertainty(problem, self._sources)
        low, high = sureness.interval(chosen)
        costs = dataclasses.replace(
            costs_of(problem, solution.totals, self._answers), latency_low_us=low, latency_high_us=high
        )
        stages = Stages(problem, chosen)
        study = self._sources[0].study
        used = {HERE, *(problem.choices[choice].device for choice in chosen)}
        return Plan(
            model=path,
            sha256=hash_file(path),
            objective=objective,
            devices=tuple(source.device for source in self._sources),
            links=tuple(link for link in self._links if used.issuperset(link.ends)),
            layers=self._layers(solution, stages),
            stages=tuple(self._known(stage, sureness, chosen) for stage in stages.plans()),
            crossings=stages.crossings(self._graph, study, self._links),
            costs=costs,
            is_exact=solution.is_exact,
            gap=solution.gap,
            method=solution.method,
            seconds=solution.seconds,
            rivals=self._rivals(solution, sureness),
            gain=gain_of(sureness, self._goal, chosen),
            notes=self._notes(),
            shapes=shapes_of(self._sources),
        )

    def _known(self, stage: StagePlan, sureness: Uncertainty, chosen: Array) -> StagePlan:
        """Return a stage with the interval of its time."""
        nodes, share = np.array([self._problem.layers.index(layer) for layer in stage.layers]), stage.share
        low, high = sureness.interval_of(stage.predicted_us * share, chosen, nodes)
        return dataclasses.replace(stage, low_us=low / share, high_us=high / share)

    def _layers(self, solution: Solution, stages: Stages) -> tuple[LayerPlan, ...]:
        problem, why = self._problem, reasons(self._problem, self._goal, solution)
        found = []
        for node, layer in enumerate(problem.layers):
            if layer < 0:
                continue
            op, choice = self._graph.ops[layer], int(solution.assignment[node])
            cost = problem.cost[node, choice]
            error = float(cost[problem.index(ERROR)]) if ERROR in problem.quantities else 0.0
            found.append(
                LayerPlan(
                    layer,
                    op.type,
                    op.name or op.makes[0].name,
                    problem.choices[choice],
                    stages.number(node),
                    float(cost[problem.index(LATENCY)]) / problem.share(node),
                    error,
                    why.get(node, ""),
                )
            )
        return tuple(found)

    def _rivals(self, solution: Solution, sureness: Uncertainty) -> tuple[Rival, ...]:
        """Return each uniform plan: one choice for all layers."""
        problem, found = self._problem, dict[str, tuple[Array, Array]]()
        ends = np.array(problem.layers) < 0
        for place, choice in enumerate(problem.choices):
            chosen = np.where(ends, solution.assignment, place)
            if not problem.allowed[np.arange(len(chosen)), chosen].all():
                continue
            totals = problem.totals(chosen)
            if np.isfinite(totals[problem.index(LATENCY)]):
                found[f"{choice.label} everywhere"] = chosen, totals
        able = {name: chosen for name, (chosen, totals) in found.items() if self._goal.is_within(problem, totals)}
        draws = sureness.draws([solution.assignment, *able.values()], DRAWS)
        known = {one.rival: one for one in compare(problem, self._goal, draws, list(able)).comparisons}
        rivals = []
        for name, (_, totals) in found.items():
            costs, one = costs_of(problem, totals, self._answers), known.get(name)
            rivals.append(Rival(name, costs, self._why(totals, solution, one), None if one is None else one.wins))
        return tuple(sorted(rivals, key=lambda rival: rival.costs.latency_us))

    def _why(self, totals: Array, solution: Solution, comparison: Comparison | None) -> str:
        """Return what speaks against a plan; nothing where it is as good."""
        problem, said = self._problem, []
        for name, bound in self._goal.budgets.items():
            value = float(totals[problem.index(name)])
            if value > bound * (1 + 1e-9):
                value, bound = (value**0.5, bound**0.5) if name == ERROR else (value, bound)
                said.append(f"{name} {value:.3g} above {bound:.3g}")
        ratio = self._goal.value(problem, totals) / solution.value if solution.value else 1.0
        if ratio > 1.001:
            is_noise = comparison is not None and comparison.verdict == "within the noise"
            said.append(f"{ratio:.2f} times the objective of the plan{', within the noise' if is_noise else ''}")
        return "; ".join(said)

    def _notes(self) -> tuple[str, ...]:
        notes = []
        for source in self._sources:
            name, device = source.device.name, source.device
            if device.predicted_from:
                off = device.prediction_error
                known = "nobody has checked how well" if off is None else f"off by {off:.0%} in the median"
                notes.append(f"{name}: times predicted from those of {device.predicted_from}, {known}")
            if source.terms is not None:
                notes += [f"{name}: {note}" for note in source.terms.notes]
        if ERROR not in self._problem.quantities:
            notes.append("no study has errors of layers, so the plan knows nothing of the error of its result")
        return tuple(notes)
