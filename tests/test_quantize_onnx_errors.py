"""What must be refused of an ONNX model, and in which words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
import small_onnx
from litedelegates.errors import InvalidModelError, MissingExtraError, OptionError, QuantizationError
from litedelegates.quantize import CalibrationError, quantize
from onnx import TensorProto, helper

SAMPLES = small_onnx.images(4)


@pytest.mark.parametrize(
    ("precision", "options"),
    [
        ("float16", {}),
        ("dynamic", {}),
        ("weight_only", {}),
        ("int8", {}),
        ("int8", {"format": "qoperator"}),
        ("int16x8", {}),
    ],
)
def test_a_model_that_is_quantized_already_is_refused(precision: str, options: dict[str, Any]) -> None:
    once = quantize(small_onnx.conv_net(), precision, SAMPLES if precision.startswith("int") else None, **options)
    with pytest.raises(QuantizationError, match=r"already.*Start from the float32 model"):
        quantize(once, "int8", SAMPLES)


def test_nan_samples_are_refused() -> None:
    with pytest.raises(CalibrationError, match="holds NaN"):
        quantize(small_onnx.conv_net(), "int8", [np.full_like(SAMPLES[0], np.nan)])


def test_samples_that_overflow_inside_the_model_are_refused() -> None:
    with pytest.raises(CalibrationError, match="values overflow inside the model"):
        quantize(small_onnx.conv_net(), "int8", [SAMPLES[0] * np.float32(2e37)])


def test_samples_of_another_shape_or_type_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"shape \(1, 16, 16, 3\).*takes \(-1, 3, 16, 16\)"):
        quantize(small_onnx.conv_net(), "int8", [SAMPLES[0].transpose(0, 2, 3, 1)])
    with pytest.raises(CalibrationError, match="is float64"):
        quantize(small_onnx.conv_net(), "int8", [SAMPLES[0].astype(np.float64)])


def test_samples_of_different_sizes_name_the_size_and_the_remedy() -> None:
    mixed = [SAMPLES[0], np.concatenate(SAMPLES)]
    with pytest.raises(QuantizationError, match=r"size 0 open.*\[1, 4\].*shapes="):
        quantize(small_onnx.conv_net(), "int8", mixed)


def test_open_sizes_that_nothing_tells_are_refused_with_an_example() -> None:
    with pytest.raises(QuantizationError, match=r"\(\?, 3, 16, 16\).*shapes=\{'x': \(1, 3, 16, 16\)\}"):
        quantize(small_onnx.conv_net(), "int8", "random")


def test_shapes_that_name_another_input_or_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="'y', which is no input"):
        quantize(small_onnx.conv_net(), "int8", SAMPLES, shapes={"y": (1, 10)})
    with pytest.raises(OptionError, match=r"\(1, 3, 8, 8\); the model has \(-1, 3, 16, 16\)"):
        quantize(small_onnx.conv_net(), "int8", SAMPLES, shapes={"x": (1, 3, 8, 8)})


@pytest.mark.parametrize(
    ("precision", "options", "words"),
    [
        ("int8", {"fromat": "qdq"}, "'fromat' is unknown.*'format'"),
        ("int8", {"format": "qopperator"}, "Did you mean 'qoperator'"),
        ("int8", {"activation_type": "uint4"}, "'uint4' is unknown"),
        ("dynamic", {"format": "qdq"}, "'format' belongs to int8"),
        ("float16", {"weight_type": "int8"}, "'weight_type' belongs to dynamic"),
        ("int16x8", {"border": "int8"}, "belongs to|needs activations"),
        ("int8", {"border": "int16"}, "belongs to 'int16x8'"),
        ("int8", {"border": "int8", "activation_type": "uint8"}, "set activation_type='int8'"),
    ],
)
def test_options_that_say_nothing_or_contradict_are_refused(precision: str, options: Any, words: str) -> None:
    samples = SAMPLES if precision.startswith("int") else None
    with pytest.raises(OptionError, match=words):
        quantize(small_onnx.conv_net(), precision, samples, **options)


def test_the_qoperator_format_has_no_16_bit_ops() -> None:
    with pytest.raises(OptionError, match="no 16-bit ops"):
        quantize(small_onnx.conv_net(), plan={0: "int8", 2: "int16x8"}, calibration=SAMPLES, format="qoperator")


def test_a_border_whose_op_stays_float32_is_refused() -> None:
    with pytest.raises(QuantizationError, match="input 'x' is not rounded to"):
        quantize(small_onnx.conv_net(), "int8", SAMPLES, border="uint8", activation_type="uint8", exclude=["stem"])


def test_a_model_without_weights_has_nothing_to_quantize() -> None:
    model = small_onnx.make_model([helper.make_node("Relu", ["x"], ["y"], "relu")], {}, {"x": [1, 4]}, {"y": [1, 4]})
    with pytest.raises(QuantizationError, match="nothing to quantize"):
        quantize(model, "dynamic")


def test_a_weight_too_large_for_float16_is_named() -> None:
    weights = {"w": np.full((4, 4), 1e6, np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "product")]
    model = small_onnx.make_model(nodes, weights, {"x": [1, 4]}, {"y": [1, 4]})
    with pytest.raises(QuantizationError, match=r"'w' of MatMul 'product' holds 16 values.*'product': 'float32'"):
        quantize(model, "float16")


def test_ops_inside_an_if_are_not_reached_and_that_is_said() -> None:
    def branch(name: str) -> Any:
        weights = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), f"{name}/w")
        result = helper.make_tensor_value_info(f"{name}/y", TensorProto.FLOAT, [1, 4])
        node = helper.make_node("MatMul", ["x", f"{name}/w"], [f"{name}/y"], name)
        return helper.make_graph([node], name, [], [result], [weights])

    choose = helper.make_node("If", ["c"], ["y"], "if", then_branch=branch("then"), else_branch=branch("else"))
    model = small_onnx.make_model([choose], {"c": np.array(True)}, {"x": [1, 4]}, {"y": [1, 4]})
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.array(True), "c"))
    del model.graph.initializer[:]
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    with pytest.raises(QuantizationError, match="nothing to quantize: no op of the main graph"):
        quantize(model, "dynamic")


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\xff\xff\xff")
    with pytest.raises(InvalidModelError, match="cannot be read as an ONNX model"):
        quantize(path, "float16")
    path.write_bytes(b"")
    with pytest.raises(InvalidModelError, match="no ops"):
        quantize(path, "float16")


def test_an_op_that_onnxruntime_does_not_have_is_said_in_its_words() -> None:
    weights = {"w": np.eye(4, dtype=np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "product"),
        helper.make_node("Mystery", ["m"], ["y"], "mystery", domain="nobody"),
    ]
    model = small_onnx.make_model(nodes[:1], weights, {"x": [1, 4]}, {"m": [1, 4]})
    model.graph.node.append(nodes[1])
    model.opset_import.append(helper.make_opsetid("nobody", 1))
    model.graph.output[0].name = "y"
    with pytest.raises(QuantizationError, match=r"onnxruntime does not load the model.*Mystery"):
        quantize(model, "dynamic")


def test_missing_onnxruntime_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"litedelegates\[onnx\]"):
        quantize(small_onnx.conv_net(), "float16")


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only"])
def test_shapes_that_nothing_uses_are_refused(precision: str) -> None:
    with pytest.raises(OptionError, match="'shapes' belongs to int8 and int16x8"):
        quantize(small_onnx.conv_net(), precision, shapes={"x": (1, 3, 16, 16)})
