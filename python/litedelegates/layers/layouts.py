"""Finds the tensors of a variant that hold the values of their layer in another order of dimensions.

A rewriter that moves a Transpose past an op calls what the op makes now after the op, and shapes do not always tell:
four heads at four positions are four by four either way. So the values are compared, on one sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from litedelegates.engines import Array
from litedelegates.errors import CutError
from litedelegates.graph import Tensor
from litedelegates.layers.alignment import LAYOUTS
from litedelegates.layers.carrying import Carriers, is_real
from litedelegates.layers.walking import Walk
from litedelegates.layers.watching import Watch, unwatched
from litedelegates.measure import real_values

# The values of another order have to fit so much better than those of the layer's own: what is only inexact stays.
_BETTER = 0.5
_MOST_AXES = 6  # of more there are too many orders to try


def without_turned(model: Carriers, samples: Mapping[Tensor, Sequence[Array]], *, watch: Watch = unwatched) -> Carriers:
    """Return a variant that knows which of its tensors hold their values in another order of dimensions.

    Only variants to which a rewriter added ops that change layouts are run, on the first sample.

    Args:
        model: The variant.
        samples: By input of the float32 model.
        watch: Called after each load and run.
    """
    pairs = _doubtful(model)
    if not pairs:
        return model
    first = {tensor: list(arrays[:1]) for tensor, arrays in samples.items()}
    variant = model.variant
    try:
        own_samples = model.samples(first)
    except CutError:  # it cannot be run on these samples, which all errors will say
        return model
    walks = (
        Walk(variant.source, first, [[true] for _, true in pairs], watch=watch),
        Walk(variant.graph, own_samples, [[own] for own, _ in pairs], watch=watch),
    )
    turned = set()
    for (own, true), wanted, found in zip(pairs, *walks, strict=True):
        expected, got = wanted[true], found[own]
        if isinstance(expected, str) or isinstance(got, str):
            continue  # neither has values to compare later on
        if is_turned(expected[0], real_values(got[0], own.quantization)):
            turned.add(own)
    return Carriers(variant.with_turned(turned)) if turned else model


def is_turned(expected: Array, found: Array) -> bool:
    """Return whether values are those expected in another order of dimensions, or cannot be them for their shape."""
    if expected.shape != found.shape and sorted(expected.shape) != sorted(found.shape):
        return True
    if not 1 < expected.ndim <= _MOST_AXES:
        return False
    true, own = expected.astype(np.float64), found.astype(np.float64)
    gaps = {
        order: _gap(true.transpose(order), own)
        for order in itertools.permutations(range(true.ndim))
        if tuple(true.shape[axis] for axis in order) == own.shape
    }
    direct = gaps.pop(tuple(range(true.ndim)), np.inf)
    return bool(min(gaps.values(), default=np.inf) < _BETTER * direct)


def _doubtful(model: Carriers) -> list[tuple[Tensor, Tensor]]:
    """Return the tensors whose order of dimensions their shape does not tell, with those that they stand for."""
    variant = model.variant
    if variant.graph is variant.source:
        return []
    added = [op for op in variant.graph.ops if op.type in LAYOUTS and not op.is_fixed]
    if not any((owner := variant.owners.get(op.index)) and owner.role == "conversion" for op in added):
        return []
    pairs = [
        (own, true)
        for true, carriers in variant.carriers.items()
        for own in carriers
        if is_real(true) and is_real(own) and variant.graph.producer(own) is not None and _is_ambiguous(true)
    ]
    makers = {own: maker.index for own, _ in pairs if (maker := variant.graph.producer(own)) is not None}
    return sorted(pairs, key=lambda pair: makers[pair[0]])


def _is_ambiguous(tensor: Tensor) -> bool:
    sizes = [size for size in tensor.shape or () if size != 1]
    return tensor.shape is None or (len(sizes) > 1 and (min(sizes) < 0 or len(set(sizes)) < len(sizes)))


def _gap(expected: Array, found: Array) -> float:
    with np.errstate(all="ignore"):
        gap = float(np.sqrt(np.mean((expected - found) ** 2)))
    return gap if np.isfinite(gap) else float(np.inf)
