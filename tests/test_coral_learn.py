"""Retraining of the last layer: what is trained, and the model files that come out of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from litedelegates import Interpreter, InvalidModelError, MissingExtraError, UnsupportedError
from litedelegates.coral.adapters import classify, common
from litedelegates.coral.learn.backprop.softmax_regression import SoftmaxRegression
from litedelegates.coral.learn.head import EditedModel
from litedelegates.coral.learn.imprinting.engine import SCORE_SCALE, ImprintingEngine
from litedelegates.coral.utils.edgetpu import make_interpreter
from small_models_builder import ModelBuilder, Op, schema
from small_models_coral import LAST_WEIGHTS

MODELS = Path(__file__).parent.parent / "models"
DIGITS = MODELS / "digits.tflite"

Array = np.ndarray[Any, Any]


def softmax(logits: Array) -> Array:
    powers: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def unit(values: Any) -> Array:
    array = np.asarray(values, np.float64)
    length: Array = array / np.linalg.norm(array, axis=-1, keepdims=True)
    return length


def run(model: bytes, value: Array) -> Array:
    """Run a model here and on the official Interpreter, which must agree; return the outputs' first row."""
    official = Official(model_content=model)
    official.allocate_tensors()
    official.set_tensor(official.get_input_details()[0]["index"], value)
    official.invoke()
    wanted = official.get_tensor(official.get_output_details()[0]["index"])
    np.testing.assert_allclose(Interpreter(model).run(value), wanted, atol=1e-6)
    row: Array = wanted[0]
    return row


def test_the_extractor_gives_the_input_of_the_last_layer_at_length_1() -> None:
    engine = ImprintingEngine(small_models.dense_classifier())
    assert (engine.embedding_dim, engine.num_classes) == (4, 0)
    value = np.array([[1, -2, 3, 0.5]], np.float32)
    extractor = Interpreter(engine.serialize_extractor_model())
    assert list(extractor.get_signature_list()) == ["serving_default"]
    np.testing.assert_allclose(run(engine.serialize_extractor_model(), value), unit(value)[0], atol=1e-6)


def test_weights_are_the_mean_of_the_examples_at_length_1() -> None:
    engine = ImprintingEngine(small_models.dense_classifier())
    examples = [[[1, 0, 0, 1], [0, 50, 0, 0]], [[0, 0, -3, 0]]]
    for class_id, embeddings in enumerate(examples):
        for embedding in embeddings:
            engine.train(np.array(embedding, np.float32), class_id)
    assert engine.num_classes == 2
    weights = np.array([unit(np.mean(unit(embeddings), axis=0)) for embeddings in examples])
    value = np.array([[0.5, 1, -2, 0.25]], np.float32)
    wanted = softmax(SCORE_SCALE * weights @ unit(value[0]))
    np.testing.assert_allclose(run(engine.serialize_model(), value), wanted, atol=1e-5)


def test_kept_classes_stay_in_front_and_are_not_retrained() -> None:
    engine = ImprintingEngine(small_models.dense_classifier(), keep_classes=True)
    assert engine.num_classes == 2
    with pytest.raises(ValueError, match="not retrained"):
        engine.train(np.ones(4), 1)
    engine.train([0, 1, 1, 0], 2)
    value = np.array([[1, 2, 0, -1]], np.float32)
    weights = unit([*LAST_WEIGHTS, [0, 1, 1, 0]])
    wanted = softmax(SCORE_SCALE * weights @ unit(value[0]))
    np.testing.assert_allclose(run(engine.serialize_model(), value), wanted, atol=1e-5)
    again = ImprintingEngine(engine.serialize_model(), keep_classes=True)
    assert again.num_classes == 3
    np.testing.assert_allclose(run(again.serialize_model(), value), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("embedding", "class_id", "message"),
    [
        ([1, 0, 0], 0, "3 values; the model makes 4"),
        ([0, 0, 0, 0], 0, "no direction"),
        ([np.nan, 0, 0, 0], 0, "no direction"),
        ([1, 0, 0, 0], 1, "the next new class is 0"),
        ([1, 0, 0, 0], -1, "the next new class is 0"),
    ],
)
def test_examples_that_cannot_be_learned_are_refused(embedding: Any, class_id: int, message: str) -> None:
    engine = ImprintingEngine(small_models.dense_classifier())
    with pytest.raises(ValueError, match=message):
        engine.train(embedding, class_id)
    with pytest.raises(ValueError, match="no classes yet"):
        engine.serialize_model()


