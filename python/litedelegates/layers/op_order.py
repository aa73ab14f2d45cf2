"""Ops of a model and of its rewritten copy, paired by their order where names do not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from litedelegates.graph import Op

A = TypeVar("A")
B = TypeVar("B")

_PREFIXES = ("DynamicQuantize", "QLinear", "Fused", "Nhwc", "Q")
_ENDINGS = ("IntegerToFloat", "Integer")


def kind(op: Op) -> str:
    """Return the type of an op without what rewriters add to it: "Conv" for "QLinearConv" and "ConvInteger"."""
    name = op.type
    for prefix in _PREFIXES:
        if name.startswith(prefix) and name[len(prefix) :][:1].isupper():
            name = name.removeprefix(prefix)
            break
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def pair(first: Sequence[A], second: Sequence[B], alike: Callable[[A, B], bool]) -> list[tuple[A, B]]:
    """Return the most pairs of alike entries whose order is the same in both sequences (longest common subsequence)."""
    if not first or not second:
        return []
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        for j in range(len(second) - 1, -1, -1):
            if alike(first[i], second[j]):
                lengths[i][j] = lengths[i + 1][j + 1] + 1
            else:
                lengths[i][j] = max(lengths[i + 1][j], lengths[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        if alike(first[i], second[j]) and lengths[i][j] == lengths[i + 1][j + 1] + 1:
            pairs.append((first[i], second[j]))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
