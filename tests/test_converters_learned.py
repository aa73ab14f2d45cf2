"""Models that learned their ranges, with QKeras or tensorflow-model-optimization, and what of it is in the file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow", reason="needs TensorFlow: `make converters` runs this")

import keras
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from converter_models import TRAINING, logits_of, plain, quantization_aware, train, with_qkeras
from digits_model import digits_data, types_of
from litedelegates import Interpreter
from litedelegates.errors import QuantizationError, UnsupportedError
from litedelegates.quantize import CalibrationError, quantize, read_record
from litedelegates.quantize.keras import LearnedRangeWarning
from litedelegates.quantize.qkeras_grid import activation_grid, find_step, find_steps


@pytest.fixture(scope="module")
def calibration() -> Any:
    return digits_data()["calibration"]


@pytest.fixture(scope="module")
def qkeras_network() -> Any:
    return train(with_qkeras(), 40)


@pytest.fixture(scope="module")
def aware_network() -> Any:
    return train(quantization_aware(train(plain(tf_keras), 15)), 5)


def tensors_of(model: bytes) -> list[Any]:
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    tensors = tree.subgraphs[0].tensors
    for tensor in tensors:
        tensor.data = tree.buffers[tensor.buffer].data
    return list(tensors)


def weights_of(model: bytes, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return the scales of the int8 weights of ``shape`` and the integers, output channel first."""
    (tensor,) = (t for t in tensors_of(model) if t.data is not None and tuple(t.shape) == shape)
    return np.asarray(tensor.quantization.scale), np.asarray(tensor.data, np.uint8).view(np.int8).reshape(shape)


def activations_of(model: bytes) -> set[tuple[float, int]]:
    """Return scale and zero point of everything in ``model`` that is computed as int8."""
    return {
        (round(float(t.quantization.scale[0]), 9), int(t.quantization.zeroPoint[0]))
        for t in tensors_of(model)
        if t.type == schema.TensorType.INT8 and t.data is None
    }


def logits_by(model: bytes) -> NDArray[np.float32]:
    interpreter = Interpreter(model)
    return np.concatenate([interpreter.run(image[np.newaxis]) for image in digits_data()["images"][TRAINING:]])


def accuracy(logits: NDArray[np.float32]) -> float:
    return float(np.mean(logits.argmax(1) == digits_data()["labels"][TRAINING:]))


# tensorflow-model-optimization


def test_ranges_in_the_file_are_those_that_training_learned(aware_network: Any) -> None:
    model = quantize(aware_network, "int8")
    learned = {weight.name: np.asarray(weight) for weight in aware_network.weights}
    scales = {scale for scale, _ in activations_of(model)}
    found = 0
    for name, low in learned.items():
        if name.endswith(("post_activation_min:0", "output_min:0", "quantize_layer_min:0")):
            high = learned[name.replace("_min:0", "_max:0")]
            scale = (float(high) - float(low)) / 255
            assert any(abs(scale - other) < 1e-6 for other in scales), name
            found += 1
    assert found == 4  # the input, the first ReLU, the second convolution, the logits
    got, _ = weights_of(model, (16, 3, 3, 8))
    (highest,) = (value for name, value in learned.items() if name.endswith("quant_second/kernel_max:0"))
    np.testing.assert_allclose(got, highest / 127, rtol=1e-5)


def test_aware_model_runs_as_accurately_as_it_trained(aware_network: Any) -> None:
    expected, got = logits_of(aware_network), logits_by(quantize(aware_network, "int8"))
    assert accuracy(expected) > 0.9
    assert abs(accuracy(got) - accuracy(expected)) <= 0.01
    assert np.abs(got - expected).mean() < 0.1


def test_aware_model_needs_no_float32_inside(aware_network: Any) -> None:
    assert schema.TensorType.FLOAT32 not in types_of(quantize(aware_network, "int8", border="int8"))


