"""Which tensor of an ONNX graph is made by what, of which type, and where ops keep their weights."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

# The inputs that hold the weights of each op, where they are constant.
WEIGHT_INPUTS = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (1,),
    "MatMul": (0, 1),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
}


def has_inner_graphs(node: Any) -> bool:
    """Return whether ``node`` is an If, a Loop or the like, whose own ops the quantizers do not see."""
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def outline(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of ``model`` without the values of its weights: what it was, while passes change it in place."""
    import onnx

    copy = onnx.ModelProto()
    for field in ("node", "input", "output", "value_info"):
        getattr(copy.graph, field).extend(getattr(model.graph, field))
    for tensor in model.graph.initializer:
        copy.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    return copy


class GraphIndex:
    """The nodes of the main graph of a model, and what is known of each tensor.

    Attributes:
        nodes: Each op by its name.
        constants: Each stored tensor by name.
        producer: The op that makes a tensor.
        consumers: The ops that read a tensor.
        types: The element type of a tensor, where it is known.
        outputs: The outputs of the model.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.nodes = {node.name: node for node in graph.node}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producer = {output: node for node in graph.node for output in node.output}
        self.outputs = {value.name for value in graph.output}
        self.consumers: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.consumers[name].append(node)
        self.types = {name: tensor.data_type for name, tensor in self.constants.items()}
        for value in (*graph.value_info, *graph.input, *graph.output):
            if value.type.HasField("tensor_type"):
                self.types[value.name] = value.type.tensor_type.elem_type

    def weights_of(self, node: Any) -> list[int]:
        """Return which inputs of ``node`` are its weights: floats stored in the model, as they are or behind a Q/DQ."""
        return [
            position
            for position in WEIGHT_INPUTS.get(node.op_type, ())
            if position < len(node.input) and self.is_stored(node.input[position])
        ]

    def is_stored(self, name: str) -> bool:
        """Return whether ``name`` is stored in the model, or made of what is stored by rounding or widening alone."""
        maker = self.producer.get(name)
        while maker is not None and maker.op_type in ("DequantizeLinear", "QuantizeLinear", "Cast"):
            name = maker.input[0]
            maker = self.producer.get(name)
        return name in self.constants
