"""Small ONNX models of ordinary kinds, with random weights, made by script: what quantizing has to do right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Feeds = dict[str, NDArray[Any]]
_TYPES = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}


@dataclass
class Builder:
    """Collects the ops and weights of a model."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    nodes: list[Any] = field(default_factory=list)
    stored: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    made: dict[str, Callable[[np.random.Generator], NDArray[Any]]] = field(default_factory=dict)
    count: int = 0

    def name(self, end: str) -> str:
        self.count += 1
        return f"{end}{self.count}"

    def weights(self, *shape: int, scale: float = 1.0) -> str:
        fan = np.prod(shape[1:]) if len(shape) > 1 else 4
        return self.constant((self.random.standard_normal(shape) * scale / np.sqrt(fan)).astype(np.float32))

    def constant(self, value: Any) -> str:
        name = self.name("c")
        self.stored.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def input(
        self, name: str, shape: Sequence[int | str], kind: str = "f", make: Callable[..., Any] | None = None
    ) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], shape))
        sizes = [2 if isinstance(size, str) else size for size in shape]
        self.made[name] = make or (lambda random: random.standard_normal(sizes).astype(np.float32))
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [self.name("t") for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, self.name(kind.lower()), **attributes))
        return names[0] if outputs == 1 else names

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        product: str = self.op("MatMul", x, self.weights_io(inputs, outputs))
        added: str = self.op("Add", product, self.weights(outputs))
        return added

    def weights_io(self, inputs: int, outputs: int) -> str:
        return self.constant((self.random.standard_normal((inputs, outputs)) / np.sqrt(inputs)).astype(np.float32))

    def conv(self, x: str, inputs: int, outputs: int, size: int = 3, group: int = 1, **more: Any) -> str:
        weights = self.weights(outputs, inputs // group, size, size)
        made: str = self.op("Conv", x, weights, self.weights(outputs), pads=[size // 2] * 4, group=group, **more)
        return made

    def model(self, *outputs: str, opset: int = 17) -> bytes:
        made = [_output(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "kind", self.inputs, made, self.stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return bytes(model.SerializeToString())

    def samples(self, count: int = 8) -> list[Feeds]:
        random = np.random.default_rng(11)
        return [{name: make(random) for name, make in self.made.items()} for _ in range(count)]


def _output(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def mlp(b: Builder) -> bytes:
    x = b.op("Relu", b.dense(b.input("x", ["N", 16]), 16, 32))
    x = b.op("Sigmoid", b.dense(x, 32, 32))
    return b.model(b.op("Softmax", b.dense(x, 32, 10), axis=-1))


def conv_net(b: Builder) -> bytes:
    x = b.op("Relu", b.conv(b.input("x", ["N", 3, 16, 16]), 3, 8))
    x = b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.op("LeakyRelu", b.conv(x, 8, 16), alpha=0.1)
    x = b.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.op("Flatten", x)
    return b.model(b.op("Gemm", x, b.weights(10, 256), b.weights(10), transB=1))


def residual_before_activation(b: Builder) -> bytes:
    stem = b.conv(b.input("x", ["N", 3, 12, 12]), 3, 8)
    for _ in range(2):
        inner = b.conv(b.op("Relu", stem), 8, 8)
        inner = b.conv(b.op("Clip", inner, b.constant(np.float32(-0.5)), b.constant(np.float32(0.5))), 8, 8)
        stem = b.op("Add", stem, inner)
    return b.model(b.op("GlobalAveragePool", b.op("Relu", stem)), stem)


def decomposed_norm(b: Builder) -> bytes:
    x = b.dense(b.input("x", ["N", 6, 16]), 16, 16)
    centred = b.op("Sub", x, b.op("ReduceMean", x, axes=[-1]))
    variance = b.op("ReduceMean", b.op("Pow", centred, b.constant(np.float32(2))), axes=[-1])
    scaled = b.op("Div", centred, b.op("Sqrt", b.op("Add", variance, b.constant(np.float32(1e-5)))))
    x = b.op("Add", b.op("Mul", scaled, b.weights(16)), b.weights(16))
    return b.model(b.dense(x, 16, 8))


def layer_norm(b: Builder) -> bytes:
    x = b.dense(b.input("x", ["N", 6, 16]), 16, 16)
    x = b.op("LayerNormalization", x, b.weights(16), b.weights(16), axis=-1)
    gelu = b.op(
        "Mul", x, b.op("Add", b.op("Erf", b.op("Div", x, b.constant(np.float32(1.414)))), b.constant(np.float32(1)))
    )
    return b.model(b.dense(gelu, 16, 8))


def _recurrent(b: Builder, kind: str, gates: int, directions: int = 1) -> bytes:
    x = b.op("Transpose", b.input("x", ["N", 10, 8]), perm=[1, 0, 2])
    weights = [
        b.weights(directions, gates * 6, 8),
        b.weights(directions, gates * 6, 6),
        b.weights(directions, gates * 12),
    ]
    direction = "bidirectional" if directions == 2 else "forward"
    y, *_ = b.op(kind, x, *weights, outputs=2, hidden_size=6, direction=direction)
    y = b.op("Reshape", b.op("Transpose", y, perm=[0, 2, 1, 3]), b.constant(np.array([0, 0, -1])))
    return b.model(b.dense(b.op("Transpose", y, perm=[1, 0, 2]), 6 * directions, 5))


def lstm(b: Builder) -> bytes:
    return _recurrent(b, "LSTM", 4)


def bidirectional_gru(b: Builder) -> bytes:
    return _recurrent(b, "GRU", 3, 2)


def rnn(b: Builder) -> bytes:
    return _recurrent(b, "RNN", 1)


def attention(b: Builder) -> bytes:
    x = b.input("x", ["N", 6, 16])
    mask = b.input("mask", ["N", 6], "f", lambda random: (random.random((2, 6)) > 0.3).astype(np.float32))
    heads = [
        b.op("Transpose", b.op("Reshape", b.dense(x, 16, 16), b.constant(np.array([0, 6, 2, 8]))), perm=perm)
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    ]
    scores = b.op("Div", b.op("MatMul", heads[0], heads[1]), b.constant(np.float32(8**0.5)))
    wide = b.op("Unsqueeze", mask, b.constant(np.array([1, 2])))
    masked = b.op("Mul", b.op("Sub", b.constant(np.float32(1)), wide), b.constant(np.float32(np.finfo(np.float32).min)))
    chosen = b.op("MatMul", b.op("Softmax", b.op("Add", scores, masked), axis=-1), heads[2])
    y = b.op("Reshape", b.op("Transpose", chosen, perm=[0, 2, 1, 3]), b.constant(np.array([0, 6, 16])))
    return b.model(b.op("Add", x, b.dense(y, 16, 16)))


def where_mask(b: Builder) -> bytes:
    x = b.input("x", [2, 6, 16])
    causal = b.constant(np.tril(np.ones((6, 6), bool)))
    scores = b.op("MatMul", b.dense(x, 16, 16), b.op("Transpose", b.dense(x, 16, 16), perm=[0, 2, 1]))
    masked = b.op("Where", causal, scores, b.constant(np.float32(-1e9)))
    return b.model(b.op("MatMul", b.op("Softmax", masked, axis=-1), b.dense(x, 16, 16)))


def tied_embedding(b: Builder) -> bytes:
    ids = b.input("ids", ["N", 5], "i", lambda random: random.integers(0, 300, (2, 5)))
    table = b.weights(300, 32)
    x = b.dense(b.op("Gather", table, ids), 32, 32)
    return b.model(b.op("MatMul", b.op("Tanh", x), b.op("Transpose", table, perm=[1, 0])))


def branches(b: Builder) -> bytes:
    h = b.op("Relu", b.dense(b.input("x", [2, 16]), 16, 16))
    inner = []
    for number in range(2):
        body = Builder(np.random.default_rng(number), count=100 * (number + 1))
        made = body.op("MatMul", h, body.weights_io(16, 16))
        inner.append(helper.make_graph(body.nodes, f"branch{number}", [], [_output(made)], body.stored))
    is_large = b.op("Greater", b.op("ReduceMax", h, keepdims=0), b.constant(np.float32(2)))
    y = b.op("If", is_large, then_branch=inner[0], else_branch=inner[1])
    return b.model(b.dense(y, 16, 8))


def loop(b: Builder) -> bytes:
    h = b.dense(b.input("x", [4, 16]), 16, 16)
    body = Builder(np.random.default_rng(5), count=100)
    again = body.op("Identity", "cond")
    state = body.op("Tanh", body.op("MatMul", "state", body.weights_io(16, 16)))
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        body.nodes,
        "body",
        [
            make("i", TensorProto.INT64, []),
            make("cond", TensorProto.BOOL, []),
            make("state", TensorProto.FLOAT, [4, 16]),
        ],
        [make(again, TensorProto.BOOL, []), make(state, TensorProto.FLOAT, [4, 16])],
        body.stored,
    )
    y = b.op("Loop", b.constant(np.array(3)), b.constant(np.array(True)), h, body=graph)
    return b.model(b.dense(b.op("Relu", y), 16, 8))


def scan(b: Builder) -> bytes:
    x = b.dense(b.input("x", [5, 16]), 16, 16)
    body = Builder(np.random.default_rng(5), count=100)
    state = body.op("Tanh", body.op("Add", "entry", body.op("MatMul", "before", body.weights_io(16, 16))))
    out = body.op("Identity", state)
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        body.nodes,
        "body",
        [make("before", TensorProto.FLOAT, [1, 16]), make("entry", TensorProto.FLOAT, [16])],
        [make(state, TensorProto.FLOAT, [1, 16]), make(out, TensorProto.FLOAT, [1, 16])],
        body.stored,
    )
    _, y = b.op("Scan", b.constant(np.zeros((1, 16), np.float32)), x, outputs=2, body=graph, num_scan_inputs=1)
    return b.model(b.dense(y, 16, 8))


def decoder(b: Builder) -> bytes:
    x = b.op("Relu", b.conv(b.input("x", ["N", 3, 8, 8]), 3, 8))
    up = b.op("Resize", x, "", b.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")
    x = b.op("Relu", b.conv(up, 8, 8))
    turned = b.op("ConvTranspose", x, b.weights(8, 4, 2, 2), b.weights(4), strides=[2, 2])
    return b.model(b.op("Tanh", turned))


def gemms(b: Builder) -> bytes:
    x = b.input("x", [16, 4])
    y = b.op("Gemm", x, b.weights(16, 12), b.weights(12), transA=1, alpha=0.5)
    y = b.op("Relu", b.op("Gemm", y, b.weights(8, 12), b.weights(8), transB=1, beta=3.0))
    return b.model(b.op("Gemm", y, b.weights(8, 5), b.weights(5), alpha=2.0, beta=0.25))


def batch_norm(b: Builder) -> bytes:
    x = b.input("x", ["N", 4, 10, 10])
    for _ in range(2):
        spread = b.constant((0.5 + b.random.random(4)).astype(np.float32))
        x = b.op("BatchNormalization", x, b.weights(4), b.weights(4), b.weights(4), spread)
        x = b.op("Relu", b.conv(x, 4, 4))
    return b.model(x)


def grouped_conv(b: Builder) -> bytes:
    x = b.op("Relu", b.conv(b.input("x", ["N", 8, 10, 10]), 8, 16, group=4))
    x = b.op("HardSwish", b.conv(x, 16, 16, group=16, strides=[2, 2]))
    squeezed = b.op("HardSigmoid", b.conv(b.op("GlobalAveragePool", x), 16, 16, 1))
    return b.model(b.conv(b.op("Mul", x, squeezed), 16, 8, 1))


def instance_norm(b: Builder) -> bytes:
    x = b.conv(b.input("x", ["N", 3, 8, 8]), 3, 8)
    x = b.op("Relu", b.op("InstanceNormalization", x, b.weights(8), b.weights(8)))
    grouped = b.op("Reshape", b.conv(x, 8, 8), b.constant(np.array([0, 2, -1])))
    ones, zeros = b.constant(np.ones(2, np.float32)), b.constant(np.zeros(2, np.float32))
    normal = b.op("InstanceNormalization", grouped, ones, zeros)  # as PyTorch writes a group norm
    x = b.op("Reshape", normal, b.constant(np.array([0, 8, 8, 8])))
    return b.model(b.conv(b.op("Mul", x, b.weights(8, 1, 1)), 8, 4, 1))


def einsum(b: Builder) -> bytes:
    x = b.dense(b.input("x", ["N", 6, 16]), 16, 16)
    y = b.op("Einsum", x, b.weights(16, 2, 8), equation="btd,dhk->bhtk")
    return b.model(b.op("Einsum", y, b.weights(2, 8, 16), equation="bhtk,hkd->btd"))


def top_k(b: Builder) -> bytes:
    scores = b.dense(b.input("x", ["N", 16]), 16, 40)
    values, _ = b.op("TopK", scores, b.constant(np.array([5])), outputs=2, axis=-1)
    return b.model(b.dense(b.op("Softmax", values, axis=-1), 5, 4), values)


def pads_and_splits(b: Builder) -> bytes:
    x = b.op("Pad", b.input("x", ["N", 4, 8, 8]), b.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1])), mode="reflect")
    x = b.op("Conv", x, b.weights(8, 4, 3, 3), b.weights(8))
    one, two = b.op("Split", x, outputs=2, axis=1)
    y = b.op("Mul", one, b.op("Sigmoid", two))
    y = b.op(
        "Concat",
        y,
        b.op("Slice", x, b.constant(np.array([0])), b.constant(np.array([4])), b.constant(np.array([1]))),
        axis=1,
    )
    return b.model(b.conv(y, 8, 4, 1))


def scatter(b: Builder) -> bytes:
    x = b.dense(b.input("x", [6, 16]), 16, 8)
    rows = b.constant(np.array([[0], [2], [4], [6], [1], [3]]))
    placed = b.op("ScatterND", b.constant(np.zeros((8, 8), np.float32)), rows, x)
    spread = b.op(
        "ScatterElements", placed, b.constant(np.zeros((1, 8), np.int64)), b.weights(1, 8), axis=0, reduction="add"
    )
    return b.model(b.dense(spread, 8, 4))


def softmax_over_channels(b: Builder) -> bytes:
    x = b.op("Relu", b.conv(b.input("x", ["N", 3, 8, 8]), 3, 8))
    return b.model(b.op("Softmax", b.conv(x, 8, 5, 1), axis=1), b.op("LogSoftmax", b.conv(x, 8, 5, 1), axis=1))


def graph_sums(b: Builder) -> bytes:
    x = b.dense(b.input("x", [10, 8]), 8, 8)
    at = b.input("at", [24], "i", lambda random: random.integers(0, 10, 24))
    rows = b.op("Expand", b.op("Unsqueeze", at, b.constant(np.array([-1]))), b.constant(np.array([24, 8])))
    zeros = b.constant(np.zeros((10, 8), np.float32))
    summed = b.op("ScatterElements", zeros, rows, b.op("Gather", x, at), axis=0, reduction="add")
    return b.model(b.dense(b.op("Relu", summed), 8, 4))


def rms_norm_and_rotation(b: Builder) -> bytes:
    x = b.dense(b.input("x", ["N", 6, 16]), 16, 16)
    mean = b.op("ReduceMean", b.op("Mul", x, x), axes=[-1])
    x = b.op("Mul", x, b.op("Reciprocal", b.op("Sqrt", b.op("Add", mean, b.constant(np.float32(1e-6))))))
    angles = np.arange(6)[:, None] / 10 ** (np.arange(16) / 8)
    first, second = b.op("Split", x, outputs=2, axis=-1)
    turned = b.op("Concat", b.op("Neg", second), first, axis=-1)
    cos, sin = (b.constant(wave(angles).astype(np.float32)) for wave in (np.cos, np.sin))
    x = b.op("Add", b.op("Mul", x, cos), b.op("Mul", turned, sin))
    return b.model(b.dense(x, 16, 8))


def boxes_and_scores(b: Builder) -> bytes:
    x = b.op("Relu", b.conv(b.input("x", ["N", 3, 8, 8]), 3, 8))
    boxes = b.op("Mul", b.op("Sigmoid", b.conv(x, 8, 4, 1)), b.constant(np.float32(640)))
    scores = b.op("Sigmoid", b.conv(x, 8, 3, 1))
    return b.model(boxes, scores)


KINDS: dict[str, Callable[[Builder], bytes]] = {
    made.__name__: made
    for made in (
        mlp,
        conv_net,
        residual_before_activation,
        decomposed_norm,
        layer_norm,
        lstm,
        bidirectional_gru,
        rnn,
        attention,
        where_mask,
        tied_embedding,
        branches,
        loop,
        scan,
        decoder,
        gemms,
        batch_norm,
        grouped_conv,
        instance_norm,
        einsum,
        top_k,
        pads_and_splits,
        scatter,
        softmax_over_channels,
        graph_sums,
        rms_norm_and_rotation,
        boxes_and_scores,
    )
}


def make(name: str) -> tuple[bytes, list[Feeds]]:
    """Return a model by the name of its kind, and samples for it."""
    builder = Builder()
    return KINDS[name](builder), builder.samples()
