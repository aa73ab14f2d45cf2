"""The ops of a ``.tflite`` as plans name them, and the safe names that stand for them inside litert-quantizer.

litert-quantizer matches rules against the names of an op's outputs by regular expression, joins them with ``;``, and
cuts off after 10,000 characters. Real names hold brackets, dots, semicolons and other layers' names as their
beginnings. So while it works every tensor is called ``precision/number/``, and one rule a precision is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litedelegates.graph.tflite.reading import refers_to_subgraphs
from litedelegates.graph.tflite.tree import Tree, op_name, text
from litedelegates.quantize.plan import Op

# Marks tensors of loops and branches, whose ends stay float32 whatever the border of the model is.
INNER = "_inner"
_SAFE_NAME = re.compile(r"\w+/(\d+)/(.*)", re.DOTALL)


@dataclass(frozen=True)
class PlacedOp(Op):
    """An op of a tree, with what it takes to look at it."""

    graph: Any
    operator: Any

    def __str__(self) -> str:
        return f"{self.type} {self.name!r}"


def list_ops(tree: Tree) -> list[PlacedOp]:
    """Return the ops of ``tree`` in order; those of further subgraphs go on counting where the one before ended."""
    return [
        PlacedOp(index, op_name(tree, op), _first_output(graph, op), graph, op)
        for index, (graph, op) in enumerate((graph, op) for graph in tree.subgraphs for op in graph.operators)
    ]


def inner_ops(tree: Tree, ops: Sequence[PlacedOp]) -> dict[int, set[int]]:
    """Return the indices of the ops in the subgraphs that an op runs, by its index; subgraphs of these included."""
    numbers = {id(graph): number for number, graph in enumerate(tree.subgraphs)}
    of_graph: dict[int, list[PlacedOp]] = {}
    for op in ops:
        of_graph.setdefault(numbers[id(op.graph)], []).append(op)
    found: dict[int, set[int]] = {}
    for op in ops:
        seen, waiting = set[int](), [*_callees(op)]
        while waiting:
            number = waiting.pop()
            if number not in seen:
                seen.add(number)
                waiting += [callee for inner in of_graph.get(number, ()) for callee in _callees(inner)]
        if seen:
            found[op.index] = {inner.index for number in seen for inner in of_graph.get(number, ())}
    return found


def _callees(op: PlacedOp) -> Iterator[int]:
    for options in (op.operator.builtinOptions, getattr(op.operator, "builtinOptions2", None)):
        for name, value in vars(options).items() if options is not None else ():
            if refers_to_subgraphs(name) and value is not None:
                yield from (int(callee) for callee in ([value] if isinstance(value, int) else value) if callee >= 0)


def rename_safely(tree: Tree, wanted: Mapping[int, str]) -> list[str]:
    """Name each tensor of ``tree`` after the precision its op should get, and return the names they had.

    Args:
        tree: Changed in place.
        wanted: The precision of each op of ``list_ops(tree)``.
    """
    roots = {signature.subgraphIndex for signature in tree.signatureDefs or []}
    precision_of: dict[tuple[int, int], str] = {}
    for op in list_ops(tree):
        graph = next(number for number, graph in enumerate(tree.subgraphs) if graph is op.graph)
        precision_of |= {(graph, index): wanted[op.index] for index in op.operator.outputs}
    names = []
    for number, graph in enumerate(tree.subgraphs):
        for index, tensor in enumerate(graph.tensors):
            precision = precision_of.get((number, index), "given")
            names.append(text(tensor.name))
            tensor.name = f"{precision}{'' if number in roots else INNER}/{len(names) - 1}/"
    return names


def restore_names(tree: Tree, names: list[str]) -> list[PlacedOp]:
    """Undo ``rename_safely`` in what litert-quantizer made of the tree, and return the ops that it was given.

    Tensors that it added keep their ending (``_dequant``) behind the name they came from; the QUANTIZE and DEQUANTIZE
    ops that it inserted are left out of the list.
    """
    inserted = {id(op.operator) for op in list_ops(tree) if _is_inserted(op)}
    for graph in tree.subgraphs:
        for tensor in graph.tensors:
            found = _SAFE_NAME.fullmatch(text(tensor.name))
            if found:
                tensor.name = names[int(found[1])] + found[2]
    kept = [op for op in list_ops(tree) if id(op.operator) not in inserted]
    return [PlacedOp(index, op.type, op.name, op.graph, op.operator) for index, op in enumerate(kept)]


def _is_inserted(op: PlacedOp) -> bool:
    found = _SAFE_NAME.fullmatch(op.name)
    return op.type in ("QUANTIZE", "DEQUANTIZE") and found is not None and bool(found[2])


def _first_output(graph: Any, op: Any) -> str:
    return next(_names(graph, op.outputs), "")


def _names(graph: Any, indices: list[int]) -> Iterator[str]:
    return (text(graph.tensors[index].name) for index in indices if index >= 0)
