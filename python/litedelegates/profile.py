"""Per-op times from the runtime's own profiler."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.delegates import Delegate
from litedelegates.delegates.base import GPU, NPU
from litedelegates.errors import UnsupportedError
from litedelegates.model import Model
from litedelegates.routes.compiled import CompiledSession
from litedelegates.routes.session import Session

# Event types of the runtime.
_OPERATOR, _DELEGATE_OPERATOR, _DELEGATE_PROFILED_OPERATOR = 2, 4, 8


@dataclass(frozen=True)
class OpTiming:
    """Times of one op.

    Attributes:
        name: The op's type ("CONV_2D"), or a delegate's own name for what it runs ("Convolution (NHWC, F32) IGEMM").
        ran: "builtin", or the delegate.
        op_index: Index of the op in the first subgraph; None for an op of a delegate, which may stand for several.
        partition: For a delegate's op: which of its partitions; else None.
        op_indices: Ops of the model that may be meant: one, or all of the partition.
        samples_us: Microseconds of each run, in whole microseconds as the runtime measures them.
    """

    name: str
    ran: str
    op_index: int | None
    partition: int | None
    op_indices: tuple[int, ...]
    samples_us: tuple[float, ...]

    @property
    def median_us(self) -> float:
        """Median over the runs."""
        return statistics.median(self.samples_us)


@dataclass(frozen=True)
class Profile:
    """What the profiler recorded; measuring costs time, so sums are above the latency that `time_runs` measures.

    Attributes:
        ops: In the order they ran.
        runs: Number of runs recorded.
        note: What could not be profiled, and what stands in its place; empty when all could.
    """

    ops: tuple[OpTiming, ...]
    runs: int
    note: str

    @property
    def total_us(self) -> float:
        """Sum of the medians of all ops."""
        return sum(op.median_us for op in self.ops)

    def slowest(self, count: int = 10) -> tuple[OpTiming, ...]:
        """Return the ops that take longest."""
        return tuple(sorted(self.ops, key=lambda op: -op.median_us)[:count])


def profile(
    model: Model, delegates: Sequence[Delegate], session: Session, *, num_threads: int | None, runs: int
) -> Profile:
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
    profiled = CompiledSession(model, delegates, num_threads=num_threads, profiling=True)
    try:
        return _profile(model, profiled, session, runs)
    finally:
        profiled.close()


def _profile(model: Model, profiled: CompiledSession, session: Session, runs: int) -> Profile:
    graph = model.subgraphs[0]
    for index in graph.inputs:
        if profiled.shape(index) != session.shape(index):
            profiled.resize_input(index, session.shape(index), strict=False)
    profiled.allocate()
    for index in graph.inputs:
        profiled.set_tensor(index, session.get_tensor(index))
    profiled.invoke()
    recorded = [_record_run(profiled) for _ in range(runs)]
    keys = list(recorded[0])
    plan = next((plan.nodes for subgraph, plan in profiled.compiled.plans() if subgraph == 0), [])
    partitions = [tuple(node.replaced) for node in plan if node.is_delegate]
    who = "+".join(delegate.name for delegate in profiled.chain) or "none"
    ops = []
    for key in keys:
        partition, index, name = key
        ops.append(
            OpTiming(
                name=name,
                ran="builtin" if partition is None else who,
                op_index=index if partition is None else None,
                partition=partition,
                op_indices=(index,) if partition is None else partitions[partition],
                samples_us=tuple(run.get(key, 0.0) for run in recorded),
            )
        )
    return Profile(tuple(ops), runs, "")


_Key = tuple["int | None", int, str]


def _record_run(profiled: CompiledSession) -> dict[_Key, float]:
    """Run once and return microseconds by (partition, index, name); ops of a loop's body add up."""
    profiled.compiled.start_profiling()
    profiled.invoke()
    times: dict[_Key, float] = {}
    partition, previous = -1, None
    for event in profiled.compiled.take_events():
        if event.type in (_DELEGATE_OPERATOR, _DELEGATE_PROFILED_OPERATOR):
            # A delegate counts its ops from zero in each partition, and partitions run one after the other.
            if previous is None or event.metadata1 <= previous:
                partition += 1
            previous = event.metadata1
            key: _Key = (partition, event.metadata1, event.tag)
        elif event.type == _OPERATOR:
            previous = None
            key = (None, event.metadata1, event.tag)
        else:
            continue
        times[key] = times.get(key, 0.0) + float(event.elapsed_us)
    profiled.compiled.stop_profiling()
    return times


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
    return Profile((whole,), runs, note)
