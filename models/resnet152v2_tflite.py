"""ResNet152V2 as a ``.tflite``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from litedelegates.graph.tflite.packing import pack
from resnet152v2_network import Array, Layer, Shape

KINDS = {
    "pad": ("PAD", schema.PadOptionsT),
    "conv": ("CONV_2D", schema.Conv2DOptionsT),
    "depthwise": ("DEPTHWISE_CONV_2D", schema.DepthwiseConv2DOptionsT),
    "max_pool": ("MAX_POOL_2D", schema.Pool2DOptionsT),
    "scale": ("MUL", schema.MulOptionsT),
    "shift": ("ADD", schema.AddOptionsT),
    "add": ("ADD", schema.AddOptionsT),
    "mean": ("MEAN", schema.ReducerOptionsT),
    "dense": ("FULLY_CONNECTED", schema.FullyConnectedOptionsT),
    "softmax": ("SOFTMAX", schema.SoftmaxOptionsT),
}


def write_tflite(layers: Iterable[Layer], description: str) -> Iterable[bytes | memoryview]:
    """Return the content of the file, in pieces."""
    writer = _Writer()
    image = writer.tensor("image", (1, 224, 224, 3))
    made = {"image": image}
    for layer in layers:
        made[layer.name] = writer.layer(layer, [made[name] for name in layer.inputs])
    writer.graph.inputs, writer.graph.outputs = [image], [made[layer.name]]
    model = schema.ModelT()
    model.version, model.description = 3, description
    model.operatorCodes, model.subgraphs = writer.codes, [writer.graph]
    model.signatureDefs = [_signature(image, made[layer.name], layer.name)]
    return pack(model, writer.contents)


class _Writer:
    """A subgraph that grows layer by layer; tensors are indices."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = "main", [], []
        self.codes: list[Any] = []
        self.contents = [memoryview(b"")]

    def tensor(self, name: str, shape: Sequence[int], values: Array | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.hasRank, made.buffer = name, list(shape), True, 0
        made.type = schema.TensorType.FLOAT32
        if values is not None:
            made.type = schema.TensorType.INT32 if values.dtype == np.int32 else schema.TensorType.FLOAT32
            made.buffer = len(self.contents)
            self.contents.append(memoryview(np.ascontiguousarray(values)).cast("B"))
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def layer(self, layer: Layer, inputs: list[int]) -> int:
        kind, make_options = KINDS[layer.kind]
        options = make_options()
        if layer.kind == "pad":
            margins = np.array([[0, 0]] + [[layer.size] * 2] * 2 + [[0, 0]], np.int32)
            inputs.append(self.tensor(f"{layer.name}/margins", (4, 2), margins))
        elif layer.kind == "mean":
            inputs.append(self.tensor(f"{layer.name}/axes", (2,), np.array([1, 2], np.int32)))
        elif layer.kind in ("conv", "depthwise", "max_pool"):
            options.padding = schema.Padding.SAME if layer.is_same else schema.Padding.VALID
            options.strideH = options.strideW = layer.stride
        elif layer.kind == "softmax":
            options.beta = 1.0
        if layer.kind == "depthwise":
            options.depthMultiplier = 1
        if layer.kind == "max_pool":
            options.filterHeight = options.filterWidth = layer.size
        if layer.clips_at_6:
            options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
        elif layer.has_relu:
            options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        inputs += [self.tensor(f"{layer.name}/{name}", value.shape, value) for name, value in layer.weights.items()]
        return self._op(kind, layer.name, inputs, layer.shape, options)

    def _op(self, kind: str, name: str, inputs: list[int], shape: Shape, options: Any) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
        same = [i for i, known in enumerate(self.codes) if known.builtinCode == code.builtinCode]
        if not same:
            self.codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = same[0] if same else len(self.codes) - 1
        made.inputs, made.outputs = inputs, [self.tensor(name, shape)]
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        made.builtinOptions = options
        self.graph.operators.append(made)
        return int(made.outputs[0])


def _signature(image: int, output: int, output_name: str) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for entries, name, index in (("inputs", "image", image), ("outputs", output_name, output)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        setattr(signature, entries, [entry])
    return signature
