"""Takes away float32 copies of whole activations that nothing but a shape or the place of a maximum is read from."""

from __future__ import annotations

from litedelegates.graph.tflite.tree import Tree, op_name, type_name
from litedelegates.quantize.litert_outputs import drop_unread

# What they read of a tensor does not depend on how its values are stored: kernels take any type.
_SHAPE_READERS = {"RANK", "SHAPE"}
# The integers of one scale are in the order of what they stand for; kernels take float32 and 8 bits.
_ORDER_READERS = {"ARG_MAX", "ARG_MIN"}


def read_integers_directly(tree: Tree) -> None:
    """Let ops that need no real values read integers; a DEQUANTIZE that is read by nothing else goes."""
    for graph in tree.subgraphs:
        widened = {op.outputs[0]: op.inputs[0] for op in graph.operators if op_name(tree, op) == "DEQUANTIZE"}
        freed = set()
        for op in graph.operators:
            name = op_name(tree, op)
            source = widened.get(op.inputs[0]) if len(op.inputs) else None
            if source is None:
                continue
            is_int8 = type_name(graph.tensors[source]) == "INT8"
            if name in _SHAPE_READERS or (name in _ORDER_READERS and is_int8):
                freed.add(op.inputs[0])
                op.inputs = [source, *op.inputs[1:]]
        drop_unread(tree, graph, freed)
