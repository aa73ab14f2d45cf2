"""One way to run a model on either engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litedelegates import Interpreter
from litedelegates.engines import open_session
from litedelegates.engines.litert import LiteRtSession
from litedelegates.engines.records import PortInfo
from litedelegates.errors import InvalidModelError, OptionError, RunError

DIGITS = Path(__file__).resolve().parent.parent / "models" / "digits.tflite"


@pytest.fixture
def onnx_content() -> bytes:
    pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    import small_onnx_models

    return small_onnx_models.skips(batch="N").SerializeToString()


def image(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random([abs(size) for size in shape], np.float32)


@pytest.mark.parametrize(
    "form", [str, Path, lambda path: path.read_bytes(), lambda path: memoryview(path.read_bytes())]
)
def test_a_tflite_runs_on_litert_by_name_whatever_form_it_comes_in(form):
    session = open_session(form(DIGITS))
    assert isinstance(session, LiteRtSession)
    (taken,), (given,) = session.inputs, session.outputs
    value = image(taken.shape)
    assert session.run({taken.name: value})[given.name].tobytes() == Interpreter(DIGITS).run(value).tobytes()


def test_the_same_kernels_on_litert_are_the_built_in_ones():
    session = open_session(DIGITS, num_threads=1, same_kernels=True)
    assert isinstance(session, LiteRtSession)
    assert session.interpreter.delegates == ()
    with pytest.raises(OptionError, match="same_kernels"):
        open_session(DIGITS, same_kernels=True, delegate="xnnpack")


def test_an_onnx_runs_on_onnx_runtime_with_any_batch(onnx_content):
    session = open_session(onnx_content, num_threads=1)
    assert session.inputs == (PortInfo("x", (-1, 3, 8, 8), "float32"),)
    one, three = (session.run({"x": image((batch, 3, 8, 8))})["y"] for batch in (1, 3))
    assert (one.shape, three.shape) == ((1, 4, 8, 8), (3, 4, 8, 8))


def test_names_that_are_no_inputs_are_passed_over_and_missing_ones_are_named(onnx_content):
    for session in (open_session(DIGITS), open_session(onnx_content)):
        (taken,) = session.inputs
        value = image(taken.shape)
        assert session.run({taken.name: value, "of an earlier part": value})
        with pytest.raises(OptionError, match=f"input {taken.name!r}.*{taken.name}s"):
            session.run({taken.name + "s": value})


def test_a_closed_session_does_not_run(onnx_content):
    for session in (open_session(DIGITS), open_session(onnx_content)):
        (taken,) = session.inputs
        session.close()
        session.close()
        with pytest.raises(ValueError, match="closed"):
            session.run({taken.name: image(taken.shape)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"providers": ["CUDAExecutionProvder"]}, "no provider 'CUDAExecutionProvder'"),
        ({"optimization": "non"}, "Did you mean 'none'"),
        ({"num_threads": 0}, "at least 1"),
        ({"num_threads": True}, "at least 1"),
        ({"treads": 1}, "unknown option 'treads'.*'num_threads'"),
        ({"same_kernels": True, "optimization": "all"}, "same_kernels"),
    ],
)
def test_options_that_onnx_runtime_does_not_have_are_refused(onnx_content, options, message):
    with pytest.raises(OptionError, match=message):
        open_session(onnx_content, **options)


@pytest.mark.parametrize(("options", "level"), [({"same_kernels": True}, "ORT_DISABLE_ALL"), ({}, "ORT_ENABLE_ALL")])
def test_the_same_kernels_on_onnx_runtime_are_those_of_the_graph_as_it_is(onnx_content, options, level):
    session = open_session(onnx_content, **options)
    assert session.session.get_session_options().graph_optimization_level.name == level


def test_arrays_that_do_not_fit_raise_with_the_words_of_the_engine(onnx_content):
    with pytest.raises(RunError, match=r"ONNX Runtime failed.*x"):
        open_session(onnx_content).run({"x": image((1, 2, 8, 8))})


def test_what_is_no_model_is_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    with pytest.raises(InvalidModelError):
        open_session(b"\x08\x07 no model")
    with pytest.raises(InvalidModelError, match=r"missing\.onnx"):
        open_session(tmp_path / "missing.onnx")
