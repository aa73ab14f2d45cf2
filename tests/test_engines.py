"""One way to run a model on either engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litedelegates import Interpreter
from litedelegates.engines import open_session
from litedelegates.engines.inputs import random_feed
from litedelegates.engines.litert import LiteRtSession
from litedelegates.engines.onnxruntime import Provider
from litedelegates.engines.onnxruntime.providers import check_in_effect, check_providers, short_name
from litedelegates.engines.records import PortInfo
from litedelegates.errors import DelegateUnavailableError, InvalidModelError, OptionError, RunError
from litedelegates.tensor_info import random_value

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
        (
            {"providers": ["CPUExecutionProvder"]},
            "no provider 'CPUExecutionProvder'.*nearest.*'CPUExecutionProvider'",
        ),
        ({"providers": ["cpux"]}, "nearest.*'cpu'"),
        ({"providers": []}, "name at least one"),
        ({"providers": [("cpu", "fast")]}, "is no provider"),
        ({"providers": [("cpu", {"use_arena": 1})]}, "cpu has no option 'use_arena'. It takes none"),
        ({"optimization": "non"}, "Did you mean 'none'"),
        ({"num_threads": 0}, "at least 1"),
        ({"num_threads": True}, "at least 1"),
        ({"treads": 1}, "unknown option 'treads'.*'num_threads'"),
        ({"config": {"session.intra_op.alow_spinning": 0}}, "no config key.*'session.intra_op.allow_spinning'"),
        ({"config": {"session.intra_op.allow_spinning": 0.5}}, "a text, a number"),
        ({"memory_arena": 1}, "memory_arena=1: it must be True or False"),
        ({"inter_op_threads": 2}, "parallel=True"),
        ({"parallel": True, "inter_op_threads": 0}, "at least 1"),
        ({"free_dimensions": {"M": 1}}, "no open dimension 'M'.*Valid: N"),
        ({"free_dimensions": {"N": 0}}, "at least 1"),
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


def test_options_are_those_of_the_engine_session(onnx_content):
    session = open_session(
        onnx_content,
        num_threads=2,
        providers=["CPUExecutionProvider"],
        parallel=True,
        inter_op_threads=2,
        memory_arena=False,
        memory_pattern=False,
        free_dimensions={"N": 2},
        config={"session.intra_op.allow_spinning": False, "session.dynamic_block_base": 4},
    )
    told = session.session.get_session_options()
    assert (told.intra_op_num_threads, told.inter_op_num_threads, told.execution_mode.name) == (2, 2, "ORT_PARALLEL")
    assert not told.enable_cpu_mem_arena
    assert not told.enable_mem_pattern
    assert told.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert told.get_session_config_entry("session.dynamic_block_base") == "4"
    assert session.inputs == (PortInfo("x", (2, 3, 8, 8), "float32"),)
    assert session.options_in_effect == {"cpu": {}}
    assert session.run(random_feed(session))["y"].shape == (2, 4, 8, 8)


@pytest.mark.parametrize("spelled", ["cpu", "CPUExecutionProvider", ("cpu", {})])
def test_a_provider_may_be_written_in_short(onnx_content, spelled):
    session = open_session(onnx_content, providers=[spelled])
    assert session.providers == (Provider("CPUExecutionProvider"),)
    assert open_session(onnx_content, providers=Provider("cpu")).providers == session.providers


def test_a_provider_that_is_not_built_in_is_unavailable(onnx_content):
    ort = pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    absent = sorted(set(ort.get_all_providers()) - set(ort.get_available_providers()))
    assert absent
    for name in (absent[0], short_name(absent[0])):
        with pytest.raises(DelegateUnavailableError, match=f"built without {absent[0]}; it has .*cpu"):
            open_session(onnx_content, providers=[name, "cpu"])


def test_what_the_engine_did_not_take_over_is_an_error():
    cuda = "CUDAExecutionProvider"
    asked = check_providers([("cuda", {"device_id": 1})], [cuda, "CPUExecutionProvider"], [cuda])
    assert asked == (Provider(cuda, {"device_id": 1}),)
    check_in_effect(asked, [cuda], {cuda: {"device_id": "1", "use_tf32": "1"}})
    with pytest.raises(DelegateUnavailableError, match="left out CUDAExecutionProvider"):
        check_in_effect(asked, ["CPUExecutionProvider"], {})
    with pytest.raises(OptionError, match="device_id='0', not '1'"):
        check_in_effect(asked, [cuda], {cuda: {"device_id": "0"}})
    with pytest.raises(OptionError, match=r"no option 'device_id'.*'device_ids'"):
        check_in_effect(asked, [cuda], {cuda: {"device_ids": "1"}})


@pytest.mark.parametrize(
    ("options", "message"),
    [({"device_typ": "CPU"}, "Did you mean 'device_type'"), ({"device_type": "CPX"}, "no device_type 'CPX'")],
)
def test_options_of_openvino_are_checked_before_it_sees_them(options, message):
    with pytest.raises(OptionError, match=message):
        check_providers([("openvino", options)], ["OpenVINOExecutionProvider"], ["OpenVINOExecutionProvider"])


def test_both_engines_time_runs_on_the_inputs_that_were_set(onnx_content):
    for session in (open_session(DIGITS), open_session(onnx_content)):
        feed = random_feed(session, seed=3)
        session.set_inputs(feed)
        samples = session.time_runs(max_runs=5)
        assert (samples.shape, samples.dtype) == ((5, 3), np.int64)
        assert (samples[:, 1] > 0).all()
        assert (samples >= 0).all()
        assert session.time_runs(max_runs=9, min_runs=2, max_seconds=0).shape == (2, 3)


def test_inputs_that_were_set_are_the_ones_that_run():
    session = open_session(DIGITS)
    assert isinstance(session, LiteRtSession)
    (given,) = session.interpreter.outputs
    feed = random_feed(session, seed=5)
    session.run(random_feed(session, seed=6))
    session.set_inputs(feed)
    session.time_runs(max_runs=1)
    assert session.interpreter.get_tensor(given.index).tobytes() == session.run(feed)[given.name].tobytes()


def test_timing_and_profiling_need_inputs_and_say_which(onnx_content):
    session = open_session(onnx_content)
    for call in (lambda: session.time_runs(max_runs=1), session.profile):
        with pytest.raises(OptionError, match="give arrays for 'x' with set_inputs"):
            call()
    session.set_inputs({"x": image((1, 2, 8, 8))})
    for call in (lambda: session.time_runs(max_runs=1), session.profile):
        with pytest.raises(RunError, match=r"ONNX Runtime failed.*x"):
            call()
    session.close()
    for call in (lambda: session.time_runs(max_runs=1), session.profile):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_strings_at_the_border_are_timed_as_a_whole():
    onnx = pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    import small_onnx_models

    text = onnx.TensorProto.STRING
    node = onnx.helper.make_node("Identity", ["t"], ["u"])
    model = small_onnx_models.model([node], [("t", text, [2])], [("u", text, [2])])
    session = open_session(model.SerializeToString())
    with pytest.raises(OptionError, match="'t' is of type string"):
        random_feed(session)
    session.set_inputs({"t": np.array(["a", "b"], object)})
    samples = session.time_runs(max_runs=3)
    assert (samples[:, 1] > 0).all()
    assert not samples[:, [0, 2]].any()


def test_random_inputs_are_the_same_on_both_engines():
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    small_onnx = pytest.importorskip("small_onnx", reason="needs the extra litedelegates[onnx]")
    twin = small_onnx.digits_twin(DIGITS).SerializeToString()
    (tflite,) = random_feed(open_session(DIGITS), seed=1).values()
    (onnx,) = random_feed(open_session(twin), seed=1).values()
    assert tflite.tobytes() == onnx.tobytes()
    interpreter = Interpreter(DIGITS)
    assert tflite.tobytes() == random_value(interpreter.inputs[0], np.random.default_rng(1)).tobytes()
    assert tflite.tobytes() != random_feed(open_session(DIGITS), seed=2).popitem()[1].tobytes()


def test_arrays_that_do_not_fit_raise_with_the_words_of_the_engine(onnx_content):
    with pytest.raises(RunError, match=r"ONNX Runtime failed.*x"):
        open_session(onnx_content).run({"x": image((1, 2, 8, 8))})


def test_what_is_no_model_is_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    with pytest.raises(InvalidModelError):
        open_session(b"\x08\x07 no model")
    with pytest.raises(InvalidModelError, match=r"missing\.onnx"):
        open_session(tmp_path / "missing.onnx")
