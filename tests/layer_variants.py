"""Variants of small models, mapped by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from litedelegates.graph import Op, load
from litedelegates.layers.variants import Owner, Variant


class V(Variant):
    def ops_of(self, layer: int) -> tuple[Op, ...]:
        return tuple(self.graph.ops[i] for i, o in self.owners.items() if o.role == "layer" and layer in o.layers)

    def group_of(self, layer: int) -> tuple[Op, ...]:
        return self.ops_of(layer)


def variant(
    source: str | Path,
    file: str | Path | None = None,
    precision: str = "float32",
    **layers: Mapping[int, tuple[int, ...]],
) -> Variant:
    """Return a variant whose ops that are no conversions stand in the order of the layers."""
    graph = load(source)
    own = graph if file is None else load(file)
    ops = [op for op in own.ops if not op.is_fixed and op.type not in ("QUANTIZE", "DEQUANTIZE")]
    owners = {op.index: Owner((layer.index,), "layer", "order") for op, layer in zip(ops, graph.ops, strict=True)}
    return V(precision, str(file or source), graph, own, owners)
