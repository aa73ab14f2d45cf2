"""Time configurations over several loads of each, because one load is not every load.

Two copies of one model differ by up to 1.5 % for as long as they live (the one that was loaded second is usually the
quicker one), and no number of runs of the same two copies takes that away. Loading both anew, in the reverse order,
does: it turns a constant error into a spread that the interval sees.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from litedelegates.measure.interleave import Plan, interleave
from litedelegates.measure.machine_state import read_machine_state
from litedelegates.measure.timed import Interleaved, Timed, Timer, find_conditions

Loader: TypeAlias = Callable[[], AbstractContextManager[Timer]]


def interleave_loads(
    loaders: Mapping[str, Loader],
    plan: Plan | None = None,
    *,
    loads: int = 4,
    progress: Callable[[Interleaved], None] | None = None,
) -> Interleaved:
    """Load every configuration, time them side by side, and do so again ``loads`` times.

    The order of loading is shuffled, and each second one is the reverse of the one before. The seconds and rounds of
    ``plan`` are those of all loads together; a precision is that of all together too.

    Args:
        loaders: By name, what loads a configuration, gives its timer, and frees it, for instance a function with
            ``contextlib.contextmanager``.
        plan: How long to measure, and in which pieces.
        loads: How often to load each; even, so that each order comes as often as its reverse.
        progress: Called after each round with what was found in the load that is being timed.

    Returns:
        All rounds in the order made; ``load_ns`` of each configuration has the time of each load, ``warmup_ns`` the
        warm-up after the first.

    Raises:
        ValueError: There is nothing to time, or ``loads`` is not even and positive.
    """
    if loads < 2 or loads % 2:
        raise ValueError(f"loads={loads} must be even and positive: each order of loading is followed by its reverse")
    if not loaders:
        raise ValueError("there is nothing to time")
    plan = plan or Plan()
    random = np.random.default_rng(plan.seed)
    begin, state = time.perf_counter(), read_machine_state()
    found: list[Interleaved] = []
    order = list(loaders)
    for number in range(loads):
        order = [order[index] for index in random.permutation(len(order))] if number % 2 == 0 else order[::-1]
        with contextlib.ExitStack() as stack:
            timers, load_ns = {}, {}
            for name in order:
                started = time.perf_counter_ns()
                timers[name] = stack.enter_context(loaders[name]())
                load_ns[name] = time.perf_counter_ns() - started
            in_given_order = {name: timers[name] for name in loaders}
            part = interleave(in_given_order, _share(plan, loads, number), progress=progress)
            timed = tuple(replace(entry, load_ns=(load_ns[entry.name],)) for entry in part.timed)
            found.append(replace(part, timed=timed))
    joined = _join(found, time.perf_counter() - begin, plan.seed)
    return replace(joined, conditions=find_conditions(joined.timed, state, read_machine_state()))


def _share(plan: Plan, loads: int, number: int) -> Plan:
    """Return the plan for one load; its intervals may be wider, because all loads together narrow them again."""

    def widened(precision: float | None) -> float | None:
        return None if precision is None else min(0.99, precision * math.sqrt(loads))

    return replace(
        plan,
        max_seconds=plan.max_seconds / loads,
        min_seconds=plan.min_seconds / loads,
        min_rounds=math.ceil(plan.min_rounds / loads),
        max_rounds=math.ceil(plan.max_rounds / loads),
        precision=widened(plan.precision),
        ratio_precision=widened(plan.ratio_precision),
        seed=plan.seed + number,
    )


def _join(found: list[Interleaved], seconds: float, seed: int) -> Interleaved:
    last = found[-1]
    starts = np.cumsum([0, *(part.rounds for part in found)])
    timed = []
    for entries in zip(*(part.timed for part in found), strict=True):
        first: Timed = entries[0]
        blocks = [
            replace(block, round_index=int(start) + block.round_index)
            for start, entry in zip(starts, entries, strict=False)
            for block in entry.blocks
        ]
        timed.append(
            replace(
                first,
                blocks=tuple(blocks),
                load_ns=tuple(ns for entry in entries for ns in entry.load_ns),
                is_steady=all(entry.is_steady for entry in entries),
            )
        )
    return Interleaved(tuple(timed), int(starts[-1]), seconds, seed, True, last.stopped_by)
