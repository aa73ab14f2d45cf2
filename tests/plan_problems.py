"""Small random problems of planning, and the answer by trying everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from litedelegates.plan.problem import Array, Flow, Goal, Problem, Toll
from litedelegates.plan.records import Choice

QUANTITIES = ("latency_us", "energy_mj", "nbytes", "error", "memory:a", "busy:a", "busy:b", "busy:c", "busy:link")
MOST_ASSIGNMENTS = 5_000


def make_problem(seed: int) -> Problem:
    """Return a chain, a chain with skips, branches or any other graph, with 2 to 4 choices on 1 to 3 devices."""
    random = np.random.default_rng(seed)
    choices = int(random.integers(2, 5))
    nodes = int(random.integers(3, 1 + int(math.log(MOST_ASSIGNMENTS) / math.log(choices))))
    devices = int(random.integers(1, 4))
    labels = tuple(Choice("abc"[k % devices], "xnnpack", f"p{k // devices}") for k in range(choices))
    cost = random.uniform(1, 10, (nodes, choices, len(QUANTITIES))).round(int(random.integers(0, 4)))
    device = np.arange(choices) % devices
    for place, name in enumerate(("a", "b", "c")):
        cost[:, :, QUANTITIES.index(f"busy:{name}")] *= device == place
    cost[:, :, QUANTITIES.index("busy:link")] = 0
    cost[:, :, QUANTITIES.index("memory:a")] *= device == 0
    cost[:, 0, QUANTITIES.index("error")] = 0
    allowed = random.random((nodes, choices)) > 0.15
    allowed[np.arange(nodes), random.integers(0, choices, nodes)] = True
    if random.random() < 0.3:
        allowed[[0, -1], 1:], allowed[[0, -1], 0] = False, True
    flows = tuple(
        Flow(f"t{source}", source, readers, tuple(_make_toll(random, choices) for _ in range(random.integers(1, 3))))
        for source, readers in _readers(random, nodes)
    )
    layers = tuple(range(nodes))
    return Problem(labels, layers, QUANTITIES, cost, allowed, flows)


def make_goal(seed: int, problem: Problem) -> Goal:
    """Return an objective with none to two budgets, some of which cannot be kept."""
    random = np.random.default_rng((seed, 1))
    everything = np.array([totals for _, totals in every(problem)]).reshape(-1, len(QUANTITIES))
    budgets = {}
    for name in random.choice(["error", "energy_mj", "nbytes", "memory:a", "latency_us"], seed % 3, replace=False):
        values = np.sort(everything[:, QUANTITIES.index(name)])
        share = random.choice([0.0, 0.02, 0.1, 0.5, random.random()])
        bound = values[int(share * (len(values) - 1))] if len(values) else 1.0
        budgets[str(name)] = float(bound * (0.9 if random.random() < 0.1 else 1.0))
    kind = random.integers(3)
    if kind == 0:
        return Goal(largest=tuple(name for name in QUANTITIES if name.startswith("busy:")), budgets=budgets)
    if kind == 1:
        return Goal(weights={"latency_us": 1.0, "energy_mj": float(random.uniform(0, 2))}, budgets=budgets)
    return Goal(weights={str(random.choice(["latency_us", "energy_mj", "nbytes"])): 1.0}, budgets=budgets)


def every(problem: Problem) -> Iterator[tuple[Array, Array]]:
    """Yield every assignment that can be, with its totals."""
    for chosen in itertools.product(*(np.flatnonzero(row) for row in problem.allowed)):
        totals = problem.totals(chosen)
        if np.isfinite(totals).all():
            yield np.array(chosen), totals


def best_value(problem: Problem, goal: Goal) -> float:
    """Return the best value of the objective among all assignments within the budgets; inf if there is none."""
    return min((goal.value(problem, t) for _, t in every(problem) if goal.is_within(problem, t)), default=math.inf)


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
    forms = int(random.integers(1, choices + 1))
    form = random.integers(0, forms, choices)
    cost = random.uniform(0, 6, (choices, forms, len(QUANTITIES))).round(int(random.integers(0, 4)))
    cost[form[:, None] == np.arange(forms)] = 0
    cost[..., QUANTITIES.index("memory:a")] = 0
    if random.random() < 0.5:  # some choices make the same
        cost[-1] = cost[0]
    cost[(random.random(cost.shape[:2]) < 0.1) & (form[:, None] != np.arange(forms))] = np.inf
    return Toll(form, cost)
