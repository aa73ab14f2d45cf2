"""Which op becomes what: the keys of a plan matched against the ops of a model."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Protocol, TypeAlias

from litedelegates.errors import OptionError
from litedelegates.quantize.request import FLOAT32, Key, Request

# By index of an op that runs subgraphs, the indices of all ops in them.
Inner: TypeAlias = "Mapping[int, Collection[int]]"
NO_INNER: Inner = {}


class Named(Protocol):
    """What a plan needs to know of an op."""

    @property
    def index(self) -> int:
        """Return its place in the order of execution."""

    @property
    def type(self) -> str:
        """Return its type, such as ``CONV_2D`` or ``Conv``."""

    @property
    def name(self) -> str:
        """Return its name: that of its first output (TFLite), of the node (ONNX), of the layer (Keras)."""


@dataclass(frozen=True)
class Op:
    """An op as a plan sees it."""

    index: int
    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.index} {self.type} {self.name!r}"


@dataclass(frozen=True)
class Match:
    """The ops that one key means, and how sure it is that they are meant: 0 by type, 1 pattern, 2 name, 3 index."""

    key: Key
    rank: int
    ops: tuple[int, ...]


def resolve(request: Request, ops: Sequence[Named], inner: Inner = NO_INNER) -> dict[int, str]:
    """Return the precision asked for each op by its index; ``float32`` for ops to leave alone.

    A plan's key is the index of an op, its exact name, its type, or a glob pattern over names (``block1/*``). Where
    several keys mean an op, an index wins over a name, a name over a pattern, a pattern over a type, and the later key
    over the earlier. A string of digits that is no name is an index.

    An op that runs subgraphs, such as a WHILE, stands for the ops in them: what means it means them as well, and wins
    over what means them in the same way (a type and a type).

    Args:
        request: What was asked for.
        ops: Those of the model.
        inner: By index of an op that runs subgraphs, the indices of the ops in them.

    Raises:
        OptionError: A key means no op; names the nearest ones.
    """
    base = request.precision or FLOAT32
    if request.only is not None:
        chosen = {index for key in request.only for index in meant(match(key, ops), inner)}
        return {op.index: base if op.index in chosen else FLOAT32 for op in ops}
    plan: list[tuple[Key, str]] = [*request.plan.items(), *((key, FLOAT32) for key in request.exclude)]
    resolved = {op.index: base for op in ops}
    matches = [(match(key, ops), precision) for key, precision in plan]
    rules = [((found.rank, 0), set(found.ops), precision) for found, precision in matches]
    rules += [((found.rank, 1), meant(found, inner) - set(found.ops), precision) for found, precision in matches]
    for _, indices, precision in sorted(rules, key=lambda rule: rule[0]):  # stable: later keys stay later
        resolved |= dict.fromkeys(indices, precision)
    return resolved


def meant(found: Match, inner: Inner = NO_INNER) -> set[int]:
    """Return the ops that a key means, those in the subgraphs that they run among them."""
    return {*found.ops, *(index for op in found.ops for index in inner.get(op, ()))}


def named_ops(request: Request, ops: Sequence[Named]) -> set[int]:
    """Return the indices of the ops that some key means one by one: by index or by name, not by pattern or type."""
    found = [match(key, ops) for key in (*request.plan, *(request.only or ()))]
    return {index for entry in found if entry.rank >= 2 for index in entry.ops}


def match(key: Key, ops: Sequence[Named]) -> Match:
    """Return the ops that ``key`` means.

    Raises:
        OptionError: There is none; names the nearest.
    """
    if isinstance(key, bool) or not isinstance(key, Integral | str):
        raise OptionError(f"a plan key is a {type(key).__name__}: write an op's index, name, type or a pattern")
    if isinstance(key, str):
        for rank, test in (
            (2, lambda op: op.name == key),
            (0, lambda op: op.type == key),
            (1, lambda op: fnmatch.fnmatchcase(op.name, key)),
        ):
            found = tuple(op.index for op in ops if test(op))
            if found:
                return Match(key, rank, found)
        if not key.isdecimal():
            raise OptionError(f"plan key {key!r} means no op of the model. {_nearest(key, ops)}")
    found = tuple(op.index for op in ops if op.index == int(key))
    if not found:
        raise OptionError(f"plan key {key!r} means no op of the model: indices go from 0 to {len(ops) - 1}")
    return Match(key, 3, found)


def describe(resolved: Mapping[int, str]) -> dict[str, list[int]]:
    """Return ``resolved`` as a record keeps it: the indices of the ops by precision."""
    found: dict[str, list[int]] = {}
    for index, precision in sorted(resolved.items()):
        found.setdefault(precision, []).append(index)
    return found


def _nearest(key: str, ops: Sequence[Named]) -> str:
    names = list(dict.fromkeys([*(op.name for op in ops if op.name), *(op.type for op in ops)]))
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(key.lower(), lowered, n=3, cutoff=0.4)
    close += [low for low in lowered if key.strip("*").lower() in low and low not in close][: 3 - len(close)]
    types = ", ".join(sorted({op.type for op in ops}))
    nearest = ", ".join(repr(lowered[low]) for low in close)
    return (f"Nearest: {nearest}. " if nearest else "") + f"Its {len(ops)} ops are of the types {types}"
