"""How quickly is a plan for a thousand layers found, and how far from the best can it be?"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from harness import NOT_REACHED, SKIPPED, Status, describe_machine, identify, make_parser, result_path, save_json
from litedelegates.errors import PlanError
from litedelegates.plan.improve import Incumbent
from litedelegates.plan.problem import BUSY, ERROR, LATENCY, Goal, Problem
from litedelegates.plan.program import optimize
from litedelegates.plan.solve import solve, uniform
from litedelegates.plan.tables import Tables
from litedelegates.plan.target import Target
from plan_networks import CHOICES, DEVICES, PRECISIONS, SHAPES, make_problem
from tables import format_table, say_number

DESCRIPTION = f"""\
Plan chains, ResNets and Inceptions of random layers over {len(DEVICES)} devices with {len(PRECISIONS)} precisions each:
the least latency, the least within half of the error that this has, and the shortest period (throughput). What is
planned in a second is compared with two other ways: the same problem as one mixed-integer program for HiGHS, which gets
--seconds, and what people do by hand: the best single choice for all layers that is within the budget, then the best
change of one layer as long as there is one. Building the problem is not part of the times, all else is, but for the
import of SciPy.

examples:
  python benchmarks/plan.py --quick
  python benchmarks/plan.py --nodes 200 1000 --seconds 60
"""
EPILOG = f"""\
gap: how much better an assignment could be at most, relative to the value. worse by: of the other ways' value.
exit code: 0 when every latency has its gap and all took no more than a second, else {NOT_REACHED}"""
WANTED = {"seconds": 1.0, "gap": 1e-3}
LATENCIES = ("latency", "latency, error")
LIMIT = 0.85  # of the seconds wanted: a solution stops improving then, and is written


@dataclass(frozen=True)
class Peer:
    """What another way found: seconds, value of the objective (None for nothing), bound (None if it has none)."""

    seconds: float
    value: float | None
    bound: float | None = None


@dataclass(frozen=True)
class Case:
    """One problem with one objective: how it was solved here and by the other ways."""

    shape: str
    nodes: int
    objective: str
    seconds: tuple[float, ...]
    value: float
    gap: float
    method: str
    program: Peer
    by_hand: Peer

    @property
    def is_reached(self) -> bool:
        """Whether what is wanted was reached."""
        quick = statistics.median(self.seconds) <= WANTED["seconds"]
        return quick and (self.gap <= WANTED["gap"] or self.objective not in LATENCIES)


def goals(problem: Problem) -> Iterator[tuple[str, Goal]]:
    """Yield the objectives by name."""
    latency = Goal({LATENCY: 1.0})
    yield "latency", latency
    error = solve(problem, latency).totals[problem.index(ERROR)]
    yield "latency, error", Goal({LATENCY: 1.0}, budgets={ERROR: float(error) / 2})
    yield "throughput", Goal(largest=problem.named(BUSY))


def run_program(problem: Problem, goal: Goal, size: float, seconds: float) -> Peer:
    """Solve it as one mixed-integer program."""
    begin, target = time.perf_counter(), Target(problem, goal)
    found = optimize(problem, target, problem.allowed, size=size, time_limit_s=seconds)
    value = None if found.assignment is None else goal.value(problem, problem.totals(found.assignment))
    return Peer(time.perf_counter() - begin, value, found.bound if np.isfinite(found.bound) else None)


def plan_by_hand(problem: Problem, goal: Goal, seconds: float) -> Peer:
    """Take the best choice for all, then the best change of one layer as long as there is one."""
    begin, target = time.perf_counter(), Target(problem, goal)
    tables = Tables(problem, target.quantities)
    best = Incumbent(tables, target)
    for assignment in uniform(tables):
        best.offer(assignment)
    while best.change() and time.perf_counter() - begin < seconds:
        pass
    return Peer(time.perf_counter() - begin, best.value if best.assignment is not None else None)


def measure(shape: str, nodes: int, seed: int, runs: int, seconds: float, status: Status) -> Iterator[Case]:
    problem = make_problem(shape, nodes, seed)
    for objective, goal in goals(problem):
        label = f"{shape}, {nodes} nodes, {objective}"
        status.stage(f"plan: {label}")
        found = [solve(problem, goal, time_limit_s=LIMIT * WANTED["seconds"]) for _ in range(runs)]
        first = found[0]
        status.stage(f"plan: {label}: by hand")
        by_hand = plan_by_hand(problem, goal, seconds)
        status.stage(f"plan: {label}: mixed-integer program, {seconds:.0f} s at most")
        program = run_program(problem, goal, first.value, seconds)
        took = tuple(one.seconds for one in found)
        yield Case(shape, nodes, objective, took, first.value, first.gap, first.method, program, by_hand)


def make_table(cases: list[Case]) -> str:
    def worse(case: Case, peer: Peer) -> str:
        return "nothing found" if peer.value is None else f"{peer.value / case.value - 1:.2%}"

    rows = [
        [
            case.shape,
            str(case.nodes),
            case.objective,
            say_number(statistics.median(case.seconds)),
            f"{case.gap:.4%}",
            case.method,
            f"{case.program.seconds / statistics.median(case.seconds):.0f} x",
            worse(case, case.program),
            f"{case.by_hand.seconds / statistics.median(case.seconds):.1f} x",
            worse(case, case.by_hand),
        ]
        for case in cases
    ]
    header = [
        "shape",
        "nodes",
        "objective",
        "s",
        "gap",
        "method",
        "program takes",
        "worse by",
        "hand takes",
        "worse by",
    ]
    return format_table(header, rows, left=(0, 2, 5))


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=30, seconds_help="most seconds of each of the two other ways")
    parser.epilog = EPILOG
    parser.add_argument("--nodes", type=int, nargs="+", default=[200, 1000], help="layers of the networks")
    parser.add_argument("--runs", type=int, default=5, help="how often each is planned")
    options = parser.parse_args()
    try:
        import scipy.optimize  # noqa: F401  # its import is not what is measured
    except ImportError:
        print("skipped: needs SciPy: pip install 'litedelegates[plan]'")
        return SKIPPED

    seconds = options.seconds * (0.1 if options.quick else 1)
    status, path, cases, failures = Status(), result_path(options, "plan"), [], {}
    identity = identify("plan", options)
    for nodes in options.nodes:
        for shape in SHAPES:
            try:
                for case in measure(shape, nodes, options.seed, options.runs, seconds, status):
                    cases.append(case)
                    save_json(path, {**identity, "cases": cases, "failures": failures})
            except PlanError as error:
                failures[f"{shape}, {nodes} nodes"] = str(error)
    save_json(path, {**identity, "cases": cases, "failures": failures})
    status.clear()
    print(f"Plans over {len(CHOICES)} choices: {', '.join(DEVICES)}, each in {', '.join(PRECISIONS)}")
    print(f"{describe_machine(identity)}\n\n{make_table(cases)}")
    for what, failure in failures.items():
        print(f"failed: {what}: {failure}")
    print(f"\nsaved: {path}")
    return 2 if failures else 0 if all(case.is_reached for case in cases) else NOT_REACHED


if __name__ == "__main__":
    sys.exit(main())
