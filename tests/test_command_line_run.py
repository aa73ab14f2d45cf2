"""``litedelegates run`` on an image: what the model is given, and the classes that are shown; and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter
from litedelegates.cli import main
from numpy.typing import NDArray
from small_models_builder import ModelBuilder, Op, Quantization, Type, schema

MODELS = Path(__file__).parent.parent / "models"
DIGITS = MODELS / "digits.tflite"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """A handwritten four, 8 x 8 pixels of 0 to 255."""
    with np.load(MODELS / "digits_test.npz") as data:
        assert data["test_labels"][0] == 4
        return np.round(data["test_images"][0].reshape(8, 8) / 16 * 255).astype(np.uint8)


@pytest.fixture
def image(pixels: NDArray[np.uint8], tmp_path: Path) -> Path:
    pillow = pytest.importorskip("PIL.Image", reason="reading images needs pillow")
    pillow.fromarray(pixels).save(tmp_path / "four.png")
    return tmp_path / "four.png"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(NAMES) + "\n\n")
    return path


def run(*arguments: object) -> int:
    return main(["run", *map(str, arguments), "--runs", "1"])


def classes(*arguments: object, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert run(*arguments, "--json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["classes"]
    return found


def assert_best(found: list[dict[str, Any]], expected: NDArray[Any]) -> None:
    scores = expected.reshape(-1).astype(np.float64)
    assert [one["id"] for one in found] == np.argsort(-scores, kind="stable")[: len(found)].tolist()
    np.testing.assert_allclose([one["score"] for one in found], np.sort(scores)[::-1][: len(found)], rtol=1e-6)


def test_the_top_classes_of_an_image_are_printed_best_first(
    image: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(DIGITS, "--image", image, "--labels", labels, "--top", 2) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines() if line.startswith("class ")]
    assert [row[2:] for row in rows] == [["4", "four"], ["9", "nine"]]
    assert "as 8x8x1 NHWC: (pixel - 0) / 255" in printed.out
    assert printed.err == ""


def test_float_inputs_get_values_from_0_to_1(
    image: Path, pixels: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    found = classes(DIGITS, "--image", image, capsys=capsys)
    assert len(found) == 5
    assert_best(found, Interpreter(DIGITS).run((pixels / np.float32(255)).reshape(1, 8, 8, 1).astype(np.float32)))


def test_mean_and_std_are_what_pixels_are_made_by(
    image: Path, pixels: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    found = classes(DIGITS, "--image", image, "--mean", 127.5, "--std", 127.5, "--top", 10, capsys=capsys)
    values = ((pixels.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)).reshape(1, 8, 8, 1)
    assert_best(found, Interpreter(DIGITS).run(values))


def flattening(element_type: int, quantization: Quantization | None, *, size: int = 8) -> bytes:
    """A model whose 64 scores are the 8 x 8 pixels that it is given; with size -1 the number is open."""
    model = ModelBuilder()
    graph = model.graph()
    image = graph.input("image", (1, size, size, 1), element_type, quantization)
    scores = graph.output("scores", (1, 64 if size == 8 else -1), element_type, quantization)
    shape = graph.constant("shape", np.array([1, -1], np.int32))
    graph.op(Op.RESHAPE, [image, shape], [scores], schema.ReshapeOptionsT())
    return model.to_bytes()


FROM_MINUS_1 = Quantization([1 / 128], [0])
FROM_0 = Quantization([1 / 64], [10])


@pytest.mark.parametrize(
    ("element_type", "quantization", "given", "expected"),
    [
        (Type.FLOAT32, None, (), lambda pixels: pixels / np.float32(255)),
        (Type.UINT8, None, (), lambda pixels: pixels),
        (Type.UINT8, FROM_0, (), lambda pixels: (pixels.astype(int) - 10) / 64),
        (Type.UINT8, FROM_0, ("51", "255"), lambda pixels: (rounded((pixels - 51.0) / 255 * 64 + 10, 0) - 10) / 64),
        (Type.INT8, FROM_MINUS_1, (), lambda pixels: rounded(pixels / 255 * 128, -128) / 128),
        (Type.INT8, FROM_MINUS_1, ("128", "128"), lambda pixels: (pixels.astype(int) - 128) / 128),
        (Type.INT8, None, ("128", "1"), lambda pixels: pixels.astype(int) - 128),
    ],
)
def test_pixels_become_what_the_input_takes(
    element_type: int,
    quantization: Quantization | None,
    given: tuple[str, ...],
    expected: Callable[[NDArray[np.uint8]], NDArray[Any]],
    image: Path,
    pixels: NDArray[np.uint8],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "pixels.tflite"
    model.write_bytes(flattening(element_type, quantization))
    stated = ("--mean", given[0], "--std", given[1]) if given else ()
    found = classes(model, "--image", image, "--top", 64, *stated, capsys=capsys)
    assert_best(found, expected(pixels))


def rounded(levels: NDArray[Any], least: int) -> NDArray[Any]:
    """Return the levels of 8 bits nearest to real numbers, from the least level on."""
    return np.clip(np.rint(levels), least, least + 255)


def test_integers_without_a_scale_need_the_preprocessing(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "pixels.tflite"
    model.write_bytes(flattening(Type.INT8, None))
    assert run(model, "--image", image) == 2
    assert "input 'image' is int8 without a scale" in capsys.readouterr().err


def test_an_input_of_any_size_takes_the_one_that_is_stated(
    image: Path, pixels: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "pixels.tflite"
    model.write_bytes(flattening(Type.UINT8, None, size=-1))
    assert_best(classes(model, "--image", image, "--image-size", 8, "--top", 64, capsys=capsys), pixels)
    assert run(model, "--image", image) == 2
    assert "state --image-size HxW" in capsys.readouterr().err


def test_a_quantized_model_reads_the_digit(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    from litedelegates.quantize import quantize

    with np.load(MODELS / "digits_test.npz") as data:
        samples = (data["calibration_images"] / 16).astype(np.float32)
    path = tmp_path / "int8.tflite"
    path.write_bytes(quantize(DIGITS, "int8", samples, border="int8"))
    assert classes(path, "--image", image, capsys=capsys)[0]["id"] == 4


def test_softmax_is_shown_when_asked_for(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logits = [one["score"] for one in classes(DIGITS, "--image", image, "--top", 10, capsys=capsys)]
    shares = [one["score"] for one in classes(DIGITS, "--image", image, "--top", 10, "--softmax", capsys=capsys)]
    assert sum(shares) == pytest.approx(1)
    np.testing.assert_allclose(np.log(shares) - np.log(shares[0]), np.array(logits) - logits[0], rtol=1e-5, atol=1e-5)


def test_classes_can_be_shown_of_arrays_too(tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    np.save(tmp_path / "value.npy", value)
    found = classes(DIGITS, "--input", tmp_path / "value.npy", "--labels", labels, capsys=capsys)
    assert_best(found, Interpreter(DIGITS).run(value))
    assert [one["label"] for one in found] == [NAMES[one["id"]] for one in found]


def test_a_file_of_labels_of_another_length_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(("background", *NAMES)))
    assert run(DIGITS, "--labels", path) == 0
    assert "names 11 classes and the model has 10" in capsys.readouterr().err


def test_an_image_is_resized_and_needs_no_classes(
    tmp_path: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "conv.tflite"
    model.write_bytes(small_models.conv())
    assert run(model, "--image", image, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    _, height, width, channels = Interpreter(model).inputs[0].shape
    assert [shown["image"][key] for key in ("height", "width", "channels")] == [height, width, channels]
    assert shown["classes"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image", "missing.png"), "--image missing.png: no such file"),
        (("--image", DIGITS), "cannot identify image file"),
        (("--image", "IMAGE", "--mean", "1"), "--mean and --std go together"),
        (("--image", "IMAGE", "--mean", "1", "--std", "x"), "--std x: write a number"),
        (("--image", "IMAGE", "--image-size", "4x"), "--image-size 4x: write 224, or 192x256"),
        (("--top", "0"), "--top 0: show at least one class"),
        (("--labels", "missing.txt"), "missing.txt"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(
    arguments: tuple[object, ...], message: str, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [image if argument == "IMAGE" else argument for argument in arguments]
    assert run(DIGITS, *given) == (2 if message.startswith("--") and "no such file" not in message else 1)
    complaint = capsys.readouterr().err
    assert message in complaint and "unexpected" not in complaint and complaint.count("\n") == 1


def test_models_that_take_no_single_image_or_give_no_scores_are_refused(
    image: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add, conv = tmp_path / "add.tflite", tmp_path / "conv.tflite"
    add.write_bytes(small_models.add())
    conv.write_bytes(small_models.conv())
    assert run(add, "--image", image) == 2
    assert "takes" in capsys.readouterr().err
    assert run(conv, "--image", image, "--labels", labels) == 1
    assert "is no list of scores, one for each class" in capsys.readouterr().err


def test_json_has_all_that_the_text_shows_and_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", str(DIGITS), "--runs", "7", "--threads", "2", "--output", str(tmp_path / "out.npz"), "--json"]
    assert main(arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["schema_version"] == 1
    assert [len(shown["samples_ns"][step]) for step in ("upload", "run", "read_back")] == [7, 7, 7]
    totals = np.sum([shown["samples_ns"][step] for step in ("upload", "run", "read_back")], axis=0)
    assert shown["median_ns"] == np.median(totals)
    assert {record["ran"] for record in shown["placement"]} == {"xnnpack"} and shown["ops"] == "xnnpack 15"
    assert (shown["route"]["name"], shown["num_threads"], shown["classes"]) == ("compiled", 2, None)
    saved = np.load(tmp_path / "out.npz")["logits"]
    np.testing.assert_allclose(shown["outputs"][0]["first"], saved.reshape(-1)[:6])
    assert shown["load_ns"] > 0 and shown["first_run_ns"] > 0
