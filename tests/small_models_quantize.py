"""Models of a few ops that quantizers get wrong."""

from __future__ import annotations

import numpy as np
from small_models_builder import GraphBuilder, ModelBuilder, Op, Type, schema


def weights(graph: GraphBuilder, name: str, *shape: int, seed: int = 0) -> int:
    values = np.random.default_rng(seed + len(graph.table.tensors)).standard_normal(shape) / np.sqrt(shape[-1])
    return graph.constant(name, values.astype(np.float32))


def dense(graph: GraphBuilder, x: int, y: int, *, relu: bool = False) -> None:
    """Add a FULLY_CONNECTED from one tensor to another."""
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = int(relu)
    sizes = [int(graph.table.tensors[index].shape[-1]) for index in (y, x)]
    graph.op(Op.FULLY_CONNECTED, [x, weights(graph, f"w{y}", *sizes), -1], [y], options)


def embedding_and_logits() -> bytes:
    model = ModelBuilder()
    graph = model.graph()
    x, embedding, logits = graph.input("x", (1, 16)), graph.output("embedding", (1, 16)), graph.output("logits", (1, 4))
    dense(graph, x, embedding, relu=True)
    dense(graph, embedding, logits)
    model.signature("serve", graph, {"x": x}, {"emb": embedding, "log": logits})
    return model.to_bytes()


def unread(kind: str) -> bytes:
    model = ModelBuilder()
    graph = model.graph()
    x, h = graph.input("x", (1, 16)), graph.tensor("h", (1, 16))
    dense(graph, x, h)
    last = h
    if kind == "split":
        last, other = graph.tensor("a", (1, 8)), graph.tensor("b", (1, 8))
        options = schema.SplitOptionsT()
        options.numSplits = 2
        graph.op(Op.SPLIT, [graph.constant("axis", np.int32(1)), h], [last, other], options)
    if kind == "dead op":
        graph.op(Op.TANH, [h], [graph.tensor("dead", (1, 16))])
    dense(graph, last, graph.output("y", (1, 4)))
    return model.to_bytes()


def shape_of_activation() -> bytes:
    """FULLY_CONNECTED, then a RESHAPE to what SHAPE, STRIDED_SLICE and PACK compute, as Keras writes it."""
    model = ModelBuilder()
    graph = model.graph()
    x, h = graph.input("x", (-1, 8)), graph.tensor("h", (-1, 8))
    dense(graph, x, h)
    shape, first = graph.tensor("shape", (2,), Type.INT32), graph.tensor("first", (), Type.INT32)
    of_shape = schema.ShapeOptionsT()
    of_shape.outType = Type.INT32
    graph.op(Op.SHAPE, [h], [shape], of_shape)
    options = schema.StridedSliceOptionsT()
    options.shrinkAxisMask = 1
    at = [graph.constant(name, np.array([value], np.int32)) for name, value in (("b", 0), ("e", 1), ("s", 1))]
    graph.op(Op.STRIDED_SLICE, [shape, *at], [first], options)
    packed = graph.tensor("packed", (3,), Type.INT32)
    pack = schema.PackOptionsT()
    pack.valuesCount = 3
    graph.op(Op.PACK, [first, graph.constant("2", np.int32(2)), graph.constant("4", np.int32(4))], [packed], pack)
    reshaped = graph.tensor("r", (-1, 2, 4))
    graph.op(Op.RESHAPE, [h, packed], [reshaped], schema.ReshapeOptionsT())
    graph.op(Op.LOGISTIC, [reshaped], [graph.output("y", (-1, 2, 4))])
    return model.to_bytes()


def argmax() -> bytes:
    model = ModelBuilder()
    graph = model.graph()
    x, h = graph.input("x", (1, 8)), graph.tensor("h", (1, 8))
    dense(graph, x, h)
    options = schema.ArgMaxOptionsT()
    options.outputType = Type.INT32
    axis = graph.constant("axis", np.int32(1))
    graph.op(Op.ARG_MAX, [h, axis], [graph.output("y", (1,), Type.INT32)], options)
    return model.to_bytes()


def scalar_input() -> bytes:
    model = ModelBuilder()
    graph = model.graph()
    x, n = graph.input("x", (1, 16)), graph.input("n", (), Type.INT32)
    dense(graph, x, graph.output("y", (1, 8)))
    ends = [graph.constant(name, np.int32(value)) for name, value in (("zero", 0), ("one", 1))]
    graph.op(Op.RANGE, [ends[0], n, ends[1]], [graph.output("k", (-1,), Type.INT32)], schema.RangeOptionsT())
    return model.to_bytes()


