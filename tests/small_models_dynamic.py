"""Models whose output shapes or paths are known only at run time."""

from __future__ import annotations

import numpy as np
from small_models_builder import ModelBuilder, Op, Type, schema
from small_models_case import Array, Arrays, Case, fixed

BOXES = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 3, 1, 4], [0, 6, 1, 7]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7, 0.1], np.float32)


def top_k() -> bytes:
    """TOPK_V2 with k as an input: two outputs of k values."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("x", (1, 5)), graph.input("k", (), Type.INT32)]
    outputs = [graph.output("values", (1, -1)), graph.output("indices", (1, -1), Type.INT32)]
    graph.op(Op.TOPK_V2, inputs, outputs, schema.TopKV2OptionsT())
    return model.to_bytes()


def where() -> bytes:
    """WHERE of a bool matrix: as many rows of indices as there are true elements."""
    model = ModelBuilder()
    graph = model.graph()
    condition = graph.input("condition", (2, 3), Type.BOOL)
    graph.op(Op.WHERE, [condition], [graph.output("indices", (-1, 2), Type.INT64)], schema.WhereOptionsT())
    return model.to_bytes()


def reshape_at_run_time() -> bytes:
    """RESHAPE of six values with the new shape as an input."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("x", (1, 6)), graph.input("shape", (2,), Type.INT32)]
    graph.op(Op.RESHAPE, inputs, [graph.output("y", (-1, -1))], schema.ReshapeOptionsT())
    return model.to_bytes()


def non_max_suppression_v4() -> bytes:
    """NON_MAX_SUPPRESSION_V4 of four boxes with the most boxes to keep as an input."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("boxes", (4, 4)), graph.input("scores", (4,)), graph.input("max_boxes", (), Type.INT32)]
    inputs += [graph.constant("iou_threshold", np.float32(0.5)), graph.constant("score_threshold", np.float32(0.3))]
    outputs = [graph.output("selected", (-1,), Type.INT32), graph.output("count", (), Type.INT32)]
    graph.op(Op.NON_MAX_SUPPRESSION_V4, inputs, outputs, schema.NonMaxSuppressionV4OptionsT())
    return model.to_bytes()


def non_max_suppression_v5() -> bytes:
    """NON_MAX_SUPPRESSION_V5 of four boxes, keeping at most three: static shapes, padded outputs."""
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("boxes", (4, 4)), graph.input("scores", (4,))]
    inputs += [graph.constant("max_boxes", np.int32(3)), graph.constant("iou_threshold", np.float32(0.5))]
    inputs += [graph.constant("score_threshold", np.float32(0.3)), graph.constant("sigma", np.float32(0))]
    outputs = [graph.output("selected", (3,), Type.INT32), graph.output("selected_scores", (3,))]
    outputs.append(graph.output("count", (), Type.INT32))
    graph.op(Op.NON_MAX_SUPPRESSION_V5, inputs, outputs, schema.NonMaxSuppressionV5OptionsT())
    return model.to_bytes()


def if_then_else() -> bytes:
    """IF the bool input holds, x + x, else x * x."""
    model = ModelBuilder()
    main, then, otherwise = model.graph(), model.graph("then"), model.graph("else")
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = then.index, otherwise.index
    inputs = [main.input("condition", (1,), Type.BOOL), main.input("x", (1, 4))]
    main.op(Op.IF, inputs, [main.output("y", (1, 4))], options)
    x = then.input("x", (1, 4))
    then.op(Op.ADD, [x, x], [then.output("y", (1, 4))], schema.AddOptionsT())
    x = otherwise.input("x", (1, 4))
    otherwise.op(Op.MUL, [x, x], [otherwise.output("y", (1, 4))], schema.MulOptionsT())
    return model.to_bytes()


def while_loop() -> bytes:
    """WHILE the count is below 5, raise it by one and double x; both are outputs."""
    model = ModelBuilder()
    main, condition, body = model.graph(), model.graph("condition"), model.graph("body")
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = condition.index, body.index
    inputs = [main.input("count", (1,), Type.INT32), main.input("x", (1, 4))]
    main.op(Op.WHILE, inputs, [main.output("last_count", (1,), Type.INT32), main.output("y", (1, 4))], options)

    count, _ = condition.input("count", (1,), Type.INT32), condition.input("x", (1, 4))
    limit, holds = condition.constant("limit", np.array([5], np.int32)), condition.output("holds", (1,), Type.BOOL)
    condition.op(Op.LESS, [count, limit], [holds], schema.LessOptionsT())

    count, x = body.input("count", (1,), Type.INT32), body.input("x", (1, 4))
    one, two = body.constant("one", np.array([1], np.int32)), body.constant("two", np.float32(2))
    body.op(Op.ADD, [count, one], [body.output("next_count", (1,), Type.INT32)], schema.AddOptionsT())
    body.op(Op.MUL, [x, two], [body.output("next_x", (1, 4))], schema.MulOptionsT())
    return model.to_bytes()


def _top_k_expected(inputs: Arrays) -> Arrays:
    order = np.argsort(-inputs[0][0])[: int(inputs[1])]
    return [inputs[0][:, order], order.astype(np.int32)[np.newaxis]]


def _row(*values: float) -> Array:
    return np.array([values], np.float32)


CASES = (
    Case("top_k", top_k, fixed(_row(3, 1, 4, 1.5, 9), np.int32(2)), _top_k_expected, "dynamic outputs"),
    Case(
        "where",
        where,
        fixed(np.array([[True, False, True], [False, False, True]])),
        lambda a: [np.argwhere(a[0])],
        "dynamic output",
    ),
    Case(
        "reshape_at_run_time",
        reshape_at_run_time,
        fixed(_row(1, 2, 3, 4, 5, 6), np.array([3, 2], np.int32)),
        lambda a: [a[0].reshape(a[1])],
        "dynamic output",
    ),
    Case(
        "non_max_suppression_v4",
        non_max_suppression_v4,
        fixed(BOXES, SCORES, np.int32(3)),
        lambda a: [np.array([0, 2, 0], np.int32), np.array(2, np.int32)],
        "dynamic output, padded with zeros to max_boxes; scalar output",
    ),
    Case(
        "non_max_suppression_v5",
        non_max_suppression_v5,
        fixed(BOXES, SCORES),
        lambda a: [np.array([0, 2, 0], np.int32), np.array([0.9, 0.7, 0], np.float32), np.array(2, np.int32)],
        "three outputs, one scalar",
    ),
    Case("if_then", if_then_else, fixed(np.array([True]), _row(1, 2, 3, 4)), lambda a: [a[1] * 2], "IF, then side"),
    Case("if_else", if_then_else, fixed(np.array([False]), _row(1, 2, 3, 4)), lambda a: [a[1] ** 2], "IF, else side"),
    Case(
        "while_loop",
        while_loop,
        fixed(np.array([2], np.int32), _row(1, 2, 3, 4)),
        lambda a: [np.array([5], np.int32), a[1] * 8],
        "three subgraphs",
    ),
)
