"""What an engine's profile says of the layers: each part of it with the layers that it computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from litedelegates.engines.records import EngineOp, EngineProfile
from litedelegates.graph import Graph, Op, Tensor
from litedelegates.layers.owners import UNMAPPED, Owner, owners
from litedelegates.layers.records import PartTiming
from litedelegates.layers.skeletons import skeleton
from litedelegates.layers.variants import Variant
from litedelegates.layers.xnnpack_ops import Computed, align

_XNNPACK = "xnnpack"
_MISFIT = "kind and order do not tell which op of the delegate's partition it computes"


def place(variant: Variant, profile: EngineProfile) -> list[PartTiming]:
    """Return what the engine ran of a variant, in the order it ran, each part with its layers.

    What ran inside another part, such as the branch of an IF, is part of that one's time and left out.
    """
    ops = [op for op in profile.ops if op.subgraph == 0]
    found = _of_nodes(variant, ops, profile) if variant.graph.format == "onnx" else _of_operators(variant, ops)
    return [
        PartTiming(op.name or op.type, op.ran, owner.role, _main_first(variant.source, owner), op.samples_us, evidence)
        for op, (owner, evidence) in zip(ops, found, strict=True)
    ]


@dataclass(frozen=True)
class _Partition:
    """The ops of a variant that a delegate runs as one, and what it tells of them."""

    ops: tuple[Op, ...]
    inner: list[EngineOp]


def _of_operators(variant: Variant, ops: Sequence[EngineOp]) -> list[tuple[Owner, str]]:
    partitions: dict[int, _Partition] = {}
    for op in ops:
        if op.partition is not None:
            own = tuple(variant.graph.ops[index] for index in sorted(op.op_indices))
            partitions.setdefault(op.partition, _Partition(own, [])).inner.append(op)
    inside = {number: iter(_of_partition(variant, entry)) for number, entry in partitions.items()}
    found = []
    for op in ops:
        if op.partition is not None:
            found.append(next(inside[op.partition]))
        elif op.op_index is not None:
            found.append((owner_of(variant, variant.graph.ops[op.op_index]), "operator index"))
        else:
            found.append((UNMAPPED, "the engine does not say which op it is"))
    return found


def _of_partition(variant: Variant, partition: _Partition) -> list[tuple[Owner, str]]:
    ops = [op for op in partition.ops if not op.is_fixed]
    inner = partition.inner
    if all(op.ran == _XNNPACK for op in inner):
        computed = align(variant.graph, [op.name for op in inner], ops)
        if len(inner) > 1 or computed[0] is not None:
            return [_of_kernel(variant, entry) for entry in computed]
    if len(inner) == 1:
        return [(_union([owner_of(variant, op) for op in ops]), "the only part of its partition")]
    return [(UNMAPPED, _MISFIT)] * len(inner)


def _of_kernel(variant: Variant, computed: Computed | None) -> tuple[Owner, str]:
    return (UNMAPPED, _MISFIT) if computed is None else (_combined(variant, computed), "kind and order")


def _combined(variant: Variant, computed: Computed) -> Owner:
    owner = _union([owner_of(variant, op) for op in computed.ops])
    return Owner(owner.layers[:1], "conversion", owner.evidence) if computed.is_preparing and owner.layers else owner


def owner_of(variant: Variant, op: Op) -> Owner:
    """Return what an op of a variant is there for; one that only makes constants converts for who reads them."""
    if not op.is_fixed:
        return variant.owners.get(op.index, UNMAPPED)
    for tensor in op.makes:
        for reader in variant.graph.readers(tensor):
            owner = owner_of(variant, reader)
            if owner.layers:
                return Owner(owner.layers[:1], "conversion", owner.evidence)
    return UNMAPPED


def _union(parts: Iterable[Owner]) -> Owner:
    """Return the owner of what does the work of several ops: their layers, else what the first conversion is for."""
    known = [part for part in parts if part.layers]
    layers = tuple(dict.fromkeys(index for part in known if part.role == "layer" for index in part.layers))
    if layers:
        return Owner(layers, "layer", known[0].evidence)
    return known[0] if known else UNMAPPED


def _of_nodes(variant: Variant, ops: Sequence[EngineOp], profile: EngineProfile) -> list[tuple[Owner, str]]:
    """Map nodes of the optimized model to those of the variant, and through them to layers."""
    if profile.optimized is None:
        if len(ops) == 1:
            return [(_union(variant.owners.values()), "the only part of the model")]
        return [(UNMAPPED, "the engine does not tell what this part makes")] * len(ops)
    optimized = skeleton(profile.optimized)
    made = {tensor.name: op for op in optimized.ops for tensor in op.makes}
    through = owners(variant.graph, optimized)
    found = []
    for op in ops:
        node = next((made[name] for name in op.outputs or () if name in made), None)
        if node is None:
            found.append((UNMAPPED, "not in the optimized graph by name"))
            continue
        found.append((_through(variant, optimized, through, node), "output tensor"))
    return found


def _through(variant: Variant, optimized: Graph, through: Mapping[int, Owner], node: Op) -> Owner:
    if node.is_fixed:
        for tensor in node.makes:
            for reader in optimized.readers(tensor):
                owner = _through(variant, optimized, through, reader)
                if owner.layers:
                    return Owner(owner.layers[:1], "conversion", owner.evidence)
        return UNMAPPED
    own = through[node.index]
    owner = _union([variant.owners.get(index, UNMAPPED) for index in own.layers])
    return Owner(owner.layers[:1], "conversion", owner.evidence) if own.role == "conversion" and owner.layers else owner


def _main_first(source: Graph, owner: Owner) -> tuple[int, ...]:
    """Return the layers with the one first that takes most of the time, judged by its constants: it is charged."""

    def weights(index: int) -> int:
        return sum(tensor.elements or 0 for tensor in source.ops[index].reads if _is_stored(source, tensor))

    if len(owner.layers) < 2:
        return owner.layers
    main = max(owner.layers, key=weights)
    return (main, *(index for index in owner.layers if index != main))


def _is_stored(source: Graph, tensor: Tensor) -> bool:
    maker = source.producer(tensor)
    return tensor.is_constant if maker is None else maker.is_fixed
