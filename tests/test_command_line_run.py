"""``litedelegates run`` on an image: what the model is given, and the classes that are shown; and its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter
from litedelegates.cli import main
from numpy.typing import NDArray

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
    scores = expected.reshape(-1)
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


@pytest.fixture(params=["int8", "uint8"])
def integers(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    from litedelegates.quantize import quantize

    with np.load(MODELS / "digits_test.npz") as data:
        samples = (data["calibration_images"] / 16).astype(np.float32)
    path = tmp_path / f"{request.param}.tflite"
    path.write_bytes(quantize(DIGITS, "int8", samples, border=request.param))
    return path


def test_int8_inputs_go_through_the_scale_and_uint8_inputs_get_the_bytes(
    integers: Path, image: Path, pixels: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    found = classes(integers, "--image", image, "--top", 10, capsys=capsys)
    interpreter = Interpreter(integers)
    assert interpreter.inputs[0].element_type == integers.stem
    given = pixels if integers.stem == "uint8" else pixels / np.float32(255)
    assert_best(found, interpreter.run(given.reshape(1, 8, 8, 1), quantize=True))
    assert found[0]["id"] == 4


def test_stated_mean_and_std_hold_for_uint8_inputs_too(
    integers: Path, image: Path, pixels: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    found = classes(integers, "--image", image, "--mean", 51, "--std", 255, "--top", 10, capsys=capsys)
    values = ((pixels.astype(np.float32) - 51) / np.float32(255)).reshape(1, 8, 8, 1)
    assert_best(found, Interpreter(integers).run(values, quantize=True))


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


def test_an_image_of_any_size_takes_the_one_that_is_stated(
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
    assert run(DIGITS, *given) == 1
    complaint = capsys.readouterr().err
    assert message in complaint and "unexpected" not in complaint and complaint.count("\n") == 1


def test_models_that_take_no_single_image_or_give_no_scores_are_refused(
    image: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add, conv = tmp_path / "add.tflite", tmp_path / "conv.tflite"
    add.write_bytes(small_models.add())
    conv.write_bytes(small_models.conv())
    assert run(add, "--image", image) == 1
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
