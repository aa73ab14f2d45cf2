"""Tied embeddings of ONNX models are stored once; local functions survive what quantizing needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
from litedelegates.quantize import quantize
from onnx import TensorProto, helper, numpy_helper
from test_quantize_onnx_arithmetic import errors, samples, values

PRECISIONS: list[tuple[str, dict[str, Any], float]] = [
    ("float16", {}, 0.55),
    ("dynamic", {}, 0.4),
    ("weight_only", {}, 0.4),
    ("int8", {}, 0.4),
    ("int8", {"format": "qoperator"}, 0.4),
    ("int16x8", {}, 0.4),
]


def language_model(head: str) -> bytes:
    """Return a model that looks rows of a table up and multiplies with the same table at its end."""
    table, hidden = values(400, 32), values(32, 32)
    table[7] *= 3  # rows of other sizes: each has a scale of its own
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"], "gather"),
        helper.make_node("MatMul", ["e", "hidden"], ["h"], "hidden"),
    ]
    if head == "matmul":
        nodes.append(helper.make_node("Transpose", ["table"], ["turned"], "turn", perm=[1, 0]))
        nodes.append(helper.make_node("MatMul", ["h", "turned"], ["y"], "head"))
    else:
        nodes.append(helper.make_node("Gemm", ["h", "table"], ["y"], "head", transB=1))
    shape = [6] if head == "gemm" else [2, 3]
    graph = helper.make_graph(
        nodes,
        "tied",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(hidden, "hidden")],
    )
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())


def tokens(head: str) -> list[dict[str, Any]]:
    random = np.random.default_rng(2)
    found = [{"ids": random.integers(0, 400, 6 if head == "gemm" else (2, 3))} for _ in range(8)]
    found[0]["ids"].flat[0] = 7
    return found


@pytest.mark.parametrize(("precision", "options", "size"), PRECISIONS, ids=str)
@pytest.mark.parametrize("head", ["matmul", "gemm"])
def test_a_tied_embedding_is_stored_once(head: str, precision: str, options: dict[str, Any], size: float) -> None:
    model, calibration = language_model(head), tokens(head)
    given = calibration if precision.startswith("int") else None
    made = quantize(model, precision, given, **options)
    assert len(made) < size * len(model)
    assert max(max(errors(made, model, sample)) for sample in calibration) < 0.05


def test_a_table_that_has_to_stay_float32_is_stored_beside_the_weights() -> None:
    model = language_model("matmul")
    made = onnx.load_from_string(quantize(model, "weight_only", exclude=["gather"]))
    table = next(tensor for tensor in made.graph.initializer if tensor.name == "table")
    assert np.array_equal(
        numpy_helper.to_array(table), values(400, 32) * np.where(np.arange(400) == 7, np.float32(3), 1)[:, None]
    )


def with_a_function(opset: int) -> bytes:
    """Return a model that calls a function of its own between two products."""
    function = helper.make_function(
        "own",
        "Scaled",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["two"]), helper.make_node("Tanh", ["two"], ["b"])],
        [helper.make_opsetid("", opset)],
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "first"),
        helper.make_node("Scaled", ["m"], ["s"], "call", domain="own"),
        helper.make_node("MatMul", ["s", "v"], ["y"], "second"),
    ]
    graph = helper.make_graph(
        nodes,
        "function",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values(16, 16), "w"), numpy_helper.from_array(values(16, 5), "v")],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=[function], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only", "int8", "int16x8"])
@pytest.mark.parametrize("opset", [11, 13, 17])
def test_functions_of_a_model_survive_a_raised_opset(opset: int, precision: str) -> None:
    model, calibration = with_a_function(opset), samples(x=(4, 16))
    given = calibration if precision.startswith("int") else None
    assert max(errors(quantize(model, precision, given, allow_float32_ops=True), model, calibration[0])) < 0.05
