"""Make a plan: the numbers of the studies, the best assignment under the budgets, and what else there was."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from litedelegates.errors import OptionError, nearest
from litedelegates.graph import Graph, load
from litedelegates.plan.answers import Answers, squared_bound
from litedelegates.plan.assembling import Assembler
from litedelegates.plan.costs import Source, build_problem
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.gain import shown_plan
from litedelegates.plan.problem import BUSY, ENERGY, ERROR, LATENCY, MEMORY, NBYTES, Goal, Problem
from litedelegates.plan.records import Link, Plan
from litedelegates.plan.solve import solve
from litedelegates.plan.sources import shapes_of
from litedelegates.plan.uncertainty import uncertainty

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
    exits: Mapping[str, float] | None = None,
    fallback: bool = False,
    time_limit_s: float = 10.0,
) -> Plan:
    """Return the best precision, delegate and device for each layer of a model.

    Args:
        sources: Devices with their layer studies; the first has the inputs and wants the outputs.
        links: Between the devices, and between the calling program (`HERE`) and devices; without the latter, the first
            device has the inputs and wants the outputs where it computes.
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
        exits: By name of an output of the model, the share of the inputs that leave early there: costs become means
            over the inputs. `deploy` is told from which probability on an input leaves.
        fallback: Also plan what the first device does alone when a link is down.
        time_limit_s: Stop improving then, that of the fallback included; the plan says how far from the best it can be.

    Raises:
        OptionError: Something contradicts the studies, such as a bound of what was not measured.
        PlanError: No plan keeps the bounds; says which is in the way and what can be reached.
        OSError: The model cannot be read.
        InvalidModelError: It is damaged.
    """
    if objective not in OBJECTIVES:
        raise OptionError(f"objective={objective!r}: there is no such objective. {nearest(objective, OBJECTIVES)}")
    path, graph, sources = prepared(sources, model)
    problem = build_problem(graph, sources, links, precisions=precisions, delegates=delegates, exits=exits)
    answers = Answers.of(sources)
    bounds = {
        ERROR: squared_bound(max_error, max_accuracy_drop, answers),
        LATENCY: max_latency_us,
        ENERGY: max_energy_mj,
        NBYTES: max_nbytes,
        **{MEMORY + source.device.name: source.device.memory_nbytes for source in sources},
    }
    goal = goal_of(problem, objective, {name: float(bound) for name, bound in bounds.items() if bound is not None})
    has_fallback = fallback and len(sources) > 1
    until = Deadline(time_limit_s)
    solution = solve(problem, goal, time_limit_s=time_limit_s / 2 if has_fallback else time_limit_s)
    solution, note = shown_plan(uncertainty(problem, sources), goal, solution)
    assembler = Assembler(graph, sources, links, problem, goal, answers)
    made = assembler.plan(path, objective, solution)
    shown = {"error": max_error, "accuracy_drop": max_accuracy_drop}
    budgets = {name: bound for name, bound in goal.budgets.items() if name != ERROR}
    budgets |= {name: bound for name, bound in shown.items() if bound is not None}
    alone = None
    if has_fallback:
        alone = make_plan(
            sources[:1],
            model=path,
            max_error=max_error,
            max_accuracy_drop=max_accuracy_drop,
            precisions=precisions,
            delegates=delegates,
            time_limit_s=until.left_s or 0.0,
        )
    notes = (note, *made.notes) if note else made.notes
    return dataclasses.replace(made, budgets=budgets, fallback=alone, exits=dict(exits or {}), notes=notes)


def prepared(sources: Sequence[Source], model: str | os.PathLike[str] | None = None) -> tuple[str, Graph, list[Source]]:
    """Return the path of the model, the model, and the devices with the terms that their studies give.

    Raises:
        OptionError: There is no device, or two were measured with other sizes of the inputs.
        OSError: The model cannot be read.
        InvalidModelError: It is damaged.
    """
    if not sources:
        raise OptionError("no device was given: a plan needs one at least")
    path = str(model) if model is not None else sources[0].study.model
    if not Path(path).exists():
        raise FileNotFoundError(
            errno.ENOENT, "the float32 model is not here: say where it is with model (--model)", path
        )
    graph = load(path, shapes=shapes_of(sources) or None)
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
