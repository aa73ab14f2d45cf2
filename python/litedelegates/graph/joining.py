"""Putting the parts of a model together again, or models that fit one behind the other."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from litedelegates.errors import CutError
from litedelegates.graph.cutting import PART
from litedelegates.graph.loading import ModelLike, load_all
from litedelegates.graph.model import Graph
from litedelegates.graph.names import Names
from litedelegates.graph.parts import Op, Tensor


def join(parts: ModelLike | Iterable[ModelLike], *, outputs: Sequence[str] | None = None) -> Graph:
    """Join models that run one after the other into one.

    An input of a part that has the name of an earlier part's output is that output; any other input is one of the
    joined model. Parts that `cut` made give the inputs and outputs of the whole in their order.

    Args:
        parts: Graphs, paths or bytes, in the order in which they run, all of one format.
        outputs: Names of the joined model's outputs; by default those of the whole that was cut, or else every output
            that no later part takes.

    Raises:
        CutError: A part takes something else than an earlier part gives (another type, shape or quantization), or
            what only a later part gives.
        InvalidModelError: A model cannot be read.
    """
    graphs = load_all(parts)
    if not graphs:
        raise CutError("no parts were given to join")
    formats = sorted({graph.format for graph in graphs})
    if len(formats) > 1:
        raise CutError(f"models of several formats cannot be one model: {' and '.join(formats)}")
    whole = _whole(graphs)
    joint = _Joint(whole.get("inputs", ()))
    for number, graph in enumerate(graphs):
        joint.add(number, graph)
    wanted = list(outputs) if outputs is not None else whole.get("outputs")
    inputs = _ordered(joint.inputs, whole.get("inputs"))
    first = graphs[0]
    metadata = {name: content for graph in reversed(graphs) for name, content in graph.metadata.items() if name != PART}
    return Graph(
        first.source,
        joint.ops,
        joint.tensors(),
        inputs,
        joint.outputs(wanted),
        name=first.name.removesuffix("_part0"),
        names={t: name for name, t in (*joint.inputs.items(), *joint.public.items()) if t.name != name},
        signature=first.signature,
        metadata=metadata,
    )


class _Joint:
    """The graph that grows part by part."""

    def __init__(self, replaced: Collection[str]) -> None:
        self._replaced = replaced  # inputs of the whole, of which it may give a new value under the same name
        self.ops: list[Op] = []
        self.inputs: dict[str, Tensor] = {}
        self.public: dict[str, Tensor] = {}  # everything that travels, by its name at the borders
        self._given: dict[str, int] = {}  # the part that gives it
        self._taken: set[str] = set()
        self._names = Names()
        self._op_names = Names()
        self._kept: dict[Tensor, None] = {}
        self._same: dict[tuple[Any, ...], Op] = {}
        self._constants: dict[tuple[Any, ...], Tensor] = {}

    def add(self, number: int, graph: Graph) -> None:
        """Append the ops of a part, with its inputs tied to what earlier parts give."""
        tied: dict[Tensor, Tensor] = {}
        for tensor in graph.inputs:
            name = graph.public_name(tensor)
            if name in self.public:
                _check_fit(name, self.public[name], self._given.get(name), tensor, number)
                self._taken.add(name)
            else:
                self.public[name] = self.inputs[name] = self._own(tensor)
            tied[tensor] = self.public[name]
        for tensor in graph.tensors:
            if tensor.is_constant and graph.producer(tensor) is None:
                tied[tensor] = self._constant(tensor)
            elif tensor.is_variable:
                tied[tensor] = self._own(tensor)
        for op in graph.ops:
            self._append(op, tied)
        for tensor in graph.outputs:
            name = graph.public_name(tensor)
            if name in self.inputs and name not in self._given and graph.producer(tensor) is not None:
                if name not in self._replaced:
                    raise CutError(
                        f"part {number} gives {name!r}, which an earlier part takes: give the parts in the order in "
                        "which they run"
                    )
            elif self.public.get(name, tied[tensor]) is not tied[tensor]:
                raise CutError(f"parts {self._given.get(name)} and {number} both give {name!r}")
            self.public[name] = tied[tensor]
            self._given.setdefault(name, number)

    def tensors(self) -> list[Tensor]:
        """Return the tensors that the ops use, and the inputs."""
        used = dict.fromkeys(self.inputs.values())
        for op in self.ops:
            used.update(dict.fromkeys((*op.reads, *op.makes, *op.intermediates)))
        used.update(dict.fromkeys(companion for tensor in list(used) for companion in tensor.companions))
        return list(used)

    def outputs(self, names: Sequence[str] | None) -> list[Tensor]:
        """Return the outputs of the given names, or those that nobody takes."""
        if names is None:
            names = [name for name in self._given if name not in self._taken]
        for name in names:
            if name not in self.public:
                raise CutError(f"no part gives {name!r}; they give {', '.join(map(repr, self._given))}")
        return [self.public[name] for name in names]

    def _append(self, op: Op, tied: dict[Tensor, Tensor]) -> None:
        inputs = tuple(None if tensor is None else tied[tensor] for tensor in op.inputs)
        key = (op.type, inputs, tuple(tensor and tensor.name for tensor in op.outputs))
        twin = self._same.get(key)
        if twin is not None and not op.states and _do_the_same(twin, op):
            # A conversion or a constant that a cut had to make on both sides.
            tied.update((own, made) for own, made in zip(op.outputs, twin.outputs, strict=True) if own and made)
            return
        tied.update((tensor, self._own(tensor)) for tensor in (*op.makes, *op.intermediates) if tensor not in tied)
        for tensor in op.captures:
            if tied[tensor].name != tensor.name:
                raise CutError(
                    f"{op} reads {tensor.name!r} by name, and an earlier part has another tensor of that name"
                )
        made = replace(
            op,
            index=len(self.ops),
            name=self._op_names.take(op.name),
            inputs=inputs,
            outputs=tuple(None if tensor is None else tied[tensor] for tensor in op.outputs),
            captures=tuple(tied[tensor] for tensor in op.captures),
            intermediates=tuple(tied[tensor] for tensor in op.intermediates),
        )
        self.ops.append(made)
        self._same.setdefault(key, made)

    def _constant(self, tensor: Tensor) -> Tensor:
        """Return the constant of the same name and content that an earlier part brought, or else this one."""
        key = (tensor.name, tensor.element_type, tensor.shape, tensor.quantization)
        known = self._constants.get(key)
        if known is None or (known is not tensor and known.native.data() != tensor.native.data()):
            known = self._constants[key] = self._own(tensor)
        return known

    def _own(self, tensor: Tensor) -> Tensor:
        """Return a tensor with a name that no other has; one that was met before stays the same."""
        if tensor in self._kept:
            return tensor
        name = self._names.take(tensor.name)
        own = tensor if name == tensor.name else replace(tensor, name=name)
        self._kept[own] = None
        return own


def _do_the_same(one: Op, other: Op) -> bool:
    return one.native is not None and other.native is not None and one.native.does_the_same_as(other.native)


def _check_fit(name: str, given: Tensor, giver: int | None, taken: Tensor, taker: int) -> None:
    who = "the caller" if giver is None else f"part {giver}"
    for what, has, wants in (
        ("element type", given.element_type, taken.element_type),
        ("shape", given.shape, taken.shape),
        ("quantization", given.quantization, taken.quantization),
    ):
        if what == "shape" and _shapes_fit(given, taken):
            continue
        if has != wants:
            raise CutError(
                f"part {taker} takes {name!r} with {what} {wants}, and {who} gives it with {has}: the parts were not "
                "made for each other, or were quantized differently. Quantize the whole before cutting it"
            )


def _shapes_fit(given: Tensor, taken: Tensor) -> bool:
    if given.shape is None or taken.shape is None:
        return True
    return len(given.shape) == len(taken.shape) and all(
        have == want or have < 0 or want < 0 for have, want in zip(given.shape, taken.shape, strict=True)
    )


def _whole(graphs: Sequence[Graph]) -> dict[str, Any]:
    """Return what the parts say about the whole, if these are all parts of one."""
    said = [json.loads(graph.metadata[PART]) for graph in graphs if PART in graph.metadata]
    stages = [entry.pop("stage") for entry in said]
    if len(said) == len(graphs) and stages == list(range(said[0]["stages"])) and said.count(said[0]) == len(said):
        return dict(said[0])
    return {}


def _ordered(inputs: dict[str, Tensor], names: Sequence[str] | None) -> list[Tensor]:
    if names is None:
        return list(inputs.values())
    return [inputs[name] for name in names if name in inputs] + [
        tensor for name, tensor in inputs.items() if name not in names
    ]
