"""``delegate="auto"`` keeps XNNPACK unless another is shown faster, and never takes one whose outputs are wrong."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from litedelegates import DelegateError, Interpreter, auto, devices, reference
from litedelegates.auto import Candidate, choose
from litedelegates.border import Quantization
from litedelegates.delegates import Delegate, External, Xnnpack
from litedelegates.loading import load_session
from litedelegates.measure import compare, delegate_epsilon, output_precisions
from litedelegates.measure.agreement import EPSILON, HALF, Precision
from litedelegates.model import Model
from litedelegates.reference import random_samples, take_reference
from native_libraries import compile_library
from small_models_builder import ModelBuilder, Op, schema

DIGITS = Path(__file__).parent.parent / "models" / "digits.tflite"
FLOAT32 = Precision(EPSILON["float32"])
INT8 = Precision(EPSILON["int8"], 1 / 256, Quantization((1 / 256,), (-128,)))

Array = np.ndarray[Any, Any]


def _agrees(wanted: Array, got: Array, precision: Precision) -> bool:
    return compare([[wanted]], [[got]], [precision]).is_explained


@pytest.fixture(scope="module")
def digits_int8(tmp_path_factory: pytest.TempPathFactory) -> str:
    quantize = pytest.importorskip("litedelegates.quantize")
    pytest.importorskip("litert_quantizer")
    target = tmp_path_factory.mktemp("int8") / "digits_int8.tflite"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize.quantize_file(str(DIGITS), str(target), "int8", "random", progress=False)
    return str(target)


@pytest.fixture
def wrong(tmp_path: Path) -> External:
    """A delegate whose ADD is off by a hundredth."""
    return External(compile_library("offset_delegate.c", tmp_path / "liboffset.so"), options={"offset": 0.01})


def _put_in_the_place_of(names: Sequence[str], other: Delegate, patch: pytest.MonkeyPatch) -> None:
    """Load ``other`` where the delegates of these names, and no options, are asked for."""

    def load(model: Model, delegates: Sequence[Delegate], **how: Any) -> Any:
        is_meant = [delegate.name for delegate in delegates] == list(names) and delegates in ((), (Xnnpack(),))
        return load_session(model, (other,) if is_meant else delegates, **how)

    for module in (auto, reference):
        patch.setattr(module, "load_session", load)


def test_sums_in_another_order_are_explained_and_a_missing_addend_is_not() -> None:
    rng = np.random.default_rng(0)
    terms = rng.standard_normal((1000, 4000), np.float32)
    forwards, backwards = np.cumsum(terms, axis=1)[:, -1], np.cumsum(terms[:, ::-1], axis=1)[:, -1]
    assert (forwards != backwards).any()
    assert _agrees(forwards, backwards, FLOAT32)
    assert not _agrees(forwards, forwards - terms[:, 7], FLOAT32)


def test_half_precision_is_explained_only_where_it_is_allowed() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    half = (values * np.float32(1.01)).astype(np.float16).astype(np.float32)
    assert not _agrees(values, half, FLOAT32)
    assert _agrees(values, half, Precision(HALF))
    assert delegate_epsilon(["gpu", "xnnpack"], {"precision_loss_allowed": False}) == 0
    assert delegate_epsilon(["gpu", "xnnpack"], {"precision_loss_allowed": True}) == HALF
    assert delegate_epsilon(["xnnpack"], {}) == delegate_epsilon(["none"], {}) == 0
    assert delegate_epsilon(["gpu"], {}) == HALF  # the runtime may choose it
    assert delegate_epsilon(["gpu"], {"precision": "fp32"}) == 0
    assert delegate_epsilon(["openvino"], {}) == EPSILON["bfloat16"]


def test_integers_that_round_to_the_neighbour_are_explained_and_a_wrong_one_among_zeros_is_not() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(-100, 100, 1000).astype(np.int8)
    assert _agrees(scores, scores + rng.integers(-1, 2, 1000).astype(np.int8), INT8)
    assert not _agrees(scores, np.full_like(scores, scores.mean()), INT8)
    probabilities = np.full(1000, -128, np.int8)  # all zero
    probabilities[3] = -108  # 20 steps: 0.63 steps over all elements in the root mean square
    moved = np.roll(probabilities, 1)
    assert math.sqrt(np.mean((moved.astype(float) - probabilities) ** 2)) < 1
    assert not _agrees(probabilities, moved, INT8)


def test_values_that_are_not_finite_have_to_be_so_in_both() -> None:
    values = np.array([1, np.inf, -np.inf, np.nan], np.float32)
    assert _agrees(values, values.copy(), FLOAT32)
    assert not _agrees(values, np.array([1, 2, -np.inf, np.nan], np.float32), FLOAT32)
    assert not _agrees(np.ones(4, np.float32), np.array([1, 1, 1, np.nan], np.float32), FLOAT32)


def test_indices_agree_as_far_as_ties_explain() -> None:
    wanted = np.arange(1000, dtype=np.int64)
    got = wanted.copy()
    got[:50] += 1
    assert not _agrees(wanted, got, FLOAT32)
    assert _agrees(wanted, got, Precision(EPSILON["int8"]))


def test_the_precision_of_a_model_is_that_of_its_coarsest_op(digits_int8: str) -> None:
    (float32,) = output_precisions(Model.load(str(DIGITS)))
    assert (float32.epsilon, float32.step) == (EPSILON["float32"], None)
    (int8,) = output_precisions(Model.load(digits_int8))
    assert int8.epsilon == EPSILON["int8"] and int8.step is not None  # of what DEQUANTIZE reads
    (weights,) = output_precisions(Model.load(small_models.float16_weights()))
    assert weights.epsilon == EPSILON["float32"]  # constants are exact, and the ops compute in float32


def test_auto_takes_xnnpack_for_an_int8_model_where_it_rounds_otherwise(digits_int8: str) -> None:
    choice = Interpreter(digits_int8, "auto").choice
    assert choice is not None
    xnnpack = next(candidate for candidate in choice.candidates if candidate.name == "xnnpack")
    assert xnnpack.relative_error is not None and xnnpack.relative_error > 0
    assert xnnpack.outcome == "ok"
    assert choice.doubt == ""


def test_auto_rejects_a_delegate_that_computes_wrongly(wrong: External, monkeypatch: pytest.MonkeyPatch) -> None:
    _put_in_the_place_of(["xnnpack"], wrong, monkeypatch)
    choice = choose(Model.load(small_models.add()), num_threads=None, options={})
    outcomes = {candidate.name: candidate.outcome for candidate in choice.candidates}
    assert "its outputs are wrong" in outcomes["xnnpack"] and outcomes["none"] == "ok"
    assert choice.delegates == ()
    assert "reference kernels agree with the built-in kernels" in choice.doubt


def test_auto_rejects_built_in_kernels_that_compute_wrongly_and_names_the_op(
    wrong: External, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_in_the_place_of([], wrong, monkeypatch)
    choice = choose(Model.load(small_models.add()), num_threads=None, options={})
    outcomes = {candidate.name: candidate.outcome for candidate in choice.candidates}
    assert "its outputs are wrong" in outcomes["none"] and outcomes["xnnpack"] == "ok"
    assert [delegate.name for delegate in choice.delegates] == ["xnnpack"]
    assert "from op 0 (ADD) on" in choice.doubt
    assert "reference kernels agree with XNNPACK" in choice.doubt


def test_auto_raises_where_nothing_computes_rightly(wrong: External, monkeypatch: pytest.MonkeyPatch) -> None:
    # Further off than half precision explains, which a GPU may compute in.
    far_off = External(wrong.library, options={"offset": 0.5})
    monkeypatch.setattr(auto, "load_session", lambda model, delegates, **how: load_session(model, (far_off,), **how))
    with pytest.raises(DelegateError, match="no delegate computes the outputs"):
        choose(Model.load(small_models.add()), num_threads=None, options={})


def test_auto_warns_of_a_model_whose_outputs_no_two_kernels_agree_about() -> None:
    model = ModelBuilder()
    graph = model.graph()
    size, drawn = graph.constant("size", np.array([1, 4], np.int32)), graph.tensor("drawn", (1, 4))
    graph.op(Op.RANDOM_UNIFORM, [size], [drawn], schema.RandomOptionsT())
    graph.op(Op.ADD, [drawn, graph.input("x", (1, 4))], [graph.output("y", (1, 4))], schema.AddOptionsT())
    with pytest.warns(UserWarning, match="cannot be judged"):
        choice = choose(Model.load(model.to_bytes()), num_threads=None, options={})
    assert {candidate.name for candidate in choice.candidates if candidate.outcome == "ok"} == {"xnnpack", "none"}
    assert "from op 0 (RANDOM_UNIFORM) on" in choice.doubt


def test_a_chain_that_drives_a_device_is_tried_in_a_worker_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(model: Model, delegate_names: Sequence[str], options: dict[str, Any], num_threads: int | None) -> None:
        raise DelegateError(f"running it on {'+'.join(delegate_names)} in a worker process crashed")

    monkeypatch.setattr(auto, "availability", lambda name: devices.Availability(name, True, "", ""))
    monkeypatch.setattr(devices, "try_in_worker", crash, raising=False)
    choice = choose(Model.load(small_models.add()), num_threads=None, options={})
    (gpu,) = [candidate for candidate in choice.candidates if candidate.name == "gpu+xnnpack"]
    assert gpu.outcome == "running it on gpu+xnnpack in a worker process crashed" and gpu.median_us is None


class _Noise:
    """A session whose runs take random times around ``median_ns``."""

    def __init__(self, seed: int, median_ns: float) -> None:
        self._random, self._median_ns = np.random.default_rng(seed), median_ns

    def time_runs(self, min_runs: int, max_runs: int, max_seconds: float) -> Array:
        level = self._median_ns * self._random.lognormal(0, 0.1)  # of a block: a machine that others use too
        times = np.zeros((max_runs, 3), np.int64)
        times[:, 1] = level * self._random.lognormal(0, 0.2, max_runs)
        return times


def _chosen(seed: int, **medians_ns: float) -> tuple[str, str]:
    sessions: Any = {name: _Noise(seed + place, ns) for place, (name, ns) in enumerate(medians_ns.items())}
    with pytest.MonkeyPatch.context() as patch:
        # As many runs on a busy machine as on any, warm-up included, so that the same seed gives the same verdict.
        patch.setattr(auto, "_PLAN", replace(auto._PLAN, max_seconds=60.0, warmup_seconds=0.0))
        timed = auto._time(sessions, {name: Candidate(name, None, 0.0, "ok") for name in medians_ns})
    best, reason = auto._best(timed)
    return best.name, reason


def test_nothing_is_chosen_on_noise() -> None:
    # Of 500 such seeds five show a difference by chance, as intervals of 99 % may; none of these.
    for seed in range(90, 150, 3):
        name, reason = _chosen(seed, xnnpack=1e6, none=1e6, gpu=1e6)
        assert name == "xnnpack" and "no difference shown to none, gpu" in reason


def test_one_that_is_shown_faster_is_chosen() -> None:
    assert _chosen(1, xnnpack=1e6, none=0.5e6)[0] == "none"
    assert _chosen(1, xnnpack=1e6, none=0.5e6, gpu=0.25e6)[0] == "gpu"


def test_a_model_whose_inner_tensors_do_not_fit_is_run_without_keeping_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model.load(str(DIGITS))
    session = load_session(model, (), num_threads=None)
    samples = random_samples(model, session, 2)
    kept = take_reference(model, samples)
    monkeypatch.setattr(reference, "free_memory", lambda: 1000)
    found = take_reference(model, samples)
    assert "all tensors kept" in kept.kernels and "not kept for want of memory" in found.kernels
    np.testing.assert_allclose(found.outputs[1][0], kept.outputs[1][0], atol=1e-6)
