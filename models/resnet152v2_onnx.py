"""ResNet152V2 as an ``.onnx``, laid out as Keras exports it: the image turned to channels first by one Transpose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from resnet152v2_network import Array, Layer

OPSET, IR_VERSION = 17, 8


def write_onnx(layers: Iterable[Layer], description: str) -> bytes:
    """Return the content of the file. Nodes and what they make are named like the layers of the network."""
    writer = _Writer()
    writer.node("Transpose", ["image"], "image_first", perm=[0, 3, 1, 2])
    for layer in layers:
        writer.layer(layer, ["image_first" if name == "image" else name for name in layer.inputs])
    graph = helper.make_graph(
        writer.nodes,
        "main",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 224, 224, 3])],
        [helper.make_tensor_value_info(layer.name, TensorProto.FLOAT, layer.shape)],
        writer.weights,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, doc_string=description)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))

    def layer(self, layer: Layer, inputs: list[str]) -> None:
        name = f"{layer.name}/linear" if layer.has_relu else layer.name
        window = {"kernel_shape": [layer.size] * 2, "strides": [layer.stride] * 2}
        if layer.kind == "pad":
            margins = np.array([0, 0, layer.size, layer.size] * 2, np.int64)
            self.node("Pad", [*inputs, self._constant(f"{layer.name}/margins", margins)], name)
        elif layer.kind == "conv":
            values = layer.weights["weights"].transpose(0, 3, 1, 2)
            inputs += [self._constant(f"{layer.name}/weights", values)]
            inputs += [self._constant(f"{layer.name}/bias", layer.weights["bias"])]
            self.node("Conv", inputs, name, pads=[layer.size // 2 if layer.is_same else 0] * 4, **window)
        elif layer.kind == "max_pool":
            self.node("MaxPool", inputs, name, **window)
        elif layer.kind in ("scale", "shift"):
            value = layer.weights[layer.kind].transpose(0, 3, 1, 2)
            inputs += [self._constant(f"{layer.name}/{layer.kind}", value)]
            self.node("Mul" if layer.kind == "scale" else "Add", inputs, name)
        elif layer.kind == "add":
            self.node("Add", inputs, name)
        elif layer.kind == "mean":
            self.node("ReduceMean", inputs, name, axes=[2, 3], keepdims=0)
        elif layer.kind == "dense":
            values = self._constant(f"{layer.name}/weights", layer.weights["weights"].T)
            self.node("MatMul", [*inputs, values], f"{layer.name}/product")
            bias = self._constant(f"{layer.name}/bias", layer.weights["bias"])
            self.node("Add", [f"{layer.name}/product", bias], name)
        else:
            self.node("Softmax", inputs, name, axis=-1)
        if layer.has_relu:
            self.nodes.append(helper.make_node("Relu", [name], [layer.name], f"{layer.name}/relu"))

    def _constant(self, name: str, values: Array) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
