"""Variants of small models, mapped by hand."""

from __future__ import annotations

from pathlib import Path

from litedelegates.graph import Op, load
from litedelegates.layers.variants import Owner, Variant


class MappedByHand(Variant):
    """A variant whose owners say all: no op makes constants, and none is cut out together with conversions."""

    def ops_of(self, layer: int) -> tuple[Op, ...]:
        """Return the ops that compute a layer."""
        return tuple(self.graph.ops[index] for index, owner in self.owners.items() if layer in owner.layers)

    def group_of(self, layer: int) -> tuple[Op, ...]:
        """Return the same."""
        return self.ops_of(layer)


def variant(source: str | Path, file: str | Path | None = None, precision: str = "float32") -> Variant:
    """Return a variant whose ops, without its conversions, are the layers one by one."""
    graph = load(source)
    own = graph if file is None else load(file)
    ops = [op for op in own.ops if not op.is_fixed and op.type not in ("QUANTIZE", "DEQUANTIZE")]
    layers = [op for op in graph.ops if not op.is_fixed]
    owners = {op.index: Owner((layer.index,), "layer", "order") for op, layer in zip(ops, layers, strict=True)}
    return MappedByHand(precision, str(file or source), graph, own, owners)
