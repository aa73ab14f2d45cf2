"""Mixing precisions in an ONNX model: each op becomes what the plan says, and its neighbours do not notice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
import small_onnx
from litedelegates.errors import OptionError, QuantizationError
from litedelegates.quantize import quantize, read_record
from litedelegates.quantize.onnx_files import infer_types
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_verify import precision_of
from onnx import helper

SAMPLES = small_onnx.images(8)
EVERYTHING = {
    "stem*": "int8",
    "depthwise": "int16x8",
    "depthwise/relu": "int16x8",
    "hidden": "dynamic",
    "logits": "float16",
    "turn": "weight_only",
}


def found(model: bytes) -> dict[str, str | None]:
    index = GraphIndex(infer_types(onnx.load_from_string(model)))
    names = ("stem", "depthwise", "sum", "hidden", "logits", "turn")
    return {name: precision_of(index, name) for name in names}


def error_of(model: bytes) -> float:
    wanted = small_onnx.run(small_onnx.conv_net().SerializeToString(), SAMPLES)
    return small_onnx.relative_error(small_onnx.run(model, SAMPLES), wanted)


def test_all_five_precisions_live_in_one_model() -> None:
    made = quantize(small_onnx.conv_net(), plan=EVERYTHING, calibration=SAMPLES)
    precisions = found(made)
    del precisions["sum"]
    assert precisions == {
        "stem": "int8",
        "depthwise": "int16x8",
        "hidden": "dynamic",
        "logits": "float16",
        "turn": "weight_only",
    }
    assert error_of(made) < 0.1


def test_the_same_plan_gives_the_same_bytes() -> None:
    first, second = (quantize(small_onnx.conv_net(), plan=EVERYTHING, calibration=SAMPLES) for _ in range(2))
    assert first == second


def test_a_dynamic_op_may_read_what_an_int8_relu_makes() -> None:
    plan = {"stem": "int8", "stem/relu": "int8", "depthwise": "dynamic"}
    made = quantize(small_onnx.conv_net(), plan=plan, calibration=SAMPLES)
    precisions = found(made)
    assert (precisions["stem"], precisions["depthwise"], precisions["hidden"]) == ("int8", "dynamic", "float32")
    assert 0 < error_of(made) < 0.1


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only", "int8", "int16x8"])
def test_only_changes_just_what_it_names(precision: str) -> None:
    samples = SAMPLES if precision.startswith("int") else None
    made = quantize(small_onnx.conv_net(), precision, samples, only=["logits"])
    assert found(made) == {
        "stem": "float32",
        "depthwise": "float32",
        "sum": "float32",
        "hidden": "float32",
        "logits": precision,
        "turn": "float32",
    }
    assert error_of(made) < 0.05


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only", "int8", "int16x8"])
def test_exclude_leaves_float32_what_it_names(precision: str) -> None:
    samples = SAMPLES if precision.startswith("int") else None
    made = quantize(small_onnx.conv_net(), precision, samples, exclude=["depthwise", "hidden"])
    assert {name: kind for name, kind in found(made).items() if name != "sum"} == {
        "stem": precision,
        "depthwise": "float32",
        "hidden": "float32",
        "logits": precision,
        "turn": precision,
    }


def test_an_excluded_op_computes_exactly_what_it_did() -> None:
    model = small_onnx.conv_net()
    kept = quantize(model, "dynamic", exclude=["stem", "depthwise", "hidden", "logits"])
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    after = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(kept).graph.initializer
    }
    for name in ("stem/w", "depthwise/w", "hidden/w", "logits/w"):
        assert np.array_equal(weights[name], after[name])


def test_float32_values_do_not_travel_as_float16_between_float32_ops() -> None:
    made = onnx.load_from_string(quantize(small_onnx.conv_net(), "float16", only=["logits"]))
    assert [node.op_type for node in made.graph.node].count("Cast") == 2


def test_ops_of_different_precision_do_not_share_rounded_weights() -> None:
    weights = {"w": np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)}
    names = ["plain", "half", "stored", "running", "integer"]
    nodes = [helper.make_node("MatMul", ["x", "w"], [f"{name}/y"], name) for name in names]
    nodes.append(helper.make_node("Concat", [f"{name}/y" for name in names], ["y"], "all", axis=1))
    model = small_onnx.make_model(nodes, weights, {"x": [4, 4]}, {"y": [4, 20]})
    plan = {"half": "float16", "stored": "weight_only", "running": "dynamic", "integer": "int8"}
    samples = [np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32) for seed in range(4)]
    made = quantize(model, plan=plan, calibration=samples)
    exact = small_onnx.run(model.SerializeToString(), samples[:1])[0][:, :4]
    parts = np.split(small_onnx.run(made, samples[:1])[0], 5, axis=1)
    errors = dict(zip(names, (float(np.abs(part - exact).max()) for part in parts), strict=True))
    assert errors["half"] < 0.01
    assert errors["stored"] < 0.05
    assert errors["plain"] == 0
    assert all(error > 0 for name, error in errors.items() if name != "plain")


@pytest.mark.parametrize("key", ["stem", 0, "Conv"])
def test_a_key_is_a_name_an_index_or_a_type(key: Any) -> None:
    made = quantize(small_onnx.conv_net(), "weight_only", only=[key])
    precisions = found(made)
    assert precisions["stem"] == "weight_only"
    assert precisions["depthwise"] == ("weight_only" if key == "Conv" else "float32")
    assert precisions["hidden"] == "float32"


def test_an_op_without_a_name_is_called_by_its_first_output() -> None:
    made = quantize(small_onnx.conv_net(), "float16", only=["sum"])
    assert found(made)["sum"] == "float16"


def test_an_unknown_op_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(OptionError, match=r"'depthwize' means no op.*'depthwise'"):
        quantize(small_onnx.conv_net(), plan={"depthwize": "dynamic"})


def test_a_named_op_that_cannot_become_it_is_listed() -> None:
    with pytest.raises(OptionError, match=r"'stem/relu'.*stores no float32 weights"):
        quantize(small_onnx.conv_net(), plan={"stem/relu": "dynamic", "stem": "dynamic"})


def test_an_op_that_cannot_stay_float32_between_integers_is_listed_where_it_is_named() -> None:
    with pytest.raises(QuantizationError, match=r"'sum' is int8 instead of float32"):
        quantize(small_onnx.conv_net(), "int8", SAMPLES, plan={"sum": "float32"})


def test_ops_that_stay_float32_are_listed_unless_allowed() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "product"),
        helper.make_node("Erf", ["m"], ["y"], "curve"),
    ]
    model = small_onnx.make_model(nodes, {"w": np.eye(4, dtype=np.float32)}, {"x": [1, 4]}, {"y": [1, 4]})
    samples = [np.full((1, 4), value, np.float32) + np.arange(4, dtype=np.float32) for value in (-2, 1)]
    with pytest.raises(QuantizationError, match=r"1 ops stayed float32: 1 Erf 'curve'.*allow_float32_ops"):
        quantize(model, "int8", samples)
    assert "curve" in small_onnx.op_types(quantize(model, "int8", samples, allow_float32_ops=True))


def test_the_record_has_the_plan_by_index() -> None:
    record = read_record(quantize(small_onnx.conv_net(), plan={"Conv": "weight_only", "turn": "float16"}))
    assert record is not None
    assert record.recipe["plan"]["weight_only"] == [0, 2]
    assert record.recipe["plan"]["float16"] == [10]
