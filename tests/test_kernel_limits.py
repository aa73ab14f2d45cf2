"""What kernels cannot take is refused: the stored experiment of ``tools/kernels`` against the verifier."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates import Interpreter, InvalidModelError
from litedelegates.model import Model
from small_models_builder import ModelBuilder, Op, Type, pack_int4, schema

TOOLS = Path(__file__).parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

from kernels.attempts import TEMPLATES, Attempt  # noqa: E402 - where the line above finds it
from kernels.models import build, stored_version  # noqa: E402

STORED: dict[str, Any] = json.loads((TOOLS / "kernels/found.json").read_text())
RUNTIME = version("ai-edge-litert")


def model_of(key: str) -> bytes:
    attempt = Attempt.from_key(key)
    return build(attempt, stored_version(attempt.op))


def test_every_op_with_a_template_was_tried_and_most_attempts_ran_or_were_refused() -> None:
    assert set(STORED["ops"]) == set(TEMPLATES)
    died = sum(len(found["died"]) for found in STORED["ops"].values())
    assert sum(found["ran"] for found in STORED["ops"].values()) > 70_000
    assert 2_000 < died < 3_000


def test_everything_that_ended_a_process_is_refused_with_its_op_named() -> None:
    accepted = []
    for op, found in STORED["ops"].items():
        for key in found["died"]:
            try:
                Model.load(model_of(key))
                accepted.append(key)
            except InvalidModelError as error:
                if op not in str(error) and "tensor" not in str(error):
                    accepted.append(f"{key}: {error}")
    assert not accepted


def test_every_template_that_runs_unchanged_is_accepted() -> None:
    for op, found in STORED["ops"].items():
        for number in range(len(TEMPLATES[op])):
            for base in ("FLOAT32", "INT8q", "INT32"):
                key = f"{op}/{number}/{base}/[]"
                # An accepted model need not run: kernels say no by themselves to most of what they cannot do.
                if key in found["died"] or op in NEED_HANDLES:
                    continue
                try:
                    Model.load(model_of(key))
                except InvalidModelError as error:
                    assert "it cannot handle" in str(error) or "has no scale" in str(error), key


# Their handles come from other ops, and a template has one op.
NEED_HANDLES = ("ASSIGN_VARIABLE", "READ_VARIABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ('DEPTHWISE_CONV_2D/0/UINT8q/[[2,"cut",null]]', "DEPTHWISE_CONV_2D: it cannot have 2 inputs"),
        ('EQUAL/1/UINT8q/[[0,"scales",[0.1,1.0]]]', "EQUAL: an input has 4 quantization scales"),
        ("MATRIX_DIAG/0/FLOAT16/[]", "MATRIX_DIAG: it cannot handle FLOAT16"),
        ('SVDF/0/FLOAT32/[[4,"type","BOOL"]]', "SVDF: it cannot handle FLOAT32 with input 4 of type BOOL"),
        ('FAKE_QUANT/0/FLOAT32/[[0,"type","STRING"]]', "FAKE_QUANT: it cannot handle STRING"),
        ('FAKE_QUANT/0/FLOAT32/[[0,"type","VARIANT"]]', "is of type VARIANT, which only an operator can give"),
        ('FAKE_QUANT/0/FLOAT32/[[1,"type","VARIANT"]]', "FAKE_QUANT: it cannot handle VARIANT"),
        ('LOG_SOFTMAX/0/FLOAT32/[[0,"shape",[]]]', "LOG_SOFTMAX: a scalar has no axis"),
        ("ADD/1/INT16q/[]", "ADD: 16-bit integers whose scales are powers of two cannot be broadcast"),
        ('ADD/0/INT16q/[[2,"scales",[1e+38]]]', "ADD: the quantization scales are too large"),
    ],
)
def test_a_refusal_says_what_the_kernel_cannot_take(key: str, says: str) -> None:
    with pytest.raises(InvalidModelError, match=says):
        Interpreter(model_of(key))


def blockwise_dense(scales_are_an_input: bool) -> bytes:
    """FULLY_CONNECTED of (1, 32) by int4 weights (4, 32) in blocks of 32, each with a float16 scale."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 32))
    weights = graph.tensor("w", (4, 32), Type.INT4, data=pack_int4(np.tile(np.arange(-8, 8), 8)))
    if scales_are_an_input:
        scales = graph.input("scales", (4, 1), Type.FLOAT16)
    else:
        scales = graph.constant("scales", np.full((4, 1), 0.5, np.float16))
    details = schema.BlockwiseQuantizationT()
    details.scales, details.zeroPoints, details.blockSize = scales, -1, 32
    quantization = schema.QuantizationParametersT()
    quantization.details, quantization.detailsType = details, schema.QuantizationDetails.BlockwiseQuantization
    graph.table.tensors[weights].quantization = quantization
    y = graph.output("y", (1, 4))
    graph.op(Op.FULLY_CONNECTED, [x, weights], [y], schema.FullyConnectedOptionsT(), version=13)
    return model.to_bytes()


def test_scales_of_blocks_have_to_be_constants() -> None:
    Model.load(blockwise_dense(scales_are_an_input=False))
    with pytest.raises(InvalidModelError, match=r"FULLY_CONNECTED: the scales of its weights .* are no constants"):
        Model.load(blockwise_dense(scales_are_an_input=True))


@pytest.mark.skipif(sys.platform != "linux", reason="the experiment counts on glibc to see damaged memory")
@pytest.mark.skipif(not RUNTIME.startswith(STORED["ai-edge-litert"][:3]), reason="found with another runtime")
def test_a_sample_of_the_experiment_ends_as_it_did() -> None:
    command = [sys.executable, "-m", "kernels", "--repeat", "100"]
    done = subprocess.run(command, cwd=TOOLS, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
