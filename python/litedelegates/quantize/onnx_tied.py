"""Embeddings that are also the weights of the last layer, stored once in what is made of them.

Folding constants turns the table, transposed, into weights of their own, and rounding weights leaves the table in
float32: the model would grow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, names_read, unused

if TYPE_CHECKING:
    import onnx

_LEAST_ELEMENTS = 1024
# Rounding is by half a step; a sum of float32 products rounds too.
_HALF_STEP = 0.51


@dataclass(frozen=True)
class Tie:
    """A table and the weights that hold the same values.

    Attributes:
        gather: The op that looks rows of the table up.
        weights: The stored tensor of the other op.
        values: Those of the table.
        is_transposed: Whether the weights are the table with its axes exchanged.
    """

    gather: str
    weights: str
    values: NDArray[Any]
    is_transposed: bool


@dataclass(frozen=True)
class _Rounded:
    """Weights in 8 bits: their tensors, the scale and zero point as they are stored, and how they lie."""

    tensor: Any
    scale: Any
    zero: Any
    is_transposed: bool


def find_ties(model: onnx.ModelProto, names: Collection[str]) -> list[Tie]:
    """Return the tables of the Gather ops ``names`` in ``model`` that are the weights of other ops too."""
    index = GraphIndex(model)
    found = []
    for node in model.graph.node:
        if node.op_type != "Gather" or node.name not in names or _axis(node) != 0:
            continue
        table = index.constants.get(node.input[0])
        if table is None or table.data_type != 1 or len(table.dims) != 2 or np.prod(table.dims) < _LEAST_ELEMENTS:
            continue
        if len(index.consumers[table.name]) > 1:
            found.append(Tie(node.name, table.name, _array(table), False))
            continue
        twin = next(_transposed(index, table), None)
        if twin is not None:
            found.append(Tie(node.name, twin, _array(table), True))
    return found


def store_once(model: onnx.ModelProto, ties: Collection[Tie]) -> None:
    """Let the Gather of each tie read what the other op's weights have become, where its own table is a copy."""
    for tie in ties:
        index = GraphIndex(model)
        node = index.nodes.get(tie.gather)
        table = index.constants.get(node.input[0]) if node is not None else None
        if node is None or table is None:
            continue
        twin = _equal(index, table, tie)
        if twin is not None:
            _replace(model, twin, table.name, tie)
            continue
        rounded = _rounded(index, tie)
        if rounded is not None and index.types.get(table.name) == 1:
            _look_up_rounded(model, node, rounded)
        _drop_unread(model, table.name)


def _axis(node: Any) -> int:
    return next((int(entry.i) for entry in node.attribute if entry.name == "axis"), 0)


def _array(tensor: Any) -> NDArray[Any]:
    import onnx

    values: NDArray[Any] = onnx.numpy_helper.to_array(tensor)
    return values


def _transposed(index: GraphIndex, table: Any) -> Iterator[str]:
    shape = list(reversed(table.dims))
    for name, tensor in index.constants.items():
        alike = name != table.name and tensor.data_type == table.data_type and list(tensor.dims) == shape
        if alike and np.array_equal(_array(tensor), _array(table).T):
            yield name


def _equal(index: GraphIndex, table: Any, tie: Tie) -> Any:
    """Return the weights of ``tie`` where they are still the same numbers as its table."""
    twin = index.constants.get(tie.weights)
    if twin is None or twin.name == table.name or twin.data_type != table.data_type:
        return None
    values = _array(table).T if tie.is_transposed else _array(table)
    return twin if np.array_equal(_array(twin), values) else None


def _rounded(index: GraphIndex, tie: Tie) -> _Rounded | None:
    """Return what rounding has made of the weights of ``tie``; None where it is not found."""
    mine = [tensor for name, tensor in index.constants.items() if name.startswith(tie.weights)]
    for tensor in mine:
        if tensor.data_type not in (2, 3) or sorted(tensor.dims) != sorted(tie.values.shape):
            continue
        for scale in (one for one in mine if "scale" in one.name):
            zero = next((one for one in mine if one.name == scale.name.replace("scale", "zero_point")), None)
            # A Gemm's weights may have been turned on the way.
            for is_transposed in (False, True) if zero is not None else ():
                stored = _array(tensor).T if is_transposed else _array(tensor)
                if _fits(stored, _array(scale), _array(zero), tie.values):
                    return _Rounded(tensor, scale, zero, is_transposed)
    return None


def _fits(stored: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any], table: NDArray[Any]) -> bool:
    if stored.shape != table.shape or scale.size not in (1, len(table)) or zero.size != scale.size:
        return False
    steps = scale.reshape(-1, 1)
    real = (stored.astype(np.float32) - zero.reshape(-1, 1).astype(np.float32)) * steps
    return bool((np.abs(real - table) <= _HALF_STEP * steps).all())


def _replace(model: onnx.ModelProto, twin: Any, table: str, tie: Tie) -> None:
    """Make the weights ``twin`` of the table ``table`` while the model is loaded."""
    import onnx

    name = twin.name
    model.graph.initializer.remove(twin)
    if tie.is_transposed:
        turn = onnx.helper.make_node("Transpose", [table], [name], f"{name}_of_table", perm=[1, 0])
    else:
        turn = onnx.helper.make_node("Identity", [table], [name], f"{name}_of_table")
    model.graph.node.insert(0, turn)


def _look_up_rounded(model: onnx.ModelProto, node: Any, rounded: _Rounded) -> None:
    """Let ``node`` look up integers, and scale each row that it finds."""
    import onnx

    taken = all_names(model)

    def new(end: str) -> str:
        name = unused(f"{node.output[0]}_{end}", taken)
        taken.add(name)
        return name

    stored = _array(rounded.tensor)
    name, table = rounded.tensor.name, rounded.tensor.name
    added = []
    if rounded.is_transposed:
        table = new("table")
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(stored.T), table))
        model.graph.initializer.remove(rounded.tensor)
        model.graph.node.insert(0, onnx.helper.make_node("Transpose", [table], [name], f"{name}_of_table", perm=[1, 0]))
    ids, output = node.input[1], node.output[0]
    integers, reals = new("integers"), new("reals")
    node.input[0], node.output[0] = table, integers
    scale, zero = _array(rounded.scale), _array(rounded.zero)
    added.append(onnx.helper.make_node("Cast", [integers], [reals], reals, to=1))
    last = new("axis")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1], np.int64), last))

    def for_rows(values: NDArray[Any], end: str) -> str:
        """Return the name of the scale or zero point of each row that is looked up."""
        constant, chosen, column = new(f"{end}s"), new(end), new(f"{end}_column")
        model.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float32), constant))
        if values.size == 1:
            return constant
        added.append(onnx.helper.make_node("Gather", [constant, ids], [chosen], chosen, axis=0))
        added.append(onnx.helper.make_node("Unsqueeze", [chosen, last], [column], column))
        return column

    if zero.any():
        shifted = new("shifted")
        added.append(onnx.helper.make_node("Sub", [reals, for_rows(zero, "zero")], [shifted], shifted))
        reals = shifted
    added.append(onnx.helper.make_node("Mul", [reals, for_rows(scale, "scale")], [output], f"{node.name}_scaled"))
    model.graph.node.extend(added)


def _drop_unread(model: onnx.ModelProto, name: str) -> None:
    if any(name in names_read(node) for node in model.graph.node):
        return
    for tensor in list(model.graph.initializer):
        if tensor.name == name:
            model.graph.initializer.remove(tensor)
