"""Tensors that ops of different precision share, or that the inside of an If or Loop reads, given to each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, names_read, rename_inside, sort_nodes, unused
from litedelegates.quantize.request import FLOAT32

if TYPE_CHECKING:
    import onnx


def separate_constants(model: onnx.ModelProto, names: Mapping[str, set[str]]) -> None:
    """Give each precision its own copy of a stored tensor that ops of several precisions read.

    The libraries round a stored tensor in place: what one op wants in 8 bits, another would read in 8 bits too.

    Args:
        model: Changed in place.
        names: The names of the ops of each precision; all others count as float32.
    """
    index = GraphIndex(model)
    precision_of = {name: precision for precision, chosen in names.items() for name in chosen}
    taken = all_names(model)
    for name, tensor in index.constants.items():
        readers = index.consumers.get(name, [])
        groups = dict.fromkeys(precision_of.get(node.name, FLOAT32) for node in readers)
        for precision in list(groups)[1:]:
            copy = _add_copy(model, tensor, f"{name}_{precision}", taken)
            for node in readers:
                if precision_of.get(node.name, FLOAT32) == precision:
                    node.input[:] = [copy if entry == name else entry for entry in node.input]


def separate_pad_values(model: onnx.ModelProto) -> None:
    """Give each Pad a value of its own, and none where its mode takes the values from its input.

    onnxruntime's QOperator format rounds the value in place, without a look at its other readers, and forgets to round
    one that the mode does not use, which leaves a Pad of two types.
    """
    index = GraphIndex(model)
    taken = all_names(model)
    for node in model.graph.node:
        if node.op_type != "Pad" or len(node.input) < 3 or not node.input[2]:
            continue
        name = node.input[2]
        if next((entry.s for entry in node.attribute if entry.name == "mode"), b"constant") != b"constant":
            node.input[2] = ""
        elif name in index.constants:
            node.input[2] = _add_copy(model, index.constants[name], f"{name}_{node.name}", taken)


def _add_copy(model: onnx.ModelProto, tensor: onnx.TensorProto, wanted: str, taken: set[str]) -> str:
    """Store a copy of a constant under the name ``wanted``, or one like it that is free, and return its name."""
    copy = model.graph.initializer.add()
    copy.CopyFrom(tensor)
    copy.name = unused(wanted, taken)
    taken.add(copy.name)
    return str(copy.name)


def detach_inner_graphs(model: onnx.ModelProto) -> list[str]:
    """Let the graphs inside ops read copies of what is outside, and return the names of the copies.

    The libraries see what an op reads, but not what is read inside it: that would change its type, or be gone. Stored
    tensors are copied; an Identity makes a copy of others, which reads what a pass has made of them.
    """
    import onnx

    index = GraphIndex(model)
    taken = all_names(model)
    added, copies = [], dict[str, str]()
    for node in model.graph.node:
        for name in sorted(names_read(node) - set(node.input)):
            if index.types.get(name) != onnx.TensorProto.FLOAT:
                continue
            if name not in copies:
                copies[name] = unused(f"{name}_inside", taken)
                taken.add(copies[name])
                if name in index.constants:
                    copy = model.graph.initializer.add()
                    copy.CopyFrom(index.constants[name])
                    copy.name = copies[name]
                else:
                    added.append(onnx.helper.make_node("Identity", [name], [copies[name]], copies[name]))
            rename_inside(node, name, copies[name])
    model.graph.node.extend(added)
    if added:
        sort_nodes(model)
    return [node.output[0] for node in added]


def attach_inner_graphs(model: onnx.ModelProto, copies: Collection[str]) -> None:
    """Take the ops out again that `detach_inner_graphs` has put in."""
    for name in copies:
        maker = GraphIndex(model).producer[name]
        if maker.op_type == "Identity":
            for node in model.graph.node:
                rename_inside(node, name, maker.input[0])
            model.graph.node.remove(maker)
