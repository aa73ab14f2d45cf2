"""Models that are odd at their edges: signatures, shared or missing tensors, ops nobody has, split graphs."""

from __future__ import annotations

import numpy as np
from small_models_builder import GraphBuilder, ModelBuilder, Op, Type, schema
from small_models_case import Arrays, Case, fixed, floats
from small_models_layers import CONV_BIAS, CONV_WEIGHTS, conv_options, conv_valid

CONSTANT = np.array([[1, 2, 3, 4]], np.float32)
SPLIT_WEIGHTS = (np.arange(4, dtype=np.float32).reshape(2, 1, 1, 2) - 1) / 2
NEEDS_CUSTOM_OP = "allocate_tensors raises RuntimeError: the op {} is not registered"


def no_signature() -> bytes:
    """SUB of the inputs x and y, without a signature."""
    model = ModelBuilder()
    _subtract(model.graph())
    return model.to_bytes()


def with_signature() -> bytes:
    """The model of ``no_signature`` with the signature serving_default: x, y -> difference."""
    model = ModelBuilder()
    graph = model.graph()
    x, y, difference = _subtract(graph)
    model.signature("serving_default", graph, {"x": x, "y": y}, {"difference": difference})
    return model.to_bytes()


def reordered_signature() -> bytes:
    """(b - a) * c; the graph, the signature and the alphabet each put the three inputs in another order."""
    model = ModelBuilder()
    graph = model.graph()
    a, b, c = (graph.input(name, (1, 4)) for name in "abc")
    difference, product = graph.tensor("difference", (1, 4)), graph.output("product", (1, 4))
    graph.op(Op.SUB, [b, a], [difference], schema.SubOptionsT())
    graph.op(Op.MUL, [difference, c], [product], schema.MulOptionsT())
    model.signature("scale", graph, {"minuend": b, "subtrahend": a, "factor": c}, {"product": product})
    return model.to_bytes()


def two_signatures() -> bytes:
    """The signatures add and multiply over a subgraph each, both x, y -> result."""
    model = ModelBuilder()
    for key, code, options in (
        ("add", Op.ADD, schema.AddOptionsT()),
        ("multiply", Op.MUL, schema.MulOptionsT()),
    ):
        graph = model.graph(key)
        x, y, result = graph.input("x", (1, 4)), graph.input("y", (1, 4)), graph.output("result", (1, 4))
        graph.op(code, [x, y], [result], options)
        model.signature(key, graph, {"x": x, "y": y}, {"result": result})
    return model.to_bytes()


def shared_graph_signatures() -> bytes:
    """The signatures first (x, y -> difference) and second (left, right -> out) over one subgraph."""
    model = ModelBuilder()
    graph = model.graph()
    x, y, difference = _subtract(graph)
    model.signature("first", graph, {"x": x, "y": y}, {"difference": difference})
    model.signature("second", graph, {"left": x, "right": y}, {"out": difference})
    return model.to_bytes()


def constant_output() -> bytes:
    """ADD of the input x to a constant; the constant itself is the second output."""
    model = ModelBuilder()
    graph = model.graph()
    x, constant = graph.input("x", (1, 4)), graph.constant("constant", CONSTANT)
    graph.op(Op.ADD, [x, constant], [graph.output("sum", (1, 4))], schema.AddOptionsT())
    graph.table.outputs.append(constant)
    return model.to_bytes()


def pass_through() -> bytes:
    """The input x is the second output; the first is x + x."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 4))
    graph.op(Op.ADD, [x, x], [graph.output("doubled", (1, 4))], schema.AddOptionsT())
    graph.table.outputs.append(x)
    return model.to_bytes()


def only_pass_through() -> bytes:
    """No op at all: the input x is the output."""
    model = ModelBuilder()
    graph = model.graph()
    graph.table.outputs.append(graph.input("x", (1, 4)))
    return model.to_bytes()


def same_output_twice() -> bytes:
    """x + x, listed twice in the outputs."""
    model = ModelBuilder()
    graph = model.graph()
    x, doubled = graph.input("x", (1, 4)), graph.output("doubled", (1, 4))
    graph.op(Op.ADD, [x, x], [doubled], schema.AddOptionsT())
    graph.table.outputs.append(doubled)
    return model.to_bytes()


def unused_input() -> bytes:
    """x + x, with a second input that no op reads."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 4))
    graph.input("unused", (3,), Type.INT32)
    graph.op(Op.ADD, [x, x], [graph.output("doubled", (1, 4))], schema.AddOptionsT())
    return model.to_bytes()


def no_inputs() -> bytes:
    """A constant plus itself; the model has no inputs."""
    model = ModelBuilder()
    graph = model.graph()
    constant = graph.constant("constant", CONSTANT)
    graph.op(Op.ADD, [constant, constant], [graph.output("doubled", (1, 4))], schema.AddOptionsT())
    return model.to_bytes()


def custom_op(custom_code: str = "MyCustomOp") -> bytes:
    """One custom op, which no resolver knows."""
    model = ModelBuilder()
    graph = model.graph()
    x, y = graph.input("x", (1, 4)), graph.output("y", (1, 4))
    graph.op(Op.CUSTOM, [x], [y], custom_code=custom_code)
    return model.to_bytes()


