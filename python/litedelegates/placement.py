"""Which delegate took which op, with the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litedelegates.notebook import Bar


# What `Placement.ran` says of an op whose result follows from the shapes of the inputs: the compiled model lacks it.
FOLDED = "folded"


@dataclass(frozen=True)
class Placement:
    """Where one op ran.

    Attributes:
        op_index: Index of the op in its subgraph, as in the model file.
        op_name: Type of the op, such as "CONV_2D".
        asked: Delegates that were asked for, in order, joined by "+"; "none" for the built-in kernels.
        ran: Which one took it; "builtin" for the runtime's own kernels, "folded" where its result was computed from the
            shapes of the inputs when the model was loaded, "unknown" where nothing tells.
        partition: Counts the groups of ops that run as one; None for an op that runs by itself.
        evidence: What `ran` was read from.
        subgraph: Index of the subgraph.
    """

    op_index: int
    op_name: str
    asked: str
    ran: str
    partition: int | None
    evidence: str
    subgraph: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return asdict(self)


def summarize_types(placements: Iterable[Placement]) -> list[tuple[str, int, Bar, str]]:
    """Return a row for each place where ops ran: its name, how many, their share of all, and how many of each type."""
    from litedelegates.notebook import Bar

    types: dict[str, Counter[str]] = {}
    for placement in placements:
        types.setdefault(placement.ran, Counter())[placement.op_name] += 1
    total = sum(map(Counter.total, types.values()))
    return [
        (ran, found.total(), Bar(found.total() / total), ", ".join(f"{name} {n}" for name, n in found.most_common()))
        for ran, found in types.items()
    ]


def summarize(placements: Iterable[Placement]) -> str:
    """Say where ops ran in a few words, such as "xnnpack 14 of 16, builtin 2"."""
    counts: dict[str, int] = {}
    for placement in placements:
        counts[placement.ran] = counts.get(placement.ran, 0) + 1
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (item[0] == FOLDED, item[0] == "builtin", -item[1]))
    parts = [f"{name} {count}" for name, count in ordered]
    return parts[0] if len(parts) == 1 else ", ".join([f"{parts[0]} of {total}", *parts[1:]]) if parts else "no ops"
