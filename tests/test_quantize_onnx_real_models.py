"""Every precision of ONNX models that people use: a file classifier, an OCR's three networks, a voice detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import small_onnx
from litedelegates.delegates.saturation import pairs_saturate
from litedelegates.errors import QuantizationError
from litedelegates.quantize import quantize

Sample = dict[str, NDArray[Any]]


def voice(random: np.random.Generator, *state: tuple[str, tuple[int, ...]]) -> Sample:
    sample = {"input": random.normal(0, 0.1, (1, 576))}
    sample |= {name: random.normal(0, 0.1, shape) for name, shape in state}
    return {name: value.astype(np.float32) for name, value in sample.items()}


def picture(*shape: int) -> Callable[[np.random.Generator], Sample]:
    return lambda random: {"x": (random.random((1, 3, *shape)) * 2 - 1).astype(np.float32)}


INPUTS: dict[str, Callable[[np.random.Generator], Sample]] = {
    "magika": lambda random: {"bytes": random.integers(0, 256, (1, 2048)).astype(np.int32)},
    "ocr_angle": picture(48, 192),
    "ocr_recognition": picture(48, 96),
    "voice_16k": lambda random: voice(random, ("state", (2, 1, 128))),
    "voice_sequence": lambda random: voice(random, ("h", (1, 1, 128)), ("c", (1, 1, 128))),
}
# The least cosine between outputs of the quantized model and the original, on noise. Dynamic keeps one scale for all
# channels of a Conv, which the spectrogram at the start of the voice detector does not survive.
LEAST_COSINE = {"float16": 0.9999, "weight_only": 0.99, "int8": 0.97, "qoperator": 0.97, "int16x8": 0.99}
if pairs_saturate():  # weights in 7 bits
    LEAST_COSINE |= {"int8": 0.95, "qoperator": 0.95}
LEAST_DYNAMIC = {"magika": 0.999, "ocr_angle": 0.97, "ocr_recognition": 0.95}


@pytest.mark.parametrize("recipe", ["float16", "dynamic", "weight_only", "int8", "qoperator", "int16x8"])
@pytest.mark.parametrize("name", INPUTS)
def test_real_models_keep_their_outputs(name: str, recipe: str, real_onnx_models: dict[str, Path]) -> None:
    random = np.random.default_rng(0)
    samples = [INPUTS[name](random) for _ in range(4)]
    path = real_onnx_models[name]
    precision, options = ("int8", {"format": "qoperator"}) if recipe == "qoperator" else (recipe, {})
    calibration = samples if precision.startswith("int") else None
    made = quantize(path, precision, calibration, allow_float32_ops=True, **options)
    found, wanted = (np.concatenate([np.ravel(row) for row in small_onnx.run(each, samples)]) for each in (made, path))
    cosine = float(found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted))
    assert cosine > (LEAST_DYNAMIC.get(name, 0.3) if recipe == "dynamic" else LEAST_COSINE[recipe])
    assert len(made) < (0.65 if recipe == "float16" else 0.6) * path.stat().st_size


def test_layers_of_a_real_model_are_left_out_by_pattern(real_onnx_models: dict[str, Path]) -> None:
    random = np.random.default_rng(0)
    samples = [INPUTS["ocr_angle"](random) for _ in range(4)]
    made = quantize(
        real_onnx_models["ocr_angle"], "int8", samples, exclude=["Conv@?", "MatMul"], allow_float32_ops=True
    )
    types = small_onnx.op_types(made)
    assert types["Conv@1"] == "Conv"
    found, wanted = (small_onnx.run(each, samples) for each in (made, real_onnx_models["ocr_angle"]))
    assert small_onnx.relative_error(found, wanted) < 0.1


def test_a_model_that_lies_inside_an_if_is_refused(real_onnx_models: dict[str, Path]) -> None:
    with pytest.raises(QuantizationError, match="nothing to quantize: no op of the main graph"):
        quantize(real_onnx_models["voice"], "dynamic")