@pytest.mark.parametrize("ending", ["h5", "saved"])
def test_aware_model_in_a_file_keeps_its_ranges(aware_network: Any, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"aware{'.h5' if ending == 'h5' else ''}"
    aware_network.save(path)
    assert activations_of(quantize(path, "int8")) == activations_of(quantize(aware_network, "int8"))


def test_aware_model_takes_int8_alone_and_no_calibration(aware_network: Any, calibration: Any) -> None:
    for precision in ("float16", "dynamic", "int16x8", "weight_only"):
        with pytest.raises(QuantizationError, match="learned with tensorflow-model-optimization"):
            quantize(aware_network, precision, calibration if precision == "int16x8" else None)
    with pytest.raises(CalibrationError, match="leave it out"):
        quantize(aware_network, "int8", calibration)


def test_annotated_model_is_told_to_be_applied_first() -> None:
    import tensorflow_model_optimization as tfmot

    annotated = tfmot.quantization.keras.quantize_annotate_model(plain(tf_keras))
    with pytest.raises(QuantizationError, match="quantize_apply"):
        quantize(annotated, "int8")


# QKeras


def test_weights_in_the_file_are_those_that_qkeras_computes_with(qkeras_network: Any, calibration: Any) -> None:
    model = quantize(qkeras_network, "int8", calibration)
    for name, shape, order in (("second", (16, 3, 3, 8), (3, 0, 1, 2)), ("logits", (10, 256), (1, 0))):
        layer = qkeras_network.get_layer(name)
        learned = np.asarray(layer.kernel_quantizer_internal(layer.kernel)).transpose(order)
        scales, integers = weights_of(model, shape)
        scales = scales.reshape(-1, *[1] * (integers.ndim - 1))
        np.testing.assert_allclose(scales * integers, learned, rtol=1e-4, atol=1e-6)


def test_weights_before_a_batch_normalization_keep_their_few_integers(qkeras_network: Any, calibration: Any) -> None:
    layer = qkeras_network.get_layer("first")
    learned = np.asarray(layer.kernel_quantizer_internal(layer.kernel)) / 0.125  # 4 bits, none before the point
    _, integers = weights_of(quantize(qkeras_network, "int8", calibration), (8, 3, 3, 1))
    assert np.abs(integers).max() <= 7
    np.testing.assert_array_equal(np.abs(integers), np.abs(learned.transpose(3, 0, 1, 2).round()))


def test_activations_in_the_file_have_the_learned_step_and_end(qkeras_network: Any, calibration: Any) -> None:
    found = activations_of(quantize(qkeras_network, "int8", calibration))
    for step, high in ((1 / 256, 255 / 256), (0.25, 3.75), (0.125, 3.875), (0.0625, 3.9375)):
        assert (step, round(127 - high / step)) in found


def test_qkeras_model_runs_as_it_trained(qkeras_network: Any, calibration: Any) -> None:
    expected, got = logits_of(qkeras_network), logits_by(quantize(qkeras_network, "int8", calibration))
    assert accuracy(expected) > 0.9
    assert abs(accuracy(got) - accuracy(expected)) <= 0.015
    assert np.abs(got - expected).mean() < 0.02 * np.abs(expected).max()


def test_qkeras_file_gives_the_same_model_and_the_object_stays_as_it_was(
    qkeras_network: Any, calibration: Any, tmp_path: Path
) -> None:
    before = logits_of(qkeras_network)
    qkeras_network.save(tmp_path / "network.keras")
    by_file = quantize(tmp_path / "network.keras", "int8", calibration)
    by_object = quantize(qkeras_network, "int8", calibration)
    assert activations_of(by_file) == activations_of(by_object)
    np.testing.assert_array_equal(logits_of(qkeras_network), before)


def test_layer_without_a_learned_range_asks_for_calibration(qkeras_network: Any) -> None:
    with pytest.raises(CalibrationError, match="no range for logits"):
        quantize(qkeras_network, "int8")


def test_weights_that_no_8_bits_hold_are_said(calibration: Any) -> None:
    from qkeras import QDense

    image = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(image)
    network = keras.Model(image, QDense(10, kernel_quantizer="quantized_bits(14, 0, alpha=1)", name="wide")(flat))
    with pytest.warns(LearnedRangeWarning, match="'wide'"):
        model = quantize(network, "int8", calibration)
    record = read_record(model)
    assert record is not None
    assert "wide" in record.recipe["not_kept"][0]


def test_dense_layer_with_a_step_for_each_channel_is_kept(calibration: Any) -> None:
    from qkeras import QDense

    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(image)
    network = keras.Model(image, QDense(10, kernel_quantizer="quantized_bits(4, 0, alpha='auto')", name="out")(flat))
    with warnings.catch_warnings():
        warnings.simplefilter("error", LearnedRangeWarning)
        model = quantize(network, "int8", calibration)
    layer = network.get_layer("out")
    learned = np.asarray(layer.kernel_quantizer_internal(layer.kernel))
    scales, integers = weights_of(model, (10, 1, 1, 64))
    np.testing.assert_allclose(scales[:, np.newaxis] * integers[:, 0, 0], learned.T, rtol=1e-4, atol=1e-6)


def test_quantizers_that_8_bits_cannot_say_are_named() -> None:
    from qkeras import QActivation

    image = keras.Input((8,))
    for quantizer in (
        "quantized_tanh(4)",
        "quantized_relu(4, 0, negative_slope=0.25)",
        "quantized_bits(12, 2, alpha=1)",
    ):
        network = keras.Model(image, QActivation(quantizer, name="odd")(image))
        with pytest.raises(UnsupportedError, match="'odd'"):
            quantize(network, "int8")


def test_steps_are_found_whatever_made_them() -> None:
    assert find_step(np.array([0.5, -0.25, 0.75])) == pytest.approx(0.25)
    assert find_step(np.array([0.3, 0.5])) == pytest.approx(0.1)
    assert find_step(np.zeros(3)) == 1.0
    assert find_step(np.array([1.0, 1 / 1000])) is None
    assert find_step(np.random.default_rng(0).normal(size=50)) is None
    channels = np.array([[0.5, 0.3], [1.0, 0.7]])
    np.testing.assert_allclose(find_steps(channels), [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(find_steps(np.array([[1.0, 0.03], [100.0, 3.0]])), [1.0, 0.03])


def test_grids_are_those_that_the_quantizers_make() -> None:
    from qkeras import quantized_bits, quantized_relu

    values = np.arange(-20, 20, 1 / 512, dtype=np.float32)
    for quantizer in (quantized_relu(4, 2), quantized_relu(8), quantized_bits(5, 1, alpha=1), quantized_bits(8, 3, 0)):
        grid = activation_grid(quantizer)
        assert grid is not None
        made = np.unique(np.asarray(quantizer(values)))
        assert (grid.low, grid.high) == (made.min(), made.max())
        np.testing.assert_allclose(np.diff(made), grid.step)
