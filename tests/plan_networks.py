"""Small planner's problems with random numbers, and their answers by trying everything."""

from __future__ import annotations

import itertools

import numpy as np
from litedelegates.plan.problem import BUSY, ERROR, LATENCY, MEMORY, NBYTES, Array, Flow, Goal, Problem, Toll
from litedelegates.plan.records import Choice

GOALS = ("latency", "throughput", "bytes")


def random_problem(seed: int, nodes: int = 5, shape: str = "dag") -> Problem:
    """Return a problem with an input, an output and some nodes between, on one to three devices.

    Args:
        seed: Of everything.
        nodes: Besides the two ends.
        shape: "chain", "skips" (each node also reads one further back) or "dag" (anything).
    """
    random = np.random.default_rng(seed)
    devices = [f"d{number}" for number in range(random.integers(1, 4))]
    precisions = ["float32", "int8", "dynamic", "float16"][: random.integers(1, 3 if len(devices) > 1 else 5)]
    choices = tuple(Choice(device, "none", precision) for device in devices for precision in precisions)
    return build_problem(random, choices, devices, edges(random, nodes, shape))


def edges(random: np.random.Generator, nodes: int, shape: str) -> list[tuple[int, tuple[int, ...]]]:
    """Return sources with their readers; node 0 is the input and the last one the output."""
    readers: dict[int, set[int]] = {}
    for node in range(1, nodes + 2):
        readers.setdefault(node - 1 if shape != "dag" else int(random.integers(0, node)), set()).add(node)
        if shape != "chain" and node > 1 and random.random() < 0.6:
            readers.setdefault(int(random.integers(max(0, node - 4), node)), set()).add(node)
    return [(source, tuple(sorted(own))) for source, own in sorted(readers.items())]


def build_problem(
    random: np.random.Generator,
    choices: tuple[Choice, ...],
    devices: list[str],
    flows: list[tuple[int, tuple[int, ...]]],
    holes: bool = True,
) -> Problem:
    """Return a problem with random costs: faster devices behind links, and precisions that trade time for error."""
    count = max(reader for _, readers in flows for reader in readers) + 1
    quantities = (LATENCY, NBYTES, ERROR, *(MEMORY + name for name in devices), *(BUSY + name for name in devices))
    quantities += (BUSY + "link",)
    at = {name: place for place, name in enumerate(quantities)}
    cost = np.zeros((count, len(choices), len(quantities)))
    for place, choice in enumerate(choices):
        us = random.uniform(1, 10, count) / (1 + devices.index(choice.device)) / (1 + (choice.precision == "int8"))
        cost[:, place, at[LATENCY]] = cost[:, place, at[BUSY + choice.device]] = us
        cost[:, place, at[ERROR]] = random.uniform(0, 1, count) * (choice.precision != "float32")
        cost[:, place, at[MEMORY + choice.device]] = random.integers(1, 9, count)
    allowed = random.random((count, len(choices))) < (0.85 if holes else 1.1)
    for node in (0, -1):
        cost[node], allowed[node] = 0.0, np.arange(len(choices)) == 0
    allowed[:, 0] = True
    return Problem(
        choices,
        (-1, *range(count - 2), -1),
        quantities,
        cost,
        allowed,
        tuple(_flow(random, choices, devices, at, source, readers) for source, readers in flows),
    )


def _flow(
    random: np.random.Generator,
    choices: tuple[Choice, ...],
    devices: list[str],
    at: dict[str, int],
    source: int,
    readers: tuple[int, ...],
) -> Flow:
    where = np.array([devices.index(choice.device) for choice in choices])
    kinds = np.array([int(choice.precision == "int8") for choice in choices])
    size = float(random.integers(1, 20))
    sent = np.zeros((len(choices), len(devices), len(at)))
    nbytes = size * np.where(kinds == 1, 1, 4)
    others = where[:, None] != np.arange(len(devices))
    for name, share in ((NBYTES, 1.0), (LATENCY, 0.3), (BUSY + "link", 0.3)):
        sent[:, :, at[name]] = others * nbytes[:, None] * share
    forms = where * 2 + kinds
    converted = np.zeros((len(choices), 2 * len(devices), len(at)))
    differs = kinds[:, None] != np.arange(2 * len(devices)) % 2
    converted[:, :, at[LATENCY]] = differs * size * 0.1
    for place in range(len(choices)):
        converted[place, :, at[BUSY + devices[where[place]]]] = converted[place, :, at[LATENCY]]
    tolls = [Toll(where, sent), Toll(forms, converted)]
    if random.random() < 0.15:  # these must stay together
        tie = np.zeros((len(choices), len(devices), len(at)))
        tie[others, at[LATENCY]] = np.inf
        tolls.append(Toll(where, tie))
    return Flow(f"t{source}", source, readers, tuple(tolls))


def random_goal(problem: Problem, seed: int, budgets: int) -> Goal:
    """Return an objective with some budgets that are neither free nor, most of the time, impossible."""
    random = np.random.default_rng(seed)
    kind = GOALS[int(random.integers(0, 3))]
    names = [ERROR, *problem.named(MEMORY)]
    if kind != "latency":
        names.append(LATENCY)
    samples = np.array([problem.totals(one) for one in _assignments(problem, random, 50)])
    samples = samples[np.isfinite(samples).all(axis=1)]
    chosen = random.choice(names, min(budgets, len(names)), replace=False)
    bounds = {
        str(name): float(np.quantile(samples[:, problem.index(str(name))], random.uniform(0.05, 0.6)))
        for name in (chosen if len(samples) else ())
    }
    if kind == "throughput":
        return Goal(largest=problem.named(BUSY), budgets=bounds)
    return Goal(weights={LATENCY if kind == "latency" else NBYTES: 1.0}, budgets=bounds)


def brute_force(problem: Problem, goal: Goal) -> float | None:
    """Return the least value of all assignments within the budgets; None where there is none."""
    values = []
    for assignment in itertools.product(*(np.flatnonzero(own) for own in problem.allowed)):
        totals = problem.totals(assignment)
        if np.isfinite(totals).all() and goal.is_within(problem, totals):
            values.append(goal.value(problem, totals))
    return min(values, default=None)


def _assignments(problem: Problem, random: np.random.Generator, count: int) -> list[Array]:
    return [np.array([random.choice(np.flatnonzero(own)) for own in problem.allowed]) for _ in range(count)]
