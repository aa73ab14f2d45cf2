"""XNNPACK's own ops, put back to the ops of the model that they compute.

Its profile names what it runs ("Convolution (NHWC, F32) IGEMM") and says in which partition, but not for which op. It
keeps the order of the model's ops, so both sequences are aligned by kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from litedelegates.graph import Graph, Op

Step: TypeAlias = Literal["computes", "belongs", "prepares", "skipped"]

# What XNNPACK calls ops whose TFLite name is another.
_KINDS: dict[str, tuple[str, ...]] = {
    "AVERAGE_POOL_2D": ("Average Pooling", "Global Average Pooling", "Mean"),
    "BATCH_MATMUL": ("Batch Matrix Multiply",),
    "CAST": ("Convert",),
    "CEIL": ("Ceiling",),
    "CONCATENATION": ("Copy",),
    "CONV_2D": ("Convolution", "Fully Connected"),  # the second for kernels of 1 x 1
    "Convolution2DTransposeBias": ("Deconvolution",),
    "COS": ("Cosine",),
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "DEQUANTIZE": ("Convert",),
    "DIV": ("Divide",),
    "EXPAND_DIMS": ("Static Expand Dims", "Static Reshape", "Copy"),
    "FULLY_CONNECTED": ("Fully Connected", "Dynamic Fully Connected"),
    "GELU": ("GELU", "ApproxGELU"),
    "LOGISTIC": ("Sigmoid",),
    "MAX_POOL_2D": ("Max Pooling",),
    "MaxPoolingWithArgmax2D": ("ArgMax Pooling",),
    "MaxUnpooling2D": ("Unpooling",),
    "MUL": ("Multiply",),
    "NEG": ("Negate",),
    "PAD": ("Constant Pad",),
    "PADV2": ("Constant Pad",),
    "QUANTIZE": ("Convert",),
    "RELU": ("Clamp",),
    "RELU6": ("Clamp",),
    "RELU_0_TO_1": ("Clamp",),
    "RELU_N1_TO_1": ("Clamp",),
    "RESHAPE": ("Static Reshape", "Copy"),
    "ROUND": ("Bankders Rounding", "Bankers Rounding"),
    "RSQRT": ("Reciprocal Square Root",),
    "SIN": ("Sine",),
    "SLICE": ("Slice", "Copy"),
    "SPLIT": ("Copy", "Slice"),
    "SQRT": ("Square Root",),
    "SQUEEZE": ("Static Reshape", "Copy"),
    "STRIDED_SLICE": ("Slice", "Copy"),
    "SUB": ("Subtract",),
    "TRANSPOSE_CONV": ("Deconvolution",),
}
# Put in by XNNPACK: inputs quantized while running, other layouts, fewer dimensions.
_PREPARING = frozenset(
    {"Convert", "Copy", "Fuse Dims", "Split Dims", "Static Expand Dims", "Static Reshape", "Transpose"}
)
_ACTIVATIONS = frozenset({"RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"})  # fused into what makes their input
_PADS = frozenset({"PAD", "PADV2"})  # fused into what reads their output
_VIEWS = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})  # nothing may have to run
_SKIPPED = _ACTIVATIONS | _PADS | _VIEWS

# What speaks against a step; any path of finite cost is possible, the cheapest is taken.
_COST = {"computes": 0.0, "belongs": 1.0, "prepares": 2.0, "skipped": 1.0}


@dataclass(frozen=True)
class Computed:
    """What an inner op of XNNPACK does.

    Attributes:
        ops: The ops of the model that it computes, the one that it is named after first; for one that prepares, the op
            whose input it is.
        is_preparing: Whether it only converts, copies or reshapes for another.
    """

    ops: tuple[Op, ...]
    is_preparing: bool = False


def align(graph: Graph, names: Sequence[str], ops: Sequence[Op]) -> list[Computed] | None:
    """Return what each inner op of a partition computes; None where the order and the kinds do not tell.

    Args:
        graph: The model.
        names: What XNNPACK calls its ops, in the order they ran.
        ops: The partition's ops in the model's order, without those that only make constants.
    """
    steps = _cheapest([name.partition(" (")[0] for name in names], ops)
    if steps is None:
        return None
    computing: list[Op | None] = [None] * len(names)
    preparing: set[int] = set()
    skipped: list[Op] = []
    last: Op | None = None
    for step, name, op in steps:
        if step == "skipped":
            skipped.append(ops[op])
        elif step == "prepares":
            preparing.add(name)
        else:
            last = ops[op] if step == "computes" else last
            computing[name] = last
    following: Op | None = last  # what is put in at the end belongs to the last op
    for name in range(len(names) - 1, -1, -1):
        if name in preparing:
            computing[name] = following
        following = computing[name]
    if not all(computing):
        return None
    fused = _fused(graph, skipped, {op for op in computing if op is not None})
    found = []
    for name, own in enumerate(computing):
        assert own is not None
        is_first = own not in computing[:name] or all(
            other in preparing for other in range(name) if computing[other] is own
        )
        extra = fused.get(own, ()) if is_first and name not in preparing else ()
        found.append(Computed((own, *extra), name in preparing))
    return found


def _cheapest(kinds: Sequence[str], ops: Sequence[Op]) -> list[tuple[Step, int, int]] | None:
    """Return the steps of the cheapest path through both sequences, each with its positions in them; None if none."""
    rows, columns = len(kinds) + 1, len(ops) + 1
    cost = [[math.inf] * columns for _ in range(rows)]
    came: dict[tuple[int, int], tuple[int, int, Step]] = {}
    cost[0][0] = 0.0
    for i in range(rows):
        for j in range(columns):
            if cost[i][j] == math.inf:
                continue
            for step, down, right in _possible(kinds, ops, i, j):
                total = cost[i][j] + _COST[step]
                # Of equal paths the one that comes to the next op sooner: what is put in then stands before a later op.
                if total <= cost[i + down][j + right]:
                    cost[i + down][j + right] = total
                    came[i + down, j + right] = (i, j, step)
    if cost[-1][-1] == math.inf:
        return None
    steps: list[tuple[Step, int, int]] = []
    i, j = len(kinds), len(ops)
    while (i, j) != (0, 0):
        i, j, step = came[i, j]
        steps.append((step, i, j))
    return steps[::-1]


def _possible(kinds: Sequence[str], ops: Sequence[Op], i: int, j: int) -> list[tuple[Step, int, int]]:
    """Return the steps from a position in both sequences, with how far each moves in them."""
    found: list[tuple[Step, int, int]] = []
    if i < len(kinds):
        if j < len(ops) and computes(kinds[i], ops[j]):
            found.append(("computes", 1, 1))
        if j > 0 and i > 0 and _belongs(kinds[i], kinds[i - 1], ops[j - 1]):
            found.append(("belongs", 1, 0))
        if kinds[i] in _PREPARING:
            found.append(("prepares", 1, 0))
    if j < len(ops) and ops[j].type in _SKIPPED:
        found.append(("skipped", 0, 1))
    return found


def computes(kind: str, op: Op) -> bool:
    """Return whether XNNPACK may call what computes an op so."""
    if op.type in _KINDS:
        return kind in _KINDS[op.type]
    return kind.replace(" ", "").lower() == op.type.replace("_", "").lower()


def _belongs(kind: str, before: str, op: Op) -> bool:
    """Return whether an inner op is a further one for the op that has just been computed."""
    activation = op.options.get("fused_activation_function", "NONE")
    if kind == "Clamp":
        return activation != "NONE" and computes(before, op)
    return kind == before and computes(kind, op) and op.type in ("CONCATENATION", "SPLIT", "MEAN", "SUM")


def _fused(graph: Graph, skipped: Sequence[Op], ran: set[Op]) -> dict[Op, tuple[Op, ...]]:
    """Return the ops that run as part of another, by that other: activations after it, padding before it."""
    hosts: dict[Op, Op] = {}
    for op in skipped:  # activations, in order: one may follow another
        maker = next((made for t in op.reads if (made := graph.producer(t)) is not None and not made.is_fixed), None)
        host = hosts.get(maker, maker) if maker is not None else None
        if op.type in _ACTIVATIONS and host in ran and host is not None:
            hosts[op] = host
    for op in reversed(skipped):
        if op.type in _PADS:
            for reader in graph.readers(op.makes[0]):
                host = hosts.get(reader, reader)
                if host in ran:
                    hosts[op] = host
                    break
    found: dict[Op, tuple[Op, ...]] = {}
    for op, host in hosts.items():
        found[host] = (*found.get(host, ()), op)
    return found
