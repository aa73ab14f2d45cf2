"""Which layers of a LiteRT and an ONNX model of the same network are the same.

Converters rename ops, turn layouts, fuse activations and write one layer as several ops, so a layer is known by what it
computes: the values of its output on a probe input. Where these say nothing, its constants do, or its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from litedelegates.graph import Graph, Op, Tensor
from litedelegates.layers.probing import Array, Probe, fit_feed, probe, random_feed
from litedelegates.layers.records import Record

Evidence: TypeAlias = tuple[str, ...]
Group: TypeAlias = list[int]
Digest: TypeAlias = tuple[int, int, int]
ACTIVATIONS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1", "TANH", "Clip", "Relu", "Tanh"})
TOLERANCE = 1e-3  # float32 kernels of 150 layers differ by 1e-6 to 1e-5, other layers by more than 0.1


@dataclass(frozen=True)
class LayerPair(Record):
    """A layer in two models, or a layer that only one of them has.

    Attributes:
        first: Its ops in the first model, in the order of execution; empty where that has none.
        second: Its ops in the second.
        evidence: What says that they are the same: "values" of the output on the probe input, "constants" equal up to
            their layout, "name", "shape" equal up to the layout. Empty where one side is.
        difference: Root mean square of the difference of the outputs over that of the outputs; None without values.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    evidence: Evidence = ()
    difference: float | None = None

    @property
    def is_matched(self) -> bool:
        """Whether both models have it."""
        return bool(self.first and self.second)


def match_layers(
    first: Graph, second: Graph, feeds: Mapping[str, Any] | None = None, *, tolerance: float = TOLERANCE
) -> tuple[LayerPair, ...]:
    """Match the layers of two models of the same network, several ops to one where converters fused or split them.

    Two ops are matched by the values of their outputs on a probe input, else by equal constants, else by their name,
    and never against the order in which layers depend on each other. An op without a counterpart belongs to the layer
    that alone reads what it makes (a Conv whose Relu is fused in the other model), or is listed by itself.

    Args:
        first: One of the two, such as `graph.load` returns; usually the ``.tflite``.
        second: The other.
        feeds: Arrays by name of the first model's inputs; by default random values from 0 to 1. The second model gets
            the same ones in the order of its inputs, turned to its layout.
        tolerance: Up to which `LayerPair.difference` outputs are the same.

    Returns:
        The layers in the order of the first model, those that only the second has after the layer in front of them.

    Raises:
        OptionError: The inputs of the two do not fit each other, or only a caller can know values for them.
        RunError: One of the models cannot run; carries the engine's words.
        MissingExtraError: ONNX Runtime is not installed.
    """
    feed = random_feed(first) if feeds is None else {name: np.asarray(value) for name, value in feeds.items()}
    sides = (_Side(first, feed), _Side(second, fit_feed(second, [feed[name] for name in first.input_names])))
    anchors = _anchors(*sides, tolerance)
    groups = (sides[0].groups(anchors.keys()), sides[1].groups(anchors.values()))
    pairs = [_pair(*sides, groups[0][one], groups[1][other], tolerance) for one, other in anchors.items()]
    for number, side in enumerate(sides):
        grouped = {index for group in groups[number].values() for index in group}
        alone = [(op.index,) for op in side.ops if op.index not in grouped]
        pairs += [LayerPair((), op) if number else LayerPair(op, ()) for op in alone]
    return _in_order(pairs)


class _Side:
    """One of the two models: its layers, what they give and what they hold."""

    def __init__(self, graph: Graph, feed: Mapping[str, Array]) -> None:
        self.graph = graph
        self.ops = [op for op in graph.ops if not op.is_fixed and op.makes]
        self.probes = probe(graph, [op.makes[0] for op in self.ops], feed)
        self._digests: dict[Tensor, Digest | None] = {}
        self.ancestors: dict[int, int] = {}  # a bit for each op
        for op in graph.ops:
            self.ancestors[op.index] = 0
            for tensor in op.reads:
                if (maker := graph.producer(tensor)) is not None:
                    self.ancestors[op.index] |= self.ancestors[maker.index] | 1 << maker.index

    def probe_of(self, op: int) -> Probe | None:
        return self.probes.get(self.graph.ops[op].makes[0])

    def constants(self, ops: Iterable[int]) -> set[Digest]:
        tensors = [tensor for op in ops for tensor in self.graph.ops[op].reads if tensor.is_constant]
        for tensor in tensors:
            if tensor not in self._digests:
                self._digests[tensor] = _digest(tensor)
        return {digest for tensor in tensors if (digest := self._digests[tensor]) is not None}

    def end(self, op: int) -> int:
        """Return the activation that alone reads what an op makes, which other converters fuse; else the op."""
        readers = self.graph.readers(self.graph.ops[op].makes[0])
        return readers[0].index if len(readers) == 1 and readers[0].type in ACTIVATIONS else op

    def groups(self, anchors: Iterable[int]) -> dict[int, Group]:
        """Return the ops of each layer by the op that gives its result: those that only it reads belong to it."""
        owners = {anchor: anchor for anchor in anchors}
        for op in reversed(self.ops):
            readers = [reader for tensor in op.makes for reader in self.graph.readers(tensor)]
            reading = {owners.get(reader.index) for reader in readers}
            is_given = any(tensor in self.graph.outputs for tensor in op.makes)
            if op.index not in owners and len(reading) == 1 and not is_given and (owner := reading.pop()) is not None:
                owners[op.index] = owner
        groups: dict[int, Group] = {anchor: [] for anchor in anchors}
        for index in sorted(owners):
            groups[owners[index]].append(index)
        return groups


