"""Delegate options: typed, checked, written, read back, and honoured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates import Gpu, Interpreter, OptionError, Xnnpack
from litedelegates.delegates import Backend, Precision, chain
from litedelegates.delegates.options import from_toml, set_options, to_toml

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Xnnpack(num_thread=4), "num_threads"),
        (lambda: Xnnpack(num_threads="4"), "int"),
        (lambda: Xnnpack(num_threads=True), "int"),
        (lambda: Xnnpack(num_threads=0), "at least 1"),
        (lambda: Xnnpack(kernel_mode="builtins"), "'builtin'"),
        (lambda: Xnnpack(flags={"signed_int9"}), "'signed_int8'"),
        (lambda: Xnnpack(flags={"force_fp16"}, precision_loss_allowed=False), "contradicts"),
        (lambda: Xnnpack(4), "by keyword"),
        (lambda: Gpu(precision_los_allowed=True), "'precision_loss_allowed'"),
        (lambda: Gpu(precision_loss_allowed=1), "bool"),
        (lambda: Gpu(backend="webgp"), "'webgpu'"),
        (lambda: Gpu(precision="fp16", precision_loss_allowed=True), "not both"),
        (lambda: Gpu(num_threads_to_compile=0), "at least 1"),
        (lambda: Gpu(external_tensor_patterns=(1,)), "tuple of str"),
    ],
)
def test_wrong_options_are_refused_with_the_nearest_valid_name(make: object, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"delegate": "gpuu"}, "'gpu'"),
        ({"delegate": 7}, "int"),
        ({"delegate": "xnnpack", "num_thread": 1}, "'num_threads'"),
        ({"delegate": None, "precision_loss_allowed": True}, "built-in kernels"),
        ({"delegate": None, "backend": "webgpu"}, "built-in kernels"),
        ({"delegate": Xnnpack(), "precision_loss_allowed": True}, r"Xnnpack\(precision_loss_allowed"),
        ({"num_threads": 0}, "at least 1"),
        ({"num_threads": "2"}, "integer"),
    ],
)
def test_the_interpreter_refuses_options_that_nobody_has(options: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Interpreter(small_models.add(), **options)  # type: ignore[arg-type]


def test_an_option_error_is_a_type_error_and_a_value_error() -> None:
    assert issubclass(OptionError, TypeError) and issubclass(OptionError, ValueError)


def test_unset_options_stay_unset() -> None:
    assert set_options(Xnnpack()) == {}
    assert Xnnpack().payloads() == {"xnnpack": {}}
    assert Gpu(priority="high").payloads()["gpu_options"].keys() == {"priority"}
    assert repr(Gpu(backend="WebGPU")) == f"Gpu(backend={Backend.WEBGPU!r})"


def test_options_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Xnnpack(num_threads=2).num_threads = 4  # type: ignore[misc]


def test_toml_survives_the_way_there_and_back() -> None:
    options = {"a": True, "b": -3, "c": 'quoted "text" \\ here', "d": ("x", "y"), "e": ()}
    assert from_toml(to_toml(options)) == options


def test_flags_go_by_name_and_half_precision_adds_its_own_to_the_default() -> None:
    assert Xnnpack(flags=["signed_int8", "latest_operators"]).payloads()["xnnpack"]["flags"] == 0x41
    assert Xnnpack(precision_loss_allowed=True).payloads()["xnnpack"]["flags"] == 0x7
    assert "flags" not in Xnnpack(precision_loss_allowed=False).payloads()["xnnpack"]


def test_precision_loss_is_one_word_for_every_delegate() -> None:
    both = chain(["gpu", "xnnpack"], {"precision_loss_allowed": True})
    assert both[0].payloads()["gpu_options"]["precision"] is Precision.FP16
    assert both[1].payloads()["xnnpack"]["flags"] & 0x4
    (gpu,) = chain("gpu", {"precision_loss_allowed": False})
    assert gpu.payloads()["gpu_options"]["precision"] is Precision.FP32


def test_the_options_in_effect_are_read_back_from_the_runtime(tmp_path: Path) -> None:
    cache = tmp_path / "weights.cache"
    interpreter = Interpreter(
        small_models.conv(), delegate=Xnnpack(num_threads=2, flags={"signed_int8"}, weight_cache_file_path=str(cache))
    )
    assert interpreter.options_in_effect["xnnpack"] == {
        "num_threads": 2,
        "flags": 0x1,
        "weight_cache_file_path": str(cache),
    }


def test_the_weight_cache_is_written_and_used_again(tmp_path: Path) -> None:
    cache = tmp_path / "weights.cache"
    image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    outputs = [Interpreter(DIGITS, weight_cache_file_path=str(cache)).run(image) for _ in range(2)]
    assert cache.stat().st_size > 10_000
    np.testing.assert_array_equal(*outputs)


def test_xnnpack_computes_in_float32_unless_half_precision_is_allowed() -> None:
    image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    exact = Interpreter(DIGITS, delegate=None).run(image)
    full = Interpreter(DIGITS, delegate="xnnpack", precision_loss_allowed=False).run(image)
    half = Interpreter(DIGITS, delegate="xnnpack", precision_loss_allowed=True).run(image)
    np.testing.assert_allclose(full, exact, atol=1e-4)
    assert np.abs(half - exact).max() > 10 * np.abs(full - exact).max(), "half precision must show in the outputs"
    np.testing.assert_allclose(half, exact, atol=0.1)


def test_the_kernel_modes_are_three_different_ways_to_the_same_result() -> None:
    image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    ran, outputs = [], []
    for mode in ("delegate", "builtin", "reference"):
        interpreter = Interpreter(DIGITS, delegate=Xnnpack(kernel_mode=mode))
        outputs.append(interpreter.run(image))
        ran.append({record.ran for record in interpreter.placement})
    assert ran == [{"xnnpack"}, {"builtin"}, {"builtin"}]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-4)
    np.testing.assert_allclose(outputs[2], outputs[0], atol=1e-4)


def test_auto_measures_and_says_what_it_chose_and_why() -> None:
    interpreter = Interpreter(DIGITS, delegate="auto")
    choice = interpreter.choice
    assert choice is not None
    tried = {candidate.name: candidate for candidate in choice.candidates}
    assert {"none", "xnnpack", "gpu+xnnpack"} == set(tried)
    best = min((c for c in tried.values() if c.outcome == "ok"), key=lambda c: c.median_us)
    assert "+".join(delegate.name for delegate in interpreter.delegates) or best.name == "none"
    assert best.name in choice.reason and "us" in choice.reason
    assert all(candidate.median_us or candidate.outcome != "ok" for candidate in tried.values())
    with pytest.raises(OptionError, match="no_such"):
        Interpreter(DIGITS, delegate="auto", no_such=1)
