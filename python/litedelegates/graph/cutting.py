"""Cutting a model into models: at positions, at tensors, or taking ops out."""

from __future__ import annotations

import json
import operator
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeAlias

from litedelegates.errors import CutError
from litedelegates.graph.border import computed_reads, converted, crossings, leaving
from litedelegates.graph.cuts import untransportable
from litedelegates.graph.loading import ModelLike, load
from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Tensor
from litedelegates.graph.selection import check_legal, gives, needs, select

OpKey: TypeAlias = SupportsIndex | str | Op
TensorKey: TypeAlias = str | Tensor

# A part says what it is a part of, so that `join` gives the inputs and outputs of the whole in their order.
PART = "litedelegates.part"


def cut(
    model: ModelLike,
    at: SupportsIndex | Iterable[SupportsIndex] | None = None,
    *,
    tensors: TensorKey | Sequence[TensorKey] | Sequence[Sequence[TensorKey]] | None = None,
) -> list[Graph]:
    """Cut a model into models that, run one after the other, compute the same.

    What a part needs of any earlier part, or of the caller, is an input of it, under the same name everywhere. A
    conversion at a border (QUANTIZE, DEQUANTIZE, CAST) runs on the side that makes the smaller tensor travel.

    Args:
        model: A graph, or a path or bytes of a model.
        at: Positions, ascending: at 40 the first part ends before op 40. `Graph.cuts` says what travels at each.
        tensors: Instead of positions: the tensors that shall travel, for one cut, or a list of such lists for several.
            The first part is what is needed to compute them, wherever that is in the order of execution.

    Raises:
        CutError: There is no cut there; says what stands in the way.
        InvalidModelError: The model cannot be read.
    """
    graph = load(model)
    if (at is None) == (tensors is None):
        raise CutError("say where to cut: either at=positions or tensors=names")
    if tensors is not None:
        groups = _lists(tensors)
        heads = [_needed_for(graph, names) for names in groups]
        places = [_quoted(map(graph.tensor, names)) for names in groups]
    else:
        positions = _positions(graph, at)
        heads = [frozenset(graph.ops[:position]) for position in positions]
        places = [str(position) for position in positions]
    return _cut_behind(graph, heads, places)


def split(model: ModelLike, groups: Iterable[Iterable[OpKey]]) -> list[Graph]:
    """Split a model into the given groups of ops, each a model that reads from the caller and from earlier ones only.

    Unlike the parts of `cut`, groups may be branches beside each other. Ops that only make constants go where they are
    read; a conversion at a border goes to the side that makes the smaller tensor travel.

    Args:
        model: A graph, or a path or bytes of a model.
        groups: Indices, names or ops, the groups in an order in which they can run; ops in none go to the last.

    Raises:
        CutError: There is no such op, one is in two groups, or the groups cannot run in this order; says why.
        InvalidModelError: The model cannot be read.
    """
    graph = load(model)
    taken: set[Op] = set()
    heads = []
    for group in groups:
        own = {graph.op(key) for key in group}
        if twice := own & taken:
            raise CutError(f"{_listed(twice)}: in two groups")
        taken |= own
        heads.append(frozenset(taken))
    if not heads:
        raise CutError("no groups were given to split into")
    for head in heads[:-1]:
        for op in sorted(head, key=lambda op: op.index):
            for tensor in computed_reads(graph, op):
                maker = graph.producer(tensor)
                if maker is not None and maker not in head:
                    raise CutError(f"{op} reads what {maker} makes, which is in a later group")
    return _cut_behind(graph, heads[:-1], [f"the end of group {number}" for number in range(len(heads) - 1)])


def extract(
    model: ModelLike, ops: OpKey | Iterable[OpKey], *, outputs: TensorKey | Iterable[TensorKey] | None = None
) -> Graph:
    """Take ops out of a model as a model of their own.

    Args:
        model: A graph, or a path or bytes of a model.
        ops: Indices, names or ops, in any order. No path may leave them and come back, other than through a conversion
            of what comes from outside, which others can make again.
        outputs: What it shall give; by default what the rest of the model reads of it.

    Raises:
        CutError: They cannot be one model, or there is no such op; says why.
        InvalidModelError: The model cannot be read.
    """
    graph = load(model)
    keys = list(ops) if isinstance(ops, Iterable) and not isinstance(ops, str) else [ops]
    chosen = list(dict.fromkeys(graph.op(key) for key in keys))
    if not chosen:
        raise CutError("no ops were given to extract")
    return _extract(graph, chosen, None if outputs is None else _names(outputs))


@dataclass(frozen=True)
class Layer:
    """An op as a model of its own, or the reason why it cannot be one.

    Attributes:
        op: The op in the model.
        graph: The model that has only this op (and those that make its constants); None if there is none.
        refusal: Why there is none.
    """

    op: Op
    graph: Graph | None
    refusal: str | None = None


