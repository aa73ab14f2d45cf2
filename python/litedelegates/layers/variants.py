"""A model in another precision, its ops and tensors mapped back to the layers of the float32 model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from litedelegates.graph import Graph, Op, Tensor
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


@dataclass(frozen=True)
class Variant:
    """A model in one precision.

    Attributes:
        precision: Such as "int8" or "int8;format=qoperator"; "float32" for the model itself.
        path: The file.
        source: The float32 model.
        graph: The file's graph; ``source`` itself for "float32".
        owners: By index of an op of ``graph``; ops that only make constants are not in it.
    """

    precision: str
    path: str
    source: Graph
    graph: Graph
    owners: Owners

    def ops_of(self, layer: int) -> tuple[Op, ...]:
        """Return the ops that compute a layer, without conversions; an op that computes several belongs to each."""
        raise NotImplementedError

    def group_of(self, layer: int) -> tuple[Op, ...]:
        """Return the ops to cut out so that a layer runs alone in this precision.

        Its own ops, and those that only make their constants. For QDQ models also the DequantizeLinear in front and the
        QuantizeLinear behind, so that its border is quantized and the engine can fuse it.
        """
        raise NotImplementedError

    def tensor_of(self, tensor: Tensor) -> Tensor | None:
        """Return what holds the values of a tensor of ``source`` in this variant, quantized where it is; None if none.

        `real_values` of the array of the result are the real values.
        """
        raise NotImplementedError
