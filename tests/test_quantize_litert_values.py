"""LiteRT models that ordinary converters write, quantized: what comes out is right by value, or said to be off."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from ai_edge_litert import schema_py_generated as schema
from litedelegates import Interpreter
from litedelegates.errors import QuantizationError, QuantizationWarning
from litedelegates.graph.tflite.tree import op_name, parse, type_name
from litedelegates.quantize import CalibrationError, quantize, random_calibration, read_record
from small_models_builder import ModelBuilder, Op
from small_models_dynamic import if_then_else, while_loop
from small_models_edges import pass_through, same_output_twice, two_signatures
from small_models_quantize import (
    argmax,
    boxes_and_scores,
    embedding_and_logits,
    masked,
    saturating,
    scalar_input,
    shape_of_activation,
    unread,
)

STATIC = ("int8", "int16x8")
Array = np.ndarray[Any, Any]


def normal(*shapes: Sequence[int], count: int = 8) -> list[tuple[Array, ...]]:
    rng = np.random.default_rng(0)
    return [tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes) for _ in range(count)]


def outputs(model: bytes, sample: Sequence[Array]) -> list[Array]:
    found = Interpreter(model, None).run(*sample, quantize=True)
    return list(found) if isinstance(found, tuple) else [found]


def errors(model: bytes, quantized: bytes, samples: Sequence[Sequence[Array]]) -> list[float]:
    """Return the relative error of each output over all samples."""
    pairs = [(outputs(model, sample), outputs(quantized, sample)) for sample in samples]
    return [
        float(
            np.linalg.norm([np.subtract(x[i], y[i], dtype=np.float64) for x, y in pairs])
            / np.linalg.norm([x[i].astype(np.float64) for x, _ in pairs])
        )
        for i in range(len(pairs[0][0]))
    ]


def op_types(model: bytes, graph: int = 0) -> list[str]:
    tree = parse(model)
    return [op_name(tree, op) for op in tree.subgraphs[graph].operators]


def quantized_with_warnings(*arguments: Any, **keywords: Any) -> tuple[bytes, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = quantize(*arguments, progress=False, **keywords)
    return model, [str(warning.message) for warning in caught if issubclass(warning.category, QuantizationWarning)]


# Outputs that are read inside, or by nothing


@pytest.mark.parametrize("precision", STATIC)
@pytest.mark.parametrize(
    ("keywords", "types"),
    [
        ({}, ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"]),
        ({"only": [1]}, ["FULLY_CONNECTED", "QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"]),
        ({"exclude": ["logits"]}, ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE", "FULLY_CONNECTED"]),
    ],
)
def test_an_output_that_is_read_inside_is_float32_and_its_reader_is_not(
    precision: str, keywords: dict[str, Any], types: list[str]
) -> None:
    model, samples = embedding_and_logits(), normal((1, 16))
    made, said = quantized_with_warnings(model, precision, samples, **keywords)
    assert sorted(op_types(made)) == sorted(types) and not said
    assert max(errors(model, made, samples)) < 0.03
    runner = Interpreter(made).get_signature_runner("serve")
    found = runner(x=samples[0][0])
    assert [found["emb"].shape, found["log"].shape] == [(1, 16), (1, 4)]
    assert [type_name(parse(made).subgraphs[0].tensors[i]) for i in parse(made).subgraphs[0].outputs] == ["FLOAT32"] * 2


@pytest.mark.parametrize("keywords", [{}, {"exclude": ["logits"]}, {"only": ["logits"]}])
def test_an_output_that_is_read_inside_is_int8_where_the_border_is(keywords: dict[str, Any]) -> None:
    model, samples = embedding_and_logits(), normal((1, 16))
    made, _ = quantized_with_warnings(model, "int8", samples, border="int8", **keywords)
    graph = parse(made).subgraphs[0]
    assert [type_name(graph.tensors[index]) for index in [*graph.inputs, *graph.outputs]] == ["INT8"] * 3
    assert max(errors(model, made, samples)) < 0.03


def test_an_input_that_is_an_output_and_an_output_that_is_there_twice_stay() -> None:
    for build in (pass_through, same_output_twice):
        model = build()
        samples = random_calibration(model, low=-1)
        made, said = quantized_with_warnings(model, "int8", samples)
        rows = [tuple(sample.values()) for sample in samples]
        assert max(errors(model, made, rows)) < 0.02 and not said, build.__name__


@pytest.mark.parametrize("precision", STATIC)
@pytest.mark.parametrize("kind", ["split", "dead op"])
@pytest.mark.parametrize("keywords", [{}, {"only": ["FULLY_CONNECTED"]}, {"border": "int8"}])
def test_what_nothing_reads_is_no_obstacle(kind: str, precision: str, keywords: dict[str, str]) -> None:
    model, samples = unread(kind), normal((1, 16))
    if "border" in keywords and precision == "int16x8":
        keywords = {"border": "int16"}
    made, said = quantized_with_warnings(model, precision, samples, **keywords)
    assert errors(model, made, samples)[0] < 0.03 and not said
    kept = [name for name in op_types(made) if name not in ("QUANTIZE", "DEQUANTIZE")]
    assert kept == op_types(model)
    if not keywords:
        assert op_types(made).count("DEQUANTIZE") == 1


# Loops and branches


@pytest.mark.parametrize("build", [while_loop, if_then_else])
@pytest.mark.parametrize("precision", STATIC)
def test_bodies_are_calibrated_and_their_ends_stay_float32(build: Callable[[], bytes], precision: str) -> None:
    model = build()
    first = np.array([0], np.int32) if build is while_loop else np.array([True])
    samples = [(first, x) for (x,) in normal((1, 4))]
    if build is if_then_else:
        samples += [(np.array([False]), x) for _, x in samples]
    made, _ = quantized_with_warnings(model, precision, samples)
    tree = parse(made)
    assert all(type_name(graph.tensors[i]) != "INT8" for graph in tree.subgraphs for i in graph.outputs)
    assert "QUANTIZE" in op_types(made, 2)
    assert max(errors(model, made, samples)[-1:]) < 0.1
    if build is while_loop:
        made, _ = quantized_with_warnings(model, "int8", samples, border="int8")
        assert errors(model, made, samples)[-1] < 0.1


# Shapes


@pytest.mark.parametrize("precision", STATIC)
def test_a_shape_is_read_from_integers(precision: str) -> None:
    model = shape_of_activation()
    samples = normal((3, 8))
    made, said = quantized_with_warnings(model, precision, samples)
    assert op_types(made).count("DEQUANTIZE") == 1 and not said  # that of the output
    assert errors(model, made, normal((2, 8)))[0] < 0.02


def test_the_place_of_a_maximum_is_read_from_8_bits() -> None:
    model, samples = argmax(), normal((1, 8), count=32)
    made, _ = quantized_with_warnings(model, "int8", samples)
    assert op_types(made) == ["QUANTIZE", "FULLY_CONNECTED", "ARG_MAX"]
    assert sum(outputs(model, s)[0] == outputs(made, s)[0] for s in samples) >= 30


@pytest.mark.parametrize("precision", STATIC)
def test_a_scalar_input_stays_one(precision: str) -> None:
    model = scalar_input()
    samples = [(x, np.array(3, np.int32)) for (x,) in normal((1, 16))]
    made, said = quantized_with_warnings(model, precision, samples)
    assert not said
    assert [y.shape for y in outputs(made, samples[0])] == [(1, 8), (3,)]


# Several signatures


def test_samples_are_given_for_each_signature() -> None:
    model = two_signatures()
    rows = [{"x": x, "y": y} for x, y in normal((1, 4), (1, 4))]
    with pytest.raises(CalibrationError, match="several signatures, 'add', 'multiply': give calibration="):
        quantize(model, "int8", rows, progress=False)
    with pytest.raises(CalibrationError, match=r"calibration is for \['subtract'\]; the model has 'add', 'multiply'"):
        quantize(model, "int8", {"subtract": rows}, progress=False)
    made, said = quantized_with_warnings(model, "int8", {"add": rows, "multiply": rows})
    assert not said
    for key, wanted in (("add", np.add), ("multiply", np.multiply)):
        found = Interpreter(made).get_signature_runner(key)(**rows[0])["result"]
        assert np.abs(found - wanted(rows[0]["x"], rows[0]["y"])).max() < 0.1


def test_a_signature_without_samples_stays_float32() -> None:
    model = two_signatures()
    rows = [{"x": x, "y": y} for x, y in normal((1, 4), (1, 4))]
    with pytest.raises(QuantizationError, match="MUL 'result"):
        quantize(model, "int8", {"add": rows}, progress=False)
    made, _ = quantized_with_warnings(model, "int8", {"add": rows}, allow_float32_ops=True)
    assert op_types(made, 1) == ["MUL"] and "QUANTIZE" in op_types(made, 0)


# Masks


@pytest.mark.parametrize("precision", STATIC)
@pytest.mark.parametrize(
    ("mask", "select"),
    [(-1e4, False), (-1e9, False), (-3.4e38, False), (-1e9, True), (float(np.finfo(np.float32).min), True)],
)
def test_a_mask_leaves_its_ops_in_float32_and_is_named(precision: str, mask: float, select: bool) -> None:
    model = masked(mask, select)
    rng = np.random.default_rng(1)
    samples = [(x, rng.random((6, 6)) > 0.7) for (x,) in normal((6, 16))]
    if not select:
        samples = [(x, hidden.astype(np.float32)) for x, hidden in samples]
    made, said = quantized_with_warnings(model, precision, samples)
    assert errors(model, made, samples)[0] < 0.05
    assert len(said) == 1 and "SOFTMAX 'p' stayed float32: 'seen' holds a mask of" in said[0]
    assert read_record(made).warnings == tuple(said)


def test_an_op_that_the_plan_names_takes_the_mask_and_is_refused() -> None:
    model = masked(-1e9)
    rng = np.random.default_rng(1)
    samples = [(x, (rng.random((6, 6)) > 0.7).astype(np.float32)) for (x,) in normal((6, 16))]
    plan = dict.fromkeys(range(8), "int8")
    with pytest.raises(
        QuantizationError,
        match=r"op 5, ADD 'seen', does not run in .*exclude.*: the quantization scales .* differ too much",
    ):
        quantize(model, plan=plan, calibration=samples, progress=False)


def test_large_activations_are_no_mask() -> None:
    model = embedding_and_logits()
    samples = [(1e6 * x,) for (x,) in normal((1, 16))]
    made, said = quantized_with_warnings(model, "int8", samples)
    assert not said and max(errors(model, made, samples)) < 0.03


# Values that are off


def test_scores_beside_boxes_are_said_to_be_dead_with_the_remedy() -> None:
    model, samples = boxes_and_scores(), normal((64, 8))
    made, said = quantized_with_warnings(model, "int8", samples)
    assert np.unique(outputs(made, samples[0])[0][:, 4:]).size == 1
    assert len(said) == 1 and read_record(made).warnings == tuple(said)
    assert "output 'y' has dead columns: columns 4 to 6 (along axis 1) hold one value" in said[0]
    assert "begins at CONCATENATION 'y': exclude=['CONCATENATION'] leaves that op in float32" in said[0]
    made, said = quantized_with_warnings(model, "int8", samples, exclude=["CONCATENATION"])
    assert not said and np.unique(outputs(made, samples[0])[0][:, 4:]).size > 50


@pytest.mark.parametrize("precision", ["int16x8", "float16", "dynamic", "weight_only"])
def test_scores_beside_boxes_live_in_other_precisions(precision: str) -> None:
    samples = normal((64, 8))
    _, said = quantized_with_warnings(boxes_and_scores(), precision, samples if precision in STATIC else None)
    assert not said


def test_values_that_are_lost_are_an_error_or_a_warning_that_names_the_op() -> None:
    model, samples = saturating(), normal((1, 4))
    try:
        _, said = quantized_with_warnings(model, "int8", samples)
        text = said[0]
    except QuantizationError as error:
        text = str(error)
        assert "check_values=False accepts the model as it is" in text
    assert "output 'y'" in text and "(over 8 calibration samples)" in text and "begins at ADD 'h'" in text
    assert len(quantize(model, "int8", samples, progress=False, check_values=False)) > 0


def test_random_calibration_never_makes_an_error_of_the_values() -> None:
    _, said = quantized_with_warnings(saturating(), "int8", "random")
    assert any("random inputs" in text for text in said)


def test_a_model_that_draws_values_is_not_compared_and_that_is_said() -> None:
    """Its outputs differ from run to run: an error of 70 % would say nothing of the result."""
    model = ModelBuilder()
    graph = model.graph()
    x, drawn, product = graph.input("x", (1, 8)), graph.tensor("drawn", (1, 8)), graph.tensor("product", (1, 8))
    shape = graph.constant("shape", np.array([1, 8], np.int32))
    graph.op(Op.RANDOM_UNIFORM, [shape], [drawn], schema.RandomOptionsT())
    weights = graph.constant("weights", np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32))
    graph.op(Op.FULLY_CONNECTED, [x, weights, -1], [product], schema.FullyConnectedOptionsT())
    graph.op(Op.MUL, [product, drawn], [graph.output("y", (1, 8))], schema.MulOptionsT())
    with pytest.warns(QuantizationWarning, match="RANDOM_UNIFORM draws other values in each run") as told:
        quantize(model.to_bytes(), "float16")
    assert not [one for one in told if "is off by" in str(one.message)]
