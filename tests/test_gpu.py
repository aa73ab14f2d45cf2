"""The GPU, real or in software: precision, waiting, placement, chains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates import Gpu, Interpreter, Xnnpack

pytestmark = pytest.mark.gpu
DIGITS = Path(__file__).parent.parent / "models/digits.tflite"


def image(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


def test_float32_and_half_precision_differ_and_both_agree_with_the_cpu(real_models: dict[str, Path]) -> None:
    for path in (real_models["face_detection_front"], real_models["iris_landmark"], DIGITS):
        cpu = Interpreter(path)
        value = image(cpu.inputs[0].shape)
        wanted = np.concatenate([np.ravel(part) for part in _tuple(cpu.run(value))])
        spread = np.ptp(wanted)
        outputs = {}
        for allowed in (False, True):
            with Interpreter(path, delegate="gpu", precision_loss_allowed=allowed) as gpu:
                outputs[allowed] = np.concatenate([np.ravel(part) for part in _tuple(gpu.run(value))])
        full, half = (np.abs(outputs[allowed] - wanted).max() / spread for allowed in (False, True))
        assert full < 1e-5, f"{path.name}: float32 is {full:.2e} of the spread off"
        assert half < 2e-2, f"{path.name}: half precision is {half:.2e} of the spread off"
        assert half > 10 * full, f"{path.name}: half precision must show ({half:.2e} against {full:.2e})"


def test_the_gpu_took_what_the_plan_says() -> None:
    with Interpreter(DIGITS, delegate="gpu", require_full_delegation=True) as interpreter:
        assert {record.ran for record in interpreter.placement} == {"gpu"}
        assert interpreter.device


def test_latency_includes_the_wait() -> None:
    with Interpreter(DIGITS, delegate="gpu") as interpreter:
        interpreter.set_tensor(interpreter.inputs[0].index, image(interpreter.inputs[0].shape))
        samples = interpreter.time_runs(max_runs=10)
    assert (samples > 0).all(), "upload, run and read-back each take time on a device"


def test_a_chain_gives_the_gpu_first_and_xnnpack_the_rest() -> None:
    model = small_models.partly_delegated()
    value = image((1, 4, 4, 1))
    wanted = Interpreter(model, delegate=None).run(value)
    with Interpreter(model, delegate=[Gpu(precision_loss_allowed=False), Xnnpack(num_threads=1)]) as interpreter:
        np.testing.assert_allclose(interpreter.run(value), wanted, rtol=1e-4, atol=1e-4)
        assert "gpu" in {record.ran for record in interpreter.placement}
        assert {record.asked for record in interpreter.placement} == {"gpu+xnnpack"}


def test_options_reach_the_gpu_and_can_be_read_back() -> None:
    options = Gpu(precision_loss_allowed=True, priority="high", num_threads_to_compile=2, prefer_texture_weights=False)
    with Interpreter(small_models.conv(), delegate=options) as interpreter:
        assert interpreter.options_in_effect["gpu_options"] == {
            "precision": 1,
            "priority": 3,
            "num_threads_to_compile": 2,
            "prefer_texture_weights": False,
        }


def test_a_gpu_is_not_profiled_per_op_and_says_what_stands_in() -> None:
    with Interpreter(DIGITS, delegate="gpu") as interpreter:
        profile = interpreter.profile(runs=3)
    assert "cannot profile" in profile.note
    assert len(profile.ops) == 1 and len(profile.ops[0].samples_us) == 3 and profile.ops[0].median_us > 0


def test_another_batch_size_works_on_the_gpu_or_says_why_not() -> None:
    with Interpreter(small_models.conv_dynamic_batch(), delegate="gpu") as interpreter:
        one = image((1, 4, 4, 1))
        np.testing.assert_allclose(
            interpreter.run(np.repeat(one, 2, axis=0)), np.repeat(interpreter.run(one), 2, axis=0), rtol=1e-3, atol=1e-3
        )


def test_several_interpreters_on_different_delegates_live_together_and_die_in_any_order() -> None:
    value = image((1, 8, 8, 1))
    wanted = Interpreter(DIGITS, delegate=None).run(value)
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        open_ones = [Interpreter(DIGITS, delegate=name) for name in ("gpu", "xnnpack", None)]
        for index in order:
            np.testing.assert_allclose(open_ones[index].run(value), wanted, atol=0.1)
            open_ones[index].close()


def _tuple(outputs: object) -> tuple[np.ndarray, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)  # type: ignore[return-value]
