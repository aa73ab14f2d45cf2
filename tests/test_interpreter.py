"""The Interpreter against numpy and against the official one, on every special case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import litedelegates as ld
import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import OpResolverType
from litedelegates.border import quantize_array
from litedelegates.quantize import quantize
from small_models import CASES, Case

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"

# The official Interpreter cannot show these types, or refuses the op; ours is checked against numpy below.
RUNNABLE = [case for case in CASES.values() if case.obstacle is None]
BFLOAT16 = [case for case in CASES.values() if "bfloat16" in case.name and case.obstacle]


def run_official(model: bytes | Path, inputs: list[Any], **options: Any) -> list[Any]:
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    official = Official(**source, **options)
    official.allocate_tensors()
    for detail, value in zip(official.get_input_details(), inputs, strict=True):
        official.set_tensor(detail["index"], value)
    official.invoke()
    return [official.get_tensor(detail["index"]) for detail in official.get_output_details()]


def as_tuple(outputs: Any) -> tuple[Any, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def inputs_of(case: Case) -> list[Any]:
    return case.inputs(np.random.default_rng(0))


def assert_close(got: Any, wanted: Any, atol: float) -> None:
    assert got.shape == wanted.shape
    if got.dtype.kind in "SO":
        assert got.tolist() == wanted.tolist()
    elif got.dtype.kind == "V" or got.dtype.name == "bfloat16":
        np.testing.assert_array_equal(got.view(np.uint16), wanted)
    else:
        np.testing.assert_allclose(got.astype(wanted.dtype), wanted, atol=atol)


@pytest.mark.parametrize("delegate", [None, "xnnpack"])
@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_outputs_are_those_that_numpy_computes(case: Case, delegate: str | None) -> None:
    inputs = inputs_of(case)
    with ld.Interpreter(case.build(), delegate=delegate) as interpreter:
        outputs = as_tuple(interpreter.run(*inputs))
    if case.expected is None:
        pytest.fail("every runnable case states what it expects")
    for got, wanted in zip(outputs, case.expected(inputs), strict=True):
        assert_close(got, wanted, case.atol)


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_outputs_equal_the_official_ones_bit_for_bit(case: Case) -> None:
    inputs, model = inputs_of(case), case.build()
    with ld.Interpreter(model, num_threads=1) as interpreter:
        outputs = as_tuple(interpreter.run(*inputs))
    for got, wanted in zip(outputs, run_official(model, inputs, num_threads=1), strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_later_runs_give_what_the_official_interpreter_gives(case: Case) -> None:
    """The second and third runs take the shorter way through the kernels; states go on, everything else repeats."""
    model, inputs = case.build(), inputs_of(case)
    official = Official(model_content=model)
    official.allocate_tensors()
    with ld.Interpreter(model) as interpreter:
        for run in range(3):
            values = [value if run != 1 or value.dtype.kind != "f" else value * 2 + 1 for value in inputs]
            for detail, value in zip(official.get_input_details(), values, strict=True):
                official.set_tensor(detail["index"], value)
            official.invoke()
            outputs = as_tuple(interpreter.run(*values))
            for got, detail in zip(outputs, official.get_output_details(), strict=True):
                np.testing.assert_array_equal(got, official.get_tensor(detail["index"]))


@pytest.mark.parametrize("case", BFLOAT16, ids=lambda case: case.name)
def test_bfloat16_crosses_the_border_although_the_official_interpreter_cannot_show_it(case: Case) -> None:
    inputs = inputs_of(case)
    with ld.Interpreter(case.build()) as interpreter:
        values = [value.view(info.dtype) for value, info in zip(inputs, interpreter.inputs, strict=True)]
        outputs = as_tuple(interpreter.run(*values))
    assert case.expected is not None
    for got, wanted in zip(outputs, case.expected(inputs), strict=True):
        assert_close(got, wanted, case.atol)


def test_real_models_equal_the_official_interpreter_bit_for_bit(real_models: dict[str, Path]) -> None:
    for path in real_models.values():
        for threads in (1, 2):
            with ld.Interpreter(path, num_threads=threads) as interpreter:
                rng = np.random.default_rng(1)
                inputs = [rng.random(info.shape, np.float32) for info in interpreter.inputs]
                outputs = as_tuple(interpreter.run(*inputs))
                again = as_tuple(interpreter.run(*inputs))
            wanted = run_official(path, inputs, num_threads=threads)
            for got, repeated, official in zip(outputs, again, wanted, strict=True):
                np.testing.assert_array_equal(got, official, err_msg=f"{path.name}, {threads} threads")
                np.testing.assert_array_equal(repeated, official, err_msg=f"{path.name}, second run")


def test_real_models_on_builtin_kernels_agree_with_the_official_builtin_kernels(real_models: dict[str, Path]) -> None:
    for path in real_models.values():
        with ld.Interpreter(path, delegate=None) as interpreter:
            rng = np.random.default_rng(1)
            inputs = [rng.random(info.shape, np.float32) for info in interpreter.inputs]
            outputs = as_tuple(interpreter.run(*inputs))
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        wanted = run_official(path, inputs, experimental_op_resolver_type=resolver)
        for got, official in zip(outputs, wanted, strict=True):
            np.testing.assert_allclose(got, official, rtol=1e-4, atol=1e-4, err_msg=path.name)


@pytest.mark.parametrize(
    ("precision", "border"), [("float16", None), ("dynamic", None), ("int8", "float32"), ("int8", "int8")]
)
def test_quantized_forms_equal_the_official_interpreter_bit_for_bit(precision: str, border: str | None) -> None:
    with np.load(DIGITS.with_name("digits_test.npz")) as data:
        images = data["calibration_images"].astype(np.float32).reshape(-1, 1, 8, 8, 1) / 16
    calibration = {"calibration": list(images), "border": border} if border else {}
    model = quantize(DIGITS, precision, **calibration)
    with ld.Interpreter(model, num_threads=1) as interpreter:
        for image in images[:5]:
            (info,) = interpreter.inputs
            value = quantize_array(image, info)
            (wanted,) = run_official(model, [value], num_threads=1)
            np.testing.assert_array_equal(interpreter.run(value), wanted)


def test_a_model_may_be_a_path_a_pathlike_or_bytes(tmp_path: Path) -> None:
    model = small_models.add()
    path = tmp_path / "add.tflite"
    path.write_bytes(model)
    ones = np.ones((1, 4), np.float32)
    for source in (str(path), path, model, bytearray(model), memoryview(model)):
        assert ld.Interpreter(source).run(ones, ones).tolist() == [[2, 2, 2, 2]]


def test_run_takes_inputs_by_name_and_says_which_it_wants() -> None:
    interpreter = ld.Interpreter(small_models.with_signature())
    names = [info.name for info in interpreter.inputs]
    ones = np.ones((1, 4), np.float32)
    named = interpreter.run(**dict.fromkeys(names, ones))
    np.testing.assert_array_equal(named, interpreter.run(ones, ones))
    with pytest.raises(ValueError, match=names[1]):
        interpreter.run(**{names[0]: ones})
    with pytest.raises(ValueError, match="2 inputs"):
        interpreter.run(ones)
    with pytest.raises(ValueError, match="not both"):
        interpreter.run(ones, **{names[1]: ones})


def test_real_values_go_in_and_come_out_of_an_integer_model() -> None:
    interpreter = ld.Interpreter(small_models.conv_int8())
    info, result = interpreter.inputs[0], interpreter.outputs[0]
    real = np.random.default_rng(0).uniform(-1, 1, info.shape)
    levels = np.clip(np.rint(real / info.scale) + info.zero_point, -128, 127).astype(np.int8)
    raw = interpreter.run(levels)
    assert raw.dtype == np.int8
    dequantized = interpreter.run(real, quantize=True)
    assert dequantized.dtype == np.float32
    np.testing.assert_allclose(dequantized, (raw.astype(np.int64) - result.zero_point) * result.scale, rtol=1e-6)
    with pytest.raises(ValueError, match="NaN"):
        interpreter.run(np.full(info.shape, np.nan), quantize=True)


def test_outputs_can_be_written_into_the_callers_arrays() -> None:
    interpreter = ld.Interpreter(small_models.add())
    ones, target = np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32)
    assert interpreter.run(ones, ones, out=target) is target
    assert target.tolist() == [[2, 2, 2, 2]]
    with pytest.raises(TypeError):
        interpreter.run(ones, ones, out=np.zeros((1, 4), np.int8))


def test_a_view_follows_the_runs_and_outlives_the_interpreter() -> None:
    interpreter = ld.Interpreter(small_models.scale_by_two())
    source, target = interpreter.view(interpreter.inputs[0].name), interpreter.view(interpreter.outputs[0].index)
    for value in (1.0, 5.0):
        source[:] = value
        interpreter.invoke()
        assert target.tolist() == [[2 * value] * 4]
    interpreter.close()
    del interpreter
    assert target.tolist() == [[10.0] * 4]


def test_run_async_returns_something_to_wait_on() -> None:
    with ld.Interpreter(small_models.scale_by_two()) as interpreter:
        futures = [interpreter.run_async(np.full((1, 4), value, np.float32)) for value in range(8)]
        assert [future.result(timeout=60)[0, 0] for future in futures] == [2 * value for value in range(8)]
        failing = interpreter.run_async(np.zeros((7,), np.float32))
        with pytest.raises(ValueError, match="shape"):
            failing.result(timeout=60)


def test_another_batch_size_is_taken_where_the_model_leaves_it_open() -> None:
    interpreter = ld.Interpreter(small_models.conv_dynamic_batch())
    one = np.random.default_rng(0).random((1, 4, 4, 1), np.float32)
    single = interpreter.run(one)
    many = interpreter.run(np.repeat(one, 3, axis=0))
    assert many.shape == (3, *single.shape[1:])
    np.testing.assert_allclose(many, np.repeat(single, 3, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(interpreter.run(one), single)


def test_repr_tells_model_delegates_inputs_and_outputs() -> None:
    text = repr(ld.Interpreter(small_models.add(), delegate=ld.Xnnpack(num_threads=2)))
    assert "Xnnpack(num_threads=2)" in text
    assert "x float32[1, 4]" in text and "sum float32[1, 4]" in text
    assert "compiled route" in text


def test_a_closed_interpreter_says_so() -> None:
    interpreter = ld.Interpreter(small_models.add())
    interpreter.close()
    interpreter.close()
    assert "closed" in repr(interpreter)
    with pytest.raises(ValueError, match="closed"):
        interpreter.invoke()


def test_an_unresolved_custom_op_is_named() -> None:
    with pytest.raises(ld.CompileError, match="MyCustomOp"):
        ld.Interpreter(small_models.custom_op())
    with pytest.raises(ld.CompileError, match="FlexErf"):
        ld.Interpreter(small_models.flex_op())


@pytest.mark.parametrize("delegate", [None, "xnnpack"])
def test_a_kernel_that_fails_raises_with_its_own_words_and_the_next_run_works(delegate: str | None) -> None:
    interpreter = ld.Interpreter(small_models.gather(), delegate=delegate)
    good, bad = np.array([2, 0], np.int32), np.array([0, 99], np.int32)
    wanted = interpreter.run(good)
    for _ in range(3):
        with pytest.raises(ld.RunError, match="gather index out of bounds"):
            interpreter.run(bad)
        np.testing.assert_array_equal(interpreter.run(good), wanted)


def test_time_runs_keeps_every_sample_in_nanoseconds() -> None:
    interpreter = ld.Interpreter(small_models.conv())
    samples = interpreter.time_runs(max_runs=20)
    assert samples.shape == (20, 3) and samples.dtype == np.int64
    assert (samples[:, 1] > 0).all() and (samples[:, [0, 2]] >= 0).all()
    assert len(interpreter.time_runs(max_runs=10**9, min_runs=3, max_seconds=0.0)) == 3
