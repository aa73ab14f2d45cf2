"""Which layer each op of a rewritten model is there for, whoever rewrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from litedelegates.graph import Graph, Op, Tensor
from litedelegates.graph.kinds import CONVERSIONS
from litedelegates.layers.alignment import LAYOUTS, Alignment
from litedelegates.layers.records import Role

Owners: TypeAlias = "Mapping[int, Owner]"


@dataclass(frozen=True)
class Owner:
    """What an op of a variant is there for.

    Attributes:
        layers: The layers it computes, in order; for a conversion, the one layer that caused it; empty if unknown.
        role: "layer", "conversion" or "unmapped".
        evidence: What that was read from.
    """

    layers: tuple[int, ...]
    role: Role
    evidence: str


UNMAPPED = Owner((), "unmapped", "no tensor after it is known in the float32 model")


def owners(source: Graph, variant: Graph) -> dict[int, Owner]:
    """Return what each op of a rewritten model is there for, by its index; ops that only make constants are left out.

    Tensors that hold the same values have names that tell so. Between two such tensors the ops of the variant compute
    what the ops of the source compute, however they were fused or taken apart. A conversion is charged to the layer
    that reads what it makes; where none does, to the one that made what it reads.

    Args:
        source: The float32 model.
        variant: What a quantizer or an engine made of it.
    """
    return owners_by(Alignment(source, variant))


def owners_by(alignment: Alignment) -> dict[int, Owner]:
    """Return what each op of the variant of an alignment is there for; see `owners`."""
    return _Charging(alignment).owners()


def identity(graph: Graph) -> dict[int, Owner]:
    """Return the owners of a model's own ops: each is the layer itself."""
    return {op.index: Owner((op.index,), "layer", "the op itself") for op in graph.ops if not op.is_fixed}


class _Charging:
    """Goes through the ops of a variant from the last to the first: what an op is for is known from its readers."""

    def __init__(self, alignment: Alignment) -> None:
        self._alignment, self._variant = alignment, alignment.variant
        self._ops = [op for op in alignment.variant.ops if not op.is_fixed]
        self._groups = _groups(alignment)
        self._found: dict[Op, Owner] = {}
        # The tensors of the source that an op helps to compute.
        self._ends: dict[Op, list[Tensor]] = {}

    def owners(self) -> dict[int, Owner]:
        for op in reversed(self._ops):
            self._ends[op] = self._ends_of(op)
            if self._ends[op]:
                self._found[op] = self._inside(op)
        for op in reversed(self._ops):
            if op not in self._found:
                self._found[op] = self._conversion(op)
        return {op.index: self._found[op] for op in self._ops}

    def _is_plain_conversion(self, op: Op) -> bool:
        """Return whether an op only says a tensor of the source in another way."""
        carried = self._alignment.carried
        return any(tensor in carried for tensor in op.makes) and self._alignment.is_conversion(op)

    def _ends_of(self, op: Op) -> list[Tensor]:
        carried = self._alignment.carried
        if self._is_plain_conversion(op):
            return []
        own = [carried[tensor] for tensor in op.makes if tensor in carried]
        if own:
            return own
        later = {end for tensor in op.makes for reader in self._variant.readers(tensor) for end in self._ends[reader]}
        position = self._alignment.source.position
        return sorted(later, key=lambda tensor: position[tensor])[:1]

    def _inside(self, op: Op) -> Owner:
        layers = tuple(dict.fromkeys(index for end in self._ends[op] for index in self._groups.get(end, ())))
        if not layers:
            return UNMAPPED
        carried = [tensor for tensor in op.makes if tensor in self._alignment.carried]
        evidence = self._alignment.evidence[carried[0]] if carried else f"helps to make {self._ends[op][0].name!r}"
        if op.type in CONVERSIONS or op.type in LAYOUTS:
            own = {self._alignment.source.ops[index].type for index in layers}
            if op.type not in own:
                return Owner(layers[:1], "conversion", evidence)
        return Owner(layers, "layer", evidence)

    def _conversion(self, op: Op) -> Owner:
        if not self._is_plain_conversion(op):
            return UNMAPPED
        for tensor in op.makes:
            for reader in self._variant.readers(tensor):
                owner = self._found.get(reader, UNMAPPED)
                if owner.layers:
                    return Owner(owner.layers[:1], "conversion", "op that reads it")
        for tensor in op.reads:
            while (maker := self._variant.producer(tensor)) is not None and not maker.is_fixed:
                if maker in self._found:
                    layers = self._found[maker].layers[:1]
                    return Owner(layers, "conversion", "op that made it") if layers else UNMAPPED
                if not maker.reads:
                    break
                tensor = maker.reads[0]
        return UNMAPPED


def _groups(alignment: Alignment) -> dict[Tensor, tuple[int, ...]]:
    """Return the ops of the source that compute each carried tensor from other carried ones; each op only once."""
    stops = set(alignment.carried.values())
    position = alignment.source.position
    groups: dict[Tensor, tuple[int, ...]] = {}
    taken: set[int] = set()
    for tensor in sorted(stops, key=lambda tensor: (_made_at(alignment.source, tensor), position[tensor])):
        indices = tuple(op.index for op in alignment.first_layers(tensor, stops))
        # What several need is charged to the first; an op that makes several outputs belongs to each of them.
        maker = alignment.source.producer(tensor)
        kept = tuple(index for index in indices if index not in taken or (maker is not None and index == maker.index))
        groups[tensor] = kept
        taken.update(kept)
    return groups


def _made_at(graph: Graph, tensor: Tensor) -> int:
    maker = graph.producer(tensor)
    return -1 if maker is None else maker.index