def test_a_quantized_model_keeps_its_body_and_gets_a_float_layer() -> None:
    engine = ImprintingEngine(small_models.imprinted_int8(), keep_classes=True)
    value = np.array([[[[16, 0, 32, -16]]]], np.int8)
    extractor = Interpreter(engine.serialize_extractor_model())
    assert extractor.outputs[0].element_type == "int8"  # it was of length 1 already
    extractor.run(value)
    embedding = classify.get_scores(extractor)
    np.testing.assert_allclose(embedding, unit([1, 0, 2, -1]), atol=1 / 128)
    engine.train(embedding, 2)
    wanted = softmax(SCORE_SCALE * unit([*LAST_WEIGHTS, unit([1, 0, 2, -1])]) @ unit([1, 0, 2, -1]))
    np.testing.assert_allclose(run(engine.serialize_model(), value), wanted, atol=0.02)


def scores_by_pixel() -> bytes:
    """A 1x1 CONV_2D of an image (1, 2, 2, 2): scores for each pixel and not for the image."""
    model = ModelBuilder()
    graph = model.graph()
    weights = graph.constant("weights", np.ones((3, 1, 1, 2), np.float32))
    bias = graph.constant("bias", np.zeros(3, np.float32))
    inputs = [graph.input("image", (1, 2, 2, 2)), weights, bias]
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    graph.op(Op.CONV_2D, inputs, [graph.output("scores", (1, 2, 2, 3))], options)
    return model.to_bytes()


def test_models_that_imprinting_cannot_retrain_say_why() -> None:
    with pytest.raises(UnsupportedError, match="biases"):
        ImprintingEngine(small_models.dense_classifier(bias=0.5), keep_classes=True)
    ImprintingEngine(small_models.dense_classifier(bias=0.5))
    with pytest.raises(UnsupportedError, match=r"ends in ADD.*without its last layer"):
        ImprintingEngine(small_models.add())
    with pytest.raises(UnsupportedError, match="ends in edgetpu-custom-op"):
        ImprintingEngine(small_models.custom_op("edgetpu-custom-op"))
    with pytest.raises(UnsupportedError, match="ends in CONV_2D"):
        ImprintingEngine(small_models.conv())  # 3x3
    with pytest.raises(UnsupportedError, match="from 2 values, and reads 8: average"):
        ImprintingEngine(scores_by_pixel())
    with pytest.raises(UnsupportedError, match="one output"):
        ImprintingEngine(small_models.detector())
    with pytest.raises(UnsupportedError, match="nothing makes its output"):
        ImprintingEngine(small_models.only_pass_through())
    with pytest.raises(InvalidModelError):
        ImprintingEngine(b"no model at all")


def test_without_flatbuffers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(MissingExtraError, match=r"litedelegates\[quantize\]"):
        ImprintingEngine(small_models.dense_classifier())
    with pytest.raises(MissingExtraError, match=r"litedelegates\[quantize\]"):
        SoftmaxRegression(4, 2).serialize_model(small_models.dense_classifier())


def test_the_old_weights_leave_the_file() -> None:
    assert len(ImprintingEngine(DIGITS).serialize_extractor_model()) < DIGITS.stat().st_size


