"""What to tell `quantize` so that each layer of a model gets its precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from litedelegates.graph import Graph, Op
from litedelegates.layers.carrying import is_real
from litedelegates.layers.infos import layer_ops
from litedelegates.layers.variants import Variant
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Key


def quantize_plan(
    graph: Graph, precisions: Mapping[int, str], changed: Mapping[str, Collection[int]]
) -> dict[Key, str]:
    """Return the ``plan`` of `quantize` that gives each layer its precision.

    `quantize` refuses a plan that names a layer for a precision that changes nothing of it, so such layers are left
    out. Layers are named, because a model is freed of ops that only widen its weights before it is quantized, and
    indices are other ones then; those whose name others have too go by their index.

    Args:
        graph: The float32 model.
        precisions: By layer.
        changed: By precision, the layers that are not what they are in float32 (see `changed_layers`).
    """
    names = Counter(op.name for op in graph.ops)
    types = {op.type for op in graph.ops}
    found: dict[Key, str] = {}
    for layer, precision in sorted(precisions.items()):
        name = graph.ops[layer].name
        if layer in changed.get(precision, ()):
            found[name if names[name] == 1 and name and name not in types else layer] = precision
    return found


def changed_layers(variant: Variant) -> frozenset[int]:
    """Return the layers that a precision changes: all that make real numbers, or only those whose weights it stores."""
    found = set[int]()
    for layer in layer_ops(variant.source):
        if variant.precision.partition(";")[0] in STATIC_PRECISIONS:
            is_changed = any(is_real(tensor) for tensor in layer.makes)
        else:
            own = [op for part in variant.ops_of(layer.index) for op in _with_fixed(variant.graph, part)]
            is_changed = not _stored(own) <= _stored(_with_fixed(variant.source, layer))
        if is_changed and variant.precision != FLOAT32:
            found.add(layer.index)
    return frozenset(found)


def left_in_float32(variant: Variant, precisions: Mapping[int, str]) -> tuple[int, ...]:
    """Return the layers that store matrices and compute in float32, though another precision was asked for.

    Args:
        variant: The model that was made.
        precisions: What was asked for, by layer.
    """
    found = []
    for layer, precision in sorted(precisions.items()):
        op = variant.source.ops[layer]
        before = _stored(_with_fixed(variant.source, op), least_rank=2)
        own = [part for made in variant.ops_of(layer) for part in _with_fixed(variant.graph, made)]
        if (
            precision.partition(";")[0] != FLOAT32
            and FLOAT32 in before
            and own
            and _stored(own, least_rank=2) <= before
        ):
            found.append(layer)
    return tuple(found)


def _stored(ops: Iterable[Op], least_rank: int = 0) -> set[str]:
    """Return the types of the constants that some ops read, those in the subgraphs that they run among them."""
    found = set[str]()
    for op in ops:
        constants = [(tensor.element_type, tensor.shape or ()) for tensor in op.reads if tensor.is_constant]
        constants += [] if op.native is None else op.native.inner_constants()
        found |= {element_type for element_type, shape in constants if len(shape) >= least_rank}
    return found


def _with_fixed(graph: Graph, layer: Op) -> list[Op]:
    """Return a layer and the ops that only make its constants."""
    found, waiting = [layer], list(layer.reads)
    while waiting:
        maker = graph.producer(waiting.pop())
        if maker is not None and maker.is_fixed and maker not in found:
            found.append(maker)
            waiting += maker.reads
    return found
