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


def _stored(ops: Iterable[Op]) -> set[str]:
    return {tensor.element_type for op in ops for tensor in op.reads if tensor.is_constant}


def _with_fixed(graph: Graph, layer: Op) -> list[Op]:
    """Return a layer and the ops that only make its constants."""
    found, waiting = [layer], list(layer.reads)
    while waiting:
        maker = graph.producer(waiting.pop())
        if maker is not None and maker.is_fixed and maker not in found:
            found.append(maker)
            waiting += maker.reads
    return found
