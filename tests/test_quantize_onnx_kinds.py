"""Ordinary ONNX models stay what they are when quantized; ``onnx_trials.py`` tries all of them."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx_trials
import small_onnx_kinds

# Each met something that no other does: masks at the end of float32, tensors and weights that a branch or a loop reads
# from outside, rounded means, scales of Gemm, activations with other readers.
TRIED = [
    *(("branches", run) for run in onnx_trials.RUNS),
    ("attention", "int16x8"),
    ("attention", "int8"),
    ("loop", "int8"),
    ("scan", "float16"),
    ("decomposed_norm", "int8 qoperator"),
    ("layer_norm", "int8"),
    ("residual_before_activation", "int8 qoperator"),
    ("gemms", "int8"),
]


@pytest.mark.filterwarnings("ignore::litedelegates.errors.QuantizationWarning")
@pytest.mark.parametrize(("name", "run"), TRIED)
def test_values_are_those_of_float32_within_rounding(name: str, run: str) -> None:
    outcome = onnx_trials.attempt(name, run)
    assert outcome.error is not None, outcome.said
    assert outcome.error < onnx_trials.LIMITS[run]


def test_every_kind_runs_in_float32() -> None:
    for name in small_onnx_kinds.KINDS:
        model, samples = small_onnx_kinds.make(name)
        assert onnx_trials.session(model).run(None, samples[0]), name
