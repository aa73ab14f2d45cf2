"""The QOperator format: what onnxruntime forgets between ops that hand values on, and the remedy that it is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
import onnxruntime
from litedelegates.quantize import quantize
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)
SAMPLES = [{"x": RANDOM.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(4)]
CONV = {
    "w": RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "b": RANDOM.normal(size=4).astype(np.float32),
}
PADS = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)}
VALUE = {"value": np.array(0.5, np.float32)}


def build(*nodes: tuple[str, list[str], dict[str, Any]], stored: dict[str, Any], opset: int = 13) -> onnx.ModelProto:
    """Return a convolution with ``nodes`` behind it, each of which reads the one before it first."""
    made, last = [helper.make_node("Conv", ["x", "w", "b"], ["conv"], "conv")], "conv"
    for number, (op_type, others, attributes) in enumerate(nodes):
        end = "y" if number == len(nodes) - 1 else f"t{number}"
        made.append(helper.make_node(op_type, [last, *others], [end], f"{op_type}_{number}", **attributes))
        last = end
    weights = [numpy_helper.from_array(value, name) for name, value in (CONV | stored).items()]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 8, 8]), ("y", None))
    ]
    graph = helper.make_graph(made, "small", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def error(model: onnx.ModelProto, activation_type: str) -> float:
    """Return how far the int8 model is off, of the norm."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    made = bytes(quantize(model, "int8", SAMPLES, format="qoperator", activation_type=activation_type))
    found, wanted = (
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, SAMPLES[0])[0]
        for content in (made, model.SerializeToString())
    )
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("activation_type", ("uint8", "int8"))
@pytest.mark.parametrize("mode", ("reflect", "edge", "wrap", "constant"))
def test_pad_has_the_type_of_its_input_in_every_mode(mode: str, activation_type: str) -> None:
    opset = 19 if mode == "wrap" else 13
    for others in (["pads"], ["pads", ""], ["pads", "value"]):
        stored = PADS | (VALUE if "value" in others else {})
        model = build(("Pad", others, {"mode": mode}), stored=stored, opset=opset)
        assert error(model, activation_type) < 0.03, others


def test_a_value_that_two_ops_read_is_rounded_for_each() -> None:
    two_pads = build(("Pad", ["pads", "value"], {}), ("Pad", ["pads", "value"], {}), stored=PADS | VALUE)
    pad_and_add = build(("Pad", ["pads", "value"], {}), ("Add", ["value"], {}), stored=PADS | VALUE)
    for model in (two_pads, pad_and_add):
        assert error(model, "uint8") < 0.03


MOVERS: dict[str, tuple[list[str], dict[str, Any], dict[str, Any]]] = {
    "MaxPool": ([], {"kernel_shape": [2, 2], "strides": [2, 2]}, {}),
    "Pad": (["pads"], {"mode": "reflect"}, PADS),
    "Reshape": (["shape"], {}, {"shape": np.array([1, 4, 36], np.int64)}),
    "Flatten": ([], {}, {}),
    "Squeeze": (["axes"], {}, {"axes": np.array([0], np.int64)}),
    "Unsqueeze": (["axes"], {}, {"axes": np.array([0], np.int64)}),
    "Transpose": ([], {"perm": [0, 2, 3, 1]}, {}),
    "Resize": (["", "scales"], {"mode": "nearest"}, {"scales": np.array([1, 1, 2, 2], np.float32)}),
    "Softmax": ([], {"axis": 1}, {}),
}


@pytest.mark.filterwarnings("ignore:.*dead columns:litedelegates.errors.QuantizationWarning")
@pytest.mark.parametrize("mover", MOVERS)
def test_an_activation_behind_an_op_with_the_range_of_its_input_stays(mover: str) -> None:
    others, attributes, stored = MOVERS[mover]
    relu = build((mover, others, attributes), ("Relu", [], {}), stored=stored)
    assert error(relu, "uint8") < 0.03
    limits = {"low": np.array(-0.5, np.float32), "high": np.array(0.6, np.float32)}
    clip = build((mover, others, attributes), ("Clip", ["low", "high"], {}), stored=stored | limits)
    assert error(clip, "uint8") < 0.10