def compiled_for_edge_tpu() -> bytes:
    """Two ops as edgetpu_compiler writes them, and an ADD that stayed on the CPU."""
    model = ModelBuilder()
    graph = model.graph()
    x, first, second = graph.input("x", (1, 4)), graph.tensor("first", (1, 4)), graph.tensor("second", (1, 4))
    graph.op(Op.CUSTOM, [x], [first], custom_code="edgetpu-custom-op")
    graph.op(Op.CUSTOM, [first], [second], custom_code="edgetpu-custom-op")
    graph.op(Op.ADD, [second, x], [graph.output("y", (1, 4))], schema.AddOptionsT())
    return model.to_bytes()


def flex_op() -> bytes:
    """One TensorFlow op, FlexErf, which needs the Flex delegate."""
    return custom_op("FlexErf")


def partly_delegated() -> bytes:
    """CONV_2D, CUMSUM, CONV_2D, ADD: XNNPACK has no CUMSUM, so its ops are two partitions around it."""
    model = ModelBuilder()
    graph = model.graph()
    conv_inputs = [graph.input("image", (1, 4, 4, 1)), graph.constant("w0", CONV_WEIGHTS)]
    first, sums, second = (graph.tensor(name, (1, 2, 2, 2)) for name in ("first", "sums", "second"))
    bias = graph.constant("bias", CONV_BIAS)
    graph.op(Op.CONV_2D, [*conv_inputs, bias], [first], conv_options())
    graph.op(Op.CUMSUM, [first, graph.constant("axis", np.int32(1))], [sums], schema.CumsumOptionsT())
    graph.op(Op.CONV_2D, [sums, graph.constant("w1", SPLIT_WEIGHTS), bias], [second], conv_options())
    one = graph.constant("one", np.float32(1))
    graph.op(Op.ADD, [second, one], [graph.output("y", (1, 2, 2, 2))], schema.AddOptionsT())
    return model.to_bytes()


def partly_compiled() -> bytes:
    """ADD, FLOOR, MUL: XNNPACK takes all of them, and OpenVINO's compiler leaves FLOOR."""
    model = ModelBuilder()
    graph = model.graph()
    x, half = graph.input("x", (1, 4)), graph.constant("half", np.float32(0.5))
    total, floor = graph.tensor("total", (1, 4)), graph.tensor("floor", (1, 4))
    graph.op(Op.ADD, [x, half], [total], schema.AddOptionsT())
    graph.op(Op.FLOOR, [total], [floor])
    graph.op(Op.MUL, [floor, half], [graph.output("y", (1, 4))], schema.MulOptionsT())
    return model.to_bytes()


def _subtract(graph: GraphBuilder) -> tuple[int, int, int]:
    x, y, difference = graph.input("x", (1, 4)), graph.input("y", (1, 4)), graph.output("difference", (1, 4))
    graph.op(Op.SUB, [x, y], [difference], schema.SubOptionsT())
    return x, y, difference


def _partly_delegated_expected(inputs: Arrays) -> Arrays:
    first = np.maximum(conv_valid(inputs[0], CONV_WEIGHTS) + CONV_BIAS, 0)
    second = np.maximum(conv_valid(np.cumsum(first, axis=1), SPLIT_WEIGHTS) + CONV_BIAS, 0)
    return [second + 1]


_ONE = floats((1, 4))
_TWO = floats((1, 4), (1, 4))

CASES = (
    Case("no_signature", no_signature, _TWO, lambda a: [a[0] - a[1]]),
    Case("with_signature", with_signature, _TWO, lambda a: [a[0] - a[1]], "signature serving_default"),
    Case(
        "reordered_signature",
        reordered_signature,
        floats((1, 4), (1, 4), (1, 4)),
        lambda a: [(a[1] - a[0]) * a[2]],
        "graph order subtrahend, minuend, factor; signature order minuend, subtrahend, factor",
    ),
    Case("two_signatures", two_signatures, _TWO, lambda a: [a[0] + a[1]], "the first subgraph adds"),
    Case("shared_graph_signatures", shared_graph_signatures, _TWO, lambda a: [a[0] - a[1]], "first and second"),
    Case("constant_output", constant_output, _ONE, lambda a: [a[0] + CONSTANT, CONSTANT]),
    Case("pass_through", pass_through, _ONE, lambda a: [a[0] * 2, a[0]]),
    Case("only_pass_through", only_pass_through, _ONE, lambda a: [a[0]], "no op"),
    Case("same_output_twice", same_output_twice, _ONE, lambda a: [a[0] * 2, a[0] * 2]),
    Case("unused_input", unused_input, lambda rng: [*_ONE(rng), np.arange(3, dtype=np.int32)], lambda a: [a[0] * 2]),
    Case("no_inputs", no_inputs, fixed(), lambda a: [CONSTANT * 2]),
    Case("custom_op", custom_op, _ONE, None, obstacle=NEEDS_CUSTOM_OP.format("MyCustomOp")),
    Case("flex_op", flex_op, _ONE, None, obstacle=NEEDS_CUSTOM_OP.format("FlexErf")),
    Case("partly_delegated", partly_delegated, floats((1, 4, 4, 1)), _partly_delegated_expected, "two partitions"),
)
