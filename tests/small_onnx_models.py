"""Small ONNX models with random weights, one for each thing that cutting has to get right."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT8, UINT8, INT64, BOOL = (
    TensorProto.FLOAT,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT64,
    TensorProto.BOOL,
)


def array(name: str, value: Any) -> onnx.TensorProto:
    """Return an initializer."""
    return numpy_helper.from_array(np.asarray(value), name)


def random(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    """Return a float32 initializer of random values around 0."""
    return array(name, np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 0.2)


def model(
    nodes: list[Any],
    inputs: list[tuple[str, int, list[Any]]],
    outputs: list[tuple[str, int, list[Any] | None]],
    constants: list[Any] = (),  # type: ignore[assignment]
    **more: Any,
) -> onnx.ModelProto:
    """Return a model of opset 17 (or ``opset``), which the checker has accepted."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        list(constants),
    )
    domains = {"": more.pop("opset", 17), **more.pop("domains", {})}
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=more.pop("ir_version", 8), **more)
    onnx.checker.check_model(made)
    return made


def conv(name: str, source: str, weight: str) -> Any:
    """Return a 3 x 3 convolution that keeps the size."""
    return helper.make_node("Conv", [source, weight], [name], name=f"{name}_node", pads=[1, 1, 1, 1])


def skips(batch: int | str = 1) -> onnx.ModelProto:
    """Return a chain of convolutions with two skip connections, one of them over the other."""
    nodes = [
        conv("a", "x", "w0"),
        helper.make_node("Relu", ["a"], ["ra"], name="relu_a"),
        conv("b", "ra", "w1"),
        helper.make_node("Add", ["b", "ra"], ["s"], name="inner_skip"),
        conv("c", "s", "w2"),
        helper.make_node("Add", ["c", "x4"], ["y"], name="outer_skip"),
    ]
    nodes.insert(0, conv("x4", "x", "w3"))
    weights = [random("w0", 4, 3, 3, 3), random("w1", 4, 4, 3, 3, seed=1), random("w2", 4, 4, 3, 3, seed=2)]
    weights.append(random("w3", 4, 3, 3, 3, seed=3))
    return model(nodes, [("x", FLOAT, [batch, 3, 8, 8])], [("y", FLOAT, [batch, 4, 8, 8])], weights)


def qdq() -> onnx.ModelProto:
    """Return conv -> QuantizeLinear -> DequantizeLinear -> conv, with the second conv's weights as int8."""
    nodes = [
        conv("a", "x", "w0"),
        helper.make_node("QuantizeLinear", ["a", "scale", "zero"], ["a_q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["a_q", "scale", "zero"], ["a_f"], name="dequantize"),
        helper.make_node("DequantizeLinear", ["w1_q", "w1_scale", "w1_zero"], ["w1"], name="weights", axis=0),
        conv("y", "a_f", "w1"),
    ]
    rng = np.random.default_rng(1)
    constants = [
        random("w0", 4, 3, 3, 3),
        array("scale", np.float32(0.02)),
        array("zero", np.uint8(128)),
        array("w1_q", rng.integers(-127, 128, (5, 4, 3, 3)).astype(np.int8)),
        array("w1_scale", np.linspace(0.01, 0.02, 5, dtype=np.float32)),
        array("w1_zero", np.zeros(5, np.int8)),
    ]
    return model(nodes, [("x", FLOAT, [1, 3, 8, 8])], [("y", FLOAT, [1, 5, 8, 8])], constants)


def qoperator() -> onnx.ModelProto:
    """Return a model of integer ops, one of them (QLinearAdd) of ONNX Runtime's own."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], name="quantize"),
        helper.make_node("QLinearMatMul", ["xq", "s", "z", "w", "ws", "wz", "s", "z"], ["m"], name="matmul"),
        helper.make_node("QLinearAdd", ["m", "s", "z", "xq", "s", "z", "s", "z"], ["t"], "add", domain="com.microsoft"),
        helper.make_node("QLinearSigmoid", ["t", "s", "z", "s", "z"], ["u"], "sigmoid", domain="com.microsoft"),
        helper.make_node("DequantizeLinear", ["u", "s", "z"], ["y"], name="dequantize"),
    ]
    rng = np.random.default_rng(2)
    constants = [
        array("s", np.float32(0.05)),
        array("z", np.uint8(100)),
        array("w", rng.integers(-50, 50, (6, 6)).astype(np.int8)),
        array("ws", np.float32(0.03)),
        array("wz", np.int8(0)),
    ]
    sides = [("x", FLOAT, [2, 6])], [("y", FLOAT, [2, 6])]
    return model(nodes, *sides, constants, domains={"com.microsoft": 1})


def branches() -> onnx.ModelProto:
    """Return a model with an If whose branches read tensors of the graph around it, one of them two levels deep."""

    def graph(name: str, nodes: list[Any], output: str) -> Any:
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, FLOAT, None)])

    deep = graph("deep", [helper.make_node("Mul", ["h", "k"], ["deep_out"])], "deep_out")
    flat = graph("flat", [helper.make_node("Neg", ["h"], ["flat_out"])], "flat_out")
    inner = helper.make_node("If", ["flag"], ["inner_out"], then_branch=deep, else_branch=flat)
    then_branch = graph("then", [inner], "inner_out")
    else_branch = graph("else", [helper.make_node("Add", ["h", "x"], ["else_out"])], "else_out")
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], name="relu"),
        helper.make_node("If", ["flag"], ["i"], name="choice", then_branch=then_branch, else_branch=else_branch),
        helper.make_node("Sigmoid", ["i"], ["y"], name="sigmoid"),
    ]
    inputs = [("x", FLOAT, [2, 3]), ("flag", BOOL, [])]
    return model(nodes, inputs, [("y", FLOAT, [2, 3])], [random("k", 2, 3)])


def loop(says_shape: bool = True) -> onnx.ModelProto:
    """Return a model with a Loop that adds a tensor of the graph around it three times."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["carried", "step"], ["next"]),
            helper.make_node("Identity", ["go_on"], ["go_on_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", INT64, []),
            helper.make_tensor_value_info("go_on", BOOL, []),
            helper.make_tensor_value_info("carried", FLOAT, [2, 3]),
        ],
        [helper.make_tensor_value_info("go_on_out", BOOL, []), helper.make_tensor_value_info("next", FLOAT, [2, 3])],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["start"], name="relu"),
        helper.make_node("Mul", ["x", "k"], ["step"], name="mul"),
        helper.make_node("Loop", ["rounds", "", "start"], ["sum"], name="loop", body=body),
        helper.make_node("Tanh", ["sum"], ["y"], name="tanh"),
    ]
    constants = [array("rounds", np.int64(3)), random("k", 2, 3)]
    made = model(nodes, [("x", FLOAT, [2, 3])], [("y", FLOAT, [2, 3])], constants)
    if says_shape:  # which nobody can infer: what a loop carries may change its shape
        made.graph.value_info.append(helper.make_tensor_value_info("sum", FLOAT, [2, 3]))
    return made


