"""Outputs of ONNX models that no op computes: stored constants stay what they are in every precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
import onnxruntime
import small_onnx
from litedelegates.errors import QuantizationError
from litedelegates.quantize import quantize
from onnx import helper

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(8, 6)).astype(np.float32)
CONSTANT = RANDOM.normal(size=(6,)).astype(np.float32)
SAMPLES = [{"x": RANDOM.normal(size=(1, 8)).astype(np.float32)} for _ in range(4)]
MATMUL = helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")
PRECISIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("float16", {}),
    ("dynamic", {}),
    ("weight_only", {}),
    ("int8", {"calibration": SAMPLES}),
    ("int8", {"calibration": SAMPLES, "format": "qoperator"}),
    ("int16x8", {"calibration": SAMPLES}),
)


def build(nodes: list[Any], outputs: dict[str, list[int]]) -> onnx.ModelProto:
    return small_onnx.make_model(nodes, {"w": WEIGHTS, "c": CONSTANT}, {"x": [1, 8]}, outputs)


def through_identity(name: str, end: str) -> Any:
    return helper.make_node("Identity", [name], [end], f"{end}_op")


MODELS = {
    "stored": build([MATMUL], {"y": [1, 6], "c": [6]}),
    "before the others": build([MATMUL], {"c": [6], "y": [1, 6]}),
    "behind Identity": build([MATMUL, through_identity("c", "k")], {"y": [1, 6], "k": [6]}),
    "twice": build([MATMUL, through_identity("c", "k"), through_identity("c", "l")], {"k": [6], "y": [1, 6], "l": [6]}),
    "computed from constants": build([MATMUL, helper.make_node("Add", ["c", "c"], ["k"])], {"y": [1, 6], "k": [6]}),
    "weights": build([MATMUL], {"y": [1, 6], "w": [8, 6]}),
    "weights behind Identity": build([MATMUL, through_identity("w", "k")], {"y": [1, 6], "k": [8, 6]}),
    "a bias": build([helper.make_node("Gemm", ["x", "w", "c"], ["y"], "gemm")], {"y": [1, 6], "c": [6]}),
}


def run(model: bytes) -> dict[str, NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return dict(zip((value.name for value in session.get_outputs()), session.run(None, SAMPLES[0]), strict=True))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("precision", "options"), PRECISIONS)
def test_an_output_that_is_a_constant_keeps_its_bits(name: str, precision: str, options: dict[str, Any]) -> None:
    model = MODELS[name]
    wanted, found = run(model.SerializeToString()), run(bytes(quantize(model, precision, **options)))
    assert list(found) == list(wanted)
    for output, values in wanted.items():
        if output == "y":
            assert np.linalg.norm(found[output] - values) < 0.05 * np.linalg.norm(values)
        else:
            np.testing.assert_array_equal(found[output], values)


def test_an_integer_border_refuses_an_output_that_nothing_rounds() -> None:
    for name, output in (("stored", "c"), ("behind Identity", "k"), ("a bias", "c")):
        with pytest.raises(QuantizationError, match=f"output '{output}' is a stored constant, which nothing rounds"):
            quantize(MODELS[name], "int8", SAMPLES, border="uint8")
