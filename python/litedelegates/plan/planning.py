"""Make a plan: the numbers of the studies, the best assignment under the budgets, and what else there was."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from litedelegates.errors import OptionError, nearest
from litedelegates.graph import Graph, load
from litedelegates.plan.answers import Answers, costs_of, squared_bound
from litedelegates.plan.costs import Source, build_problem
from litedelegates.plan.explaining import reasons
from litedelegates.plan.problem import BUSY, ENERGY, ERROR, LATENCY, MEMORY, NBYTES, Array, Goal, Problem, Solution
from litedelegates.plan.records import HERE, LayerPlan, Link, Plan, Rival, StagePlan
from litedelegates.plan.solve import solve
from litedelegates.plan.stages import Stages
from litedelegates.plan.uncertainty import Uncertainty, uncertainty
from litedelegates.study.delegates import hash_file

OBJECTIVES = ("latency", "throughput", "energy", "bytes")
# Of two plans with the same bytes or energy the one with the lower latency is wanted.
_TIE_BREAK = 1e-6


def make_plan(
    sources: Sequence[Source],
    links: Sequence[Link] = (),
    *,
    model: str | os.PathLike[str] | None = None,
    objective: str = "latency",
    max_error: float | None = None,
    max_accuracy_drop: float | None = None,
    max_latency_us: float | None = None,
    max_energy_mj: float | None = None,
    max_nbytes: float | None = None,
    precisions: Collection[str] | None = None,
    delegates: Mapping[str, Collection[str]] | None = None,
    fallback: bool = False,
    time_limit_s: float = 10.0,
) -> Plan:
    """Return the best precision, delegate and device for each layer of a model.

    Args:
        sources: Devices with their layer studies; the first has the inputs and wants the outputs.
        links: Between the devices, and between the calling program and the first device (`HERE`); without that one, the
            first device has the inputs and wants the outputs where it computes.
        model: Path of the float32 model; by default that of the first study.
        objective: One of `OBJECTIVES`: "latency" of one input, "throughput" when inputs keep coming (the period of the
            busiest device or link), "energy" of one input, or "bytes" over links.
        max_error: Bound of the relative error of the output (root mean square over that of float32's output).
        max_accuracy_drop: Bound of the accuracy lost, or where the studies had no labels of the share of inputs whose
            largest output changes; it becomes a bound of the error.
        max_latency_us: Bound of the latency in microseconds.
        max_energy_mj: Bound of the energy in millijoules.
        max_nbytes: Bound of the bytes over links.
        precisions: Use these only.
        delegates: By name of a device: use these only.
        fallback: Also plan what the first device does alone when a link is down.
        time_limit_s: Stop improving then; the plan says how far from the best it can be.

    Raises:
        OptionError: Something contradicts the studies, such as a bound of what was not measured.
        PlanError: No plan keeps the bounds; says which is in the way and what can be reached.
        OSError: The model cannot be read.
        InvalidModelError: It is damaged.
    """
    if objective not in OBJECTIVES:
        raise OptionError(f"objective={objective!r}: there is no such objective. {nearest(objective, OBJECTIVES)}")
    path, graph, sources = prepared(sources, model)
    problem = build_problem(graph, sources, links, precisions=precisions, delegates=delegates)
    answers = Answers.of(sources)
    bounds = {
        ERROR: squared_bound(max_error, max_accuracy_drop, answers),
        LATENCY: max_latency_us,
        ENERGY: max_energy_mj,
        NBYTES: max_nbytes,
        **{MEMORY + source.device.name: source.device.memory_nbytes for source in sources},
    }
    goal = goal_of(problem, objective, {name: float(bound) for name, bound in bounds.items() if bound is not None})
    solution = solve(problem, goal, time_limit_s=time_limit_s)
    planner = _Planner(graph, sources, links, problem, goal, answers)
    made = planner.plan(path, objective, solution)
    shown = {"error": max_error, "accuracy_drop": max_accuracy_drop}
    budgets = {name: bound for name, bound in goal.budgets.items() if name != ERROR}
    budgets |= {name: bound for name, bound in shown.items() if bound is not None}
    alone = None
    if fallback and len(sources) > 1:
        alone = make_plan(
            sources[:1],
            model=path,
            max_error=max_error,
            max_accuracy_drop=max_accuracy_drop,
            precisions=precisions,
            delegates=delegates,
            time_limit_s=time_limit_s,
        )
    return dataclasses.replace(made, budgets=budgets, fallback=alone)


def prepared(sources: Sequence[Source], model: str | os.PathLike[str] | None = None) -> tuple[str, Graph, list[Source]]:
    """Return the path of the model, the model, and the devices with the terms that their studies give.

    Raises:
        OptionError: There is no device.
        OSError: The model cannot be read.
        InvalidModelError: It is damaged.
    """
    if not sources:
        raise OptionError("no device was given: a plan needs one at least")
    path = str(model) if model is not None else sources[0].study.model
    graph = load(path)
    return path, graph, [source.fitted(graph) for source in sources]


def goal_of(problem: Problem, objective: str, budgets: Mapping[str, float]) -> Goal:
    """Return an objective and its budgets as the solver takes them.

    Raises:
        OptionError: A quantity is not known of any device.
    """
    wanted = {"energy": ENERGY, "bytes": NBYTES}.get(objective, LATENCY)
    for name in (wanted, *budgets):
        if name not in problem.quantities:
            raise OptionError(
                _MISSING.get(name, f"nothing is known of {name!r}; known: {', '.join(problem.quantities)}")
            )
    if objective == "throughput":
        return Goal(largest=problem.named(BUSY), budgets=dict(budgets))
    weights = {wanted: 1.0} if wanted == LATENCY else {wanted: 1.0, LATENCY: _TIE_BREAK}
    return Goal(weights=weights, budgets=dict(budgets))


_MISSING = {
    ENERGY: "energy is not known: give a device its watts, such as pi=study.sqlite;watts=4",
    ERROR: "no study has errors of layers: measure them with `litedelegates layers MODEL --parts in_place,error`",
}


class _Planner:
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
            rivals=self._rivals(solution),
            notes=self._notes(),
        )

    def _known(self, stage: StagePlan, sureness: Uncertainty, chosen: Array) -> StagePlan:
        """Return a stage with the interval of its time."""
        nodes = np.array([self._problem.layers.index(layer) for layer in stage.layers])
        low, high = sureness.interval_of(stage.predicted_us, chosen, nodes)
        return dataclasses.replace(stage, low_us=low, high_us=high)

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
                    float(cost[problem.index(LATENCY)]),
                    error,
                    why.get(node, ""),
                )
            )
        return tuple(found)

    def _rivals(self, solution: Solution) -> tuple[Rival, ...]:
        """Return each uniform plan: one choice for all layers."""
        problem, found = self._problem, []
        ends = np.array(problem.layers) < 0
        for place, choice in enumerate(problem.choices):
            chosen = np.where(ends, solution.assignment, place)
            if not problem.allowed[np.arange(len(chosen)), chosen].all():
                continue
            totals = problem.totals(chosen)
            if not np.isfinite(totals[problem.index(LATENCY)]):
                continue
            found.append(
                Rival(
                    f"{choice.label} everywhere", costs_of(problem, totals, self._answers), self._why(totals, solution)
                )
            )
        return tuple(sorted(found, key=lambda rival: rival.costs.latency_us))

    def _why(self, totals: Array, solution: Solution) -> str:
        """Return what speaks against a plan; nothing where it is as good."""
        problem, said = self._problem, []
        for name, bound in self._goal.budgets.items():
            value = float(totals[problem.index(name)])
            if value > bound * (1 + 1e-9):
                value, bound = (value**0.5, bound**0.5) if name == ERROR else (value, bound)
                said.append(f"{name} {value:.3g} above {bound:.3g}")
        ratio = self._goal.value(problem, totals) / solution.value if solution.value else 1.0
        if ratio > 1.001:
            said.append(f"{ratio:.2f} times the objective of the plan")
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