def constant_nodes() -> onnx.ModelProto:
    """Return a model whose weights and shape are Constant nodes, with shape arithmetic on them, and without names."""
    weights = random("", 6, 6, seed=5)
    nodes = [
        helper.make_node("Constant", [], ["w"], value=weights),
        helper.make_node("Constant", [], ["rows"], value=array("", np.array([3], np.int64))),
        helper.make_node("Constant", [], ["rest"], value=array("", np.array([-1], np.int64))),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Concat", ["rows", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["h", "shape"], ["r"]),
        helper.make_node("Softmax", ["r"], ["y"]),
    ]
    return model(nodes, [("x", FLOAT, [2, 6])], [("y", FLOAT, [3, 4])])


def local_function() -> onnx.ModelProto:
    """Return a model with a local function that calls another, between two ordinary ops; and one that nobody calls."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]

    def function(name: str, op: Any) -> Any:
        return helper.make_function("local", name, ["a"], ["b"], [op], opsets)

    functions = [
        function("Outer", helper.make_node("Inner", ["a"], ["b"], domain="local")),
        function("Inner", helper.make_node("Tanh", ["a"], ["b"])),
        function("Idle", helper.make_node("Neg", ["a"], ["b"])),
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], name="relu"),
        helper.make_node("Outer", ["h"], ["t"], name="outer", domain="local"),
        helper.make_node("Sigmoid", ["t"], ["y"], name="sigmoid"),
    ]
    sides = [("x", FLOAT, [2, 3])], [("y", FLOAT, [2, 3])]
    return model(nodes, *sides, domains={"local": 1}, functions=functions)


def optional_places() -> onnx.ModelProto:
    """Return Clip without a minimum, and Dropout-free MaxPool with its second output; two nodes have the same name."""
    nodes = [
        helper.make_node("Clip", ["x", "", "top"], ["c"], name="same"),
        helper.make_node("MaxPool", ["c"], ["p", "places"], name="same", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Neg", ["p"], ["y"], name="neg"),
    ]
    outputs = [("y", FLOAT, [1, 1, 2, 2]), ("places", INT64, [1, 1, 2, 2])]
    return model(nodes, [("x", FLOAT, [1, 1, 4, 4])], outputs, [array("top", np.float32(0.3))])


def sequences() -> onnx.ModelProto:
    """Return a model that splits into a sequence of tensors and joins them again."""
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], name="relu"),
        helper.make_node("SplitToSequence", ["h"], ["s"], name="split", axis=0),
        helper.make_node("ConcatFromSequence", ["s"], ["y"], name="concat", axis=1),
    ]
    return model(nodes, [("x", FLOAT, [2, 3])], [("y", FLOAT, [None, None])])


ALL = {
    "skips": skips,
    "qdq": qdq,
    "qoperator": qoperator,
    "branches": branches,
    "loop": loop,
    "constant_nodes": constant_nodes,
    "local_function": local_function,
    "optional_places": optional_places,
}
