"""Weights that ops of different precision share, given to each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, unused
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
            copy = model.graph.initializer.add()
            copy.CopyFrom(tensor)
            copy.name = unused(f"{name}_{precision}", taken)
            taken.add(copy.name)
            for node in readers:
                if precision_of.get(node.name, FLOAT32) == precision:
                    node.input[:] = [copy.name if entry == name else entry for entry in node.input]