def _anchors(first: _Side, second: _Side, tolerance: float) -> dict[int, int]:
    """Return by op of the first model the op of the second that gives the same result."""
    found: dict[int, int] = {}
    taken: set[int] = set()
    for candidates in (_by_values(first, second, tolerance), _by_constants(first, second), _by_name(first, second)):
        for one, other in candidates:
            if one not in found and other not in taken and _fits(first, second, found, one, other):
                found[one] = other
                taken.add(other)
    return dict(sorted(found.items()))


def _fits(first: _Side, second: _Side, found: Mapping[int, int], one: int, other: int) -> bool:
    """Return whether no matched layer comes before this one in one model and after it in the other."""
    return all(
        not (first.ancestors[one] >> a & 1 and second.ancestors[b] >> other & 1)
        and not (first.ancestors[a] >> one & 1 and second.ancestors[other] >> b & 1)
        for a, b in found.items()
    )


def _by_values(first: _Side, second: _Side, tolerance: float) -> Iterator[tuple[int, int]]:
    """Yield what gives the same values; where several do (a Reshape, an Identity), those of one name, then in order."""
    for op in first.ops:
        own = first.probe_of(op.index)
        if own is None:
            continue
        near = [
            other
            for other in second.ops
            if (probed := second.probe_of(other.index)) is not None and own.difference(probed) <= tolerance
        ]
        yield from ((op.index, other.index) for other in sorted(near, key=lambda other: not _same_name(op, other)))


def _by_constants(first: _Side, second: _Side) -> Iterator[tuple[int, int]]:
    holders: dict[Digest, list[int]] = {}
    for op in second.ops:
        for digest in second.constants([op.index]):
            holders.setdefault(digest, []).append(op.index)
    for op in first.ops:
        for digest in sorted(first.constants([op.index]), reverse=True):  # the largest constant first
            yield from ((first.end(op.index), second.end(other)) for other in holders.get(digest, ()))


def _by_name(first: _Side, second: _Side) -> Iterator[tuple[int, int]]:
    for op in first.ops:
        yield from ((op.index, other.index) for other in second.ops if _same_name(op, other))


def _same_name(op: Op, other: Op) -> bool:
    return bool({op.name, op.makes[0].name} & {other.name, other.makes[0].name} - {""})


def _digest(tensor: Tensor) -> Digest | None:
    """Return what is the same for constants that are equal up to their layout; None for what may be equal by chance.

    Sums over the bits of the values do not depend on their order, and unlike sums of floats they are exact.
    """
    dtype = {"float32": np.uint32, "float16": np.uint16}.get(tensor.element_type)
    if dtype is None:
        return None
    stored = getattr(tensor.native, "constant", None)  # an ONNX file may hold values by element
    values = tensor.native.data() if stored is None else np.ascontiguousarray(stored.array())
    bits = np.frombuffer(values, dtype)
    if bits.size < 8 or bits.min() == bits.max():
        return None
    wide = bits.astype(np.uint64)
    return bits.size, int(wide.sum()), int((wide * wide).sum())


def _pair(first: _Side, second: _Side, one: Group, other: Group, tolerance: float) -> LayerPair:
    probes = first.probe_of(one[-1]), second.probe_of(other[-1])
    evidence, difference = [], None
    if probes[0] is not None and probes[1] is not None:
        found = probes[0].difference(probes[1])
        difference = found if np.isfinite(found) else None
        if found <= tolerance:
            evidence.append("values")
        if probes[0].samples.keys() & probes[1].samples.keys():
            evidence.append("shape")
    if first.constants(one) & second.constants(other):
        evidence.append("constants")
    if any(_same_name(first.graph.ops[a], second.graph.ops[b]) for a in one for b in other):
        evidence.append("name")
    return LayerPair(tuple(one), tuple(other), tuple(evidence), difference)


def _in_order(layers: Iterable[LayerPair]) -> tuple[LayerPair, ...]:
    """Sort by the first model; what only the second has comes behind the layer that is in front of it there."""
    known = list(layers)
    ordered = sorted((pair for pair in known if pair.first), key=lambda pair: pair.first[-1])
    for lone in sorted((pair for pair in known if not pair.first), key=lambda pair: pair.second):
        before = [place for place, pair in enumerate(ordered) if pair.second and pair.second[-1] < lone.second[0]]
        ordered.insert(max(before, key=lambda place: ordered[place].second[-1]) + 1 if before else 0, lone)
    return tuple(ordered)
