"""ResNet152V2 as a list of layers with their weights, for writers of any format to go through.

The network of "Identity Mappings in Deep Residual Networks" (He et al., 2016) as Keras builds it, in the form that
converters give it: the batch norms behind a convolution are folded into it, those in front of one are an addition with
Relu, after a multiplication where their scale is not 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

STACKS = ((64, 3), (128, 8), (256, 36), (512, 3))  # channels of the inner convolutions, blocks
CLASSES = 1000
Array: TypeAlias = "np.ndarray[Any, Any]"
Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = Literal["pad", "conv", "depthwise", "max_pool", "scale", "shift", "add", "mean", "dense", "softmax"]


@dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes:
        kind: What it does.
        name: Its name, and that of what it makes.
        inputs: Names of the layers that it reads; "image" is the network's input.
        shape: Of what it makes, channels last.
        size: Side of the window of "conv" and "max_pool"; zeros on each side for "pad".
        stride: Of that window.
        is_same: Whether zeros around the input keep its sides ("conv").
        has_relu: Whether negative results become 0.
        clips_at_6: Whether results above 6 become 6 as well.
        weights: By name: "weights" (outputs, height, width, inputs) or (outputs, inputs), "bias" (outputs,), "shift" or
            "scale" (1, 1, 1, channels); of a depthwise convolution (1, height, width, channels).
    """

    kind: Kind
    name: str
    inputs: tuple[str, ...]
    shape: Shape
    size: int = 1
    stride: int = 1
    is_same: bool = False
    has_relu: bool = False
    clips_at_6: bool = False
    weights: dict[str, Array] = field(default_factory=dict)


class Weights(Protocol):
    """Where the weights come from."""

    def linear(self, name: str, shape: Shape, gain: float) -> tuple[Array, Array]:
        """Return weights (outputs first) and bias of a convolution or dense layer, with the batch norm behind it."""
        ...

    def affine(self, name: str, channels: int) -> tuple[Array | None, Array]:
        """Return scale (None where it is 1) and shift of a batch norm in front of a convolution."""
        ...


class RandomWeights:
    """Normal values that keep the spread of what they are applied to, times the gain; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def linear(self, name: str, shape: Shape, gain: float) -> tuple[Array, Array]:
        spread = np.float32(gain * (2 / np.prod(shape[1:])) ** 0.5)
        return self._random.standard_normal(shape, np.float32) * spread, np.zeros(shape[0], np.float32)

    def affine(self, name: str, channels: int) -> tuple[Array | None, Array]:
        return None, self._random.standard_normal(channels, np.float32) * np.float32(0.1)


class Network:
    """The layers, in the order they run."""

    def __init__(self, weights: Weights, stacks: Sequence[tuple[int, int]] = STACKS) -> None:
        self._weights = weights
        self._shapes: dict[str, Shape] = {"image": (1, 224, 224, 3)}
        self.layers: list[Layer] = []
        tensor = self._conv(self._pad("image", "conv1_pad", 3), "conv1_conv", 64, 7, 2)
        tensor = self._max_pool(self._pad(tensor, "pool1_pad", 1), "pool1_pool", 3, 2)
        for stack, (channels, blocks) in enumerate(stacks):
            for block in range(blocks):
                # The last block of a stack halves the sides, but for the last stack.
                stride = 2 if block == blocks - 1 and stack < len(stacks) - 1 else 1
                tensor = self._block(tensor, f"conv{stack + 2}_block{block + 1}", channels, stride, block == 0)
        tensor = self._norm(tensor, "post_relu", "post_bn")
        tensor = self._add("mean", "avg_pool", [tensor], (1, self._shapes[tensor][-1]))
        values, bias = weights.linear("predictions", (CLASSES, self._shapes[tensor][-1]), 1.0)
        tensor = self._add("dense", "predictions", [tensor], (1, CLASSES), weights={"weights": values, "bias": bias})
        self._add("softmax", "probabilities", [tensor], (1, CLASSES))

    def _add(self, kind: Kind, name: str, inputs: list[str], shape: Shape, **more: Any) -> str:
        self.layers.append(Layer(kind, name, tuple(inputs), shape, **more))
        self._shapes[name] = shape
        return name

    def _pad(self, source: str, name: str, margin: int) -> str:
        batch, height, width, channels = self._shapes[source]
        shape = (batch, height + 2 * margin, width + 2 * margin, channels)
        return self._add("pad", name, [source], shape, size=margin)

    def _conv(
        self, source: str, name: str, channels: int, size: int, stride: int = 1, relu: bool = False, gain: float = 1.0
    ) -> str:
        values, bias = self._weights.linear(name, (channels, size, size, self._shapes[source][-1]), gain)
        is_same = size == 3 and stride == 1
        shape = self._slid(source, channels, 1 if is_same else size, stride)
        how = {"size": size, "stride": stride, "is_same": is_same, "has_relu": relu}
        return self._add("conv", name, [source], shape, weights={"weights": values, "bias": bias}, **how)

    def _max_pool(self, source: str, name: str, size: int, stride: int) -> str:
        shape = self._slid(source, self._shapes[source][-1], size, stride)
        return self._add("max_pool", name, [source], shape, size=size, stride=stride)

    def _slid(self, source: str, channels: int, size: int, stride: int) -> Shape:
        batch, height, width, _ = self._shapes[source]
        return (batch, (height - size) // stride + 1, (width - size) // stride + 1, channels)

    def _norm(self, source: str, name: str, norm: str) -> str:
        """Add the batch norm ``norm`` that is in front of a convolution, with its Relu."""
        shape = self._shapes[source]
        scale, shift = self._weights.affine(norm, shape[-1])
        if scale is not None:
            source = self._add("scale", norm, [source], shape, weights={"scale": scale.reshape(1, 1, 1, -1)})
        weights = {"shift": shift.reshape(1, 1, 1, -1)}
        return self._add("shift", name, [source], shape, has_relu=True, weights=weights)

    def _block(self, source: str, name: str, channels: int, stride: int, projects: bool) -> str:
        active = self._norm(source, f"{name}_preact", f"{name}_preact_bn")
        if projects:
            shortcut = self._conv(active, f"{name}_0_conv", 4 * channels, 1, stride)
        else:
            shortcut = source if stride == 1 else self._max_pool(source, f"{name}_pool", 1, stride)
        inner = self._conv(active, f"{name}_1_conv", channels, 1, relu=True)
        if stride > 1:
            inner = self._pad(inner, f"{name}_2_pad", 1)
        inner = self._conv(inner, f"{name}_2_conv", channels, 3, stride, relu=True)
        # The sum of 50 blocks of random weights shall not grow: each adds little.
        inner = self._conv(inner, f"{name}_3_conv", 4 * channels, 1, gain=0.3)
        return self._add("add", f"{name}_out", [shortcut, inner], self._shapes[inner])
