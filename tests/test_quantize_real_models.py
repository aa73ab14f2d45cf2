"""Real models mixed op by op: skip connections, weights stored as float16, ops without an integer form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from ai_edge_litert.interpreter import Interpreter
from litedelegates.errors import QuantizationError
from litedelegates.graph.tflite.tree import parse
from litedelegates.quantize import PRECISIONS, fold_float16_weights, quantize, random_calibration, read_record
from litedelegates.quantize.litert_names import list_ops
from litedelegates.quantize.request import PLAN_PRECISIONS

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D")
STATIC = ("int8", "int16x8")
NAMES = ("face_detection_back", "face_detection_front", "face_detection_full_range", "face_landmark", "iris_landmark")


def outputs(model: bytes, sample: dict[str, Any]) -> np.ndarray[Any, Any]:
    interpreter = Interpreter(model_content=model, num_threads=2)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], next(iter(sample.values())))
    interpreter.invoke()
    return np.concatenate([interpreter.get_tensor(sink["index"]).ravel() for sink in interpreter.get_output_details()])


@pytest.mark.parametrize("name", NAMES)
def test_random_mix_is_as_planned_and_close_to_float32(real_models: dict[str, Path], name: str) -> None:
    content = real_models[name].read_bytes()
    random = np.random.default_rng(7)
    plan: dict[int | str, str] = {}
    for op in list_ops(parse(fold_float16_weights(content))):
        choices = PLAN_PRECISIONS if op.type in WEIGHTED else ("int8", "float32")
        plan[op.index] = "float32" if op.type == "PRELU" else str(random.choice(choices))
    samples = random_calibration(content, 4)
    model = quantize(content, plan=plan, calibration=samples)
    record = read_record(model)
    assert record is not None
    assert {index: asked for asked, found in record.recipe["plan"].items() for index in found} == plan
    assert np.corrcoef(outputs(model, samples[0]), outputs(content, samples[0]))[0, 1] > 0.98


@pytest.mark.parametrize("precision", PRECISIONS)
def test_op_without_an_integer_form_is_named_and_can_be_left_out(real_models: dict[str, Path], precision: str) -> None:
    content = real_models["face_landmark"].read_bytes()
    samples = random_calibration(content, 2) if precision in STATIC else None
    if precision in STATIC:
        with pytest.raises(QuantizationError, match=r"23 ops stayed float32: PRELU 'p_re_lu.*exclude=\['PRELU'\]"):
            quantize(content, precision, samples)
    model = quantize(content, precision, samples, exclude=["PRELU"])
    assert len(model) < 0.62 * len(fold_float16_weights(content))


def test_sparse_model_is_refused(real_models: dict[str, Path]) -> None:
    with pytest.raises(
        QuantizationError, match=r"the model stores 46 sparse weights .*Start from the model with dense weights"
    ):
        quantize(real_models["face_detection_full_range_sparse"], "dynamic")
