"""The solver on problems too large to try everything: against a minimum cut, and its ways against each other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from litedelegates.plan.elimination import Elimination
from litedelegates.plan.problem import BUSY, ERROR, LATENCY, Array, Flow, Goal, Problem, Toll
from litedelegates.plan.program import optimize
from litedelegates.plan.records import Choice
from litedelegates.plan.solve import solve
from litedelegates.plan.tables import Tables, TooWideError
from litedelegates.plan.target import Target

TWO = (Choice("near", "none", "float32"), Choice("far", "none", "float32"))


def split_problem(seed: int, readers: dict[int, tuple[int, ...]]) -> Problem:
    """Return a problem of two devices in whole microseconds: the ends are near, and each tensor is sent once."""
    random = np.random.default_rng(seed)
    nodes = 1 + max(reader for own in readers.values() for reader in own)
    cost = random.integers(1, 100, (nodes, 2, 1)).astype(float)
    allowed = np.ones((nodes, 2), dtype=bool)
    allowed[[0, -1], 1] = False
    flows = []
    for source, own in readers.items():
        sent = np.zeros((2, 2, 1))
        sent[0, 1], sent[1, 0] = random.integers(1, 200, 2)
        flows.append(Flow(f"t{source}", source, own, (Toll(np.arange(2), sent),)))
    return Problem(TWO, tuple(range(nodes)), (LATENCY,), cost, allowed, tuple(flows))


def minimum_cut(problem: Problem) -> float:
    """Return the least latency as the minimum cut between the two devices, as DADS does (Hu et al., INFOCOM 2019)."""
    csgraph, sparse = pytest.importorskip("scipy.sparse.csgraph"), pytest.importorskip("scipy.sparse")
    nodes = len(problem.layers)
    near, far, never = nodes, nodes + 1, 1_000_000
    edges: dict[tuple[int, int], int] = {}
    for node in range(nodes):
        edges[near, node] = int(problem.cost[node, 1, 0]) if problem.allowed[node, 1] else never
        edges[node, far] = int(problem.cost[node, 0, 0])
    for place, flow in enumerate(problem.flows):
        there, back = nodes + 2 + 2 * place, nodes + 3 + 2 * place  # on the far side once a reader is, and the reverse
        edges[flow.source, there] = int(flow.tolls[0].cost[0, 1, 0])
        edges[back, flow.source] = int(flow.tolls[0].cost[1, 0, 0])
        edges |= {(there, reader): never for reader in flow.readers} | {
            (reader, back): never for reader in flow.readers
        }
    rows, columns = np.array(list(edges)).T
    size = nodes + 2 + 2 * len(problem.flows)
    graph = sparse.csr_matrix((np.array(list(edges.values()), dtype=np.int32), (rows, columns)), shape=(size, size))
    return float(csgraph.maximum_flow(graph, near, far).flow_value)


def residual(nodes: int) -> dict[int, tuple[int, ...]]:
    """Return a chain in which every fourth node is also read four further on."""
    return {
        node: (node + 1, node + 4) if node % 4 == 0 and node + 4 < nodes else (node + 1,) for node in range(nodes - 1)
    }


def inception(modules: int) -> dict[int, tuple[int, ...]]:
    """Return modules of four branches of two nodes each, joined in one."""
    readers: dict[int, tuple[int, ...]] = {}
    for first in range(0, 9 * modules, 9):
        readers[first] = tuple(range(first + 1, first + 9, 2))
        readers |= {node: (node + 1 if (node - first) % 2 else first + 9,) for node in range(first + 1, first + 9)}
    return readers


def tangled(nodes: int, seed: int = 0) -> dict[int, tuple[int, ...]]:
    """Return a graph in which each node reads from many before it."""
    random = np.random.default_rng(seed)
    return {node: tuple(sorted({node + 1, *random.integers(node + 1, nodes, 6).tolist()})) for node in range(nodes - 1)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "readers", [residual(301), inception(30), tangled(12)], ids=["residual", "inception", "tangled"]
)
def test_a_split_over_two_devices_is_the_minimum_cut(readers: dict[int, tuple[int, ...]], seed: int) -> None:
    problem = split_problem(seed, readers)
    solution = solve(problem, Goal({LATENCY: 1.0}))
    assert solution.method == "elimination"
    assert solution.value == minimum_cut(problem)


def test_a_graph_too_tangled_for_elimination_goes_to_the_program() -> None:
    problem = split_problem(1, tangled(150))
    least = minimum_cut(problem)
    with pytest.raises(TooWideError):
        Elimination(Tables(problem, [0]))
    solution = solve(problem, Goal({LATENCY: 1.0}), time_limit_s=60)
    assert solution.method == "mixed-integer program"
    assert solution.is_exact
    assert solution.value == least


def mixed_problem(seed: int, readers: dict[int, tuple[int, ...]]) -> Problem:
    """Return a problem of two devices and two precisions, where int8 is quicker and errs."""
    random = np.random.default_rng(seed)
    nodes = 1 + max(reader for own in readers.values() for reader in own)
    choices = tuple(Choice(device, "none", precision) for device in "ab" for precision in ("float32", "int8"))
    quantities = (LATENCY, ERROR, BUSY + "a", BUSY + "b", BUSY + "link")
    device, int8 = np.arange(4) // 2, np.arange(4) % 2
    cost = np.zeros((nodes, 4, 5))
    cost[:, :, 0] = random.lognormal(5, 1, (nodes, 1)) * random.uniform(0.8, 1.2, (nodes, 4)) / (1 + device + int8)
    cost[:, :, 1] = random.lognormal(0, 1.5, (nodes, 1)) * 1e-6 * int8
    for place in (0, 1):
        cost[:, :, 2 + place] = cost[:, :, 0] * (device == place)
    allowed = np.ones((nodes, 4), dtype=bool)
    allowed[[0, -1], 1:] = False
    return Problem(choices, tuple(range(nodes)), quantities, cost, allowed, _mixed_flows(random, readers, device, int8))


def _mixed_flows(
    random: np.random.Generator, readers: dict[int, tuple[int, ...]], device: Array, int8: Array
) -> tuple[Flow, ...]:
    flows = []
    for source, own in readers.items():
        nbytes = random.lognormal(6, 1)
        toll = np.zeros((4, 4, 5))
        toll[:, :, 4] = (device[:, None] != device) * nbytes / (1 + 3 * int8[:, None])
        toll[:, :, 2] = (int8[:, None] != int8) * nbytes * 0.05 * (device == 0)
        toll[:, :, 3] = (int8[:, None] != int8) * nbytes * 0.05 * (device == 1)
        toll[:, :, 0] = toll[:, :, 2:].sum(axis=2)
        flows.append(Flow(f"t{source}", source, own, (Toll(np.arange(4), toll),)))
    return tuple(flows)


@pytest.mark.parametrize("readers", [residual(41), inception(4), tangled(11)], ids=["residual", "inception", "tangled"])
def test_the_program_alone_finds_what_elimination_finds(readers: dict[int, tuple[int, ...]]) -> None:
    pytest.importorskip("scipy")
    problem, goal = mixed_problem(2, readers), Goal({LATENCY: 1.0})
    exact = solve(problem, goal)
    found = optimize(problem, Target(problem, goal), problem.allowed, size=exact.value, time_limit_s=60)
    assert found.assignment is not None
    assert goal.value(problem, problem.totals(found.assignment)) == pytest.approx(exact.value, rel=1e-6)
    assert found.bound == pytest.approx(exact.value, rel=1e-6)


@pytest.mark.parametrize("readers", [residual(201), inception(20)], ids=["residual", "inception"])
def test_a_budget_on_hundreds_of_layers_leaves_a_gap_of_less_than_a_thousandth(
    readers: dict[int, tuple[int, ...]],
) -> None:
    pytest.importorskip("scipy")
    problem = mixed_problem(3, readers)
    free = solve(problem, Goal({LATENCY: 1.0}))
    budget = free.totals[problem.index(ERROR)] / 2
    solution = solve(problem, Goal({LATENCY: 1.0}, budgets={ERROR: budget}), time_limit_s=120)
    assert solution.totals[problem.index(ERROR)] <= budget * (1 + 1e-9)
    assert free.value <= solution.bound <= solution.value
    assert solution.gap < 1e-3


def test_without_scipy_a_sum_is_minimized_and_a_budget_says_what_to_install() -> None:
    program = """
import sys
sys.modules["scipy"] = None
from litedelegates.errors import MissingExtraError
from litedelegates.plan.problem import LATENCY, Goal
from litedelegates.plan.solve import solve
from plan_problems import make_problem
print(solve(make_problem(3), Goal({LATENCY: 1.0})).method)
try:
    solve(make_problem(3), Goal({LATENCY: 1.0}, budgets={"nbytes": 1e6}))
except MissingExtraError as error:
    print(error)
"""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("elimination\n")
    assert "litedelegates[plan]" in said
