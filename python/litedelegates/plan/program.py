"""A problem as a mixed-integer program for HiGHS: what is used where elimination cannot decide.

A column for each choice of a node is one where it is taken. For each toll and reader, columns say which pairs of
source's tensor and wanted form are met; they agree with the choices at both ends. A pair is paid for once where several
readers meet it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litedelegates.errors import MissingExtraError, install_extra
from litedelegates.plan.problem import Array, Flow, Problem, Toll
from litedelegates.plan.target import Target

SIZE = 1e4  # of the objective, as HiGHS is given it: its tolerances are absolute
_HUSH = threading.Lock()  # the standard output is there once
TOLERANCE = 1e-7  # relative: HiGHS takes for whole what is within 1e-6, so values and bounds are off by about that


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of it.

    Attributes:
        assignment: The best found; None where there is none.
        bound: No assignment that was allowed has a smaller value; inf where there is none.
    """

    assignment: Array | None
    bound: float


class _Builder:
    """Columns and rows as they come."""

    def __init__(self, quantities: Sequence[int]) -> None:
        self._quantities = list(quantities)
        self.cost: list[Array] = []
        self.upper: list[float] = []
        self.rows: list[tuple[list[int], list[float]]] = []
        self.low: list[float] = []
        self.high: list[float] = []

    def column(self, cost: Array) -> int:
        possible = bool(np.isfinite(cost).all())
        self.cost.append(cost[self._quantities] if possible else np.zeros(len(self._quantities)))
        self.upper.append(float(possible))
        return len(self.upper) - 1

    def row(self, ones: Sequence[int], less: Sequence[int], low: float, high: float) -> None:
        self.rows.append(([*ones, *less], [1.0] * len(ones) + [-1.0] * len(less)))
        self.low.append(low)
        self.high.append(high)


def optimize(
    problem: Problem,
    target: Target,
    allowed: Array,
    *,
    size: float,
    time_limit_s: float,
    excluded: Sequence[Array] = (),
) -> Outcome:
    """Return the best assignment of some choices, or the best that a time limit allows.

    Args:
        problem: The problem.
        target: What to minimize, and within what.
        allowed: bool array of shape (nodes, K): the choices.
        size: About what the objective is.
        time_limit_s: Seconds.
        excluded: Assignments that are not wanted, such as those that exceed a budget by less than HiGHS notices.
    """
    builder = _Builder(target.quantities)
    chosen = _add_choices(builder, problem, allowed)
    for flow in problem.flows:
        for toll in flow.tolls:
            _add_toll(builder, flow, toll, chosen)
    for assignment in excluded:
        taken = [row[choice] for row, choice in zip(chosen, assignment.tolist(), strict=True)]
        builder.row(taken, [], 0, len(taken) - 1)
    return _run(builder, chosen, target, abs(size) or 1.0, time_limit_s)


def _add_choices(builder: _Builder, problem: Problem, allowed: Array) -> list[dict[int, int]]:
    chosen = []
    for node, row in enumerate(allowed):
        chosen.append({int(choice): builder.column(problem.cost[node, choice]) for choice in np.flatnonzero(row)})
        builder.row(list(chosen[-1].values()), [], 1, 1)
    return chosen


def _add_toll(builder: _Builder, flow: Flow, toll: Toll, chosen: list[dict[int, int]]) -> None:
    readers = sorted(set(flow.readers))
    wanted: list[dict[int, list[int]]] = []
    for reader in readers:
        wanted.append({})
        for choice, column in chosen[reader].items():
            wanted[-1].setdefault(int(toll.form[choice]), []).append(column)
    forms = sorted({form for by_form in wanted for form in by_form})
    makers: dict[bytes, list[int]] = {}
    rows: dict[bytes, Array] = {}
    for choice, column in chosen[flow.source].items():
        row = toll.cost[choice, forms]
        makers.setdefault(row.tobytes(), []).append(column)
        rows[row.tobytes()] = row
    free = np.zeros(toll.cost.shape[2])
    paid = {(maker, form): builder.column(rows[maker][place]) for maker in makers for place, form in enumerate(forms)}
    for by_form in wanted:
        met = paid
        if len(readers) > 1:
            met = {(maker, form): builder.column(free) for maker in makers for form in by_form}
            for pair, column in met.items():
                builder.row([paid[pair]], [column], 0, np.inf)
        for maker, columns in makers.items():
            builder.row([met[maker, form] for form in by_form], columns, 0, 0)
        for form, columns in by_form.items():
            builder.row([met[maker, form] for maker in makers], columns, 0, 0)


def _run(builder: _Builder, chosen: list[dict[int, int]], target: Target, size: float, time_limit_s: float) -> Outcome:
    optimize, sparse = _scipy()
    cost = np.array(builder.cost)
    columns = len(cost) + 1  # the last is the largest of several sums
    index = np.concatenate([row for row, _ in builder.rows])
    value = np.concatenate([row for _, row in builder.rows])
    start = np.cumsum([0, *(len(row) for row, _ in builder.rows)])
    links = sparse.csr_array((value, index, start), shape=(len(builder.rows), columns))
    sums = np.concatenate([cost @ target.rows.T * (SIZE / size), np.full((1, len(target.rows)), -1.0)])
    several = len(target.rows) > 1
    room = np.where(np.abs(target.bounds) > 1e-11, np.abs(target.bounds), 1.0)
    spent = np.concatenate([cost[:, target.places] / room, np.zeros((1, len(room)))])
    integrality = np.zeros(columns)
    integrality[[column for row in chosen for column in row.values()]] = 1
    with _hushed():
        found = optimize.milp(
            np.eye(1, columns, columns - 1)[0] if several else np.r_[sums[:-1, 0], 0.0],
            integrality=integrality,
            bounds=optimize.Bounds(
                np.r_[np.zeros(columns - 1), -np.inf], np.r_[builder.upper, np.inf if several else 0.0]
            ),
            constraints=[
                optimize.LinearConstraint(links, builder.low, builder.high),
                *([optimize.LinearConstraint(sums.T, -np.inf, 0)] if several else []),
                *([optimize.LinearConstraint(spent.T, -np.inf, target.bounds / room)] if len(room) else []),
            ],
            options={"time_limit": max(0.01, time_limit_s), "mip_rel_gap": 1e-10},
        )
    if found.status == 2:
        return Outcome(None, np.inf)
    bound = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound) * size / SIZE
    if found.x is None:
        return Outcome(None, bound)
    assignment = [max(row, key=lambda choice: found.x[row[choice]]) for row in chosen]
    return Outcome(np.array(assignment), bound)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Drop what is written to the standard output by the process.

    HiGHS prints some of its lines whatever it is told about output.
    """
    with _HUSH:
        libc = ctypes.CDLL(None)
        libc.fflush(None)
        try:
            kept = os.dup(1)
        except OSError:  # closed by whoever started the process
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
            libc.fflush(None)  # what was printed may wait in a buffer
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)


def _scipy() -> tuple[Any, Any]:
    try:
        from scipy import optimize, sparse
    except ImportError as error:
        raise MissingExtraError(
            f"this plan needs SciPy's mixed-integer program ({error}): {install_extra('plan')}"
        ) from error
    return optimize, sparse
