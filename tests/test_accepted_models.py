"""Unusual models that the official Interpreter runs: ours loads them, and gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import OpResolverType
from litedelegates import CompileError, Interpreter, graph
from litedelegates.quantize import quantize
from small_models_builder import ModelBuilder, Op, Quantization, Type, schema

Array = np.ndarray[Any, Any]
DELEGATES = (None, "xnnpack")


def official_output(model: bytes, delegate: str | None, *inputs: Array) -> Array:
    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Official(model_content=model, experimental_op_resolver_type=resolver)
    for info, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.resize_tensor_input(info["index"], value.shape)
    interpreter.allocate_tensors()
    for info, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(info["index"], value)
    interpreter.invoke()
    output: Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return output


def assert_same(model: bytes, delegate: str | None, *inputs: Array) -> None:
    with Interpreter(model, delegate=delegate) as interpreter:
        np.testing.assert_array_equal(interpreter.run(*inputs), official_output(model, delegate, *inputs))


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("scale", [1e-35, 1e-20, 1e-10, 1e10])
@pytest.mark.parametrize("element_type", [Type.UINT8, Type.INT8])
def test_sums_with_very_small_and_large_scales_are_those_of_the_official_interpreter(
    element_type: int, scale: float, delegate: str | None
) -> None:
    model = small_models.add_as(element_type, scales=[Quantization([scale], [0])] * 3)
    dtype = np.uint8 if element_type == Type.UINT8 else np.int8
    assert_same(model, delegate, np.array([[1, 2, 3, 120]], dtype), np.array([[4, 0, 100, 120]], dtype))


def to_scalar(own_buffer: bool) -> bytes:
    """A product of (1, 8) by weights (1, 8), and a RESHAPE of it to a scalar by a constant without elements."""
    model = ModelBuilder()
    made = model.graph()
    x = made.input("x", (1, 8))
    weights = made.constant("w", np.linspace(-1, 2, 8, dtype=np.float32)[None])
    product = made.tensor("product", (1, 1))
    shape = made.tensor("shape", (0,), Type.INT32)
    if own_buffer:
        made.table.tensors[shape].buffer = model.add_buffer(b"")
    made.op(Op.FULLY_CONNECTED, [x, weights], [product], schema.FullyConnectedOptionsT())
    made.op(Op.RESHAPE, [product, shape], [made.output("y", ())], schema.ReshapeOptionsT())
    return model.to_bytes()


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("own_buffer", [False, True])
def test_a_constant_without_elements_needs_no_buffer(own_buffer: bool, delegate: str | None) -> None:
    assert_same(to_scalar(own_buffer), delegate, np.ones((1, 8), np.float32))


@pytest.mark.parametrize("own_buffer", [False, True])
def test_a_constant_without_elements_survives_cutting_and_joining(own_buffer: bool) -> None:
    model, x = to_scalar(own_buffer), np.arange(8, dtype=np.float32)[None]
    parts = graph.cut(graph.load(model), at=1)
    first, second = (part.to_bytes() for part in parts)
    between = Interpreter(first).run(x)
    whole = official_output(model, None, x)
    np.testing.assert_array_equal(Interpreter(second).run(between), whole)
    np.testing.assert_array_equal(Interpreter(graph.join(parts).to_bytes()).run(x), whole)


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int8"])
@pytest.mark.parametrize("own_buffer", [False, True])
def test_a_constant_without_elements_survives_quantizing(own_buffer: bool, precision: str) -> None:
    model, rng = to_scalar(own_buffer), np.random.default_rng(0)
    samples = [{"x": rng.uniform(-1, 1, (1, 8)).astype(np.float32)} for _ in range(8)]
    made = quantize(model, precision, samples if precision == "int8" else None, progress=False)
    x = samples[0]["x"]
    np.testing.assert_allclose(Interpreter(made).run(x), official_output(model, None, x), atol=0.1)


def inner_type(op: int, stored: int, options: Any) -> bytes:
    """Two ops in a row on float32; what lies between them is said to be of another type."""
    model = ModelBuilder()
    made = model.graph()
    x = made.input("x", (2, 3))
    inner = made.tensor("inner", (2, 3), stored)
    made.op(op, [x, x] if op == Op.ADD else [x], [inner], options)
    made.op(Op.NEG, [inner], [made.output("y", (2, 3))], schema.NegOptionsT())
    return model.to_bytes()


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("stored", [Type.INT8, Type.FLOAT64, Type.BOOL])
@pytest.mark.parametrize(("op", "options"), [(Op.ADD, schema.AddOptionsT()), (Op.EXP, schema.ExpOptionsT())])
def test_an_op_that_sets_the_type_of_its_output_overrides_the_file(
    op: int, options: Any, stored: int, delegate: str | None
) -> None:
    model = inner_type(op, stored, options)
    assert_same(model, delegate, np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3))
    assert graph.load(model).tensors[1].element_type == "float32"


def test_a_cut_at_an_overridden_type_has_the_type_that_runs() -> None:
    model = inner_type(Op.EXP, Type.INT8, schema.ExpOptionsT())
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    first, second = (Interpreter(part.to_bytes()) for part in graph.cut(graph.load(model), at=1))
    np.testing.assert_allclose(second.run(first.run(x)), -np.exp(x), rtol=1e-6)


def needs_a_size() -> bytes:
    """A convolution by 3x3 without padding, of an image that is stored as 1x1 with open sizes."""
    model = ModelBuilder()
    made = model.graph()
    options = schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.VALID, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    image = made.input("image", (1, -1, -1, 1))
    constants = [made.constant("w", np.ones((2, 3, 3, 1), np.float32)), made.constant("b", np.zeros(2, np.float32))]
    made.op(Op.CONV_2D, [image, *constants], [made.output("y", (1, -1, -1, 2))], options)
    return model.to_bytes()


@pytest.mark.parametrize("delegate", DELEGATES)
def test_a_model_that_has_to_be_resized_first_loads_and_says_so_when_it_is_not(delegate: str | None) -> None:
    interpreter = Interpreter(needs_a_size(), delegate=delegate)
    with pytest.raises(CompileError):
        interpreter.allocate_tensors()
    interpreter.resize_tensor_input(0, (1, 5, 4, 1))
    interpreter.allocate_tensors()
    image = np.arange(20, dtype=np.float32).reshape(1, 5, 4, 1)
    np.testing.assert_array_equal(interpreter.run(image), official_output(needs_a_size(), delegate, image))


def test_run_resizes_a_model_that_could_not_be_allocated() -> None:
    image: Array = np.ones((1, 4, 4, 1), np.float32)
    np.testing.assert_array_equal(Interpreter(needs_a_size()).run(image), np.full((1, 2, 2, 2), 9, np.float32))
