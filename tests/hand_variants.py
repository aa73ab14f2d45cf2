"""Variants whose ops and tensors are mapped by hand, for tests of what is measured on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from digits_model import digits_data
from litedelegates.graph import Graph, Tensor, load
from litedelegates.graph import Op as GraphOp
from litedelegates.layers.variants import Owner, Variant
from small_models_builder import ModelBuilder, Op, schema


@dataclass(frozen=True)
class HandVariant(Variant):
    """A variant that is told what belongs to what.

    Attributes:
        groups: By layer, the indices of the ops to cut out.
        tensors: By name of a tensor of the source, the name of what holds its values.
    """

    groups: Mapping[int, Sequence[int]] = field(default_factory=dict)
    tensors: Mapping[str, str] = field(default_factory=dict)

    def ops_of(self, layer: int) -> tuple[GraphOp, ...]:
        return tuple(
            op
            for op in self.graph.ops
            if op.index in self.owners
            and self.owners[op.index].role == "layer"
            and layer in self.owners[op.index].layers
        )

    def group_of(self, layer: int) -> tuple[GraphOp, ...]:
        return tuple(self.graph.ops[index] for index in self.groups.get(layer, ()))

    def tensor_of(self, tensor: Tensor) -> Tensor | None:
        name = self.tensors.get(tensor.name)
        return None if name is None else self.graph.tensor(name)


def by_hand(
    precision: str,
    source: Graph,
    graph: Graph,
    layers: Mapping[int, int],
    tensors: Mapping[str, str],
    conversions: Mapping[int, int] | None = None,
    groups: Mapping[int, Sequence[int]] | None = None,
) -> HandVariant:
    """Return a variant.

    Args:
        precision: What it is called.
        source: The float32 model.
        graph: The model in that precision.
        layers: By op of ``graph``, the layer that it computes.
        tensors: By name of a tensor of ``source``, the name of what holds its values in ``graph``.
        conversions: By op of ``graph``, the layer that a conversion is there for.
        groups: By layer, the ops to cut out; by default those that compute it.
    """
    owners = {op: Owner((layer,), "layer", "by hand") for op, layer in layers.items()}
    owners |= {op: Owner((layer,), "conversion", "by hand") for op, layer in (conversions or {}).items()}
    own_groups: dict[int, list[int]] = {}
    for op, layer in layers.items():
        own_groups.setdefault(layer, []).append(op)
    return HandVariant(precision, "", source, graph, owners, {**own_groups, **(groups or {})}, tensors)


def by_name(precision: str, source: Graph, graph: Graph) -> HandVariant:
    """Return a variant whose tensors have the names that they have in the float32 model."""
    of_layer = {op.name: op.index for op in source.ops}  # the name of what it makes, in a ``.tflite``
    layers = {op.index: of_layer[op.name] for op in graph.ops if op.name in of_layer}
    conversions = {op.index: 0 for op in graph.ops if op.index not in layers and not op.is_fixed}
    own = {tensor.name for tensor in graph.tensors if not tensor.is_constant}
    return by_hand(
        precision,
        source,
        graph,
        layers,
        {tensor.name: tensor.name for tensor in source.tensors if tensor.name in own},
        conversions,
    )


def mul_chain(*factors: float, size: int = 4) -> Graph:
    """Return a chain of MULs of x by constants; the tensor ``step_i`` holds x times the first i + 1 of them."""
    model = ModelBuilder()
    graph = model.graph()
    previous = graph.input("x", (1, size))
    for step, factor in enumerate(factors):
        made = graph.tensor(f"step_{step}", (1, size))
        graph.op(Op.MUL, [previous, graph.constant(f"c{step}", np.float32(factor))], [made], schema.MulOptionsT())
        previous = made
    graph.table.outputs = [previous]
    return load(model.to_bytes())


def itself(graph: Graph) -> HandVariant:
    """Return the float32 model as a variant of itself."""
    return by_name("float32", graph, graph)


def digits_feeds(count: int) -> list[dict[str, Any]]:
    """Return the first images of the digits as samples of the shipped model."""
    return [{"image": image[np.newaxis]} for image in digits_data()["images"][:count]]