def layers(model: ModelLike) -> list[Layer]:
    """Take each op out of a model as a model of its own; constants are not copied before such a model is written.

    Raises:
        InvalidModelError: The model cannot be read.
    """
    graph = load(model)
    found = []
    for op in graph.ops:
        try:
            found.append(Layer(op, _extract(graph, [op], None)))
        except CutError as error:
            found.append(Layer(op, None, str(error)))
    return found


def expose(model: ModelLike, tensors: TensorKey | Iterable[TensorKey]) -> Graph:
    """Return the model with inner tensors as further outputs; what it computes stays the same.

    Raises:
        CutError: There is no such tensor, or its values cannot be had.
        InvalidModelError: The model cannot be read.
    """
    graph = load(model)
    wanted = dict.fromkeys(graph.outputs)
    for tensor in map(graph.tensor, _names(tensors)):
        if tensor.is_constant or tensor.is_variable:
            kind = "a constant" if tensor.is_constant else "a variable"
            raise CutError(f"{tensor.name!r} is {kind}, which no op makes: it cannot be an output")
        if reason := untransportable(tensor):
            raise CutError(f"it cannot be an output: {reason}")
        wanted[tensor] = None
    return graph.with_outputs(wanted)


def _extract(graph: Graph, chosen: list[Op], outputs: Iterable[TensorKey] | None) -> Graph:
    check_legal(graph, chosen)
    if outputs is not None:
        wanted = [graph.tensor(key) for key in outputs]
        made = {tensor for op in chosen for tensor in op.makes}
        for tensor in wanted:
            if tensor not in made:
                raise CutError(f"{tensor.name!r} is made by none of these ops: it cannot be an output of them")
    else:
        # Results that nobody reads are results all the same where there are no others.
        wanted = gives(graph, chosen) or [tensor for op in chosen for tensor in op.makes]
    if not wanted:
        raise CutError(f"{chosen[0]} makes nothing that could be an output")
    return select(graph, chosen, needs(graph, chosen), wanted, _part_name(graph, chosen))


def _cut_behind(graph: Graph, heads: Iterable[frozenset[Op]], places: Sequence[str]) -> list[Graph]:
    """Return the parts between some beginnings of a model, each of which contains the one before.

    ``places`` says what to call the end of each beginning.
    """
    stages: list[frozenset[Op]] = []
    rest = frozenset(op for op in graph.ops if not op.is_fixed)
    for number, head in enumerate(heads):
        try:
            stage, rest = _split(graph, rest, head)
        except _NothingLeft as error:
            if error.side == "before" and number:
                where = f"between it and the cut at {places[number - 1]}"
                raise CutError(f"no cut at {places[number]}: nothing is left {where}{error}: leave one out") from None
            raise CutError(f"no cut at {places[number]}: nothing is left {error.side} it{error}") from None
        stages.append(stage)
    return _build(graph, [*stages, rest])


class _NothingLeft(Exception):
    """A side of a cut has no ops; says which ops it would have had."""

    def __init__(self, side: str, moved: Collection[Op]) -> None:
        reason = ", which runs on the other side so that the smaller tensor travels"
        super().__init__(f" but {_listed(moved)}{reason}" if moved else "")
        self.side = side


class _Sides:
    """The halves of a set of ops (see `border.Halves`)."""

    def __init__(self, graph: Graph, after: set[Op]) -> None:
        self.graph = graph
        self._after = after

    def is_after(self, op: Op) -> bool:
        return op in self._after

    def readers_after(self, tensor: Tensor) -> list[Op]:
        return [op for op in self.graph.readers(tensor) if op in self._after]

    def only_converted_after(self, tensor: Tensor) -> bool:
        readers = self.readers_after(tensor)
        return bool(readers) and all(converted(op) is not None for op in readers)


def _split(graph: Graph, ops: frozenset[Op], head: frozenset[Op]) -> tuple[frozenset[Op], frozenset[Op]]:
    """Divide ``ops`` into those in ``head`` and the rest, with the conversions between on the better side."""
    before, after = ops & head, set(ops - head)
    _check_states(before, after)
    sides = _Sides(graph, after)
    found = list(crossings(sides, needs(graph, after)))
    for tensor in dict.fromkeys(crossing.tensor for crossing in found):
        if reason := untransportable(tensor):
            raise CutError(f"no cut here: {reason}")
    gone = leaving(sides, found)
    delayed = {op for crossing in found for op in crossing.delayed}
    hastened = {op for crossing in found for op in crossing.hastened}
    first, second = (before - gone) | hastened, (after | delayed) - hastened
    if not first or not second:
        raise _NothingLeft("after" if first else "before", gone | hastened)
    return frozenset(first), frozenset(second)


def _check_states(before: Iterable[Op], after: Iterable[Op]) -> None:
    owners = {state: op for op in before for state in op.states}
    for op in sorted(after, key=lambda op: op.index):
        for state in op.states:
            if state in owners:
                raise CutError(f"no cut here: {state} is used on both sides, by {owners[state]} and by {op}")


