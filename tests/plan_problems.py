"""Small random problems of planning, and the answer by trying everything."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from litedelegates.plan.problem import BUSY, ENERGY, ERROR, LATENCY, MEMORY, NBYTES, Array, Flow, Goal, Problem, Toll
from litedelegates.plan.records import Choice

DEVICES = "abc"
QUANTITIES = (LATENCY, ENERGY, NBYTES, ERROR, MEMORY + "a", *(BUSY + name for name in (*DEVICES, "link")))
BOUNDED = (ERROR, ENERGY, NBYTES, MEMORY + "a", LATENCY)
MOST_ASSIGNMENTS = 2_000


@dataclass(frozen=True, eq=False)
class Everything:
    """All assignments of a problem that can be: int array of shape (n, nodes), float array of shape (n, quantities)."""

    assignments: Array
    totals: Array

    def best(self, problem: Problem, goal: Goal) -> float:
        """Return the best value of the objective within the budgets; inf if nothing is."""
        return min((goal.value(problem, one) for one in self.totals if goal.is_within(problem, one)), default=math.inf)


def make_problem(seed: int) -> Problem:
    """Return a chain, a chain with skips, branches or any other graph, with 2 to 4 choices on 1 to 3 devices."""
    random = np.random.default_rng(seed)
    choices = int(random.integers(2, 5))
    nodes = int(random.integers(3, 1 + int(math.log(MOST_ASSIGNMENTS) / math.log(choices))))
    devices = int(random.integers(1, 4))
    device = np.arange(choices) % devices
    cost = random.uniform(1, 10, (nodes, choices, len(QUANTITIES))).round(int(random.integers(0, 4)))
    for place, name in enumerate(DEVICES):
        cost[:, :, QUANTITIES.index(BUSY + name)] *= device == place
    cost[:, :, QUANTITIES.index(BUSY + "link")] = 0
    cost[:, :, QUANTITIES.index(MEMORY + "a")] *= device == 0
    cost[:, 0, QUANTITIES.index(ERROR)] = 0
    allowed = random.random((nodes, choices)) > 0.15
    allowed[np.arange(nodes), random.integers(0, choices, nodes)] = True
    if random.random() < 0.3:
        allowed[[0, -1], 1:], allowed[[0, -1], 0] = False, True
    return Problem(
        tuple(Choice(DEVICES[k % devices], "none", f"p{k // devices}") for k in range(choices)),
        tuple(range(nodes)),
        QUANTITIES,
        cost,
        allowed,
        tuple(
            Flow(
                f"t{source}", source, readers, tuple(_make_toll(random, choices) for _ in range(random.integers(1, 3)))
            )
            for source, readers in _readers(random, nodes)
        ),
    )


def make_goal(seed: int, problem: Problem, everything: Everything) -> Goal:
    """Return an objective of each kind with none, one or two budgets, some of which cannot be kept."""
    random = np.random.default_rng((seed, 1))
    budgets = {}
    for name in random.choice(BOUNDED, seed % 3, replace=False):
        values = np.sort(everything.totals[:, problem.index(name)])
        share = random.choice([0.0, 0.02, 0.1, 0.5, random.random()])
        bound = values[int(share * (len(values) - 1))] if len(values) else 1.0
        budgets[str(name)] = float(bound * (0.9 if random.random() < 0.1 else 1.0))
    kind = random.integers(3)
    if kind == 0:
        return Goal(largest=problem.named(BUSY), budgets=budgets)
    if kind == 1:
        return Goal(weights={LATENCY: 1.0, ENERGY: float(random.uniform(0, 2))}, budgets=budgets)
    return Goal(weights={str(random.choice([LATENCY, ENERGY, NBYTES])): 1.0}, budgets=budgets)


def try_everything(problem: Problem) -> Everything:
    """Return every assignment that can be, with its totals."""
    axes = np.meshgrid(*(np.flatnonzero(row) for row in problem.allowed), indexing="ij")
    chosen = np.stack([axis.ravel() for axis in axes], axis=1)
    totals = problem.cost[np.arange(chosen.shape[1]), chosen].sum(axis=1)
    for flow in problem.flows:
        for toll in flow.tolls:
            for form in range(toll.cost.shape[1]):
                wanted = (toll.form[chosen[:, flow.readers]] == form).any(axis=1)
                totals[wanted] += toll.cost[chosen[wanted, flow.source], form]
    possible = np.isfinite(totals).all(axis=1)
    return Everything(chosen[possible], totals[possible])


def _readers(random: np.random.Generator, nodes: int) -> list[tuple[int, tuple[int, ...]]]:
    shape = random.integers(4)
    if shape == 0:
        return [(node, (node + 1,)) for node in range(nodes - 1)]
    if shape == 1:
        return [(node, tuple(sorted({node + 1, min(nodes - 1, node + 2 + node % 2)}))) for node in range(nodes - 1)]
    if shape == 2:
        return [(0, tuple(range(1, nodes))), *((node, (nodes - 1,)) for node in range(1, nodes - 1))]
    found = []
    for node in range(nodes - 1):
        count = random.integers(1, min(4, nodes - node))
        found.append((node, tuple(sorted(random.choice(np.arange(node + 1, nodes), count, replace=False).tolist()))))
    return found


def _make_toll(random: np.random.Generator, choices: int) -> Toll:
    """Return a toll with costs for what is not of the source's own form; some cannot be, some sources are alike."""
    forms = int(random.integers(1, choices + 1))
    form = random.integers(0, forms, choices)
    own = form[:, None] == np.arange(forms)
    cost = random.uniform(0, 6, (choices, forms, len(QUANTITIES))).round(int(random.integers(0, 4)))
    cost[own] = 0
    cost[..., QUANTITIES.index(MEMORY + "a")] = 0
    if random.random() < 0.5:
        cost[-1] = cost[0]
    cost[(random.random(cost.shape[:2]) < 0.1) & ~own] = np.inf
    return Toll(form, cost)
