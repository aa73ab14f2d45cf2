"""What every engine tells in the same words."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PortInfo:
    """An input or output of a session.

    Attributes:
        name: What a caller calls it.
        shape: Sizes, -1 for those that may change; empty as well where the engine does not know the rank.
        element_type: Such as ``float32``.
        default: The sizes that the file has for those that may change; empty where it has none, which are taken as 1.
    """

    name: str
    shape: tuple[int, ...]
    element_type: str
    default: tuple[int, ...] = ()


@dataclass(frozen=True)
class EngineOp:
    """Something that an engine ran as one, and its times.

    Attributes:
        name: What the engine calls it: a node's name, or a kernel such as "Convolution (NHWC, F32) IGEMM".
        type: Its op type, such as "CONV_2D" or "QLinearConv"; ``name`` where the engine tells no other.
        ran: "builtin", the delegate, or the execution provider in short ("cpu").
        samples_us: Microseconds of each run, in whole microseconds; those of a loop's body add up.
        outputs: Names of the tensors it makes; None where the engine does not tell.
        op_index: Index of the op in its subgraph of the model's file; None where the engine does not tell.
        op_indices: Ops of the file that may be meant: one, or all of a partition; empty where it does not tell.
        partition: For an op of a delegate: which of its partitions.
        subgraph: 0, or above 0 for the graphs that ops such as IF, WHILE and Loop run; their time is part of that op's.
    """

    name: str
    type: str
    ran: str
    samples_us: tuple[float, ...]
    outputs: tuple[str, ...] | None = None
    op_index: int | None = None
    op_indices: tuple[int, ...] = ()
    partition: int | None = None
    subgraph: int = 0

    @property
    def median_us(self) -> float:
        """Median over the runs."""
        return statistics.median(self.samples_us)


@dataclass(frozen=True)
class EngineProfile:
    """What an engine's profiler recorded; it costs time, so runs take longer than those that `time_runs` measures.

    Attributes:
        ops: In the order they ran.
        runs: How many runs were recorded.
        whole_us: Microseconds of each whole run with the profiler on; empty where the engine does not tell.
        note: What could not be profiled, and what stands in its place; empty when all could.
        optimized: ONNX Runtime's own version of the model, a ``ModelProto`` without its large values: every op of
            `ops` is the node of that name in it. None on LiteRT, which runs the ops of the file.
    """

    ops: tuple[EngineOp, ...]
    runs: int
    whole_us: tuple[float, ...] = ()
    note: str = ""
    optimized: Any = None

    @property
    def total_us(self) -> float:
        """Sum of the medians of all ops; those inside another op count as part of it."""
        return sum(op.median_us for op in self.ops if op.subgraph == 0)