def masked(mask: float, select: bool = False) -> bytes:
    """Attention of six places: scores plus a mask (or the mask in place of them), softmax, times the values."""
    model = ModelBuilder()
    graph = model.graph()
    x, hidden = graph.input("x", (6, 16)), graph.input("hidden", (6, 6), Type.BOOL if select else Type.FLOAT32)
    q, k, v = (graph.tensor(name, (6, 16)) for name in "qkv")
    for tensor in (q, k, v):
        dense(graph, x, tensor)
    scores, seen, p = (graph.tensor(name, (6, 6)) for name in ("scores", "seen", "p"))
    options = schema.BatchMatMulOptionsT()
    options.adjY = True
    graph.op(Op.BATCH_MATMUL, [q, k], [scores], options)
    if select:
        lowest = graph.constant("lowest", np.full((6, 6), mask, np.float32))
        graph.op(Op.SELECT_V2, [hidden, lowest, scores], [seen], schema.SelectV2OptionsT())
    else:
        added = graph.tensor("added", (6, 6))
        graph.op(Op.MUL, [hidden, graph.constant("mask", np.float32(mask))], [added], schema.MulOptionsT())
        graph.op(Op.ADD, [scores, added], [seen], schema.AddOptionsT())
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    graph.op(Op.SOFTMAX, [seen], [p], softmax)
    graph.op(Op.BATCH_MATMUL, [p, v], [graph.output("y", (6, 16))], schema.BatchMatMulOptionsT())
    return model.to_bytes()


def boxes_and_scores() -> bytes:
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (64, 8))
    small, boxes = graph.tensor("small", (64, 4)), graph.tensor("boxes", (64, 4))
    logits, scores = graph.tensor("logits", (64, 3)), graph.tensor("scores", (64, 3))
    dense(graph, x, small, relu=True)
    graph.op(Op.MUL, [small, graph.constant("size", np.float32(320))], [boxes], schema.MulOptionsT())
    dense(graph, x, logits)
    graph.op(Op.LOGISTIC, [logits], [scores])
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    graph.op(Op.CONCATENATION, [boxes, scores], [graph.output("y", (64, 7))], options)
    return model.to_bytes()


def saturating() -> bytes:
    """The second FULLY_CONNECTED takes the difference of two large and nearly equal numbers."""
    model = ModelBuilder()
    graph = model.graph()
    x, h = graph.input("x", (1, 4)), graph.tensor("h", (1, 4))
    graph.op(Op.ADD, [x, graph.constant("far", np.float32(1e4))], [h], schema.AddOptionsT())
    graph.op(Op.SUB, [h, graph.constant("back", np.float32(1e4))], [graph.output("y", (1, 4))], schema.SubOptionsT())
    return model.to_bytes()


def fused_lstm(steps: int = 5, inputs: int = 16, units: int = 32) -> bytes:
    """UNIDIRECTIONAL_SEQUENCE_LSTM over a sequence, then FULLY_CONNECTED."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (steps, 1, inputs))
    read = [x, *(weights(graph, f"i{gate}", units, inputs) for gate in "ifco")]
    read += [*(weights(graph, f"r{gate}", units, units) for gate in "ifco"), *[-1] * 3]
    read += [*(weights(graph, f"b{gate}", units) for gate in "ifco"), -1, -1]
    read += [graph.tensor(name, (1, units), variable=True) for name in ("state", "cell")] + [-1] * 4
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction, options.timeMajor = schema.ActivationFunctionType.TANH, True
    sequence, flat = graph.tensor("sequence", (steps, 1, units)), graph.tensor("flat", (steps, units))
    graph.op(Op.UNIDIRECTIONAL_SEQUENCE_LSTM, read, [sequence], options)
    shape = graph.constant("shape", np.array([steps, units], np.int32))
    graph.op(Op.RESHAPE, [sequence, shape], [flat], schema.ReshapeOptionsT())
    dense(graph, flat, graph.output("y", (steps, 3)))
    return model.to_bytes()


def tied_embedding(one_tensor: bool = True, rows: int = 500, width: int = 16) -> bytes:
    """GATHER, FULLY_CONNECTED, and a FULLY_CONNECTED whose weights are the table: one tensor, or two on one buffer."""
    model = ModelBuilder()
    graph = model.graph()
    ids = graph.input("ids", (5,), Type.INT32)
    table = head = weights(graph, "table", rows, width)
    if not one_tensor:
        head = graph.tensor("head", (rows, width))
        graph.table.tensors[head].buffer = graph.table.tensors[table].buffer
    found, hidden = graph.tensor("found", (5, width)), graph.tensor("hidden", (5, width))
    graph.op(Op.GATHER, [table, ids], [found], schema.GatherOptionsT())
    dense(graph, found, hidden)
    options = schema.FullyConnectedOptionsT()
    graph.op(Op.FULLY_CONNECTED, [hidden, head, -1], [graph.output("logits", (5, rows))], options)
    return model.to_bytes()