def _build(graph: Graph, stages: list[frozenset[Op]]) -> list[Graph]:
    needed = [needs(graph, stage) for stage in stages]
    whole = {"inputs": list(graph.input_names), "outputs": list(graph.output_names), "stages": len(stages)}
    claimed: set[Tensor] = set(graph.inputs)
    known = {graph.public_name(tensor): tensor for tensor in graph.inputs}
    parts = []
    for index, stage in enumerate(stages):
        for tensor in needed[index]:
            if known[graph.public_name(tensor)] is not tensor:
                raise CutError(
                    f"no cut here: part {index} needs {graph.public_name(tensor)!r}, and by then an earlier part has "
                    "given an output of the model that has the same name"
                )
        later = {tensor for group in needed[index + 1 :] for tensor in group}
        made = {tensor for op in stage for tensor in op.makes} - claimed
        results = [tensor for tensor in dict.fromkeys(graph.outputs) if tensor in made]
        if index == len(stages) - 1:  # outputs that no op computes from the inputs
            results += [t for t in dict.fromkeys(graph.outputs) if t not in claimed and t not in made]
        inner = [tensor for op in sorted(stage, key=lambda op: op.index) for tensor in op.makes if tensor in later]
        results = list(dict.fromkeys([*results, *(tensor for tensor in inner if tensor not in claimed)]))
        claimed.update(results)
        known.update((graph.public_name(tensor), tensor) for tensor in results)
        part = select(graph, stage, needed[index], results, f"{graph.name}_part{index}")
        parts.append(part.with_metadata(PART, json.dumps({**whole, "stage": index}).encode()))
    return parts


def _needed_for(graph: Graph, names: Sequence[TensorKey]) -> frozenset[Op]:
    """Return the ops needed to compute some tensors, if these are all that travels when the rest runs elsewhere."""
    wanted = dict.fromkeys(graph.tensor(name) for name in names)
    for tensor in wanted:
        if tensor.is_constant or tensor.is_variable:
            kind = "a constant" if tensor.is_constant else "a variable"
            raise CutError(f"{tensor.name!r} is {kind}, which stays in the parts that use it: it does not travel")
    ops: set[Op] = set()
    waiting = list(wanted)
    while waiting:
        maker = graph.producer(waiting.pop())
        if maker is not None and maker not in ops and not maker.is_fixed:
            ops.add(maker)
            waiting += computed_reads(graph, maker)
    after = [op for op in graph.ops if op not in ops and not op.is_fixed]
    crossing = needs(graph, after)
    others = [tensor.name for tensor in crossing if tensor not in wanted]
    if others:
        raise CutError(
            f"{_quoted(wanted)} alone are no cut: {', '.join(map(repr, others[:5]))} would travel as well"
            f"{f' and {len(others) - 5} more' if len(others) > 5 else ''}. Name them too"
        )
    idle = [tensor for tensor in wanted if tensor not in crossing]
    if idle:
        raise CutError(f"{_quoted(idle)} would not travel: nothing after the cut reads it")
    return frozenset(ops)


def _positions(graph: Graph, at: Any) -> list[int]:
    given: list[Any] = list(at) if isinstance(at, Iterable) else [at]
    if not given:
        raise CutError("no positions were given to cut at")
    wrong = [position for position in given if not isinstance(position, SupportsIndex)]
    if wrong:
        raise CutError(f"no cut at {wrong[0]!r}: positions of this model are 1 to {len(graph.ops) - 1}")
    positions = [operator.index(position) for position in given]
    for position in positions:
        if not 0 < position < len(graph.ops):
            raise CutError(f"no cut at {position!r}: positions of this model are 1 to {len(graph.ops) - 1}")
        refusal = graph.cuts[position - 1].refusal
        if refusal:
            legal = [cut.position for cut in graph.cuts if not cut.refusal]
            near = sorted(sorted(legal, key=lambda other: abs(other - position))[:4])
            raise CutError(f"no cut at {position}: {refusal}. Positions nearby that are one: {near}")
    if sorted(set(positions)) != positions:
        raise CutError(f"the positions {positions} must ascend")
    return positions


def _lists(tensors: TensorKey | Sequence[TensorKey] | Sequence[Sequence[TensorKey]]) -> list[Sequence[TensorKey]]:
    if isinstance(tensors, str | Tensor):
        return [[tensors]]
    groups = [[item] if isinstance(item, str | Tensor) else list(item) for item in tensors]
    if not groups or not all(groups):
        raise CutError("no tensors were given to cut at")
    if all(isinstance(item, str | Tensor) for item in tensors):
        return [[name for group in groups for name in group]]
    return list(groups)


def _names(tensors: TensorKey | Iterable[TensorKey]) -> list[TensorKey]:
    return [tensors] if isinstance(tensors, str | Tensor) else list(tensors)


def _part_name(graph: Graph, chosen: list[Op]) -> str:
    return f"{graph.name}_{chosen[0].index}" if len(chosen) == 1 else f"{graph.name}_{len(chosen)}_ops"


def _listed(ops: Iterable[Op]) -> str:
    return ", ".join(str(op) for op in sorted(ops, key=lambda op: op.index)[:3])


def _quoted(tensors: Iterable[Tensor]) -> str:
    return ", ".join(repr(tensor.name) for tensor in tensors)
