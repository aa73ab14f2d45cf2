"""Per-op times from the runtime's own profiler."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from litedelegates import _core
from litedelegates.delegates import Delegate
from litedelegates.delegates.base import GPU, NPU
from litedelegates.errors import UnsupportedError
from litedelegates.model import Model
from litedelegates.routes.compiled import CompiledSession
from litedelegates.routes.session import Session

# Event types of the runtime.
_OPERATOR, _DELEGATE_OPERATOR, _DELEGATE_PROFILED_OPERATOR = 2, 4, 8

# Ops that run other subgraphs. The profiler reads the memory of the process at the begin and the end of each such run,
# 20 us together, and counts that as time of the op.
_CONTROL_FLOW = frozenset({"WHILE", "IF", "CALL", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE"})


@dataclass(frozen=True)
class OpTiming:
    """Times of one op.

    Attributes:
        name: The op's type ("CONV_2D"), or a delegate's own name for what it runs ("Convolution (NHWC, F32) IGEMM").
        ran: "builtin", or the delegate.
        op_index: Index of the op in its subgraph; None for an op of a delegate, which may stand for several.
        partition: For a delegate's op: which of its partitions; else None.
        op_indices: Ops of the model that may be meant: one, or all of the partition.
        samples_us: Microseconds of each run, in whole microseconds as the runtime measures them.
        subgraph: Index of the subgraph; above 0 for the branches and bodies that ops such as IF and WHILE run.
    """

    name: str
    ran: str
    op_index: int | None
    partition: int | None
    op_indices: tuple[int, ...]
    samples_us: tuple[float, ...]
    subgraph: int = 0

    @property
    def median_us(self) -> float:
        """Median over the runs."""
        return statistics.median(self.samples_us)


@dataclass(frozen=True)
class Profile:
    """What the profiler recorded; measuring costs time, so sums are above the latency that `time_runs` measures.

    Attributes:
        ops: In the order they ran; the time of an op that runs other subgraphs, such as WHILE, includes their ops. It
            is measured without the profiler, which takes longer for such an op than the op itself.
        runs: Number of runs recorded.
        note: What could not be profiled, and what stands in its place; empty when all could.
        whole_us: Microseconds of each of the runs, around all ops.
    """

    ops: tuple[OpTiming, ...]
    runs: int
    note: str
    whole_us: tuple[float, ...] = ()

    @property
    def total_us(self) -> float:
        """Sum of the medians of all ops; those inside another op count as part of it."""
        return sum(op.median_us for op in self.ops if op.subgraph == 0)

    def slowest(self, count: int = 10) -> tuple[OpTiming, ...]:
        """Return the ops that take longest."""
        return tuple(sorted(self.ops, key=lambda op: -op.median_us)[:count])

    def _repr_html_(self) -> str:
        """Return the ops in the order they ran, with a bar for the time of each, for notebooks."""
        from litedelegates import notebook

        most = max((op.median_us for op in self.ops), default=0.0) or 1.0
        rows = [
            (op.name, op.ran, op.subgraph, op.partition, op.op_index, op.median_us, notebook.Bar(op.median_us / most))
            for op in self.ops
        ]
        header = ("op", "ran on", "subgraph", "partition", "op index", "median µs", "")
        title = f"{self.total_us:g} µs: the sum of {len(self.ops)} medians over {self.runs} runs"
        return notebook.page(title, notebook.text(self.note) if self.note else "", notebook.table(header, rows))


def profile(model: Model, delegates: Sequence[Delegate], session: Session, *, runs: int) -> Profile:
    """Profile a second copy of a model, on the inputs that its session holds.

    A GPU cannot be profiled per op: every run would fail; nor can an NPU, whose ops are compiled into one. There
    the whole run is one record, with a note.

    Raises:
        UnsupportedError: The model runs on the classic route, which has no profiler.
        ValueError: ``runs`` is below 1.
    """
    if runs < 1:
        raise ValueError(f"profile(runs={runs}): at least one run is needed")
    if session.route.name != "compiled":
        raise UnsupportedError(
            f"per-op times need the compiled route, and this model runs on the classic one ({session.route.reason}); "
            "time_runs() measures the whole"
        )
    if any(delegate.hardware in (GPU, NPU) for delegate in delegates):
        return _whole_run(model, delegates, session, runs)
    session.allocate()
    profiled = session.running.copy(profiling=True)
    try:
        found = _profile(model, profiled, session, runs)
    finally:
        profiled.close()
    if not any(op.name in _CONTROL_FLOW for op in found.ops):
        return found
    plain = session.running.copy(profiling=False)
    try:
        _copy_inputs(model, session, plain)
        return _with_control_flow_timed(found, plain)
    finally:
        plain.close()


def _copy_inputs(model: Model, source: Session, target: CompiledSession) -> None:
    """Give a session the inputs of another, and run it once."""
    inputs = model.subgraphs[0].inputs
    for index in inputs:
        if target.shape(index) != source.shape(index):
            target.resize_input(index, source.shape(index), strict=False)
    target.allocate()
    for index in inputs:
        target.set_tensor(index, source.get_tensor(index))
    target.invoke()


def _with_control_flow_timed(found: Profile, plain: CompiledSession) -> Profile:
    """Put the times of kernels without a profiler in the place of those of ops that run other subgraphs."""
    planned = [node for subgraph, plan in plain.compiled.plans() if subgraph == 0 for node in plan.nodes]
    nodes = [None if node.is_delegate else plain.op_index(0, node.node_index) for node in planned]
    runs_ns = [plain.runner.time_kernels() for _ in range(found.runs)]
    ops, inflated = [], []
    for op in found.ops:
        if op.name in _CONTROL_FLOW:
            if op.subgraph == 0 and op.partition is None and op.op_index in nodes and runs_ns[0]:
                position = nodes.index(op.op_index)
                op = replace(op, samples_us=tuple(run[position] / 1e3 for run in runs_ns))
            else:
                inflated.append(f"{op.name} (op {op.op_index} of subgraph {op.subgraph})")
        ops.append(op)
    note = (
        f"Far too long, because the profiler's own work inside counts: {', '.join(inflated)}. Rank the ops without."
        if inflated
        else ""
    )
    return replace(found, ops=tuple(ops), note=note)


def _profile(model: Model, profiled: CompiledSession, session: Session, runs: int) -> Profile:
    _copy_inputs(model, session, profiled)
    plans = {subgraph: plan.nodes for subgraph, plan in profiled.compiled.plans()}
    partitions = {subgraph: [node for node in nodes if node.is_delegate] for subgraph, nodes in plans.items()}
    timed = [_record_run(profiled, partitions) for _ in range(runs)]
    recorded = [times for times, _ in timed]
    ops = []
    for key in recorded[0]:
        subgraph, partition, index, name = key
        delegated = None if partition is None else partitions[subgraph][partition]
        ops.append(
            OpTiming(
                name=name,
                ran="builtin" if delegated is None else profiled.who(delegated.name),
                op_index=profiled.op_index(subgraph, index) if delegated is None else None,
                partition=partition,
                op_indices=tuple(
                    profiled.op_index(subgraph, op) for op in ((index,) if delegated is None else delegated.replaced)
                ),
                samples_us=tuple(run.get(key, 0.0) for run in recorded),
                subgraph=subgraph,
            )
        )
    return Profile(tuple(ops), runs, "", tuple(whole for _, whole in timed))


_Key = tuple[int, "int | None", int, str]


def _record_run(
    profiled: CompiledSession, partitions: dict[int, list[_core.PlannedNode]]
) -> tuple[dict[_Key, float], float]:
    """Run once and return microseconds by (subgraph, partition, index, name), and of the run around them.

    Those of ops of a loop's body add up.

    ``partitions`` are the nodes of each subgraph's plan that stand for a delegate.
    """
    nodes = {subgraph: [node.node_index for node in delegated] for subgraph, delegated in partitions.items()}
    profiled.compiled.start_profiling()
    begin = time.perf_counter_ns()
    profiled.invoke()
    whole = (time.perf_counter_ns() - begin) / 1e3
    times: dict[_Key, float] = {}
    partition: dict[int, int] = {}
    previous: dict[int, int] = {}
    for event in profiled.compiled.take_events():
        subgraph, index = event.metadata2, event.metadata1
        known = nodes.get(subgraph, [])
        if event.type in (_DELEGATE_OPERATOR, _DELEGATE_PROFILED_OPERATOR) and known:
            # A delegate counts its ops from zero in each partition, and partitions run one after the other; those of a
            # loop's body again and again.
            if index <= previous.get(subgraph, index):
                partition[subgraph] = (partition.get(subgraph, -1) + 1) % len(known)
            previous[subgraph] = index
            key: _Key = (subgraph, partition[subgraph], index, event.tag)
        elif event.type == _OPERATOR and index in known:
            # A delegate that does not tell its ops: its whole partition is one.
            partition[subgraph] = known.index(index)
            previous.pop(subgraph, None)
            key = (subgraph, partition[subgraph], 0, event.tag)
        elif event.type == _OPERATOR:
            previous.pop(subgraph, None)
            key = (subgraph, None, index, event.tag)
        else:
            continue
        times[key] = times.get(key, 0.0) + float(event.elapsed_us)
    profiled.compiled.stop_profiling()
    return times, whole


def _whole_run(model: Model, delegates: Sequence[Delegate], session: Session, runs: int) -> Profile:
    session.allocate()
    samples_us = np.asarray(session.time_runs(runs, runs, 1e9)).sum(axis=1) / 1e3
    ops = tuple(range(len(model.subgraphs[0].operators)))
    who = next(delegate for delegate in delegates if delegate.hardware in (GPU, NPU))
    whole = OpTiming("whole model, waited for", who.name, None, None, ops, tuple(samples_us.tolist()))
    reason = "a GPU per op (with its profiler on every run fails)"
    if who.hardware == NPU:
        reason = f"{who.name} per op (it sees one op where the compiler put many)"
    note = (
        f"The runtime cannot profile {reason}. This is the whole model, from upload to read-back; profile it with "
        "delegate='xnnpack' for per-op times of the CPU."
    )
    return Profile((whole,), runs, note, whole.samples_us)
