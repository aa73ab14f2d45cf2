"""Write ResNet152V2 with random weights as a float32 .tflite of 268 ops and 240 MB.

The network of "Identity Mappings in Deep Residual Networks" (He et al., 2016) in the form that converters give it: the
batch norms behind a convolution are folded into it, those in front of one are an ADD with RELU (their scale is 1).
Input `image` (1, 224, 224, 3), output `probabilities` (1, 1000). Time and memory are those of the real network, values
are not: use it to measure, not to judge accuracy. The same seed gives the same file.

Needs litedelegates (the base install); takes a few seconds and 600 MB of memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from litedelegates.files import write_whole
from litedelegates.graph.tflite.packing import pack

TARGET = Path(__file__).resolve().parent.parent / ".cache" / "models" / "resnet152v2.tflite"
STACKS = ((64, 3), (128, 8), (256, 36), (512, 3))  # channels of the inner convolutions, blocks
RELU, LINEAR = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.NONE
Shape = tuple[int, ...]


class Network:
    """A graph that grows layer by layer; tensors are indices."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.graph = schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = "main", [], []
        self.codes: list[Any] = []
        self.contents = [memoryview(b"")]

    def tensor(self, name: str, shape: Sequence[int], values: np.ndarray[Any, Any] | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.hasRank, made.buffer = name, list(shape), True, 0
        made.type = schema.TensorType.FLOAT32
        if values is not None:
            made.type = schema.TensorType.INT32 if values.dtype == np.int32 else schema.TensorType.FLOAT32
            made.buffer = len(self.contents)
            self.contents.append(memoryview(np.ascontiguousarray(values)).cast("B"))
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def weights(self, name: str, shape: Sequence[int], gain: float = 1.0) -> int:
        """Normal values that keep the spread of what they are applied to, times ``gain``."""
        fan_in = int(np.prod(shape[1:]))
        values = self._random.standard_normal(shape, np.float32) * np.float32(gain * (2 / fan_in) ** 0.5)
        return self.tensor(name, shape, values)

    def op(self, kind: str, name: str, inputs: Sequence[int], shape: Shape, options: Any, version: int = 1) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, version
        same = [i for i, known in enumerate(self.codes) if known.builtinCode == code.builtinCode]
        if not same:
            self.codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = same[0] if same else len(self.codes) - 1
        made.inputs, made.outputs = list(inputs), [self.tensor(name, shape)]
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        made.builtinOptions = options
        self.graph.operators.append(made)
        return int(made.outputs[0])

    def shape(self, tensor: int) -> Shape:
        return tuple(self.graph.tensors[tensor].shape)

    def pad(self, source: int, name: str, margin: int) -> int:
        margins = self.tensor(f"{name}/margins", (4, 2), np.array([[0, 0]] + [[margin] * 2] * 2 + [[0, 0]], np.int32))
        batch, height, width, channels = self.shape(source)
        padded = (batch, height + 2 * margin, width + 2 * margin, channels)
        return self.op("PAD", name, [source, margins], padded, schema.PadOptionsT())

    def conv(
        self, source: int, name: str, channels: int, size: int, stride: int = 1, act: int = LINEAR, gain: float = 1.0
    ) -> int:
        batch, height, width, depth = self.shape(source)
        same = size == 3 and stride == 1
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if same else schema.Padding.VALID
        options.strideH = options.strideW = stride
        options.fusedActivationFunction = act
        weights = self.weights(f"{name}/weights", (channels, size, size, depth), gain)
        bias = self.tensor(f"{name}/bias", (channels,), np.zeros(channels, np.float32))
        sides = [side if same else (side - size) // stride + 1 for side in (height, width)]
        return self.op("CONV_2D", name, [source, weights, bias], (batch, *sides, channels), options)

    def max_pool(self, source: int, name: str, size: int, stride: int) -> int:
        batch, height, width, channels = self.shape(source)
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = stride
        options.filterHeight = options.filterWidth = size
        sides = [(side - size) // stride + 1 for side in (height, width)]
        return self.op("MAX_POOL_2D", name, [source], (batch, *sides, channels), options)

    def shift(self, source: int, name: str) -> int:
        """The batch norm in front of a convolution, with its RELU."""
        channels = self.shape(source)[-1]
        values = self._random.standard_normal((1, 1, 1, channels), np.float32) * np.float32(0.1)
        options = schema.AddOptionsT()
        options.fusedActivationFunction = RELU
        shifts = self.tensor(f"{name}/shift", values.shape, values)
        return self.op("ADD", name, [source, shifts], self.shape(source), options)

    def block(self, source: int, name: str, channels: int, stride: int, projects: bool) -> int:
        active = self.shift(source, f"{name}_preact")
        if projects:
            shortcut = self.conv(active, f"{name}_0_conv", 4 * channels, 1, stride)
        else:
            shortcut = source if stride == 1 else self.max_pool(source, f"{name}_pool", 1, stride)
        inner = self.conv(active, f"{name}_1_conv", channels, 1, act=RELU)
        if stride > 1:
            inner = self.pad(inner, f"{name}_2_pad", 1)
        inner = self.conv(inner, f"{name}_2_conv", channels, 3, stride, act=RELU)
        # The sum of 50 blocks shall not grow: each adds little.
        inner = self.conv(inner, f"{name}_3_conv", 4 * channels, 1, gain=0.3)
        return self.op("ADD", f"{name}_out", [shortcut, inner], self.shape(inner), schema.AddOptionsT())


def build(seed: int) -> tuple[Any, list[memoryview]]:
    """Return the schema's ModelT and the contents of its buffers."""
    network = Network(seed)
    image = network.tensor("image", (1, 224, 224, 3))
    tensor = network.conv(network.pad(image, "conv1_pad", 3), "conv1_conv", 64, 7, 2)
    tensor = network.max_pool(network.pad(tensor, "pool1_pad", 1), "pool1_pool", 3, 2)
    for stack, (channels, blocks) in enumerate(STACKS):
        for block in range(blocks):
            # The last block of a stack halves the sides, but for the last stack.
            stride = 2 if block == blocks - 1 and stack < len(STACKS) - 1 else 1
            tensor = network.block(tensor, f"conv{stack + 2}_block{block + 1}", channels, stride, block == 0)
    tensor = network.shift(tensor, "post_relu")
    axes = network.tensor("avg_pool/axes", (2,), np.array([1, 2], np.int32))
    tensor = network.op("MEAN", "avg_pool", [tensor, axes], (1, 2048), schema.ReducerOptionsT())
    weights, bias = network.weights("predictions/weights", (1000, 2048)), np.zeros(1000, np.float32)
    inputs = [tensor, weights, network.tensor("predictions/bias", (1000,), bias)]
    tensor = network.op("FULLY_CONNECTED", "predictions", inputs, (1, 1000), schema.FullyConnectedOptionsT())
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    tensor = network.op("SOFTMAX", "probabilities", [tensor], (1, 1000), options)
    network.graph.inputs, network.graph.outputs = [image], [tensor]
    model = schema.ModelT()
    model.version, model.description = 3, f"ResNet152V2, random weights, seed {seed}"
    model.operatorCodes, model.subgraphs = network.codes, [network.graph]
    model.signatureDefs = [_signature(image, tensor)]
    return model, network.contents


def _signature(image: int, probabilities: int) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for entries, name, index in (("inputs", "image", image), ("outputs", "probabilities", probabilities)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        setattr(signature, entries, [entry])
    return signature


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TARGET, help="where to write it (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    model, contents = build(options.seed)
    size = write_whole(options.out, pack(model, contents))
    print(f"{options.out}: {len(model.subgraphs[0].operators)} ops, {size} bytes")


if __name__ == "__main__":
    main()
