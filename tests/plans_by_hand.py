"""Plans and problems with round numbers, made by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from litedelegates.errors import PlanError
from litedelegates.plan.front import FrontPoint, front, front_points
from litedelegates.plan.problem import BUSY, ERROR, LATENCY, NBYTES, Flow, Goal, Problem, Solution, Toll
from litedelegates.plan.records import Choice, Costs, Crossing, Device, LayerPlan, Link, Plan, Rival, StagePlan
from litedelegates.plan.what_if import WhatIf, what_if

WIFI = Link("wifi", ("pi", "server"), bandwidth_mbps=20.0, latency_us=2000.0, overhead_us=200.0)
PI, SERVER = Device("pi", watts=3.0), Device("server")


def stage(number: int, device: str, us: float, *layers: int) -> StagePlan:
    return StagePlan(number, device, "xnnpack", 1, layers, us)


def crossing(source: int, reader: int, nbytes: int, link: Link | None = WIFI, tensor: str = "") -> Crossing:
    us = 0.0 if link is None else link.transfer_us(nbytes)
    return Crossing(tensor or f"t{source}", source, reader, "float32", nbytes, "" if link is None else link.name, us)


def plan_of(stages: Any, crossings: Any, costs: Costs, links: Any = (WIFI,), **more: Any) -> Plan:
    layers = tuple(
        LayerPlan(layer, "CONV_2D", f"conv{layer}", Choice(s.device, "xnnpack", "int8"), s.number, s.predicted_us)
        for s in stages
        for layer in s.layers
    )
    names = {s.device for s in stages} | {"pi"}
    devices = tuple(device for device in (PI, SERVER) if device.name in names)
    more |= {"links": links, "crossings": tuple(crossings)}
    return Plan("model.tflite", "0" * 64, "latency", devices, layers, tuple(stages), costs, **more)


def one_stage(us: float) -> Plan:
    """Everything on the client."""
    return plan_of([stage(0, "pi", us, 0)], [], Costs(us, us), links=())


def chain(link: Link = WIFI, fallback: Plan | None = None) -> Plan:
    """10 ms on the client, 1.5 ms on the server, 20 kB to it and 1 kB back."""
    there, back = crossing(0, 1, 20_000, link), crossing(1, -1, 1_000, link)
    latency = 11_500 + there.predicted_us + back.predicted_us
    busy = max(10_000.0, there.predicted_us + back.predicted_us - 2 * link.latency_us)
    costs = Costs(latency, busy, nbytes=21_000)
    stages = [stage(0, "pi", 10_000.0, 0, 1), stage(1, "server", 1_500.0, 2)]
    return plan_of(stages, [there, back], costs, (link,), fallback=fallback)


QUANTITIES = (LATENCY, NBYTES, ERROR, BUSY + "pi", BUSY + "server")
CHOICES = tuple(Choice(device, "xnnpack", word) for device in ("pi", "server") for word in ("float32", "int8"))


def chain_problem(bandwidth_mbps: float = 20.0, layers: int = 5, seed: int = 0, server: float = 0.1) -> Problem:
    """Return layers one after the other, with what they hand on getting smaller, on a client and a quicker server."""
    rng = np.random.default_rng(seed)
    us = rng.uniform(500, 3000, layers)
    cost = np.zeros((layers + 2, len(CHOICES), len(QUANTITIES)))
    for place, choice in enumerate(CHOICES):
        own = us * (0.4 if choice.precision == "int8" else 1.0) * (server if choice.device == "server" else 1.0)
        cost[1:-1, place, 0] = cost[1:-1, place, QUANTITIES.index(BUSY + choice.device)] = own
    cost[1:-1, [1, 3], 2] = rng.uniform(1e-5, 1e-3, layers)[:, None]
    allowed = np.ones((layers + 2, len(CHOICES)), bool)
    allowed[[0, -1], 1:] = False
    sizes = [150_000, *np.geomspace(200_000, 4_000, layers - 1).astype(int), 400]
    return Problem(
        CHOICES,
        (-1, *range(layers), -1),
        QUANTITIES,
        cost,
        allowed,
        tuple(Flow(f"t{k}", k, (k + 1,), (_message(size, bandwidth_mbps),)) for k, size in enumerate(sizes)),
    )


def _message(nbytes: int, bandwidth_mbps: float) -> Toll:
    cost = np.zeros((len(CHOICES), 2, len(QUANTITIES)))
    for place, choice in enumerate(CHOICES):
        other = 1 if choice.device == "pi" else 0
        sent = nbytes / (4 if choice.precision == "int8" else 1)
        cost[place, other, :2] = 300 + 8 * sent / bandwidth_mbps, sent
    return Toll(np.array([0, 0, 1, 1]), cost)


def brute_force(problem: Problem, goal: Goal) -> Solution:
    """Try everything."""
    best: Solution | None = None
    for assignment in itertools.product(*(np.flatnonzero(row) for row in problem.allowed)):
        totals = problem.totals(assignment)
        value = goal.value(problem, totals)
        if goal.is_within(problem, totals) and (best is None or value < best.value):
            best = Solution(np.array(assignment), totals, value, value, "brute force", 0.0)
    if best is None:
        raise PlanError("no plan is within the bounds")
    return best


def split_plan(layers: int = 40) -> Plan:
    """A network whose first half is on the client and whose second is on the server, with everything to show."""
    rng = np.random.default_rng(3)
    cut, us = layers * 3 // 5, rng.gamma(2.0, 400.0, layers)
    names = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "CONV_2D")
    own = []
    for layer in range(layers):
        device = "pi" if layer < cut else "server"
        precision = ("int8", "int8", "float32", "int8", "float16")[layer % 5] if device == "pi" else "float32"
        time = float(us[layer] * (1.0 if device == "pi" else 0.12) * (0.4 if precision == "int8" else 1.0))
        reason = f"float32 would take {us[layer]:.0f} µs; next best is float16: 40 µs slower"
        choice, stage_number = Choice(device, "xnnpack", precision), int(device == "server")
        name = f"model/block_{layer}/{names[layer % 4].lower()}"
        own.append(LayerPlan(layer, names[layer % 4], name, choice, stage_number, time, 1e-6 * layer, reason))
    sums = [sum(layer.predicted_us for layer in own if layer.stage == number) for number in (0, 1)]
    stages = [
        StagePlan(0, "pi", "xnnpack", 1, tuple(range(cut)), sums[0] + 120),
        StagePlan(1, "server", "xnnpack", 1, tuple(range(cut, layers)), sums[1]),
    ]
    there, back = crossing(0, 1, 38_400, tensor="block_24/add"), crossing(1, -1, 4_000, tensor="probabilities")
    latency = sum(sums) + 120 + there.predicted_us + back.predicted_us
    costs = Costs(
        latency,
        there.predicted_us + back.predicted_us - 4_000,
        42_400,
        0.021,
        energy_mj=40.0,
        memory_nbytes={"pi": 2_400_000},
    )
    rivals = tuple(
        Rival(
            f"{device}: {precision} xnnpack 1t everywhere", Costs(latency * factor, latency * factor, sent, error), why
        )
        for device, precision, factor, sent, error, why in (
            ("pi", "int8", 1.2, 0, 0.09, "error 0.09 above 0.03"),
            ("pi", "float16", 1.9, 0, 0.001, "1.90 times the objective of the plan"),
            ("pi", "float32", 2.4, 0, 0.0, "2.40 times the objective of the plan"),
            ("server", "float32", 3.1, 640_000, 0.0, "3.10 times the objective of the plan"),
        )
    )
    more = {"budgets": {"error": 0.03}, "rivals": rivals, "method": "elimination", "seconds": 0.04}
    plan = plan_of(stages, [there, back], costs, **more)
    return Plan(**{**vars(plan), "layers": tuple(own), "notes": ("pi: two layers were never measured alone",)})


def chain_outlook() -> tuple[tuple[FrontPoint, ...], WhatIf]:
    """Return the front of a chain of layers, and its best plans over bandwidths."""
    problem = chain_problem(3000.0)
    points = front_points(
        problem,
        front(problem, (LATENCY, ERROR, NBYTES), brute_force, count=6),
        lambda own, totals: Costs(totals[0], totals[0], int(totals[1]), float(totals[2] ** 0.5)),
    )
    moved = what_if(
        lambda mbps: chain_problem(mbps, layers=3),
        Goal({LATENCY: 1.0}),
        brute_force,
        low_mbps=2.0,
        high_mbps=3000.0,
        count=5,
    )
    return points, moved
