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
from litedelegates.layers.xnnpack_kernels import PREPARING, Kernels

# "unknown" is a kernel that no op explains, "missing" an op that no kernel explains.
Step: TypeAlias = Literal["computes", "belongs", "prepares", "skipped", "unknown", "missing"]
_Path: TypeAlias = "list[tuple[Step, int, int]]"

# What speaks against a step; any path of finite cost is possible, the cheapest is taken.
_COST = {"computes": 0, "belongs": 1, "prepares": 2, "skipped": 1, "unknown": 1 << 20, "missing": 1 << 20}
_GUESS = _COST["unknown"]
_OVER_OPS: tuple[Step, ...] = ("skipped", "missing")
_OVER_KERNELS: tuple[Step, ...] = ("belongs", "prepares", "unknown")
_MOVES: dict[Step, tuple[int, int]] = {
    "computes": (1, 1),
    **dict.fromkeys(_OVER_KERNELS, (1, 0)),
    **dict.fromkeys(_OVER_OPS, (0, 1)),
}


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


def align(graph: Graph, names: Sequence[str], ops: Sequence[Op]) -> list[Computed | None]:
    """Return what each inner op of a partition computes; None for one of which the order and the kinds do not tell.

    One whose kind fits no op is left out, and so is one that several ops explain equally well once something was left
    out: the others are aligned around it.

    Args:
        graph: The model.
        names: What XNNPACK calls its ops, in the order they ran.
        ops: The partition's ops in the model's order, without those that only make constants.
    """
    kinds = [name.partition(" (")[0] for name in names]
    kernels = Kernels(graph, kinds, ops)
    guesses = 0
    # Fewer guesses reach fewer cells: a long partition where all fits, or nearly, takes no longer for it.
    while guesses <= len(kinds):
        grid = _Grid(kernels, kinds, ops, guesses)
        if grid.has_end:
            if not grid.is_guessed:
                # What is put in stands before a later op rather than behind an earlier one.
                return _read(kernels, kinds, ops, grid.path((*_OVER_OPS, *_OVER_KERNELS, "computes")))
            # All other cheapest paths lie between these two.
            first = _read(kernels, kinds, ops, grid.path((*_OVER_OPS, "computes", *_OVER_KERNELS)))
            last = _read(kernels, kinds, ops, grid.path((*_OVER_KERNELS, "computes", *_OVER_OPS)))
            return [one if one == other else None for one, other in zip(first, last, strict=True)]
        guesses = max(1, 2 * guesses)
    return [None] * len(names)


class _Grid:
    """The cheapest paths through a sequence of kernels and one of ops."""

    def __init__(self, kernels: Kernels, kinds: Sequence[str], ops: Sequence[Op], guesses: int) -> None:
        """Walk through both, with so many steps at most that nothing explains."""
        self._kernels, self._kinds, self._ops = kernels, kinds, ops
        self._is_skippable = [kernels.host(op) is not None for op in ops]
        most = (guesses + 1) * _GUESS
        rows, columns = len(kinds) + 1, len(ops) + 1
        cost: list[list[float]] = [[math.inf] * columns for _ in range(rows)]
        self._came: dict[tuple[int, int], list[Step]] = {}
        cost[0][0] = 0
        for i in range(rows):
            for j in range(columns):
                if cost[i][j] == math.inf:
                    continue
                for step in self._possible(i, j, guesses > 0):
                    down, right = _MOVES[step]
                    total = cost[i][j] + _COST[step]
                    if total < most and total < cost[i + down][j + right]:
                        cost[i + down][j + right] = total
                        self._came[i + down, j + right] = [step]
                    elif total == cost[i + down][j + right]:
                        self._came[i + down, j + right].append(step)
        self.has_end = cost[-1][-1] < math.inf
        self.is_guessed = self.has_end and cost[-1][-1] >= _GUESS

    def path(self, order: Sequence[Step]) -> _Path:
        """Return the cheapest path; of equal ones that which ends with the steps that are first in ``order``."""
        steps: _Path = []
        i, j = len(self._kinds), len(self._ops)
        while (i, j) != (0, 0):
            step = min(self._came[i, j], key=order.index)
            i, j = i - _MOVES[step][0], j - _MOVES[step][1]
            steps.append((step, i, j))
        return steps[::-1]

    def _possible(self, i: int, j: int, may_guess: bool) -> list[Step]:
        """Return the steps from a position in both sequences."""
        kinds, ops, found = self._kinds, self._ops, list[Step]()
        if i < len(kinds):
            if j < len(ops) and self._kernels.computes(kinds[i], ops[j]):
                found.append("computes")
            if j > 0 and i > 0 and self._kernels.belongs(kinds[i], kinds[i - 1], ops[j - 1]):
                found.append("belongs")
            if kinds[i] in PREPARING:
                found.append("prepares")
            elif may_guess:
                found.append("unknown")
        if j < len(ops):
            if self._is_skippable[j]:
                found.append("skipped")
            elif may_guess:
                found.append("missing")
        return found


def _read(kernels: Kernels, kinds: Sequence[str], ops: Sequence[Op], path: _Path) -> list[Computed | None]:
    """Return what each kernel does on a path."""
    computing: list[Op | None] = [None] * len(kinds)
    preparing = {kernel for step, kernel, _ in path if step == "prepares"}
    last: Op | None = None
    for step, kernel, index in path:
        if step == "computes":
            last = ops[index]
        elif step == "missing":
            last = None
        if step in ("computes", "belongs"):
            computing[kernel] = last
    following: Op | None = last  # what is put in at the end belongs to the last op
    for kernel in range(len(kinds) - 1, -1, -1):
        if kernel in preparing:
            computing[kernel] = following
        following = computing[kernel]
    first: dict[Op, int] = {}  # the kernel that an op's fused ones are charged with
    for kernel, op in enumerate(computing):
        if op is not None and kernel not in preparing:
            first.setdefault(op, kernel)
    skipped = [ops[op] for step, _, op in path if step == "skipped"]
    fused = kernels.hosts(skipped, {op: kinds[kernel] for op, kernel in first.items()})
    found: list[Computed | None] = []
    for kernel, own in enumerate(computing):
        extra = fused.get(own, ()) if own is not None and first.get(own) == kernel else ()
        found.append(None if own is None else Computed((own, *extra), kernel in preparing))
    return found
