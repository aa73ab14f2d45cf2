"""Which ops of a ``.tflite`` litert-quantizer is told of: not those that integers cannot do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from litedelegates.graph.tflite.tree import Tree, name_some, shape_of, tensor_data, text, type_name
from litedelegates.quantize.litert_names import PlacedOp
from litedelegates.quantize.litert_precision import NO_VALUES, WEIGHT_INPUT
from litedelegates.quantize.litert_ranges import Place, Range
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS

# Integer kernels of these need a filter with zero point 0, as a computed one does not have.
_STORED_FILTER = {name: WEIGHT_INPUT[name] for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")}


def leave_out_masks(
    tree: Tree,
    ops: Sequence[PlacedOp],
    wanted: dict[int, str],
    named: Collection[int],
    ranges: Mapping[Place, Range],
) -> list[str]:
    """Make float32 of the ops in ``wanted`` that touch a mask of attention beside other values, and say so.

    The steps of a range that holds -1e9 and scores of 10 are so wide that all scores are one integer. Ops that the plan
    names one by one (``named``) stay what they should be.
    """
    masks = {place: seen for place, seen in ranges.items() if seen.mask is not None}
    left = []
    for op in ops if masks else ():
        touched = [place for place in _places(tree, op) if place in masks]
        if touched and wanted[op.index] in STATIC_PRECISIONS and op.index not in named and op.type not in NO_VALUES:
            wanted[op.index] = FLOAT32
            left.append((op, touched[0]))
    if not left:
        return []
    number, index = left[0][1]
    seen, name = masks[number, index], text(tree.subgraphs[number].tensors[index].name)
    return [
        f"{name_some([str(op) for op, _ in left])} stayed float32: {name!r} holds a mask of {seen.mask:.3g} beside "
        f"values from {seen.low:.3g} to {seen.high:.3g}, and no integers of 8 or 16 bits hold both"
    ]


def precisions_told(
    tree: Tree, ops: Sequence[PlacedOp], wanted: Mapping[int, str], ranges: Mapping[Place, Range]
) -> dict[int, str]:
    """Return ``wanted`` with float32 for static ops that compute no real values or whose ranges are not known.

    Those litert-quantizer would take for quantizable, or give up on the whole model.
    """
    return {
        op.index: FLOAT32
        if wanted[op.index] in STATIC_PRECISIONS and not _can_be_static(tree, op, ranges)
        else wanted[op.index]
        for op in ops
    }


def _can_be_static(tree: Tree, op: PlacedOp, ranges: Mapping[Place, Range]) -> bool:
    number = _number(tree, op)
    if op.type in _STORED_FILTER and not _is_stored(tree, op, _STORED_FILTER[op.type]):
        return False
    reals = [place for place in _places(tree, op) if type_name(tree.subgraphs[number].tensors[place[1]]) == "FLOAT32"]
    computed = [place for place in reals if tensor_data(tree, tree.subgraphs[number].tensors[place[1]]) is None]
    is_full = all(0 not in shape_of(tree.subgraphs[number].tensors[place[1]]) for place in reals)
    return bool(reals) and is_full and op.type not in NO_VALUES and all(place in ranges for place in computed)


def _is_stored(tree: Tree, op: PlacedOp, position: int) -> bool:
    return tensor_data(tree, op.graph.tensors[op.operator.inputs[position]]) is not None


def _places(tree: Tree, op: PlacedOp) -> Iterable[Place]:
    number = _number(tree, op)
    return [(number, index) for index in [*op.operator.inputs, *op.operator.outputs] if index >= 0]


def _number(tree: Tree, op: PlacedOp) -> int:
    return next(number for number, graph in enumerate(tree.subgraphs) if graph is op.graph)