def test_an_edge_tpus_op_survives_the_edit() -> None:
    model = EditedModel(small_models.custom_op("edgetpu-custom-op"))
    model.append_classifier(np.ones((2, 4), np.float32), np.zeros(2, np.float32))
    again = EditedModel(model.to_bytes())
    assert again.made_by(again.last_layer().source) == "edgetpu-custom-op"


def blobs(count: int, seed: int) -> tuple[Array, Array]:
    """Return points around three corners, and which corner each is at."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    return (np.eye(4)[labels] * 3 + rng.normal(0, 0.3, (count, 4))).astype(np.float32), labels


def dataset() -> dict[str, Array]:
    (features, labels), (more, their_labels) = blobs(200, 1), blobs(50, 2)
    return {"data_train": features, "labels_train": labels, "data_val": more, "labels_val": their_labels}


def test_softmax_regression_learns_and_tells_its_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    model = SoftmaxRegression(feature_dim=4, num_classes=3, weight_scale=0.01, reg=0.0, seed=0)
    data = dataset()
    model.train_with_sgd(data, num_iter=200, learning_rate=0.1, batch_size=20, print_every=50)
    assert model.get_accuracy(data["data_val"], data["labels_val"]) == 1.0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"step {step} of 200" for step in (0, 50, 100, 150)]
    model.train_with_sgd(data, 10, 0.1, print_every=0)
    assert capsys.readouterr().out == ""


def test_accuracy_is_the_share_of_right_answers() -> None:
    model = SoftmaxRegression(2, 2)
    model.weights, model.biases = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)
    assert model.get_accuracy([[1, 0], [0, 1], [2, 1], [0, 3]], [0, 1, 1, 1]) == 0.75


def test_one_step_goes_down_the_gradient_of_the_loss() -> None:
    model = SoftmaxRegression(4, 3, weight_scale=0.5, reg=0.2, seed=3)
    assert model.weights is not None and model.biases is not None
    start, bias, (features, labels) = model.weights.astype(float), model.biases.astype(float), blobs(1, 4)

    def loss(weights: Array, biases: Array) -> float:
        likelihood = softmax(features @ weights + biases)[np.arange(len(labels)), labels]
        return float(-np.log(likelihood).mean() + 0.1 * np.square(weights).sum())

    data = {"data_train": features, "labels_train": labels, "data_val": features, "labels_val": labels}
    model.train_with_sgd(data, num_iter=1, learning_rate=1.0, batch_size=8, print_every=0)
    for position in ((0, 0), (1, 2), (3, 1)):
        step = np.zeros((4, 3))
        step[position] = 1e-5
        slope = (loss(start + step, bias) - loss(start - step, bias)) / 2e-5
        assert start[position] - model.weights[position] == pytest.approx(slope, abs=1e-5)
    for position in range(3):
        shift = 1e-5 * np.eye(3)[position]
        slope = (loss(start, bias + shift) - loss(start, bias - shift)) / 2e-5
        assert bias[position] - model.biases[position] == pytest.approx(slope, abs=1e-5)


def test_the_first_weights_have_the_scale_that_was_asked_for() -> None:
    model = SoftmaxRegression(1000, 10, weight_scale=0.05, seed=1)
    assert model.weights is not None and model.biases is not None
    assert model.weights.std() == pytest.approx(0.05, rel=0.05) and not model.biases.any()


def test_sizes_are_taken_from_the_data_when_not_given() -> None:
    model = SoftmaxRegression(seed=0)
    with pytest.raises(ValueError, match="train first"):
        model.get_accuracy([[1.0]], [0])
    model.train_with_sgd(dataset(), 5, 0.1, print_every=0)
    assert (model.feature_dim, model.num_classes) == (4, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data_train": np.ones((200, 5))}, r"train.*\(200, 5\)"),
        ({"labels_train": np.zeros(3, int)}, r"train.*\(3,\)"),
        ({"labels_train": np.full(200, 3)}, "from 0 to 2"),
        ({"labels_train": np.full(200, 0.5)}, "integers"),
        ({"data_val": np.ones((2, 4))}, "val"),
    ],
)
def test_data_that_does_not_fit_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(4, 3).train_with_sgd({**dataset(), **changed}, 1, 0.1)


def test_the_layer_is_put_behind_a_model() -> None:
    model = SoftmaxRegression(4, 3, weight_scale=1.0, seed=0)
    model.biases = np.array([0.5, -0.5, 1], np.float32)
    value = np.array([[1, -2, 3, 0.5]], np.float32)
    assert model.weights is not None
    wanted = softmax(2 * value[0] @ model.weights + model.biases)
    np.testing.assert_allclose(run(model.serialize_model(small_models.scale_by_two()), value), wanted, atol=1e-5)
    with pytest.raises(ValueError, match="3 values; this layer was trained on 4"):
        model.serialize_model(small_models.dense_dynamic_batch())


def test_a_quantized_embedding_of_four_axes_is_dequantized_and_flattened() -> None:
    body = small_models.conv_int8()
    extractor = Interpreter(body)
    size = classify.num_classes(extractor)
    value = np.random.default_rng(0).integers(-128, 128, extractor.inputs[0].shape, np.int8)
    extractor.run(value)
    model = SoftmaxRegression(size, 3, weight_scale=0.1, seed=0)
    assert model.weights is not None
    wanted = softmax(classify.get_scores(extractor) @ model.weights)
    np.testing.assert_allclose(run(model.serialize_model(body), value), wanted, atol=1e-4)


def test_a_batch_of_any_size_stays_one() -> None:
    model = SoftmaxRegression(3, 2, seed=0)
    serialized = Interpreter(model.serialize_model(small_models.dense_dynamic_batch()))
    assert serialized.run(np.ones((5, 4), np.float32)).shape == (5, 2)


def test_the_digits_are_learned_again_from_64_images(tmp_path: Path) -> None:
    data = np.load(MODELS / "digits_test.npz")
    images, labels = data["calibration_images"] / np.float32(16), data["calibration_labels"]
    engine = ImprintingEngine(str(DIGITS))
    (tmp_path / "extractor.tflite").write_bytes(engine.serialize_extractor_model())
    extractor = make_interpreter(str(tmp_path / "extractor.tflite"))
    extractor.allocate_tensors()
    embeddings = np.zeros((len(images), engine.embedding_dim), np.float32)
    for row, image in enumerate(images):
        common.set_input(extractor, image)
        extractor.invoke()
        embeddings[row] = classify.get_scores(extractor)
    for class_id in range(10):
        for embedding in embeddings[labels == class_id]:
            engine.train(embedding, class_id)
    regression = SoftmaxRegression(engine.embedding_dim, 10, seed=0)
    sets = {"data_train": embeddings, "labels_train": labels, "data_val": embeddings, "labels_val": labels}
    regression.train_with_sgd(sets, 200, 1.0, batch_size=32, print_every=0)
    for model in (engine.serialize_model(), regression.serialize_model(tmp_path / "extractor.tflite")):
        interpreter = make_interpreter(model)
        right = [
            interpreter.run(image[None] / np.float32(16)).argmax() == label
            for image, label in zip(data["test_images"], data["test_labels"], strict=True)
        ]
        assert np.mean(right) > 0.97


def test_a_model_that_cannot_be_opened_raises_a_value_error_as_in_pycoral(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tflite", str(tmp_path / "missing.tflite"), tmp_path):
        with pytest.raises(InvalidModelError, match=r"cannot open.*(No such file|directory)"):
            ImprintingEngine(path)
        with pytest.raises(ValueError, match="cannot open"):
            SoftmaxRegression(4, 2).serialize_model(path)


def test_an_engine_that_was_not_trained_raises_a_runtime_error_as_in_pycoral() -> None:
    engine = ImprintingEngine(small_models.dense_classifier())
    for error in (RuntimeError, ValueError):
        with pytest.raises(error, match="no classes yet"):
            engine.serialize_model()
