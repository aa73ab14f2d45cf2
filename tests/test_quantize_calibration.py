"""Where calibration samples come from, and which ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from digits_model import DIGITS, digits_data, edit, run, types_of
from litedelegates.errors import OptionError
from litedelegates.quantize import (
    CalibrationError,
    CalibrationWarning,
    Images,
    quantize,
    random_calibration,
    read_record,
)


@pytest.fixture(scope="module")
def digits() -> dict[str, NDArray[Any]]:
    return digits_data()


def test_more_calibration_samples_lower_the_error(digits: dict[str, NDArray[Any]]) -> None:
    """litert-quantizer's moving average fails this: there the first sample decides the ranges."""
    expected = run(DIGITS.read_bytes(), digits["images"])

    def error(samples: int) -> float:
        model = quantize(DIGITS, "int8", digits["calibration"][:samples])
        return float(np.abs(run(model, digits["images"]) - expected).mean())

    assert error(64) < 0.5 * error(1)


def test_calibration_by_array_tuple_dict_and_generator_give_the_same_model(digits: dict[str, NDArray[Any]]) -> None:
    arrays = list(digits["calibration"][:4])
    models = {
        quantize(DIGITS, "int8", arrays),
        quantize(DIGITS, "int8", [(array,) for array in arrays]),
        quantize(DIGITS, "int8", [{"image": array} for array in arrays]),
        quantize(DIGITS, "int8", (array for array in arrays)),
    }
    assert len(models) == 1


def test_random_calibration_is_repeatable_and_makes_an_int8_model() -> None:
    samples = random_calibration(DIGITS, samples=3, seed=5)
    again = random_calibration(DIGITS, samples=3, seed=5)
    assert [set(sample) for sample in samples] == [{"image"}] * 3
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(samples, again, strict=True))
    assert schema.TensorType.INT8 in types_of(quantize(DIGITS, "int8", samples))


def image(value: float = 0.5, shape: tuple[int, ...] = (1, 8, 8, 1), dtype: Any = np.float32) -> NDArray[Any]:
    varied = np.full(shape, value, dtype)
    varied.flat[0] = 0.25
    return varied


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, r"'int8' needs calibration: .*'image' \(1, 8, 8, 1\) float32"),
        ([], "calibration is empty"),
        ((x for x in ()), "calibration is empty"),
        ({"image": image()}, "calibration is one dict, .*put it in a list"),
        ([image(), image(np.nan)], "sample 1 holds NaN: 63 of 64 values"),
        ([image(np.inf)], "sample 0 holds infinity"),
        ([image(shape=(8, 8, 1))], r"shape \(8, 8, 1\); input 'image' takes \(1, 8, 8, 1\): add the batch axis"),
        ([image(shape=(1, 16, 16, 1))], r"shape \(1, 16, 16, 1\); input 'image' takes \(1, 8, 8, 1\)$"),
        ([image(dtype=np.float64)], "float64; input 'image' takes float32"),
        ([image(8, dtype=np.uint8)], "uint8; input 'image' takes float32"),
        ([np.zeros((1, 8, 8, 1), np.float32)] * 3, "every value of input 'image' is 0 in all 3 calibration samples"),
        ([(image(), image())], "sample 0 has 2 arrays; the model has 1 inputs"),
        ([{"picture": image()}], r"keys \['picture'\]; the inputs are called \['image'\]"),
        ([{"image": [[0.0]]}], "a list; it takes a numpy array"),
    ],
)
def test_unusable_calibration_says_what_was_found(calibration: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        quantize(DIGITS, "int8", calibration)


def two_input_model() -> bytes:
    """Return left - right, both (1, 4) float32: no weights, and the order of the inputs matters."""

    def reduce_to_subtraction(tree: Any) -> None:
        graph = tree.subgraphs[0]
        graph.tensors = [schema.TensorT() for _ in range(3)]
        for tensor, name in zip(graph.tensors, ("left", "right", "difference"), strict=True):
            tensor.shape, tensor.type, tensor.name, tensor.buffer = [1, 4], schema.TensorType.FLOAT32, name, 0
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1], [2]
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.SubOptions, schema.SubOptionsT()
        graph.operators, graph.inputs, graph.outputs = [op], [0, 1], [2]
        code = tree.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SUB
        tree.signatureDefs, tree.metadata = None, None

    return edit(DIGITS.read_bytes(), reduce_to_subtraction)


def test_several_inputs_are_calibrated_by_order_and_by_name() -> None:
    random = np.random.default_rng(0)
    left, right = random.uniform(0, 1, (2, 1, 4)).astype(np.float32) * np.float32([[[1]], [[100]]])
    by_order = quantize(two_input_model(), "int8", [(left, right)], border="int8")
    assert by_order == quantize(two_input_model(), "int8", [{"right": right, "left": left}], border="int8")
    details = Interpreter(model_content=by_order).get_input_details()
    scales = {detail["name"]: detail["quantization"][0] for detail in details}
    assert scales["right"] == pytest.approx(right.max() / 255, rel=1e-3)
    assert scales["left"] == pytest.approx(left.max() / 255, rel=1e-3)


def test_one_dead_input_among_several_is_named() -> None:
    dead, alive = np.zeros((1, 4), np.float32), np.float32([[1, 2, 3, 4]])
    with pytest.raises(CalibrationError, match="every value of input 'right' is 0 in all 2"):
        quantize(two_input_model(), "int8", [(alive, dead)] * 2)


# Other sources than an iterable


def test_stacked_array_npy_and_npz_give_the_same_model_as_the_samples(
    digits: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    stacked = digits["calibration"][:6, 0]  # (6, 8, 8, 1): samples without their batch axis, along the first
    np.save(tmp_path / "samples.npy", stacked)
    np.savez(tmp_path / "named.npz", image=stacked)
    np.savez(tmp_path / "unnamed.npz", stacked)
    sources = [stacked, digits["calibration"][:6], tmp_path / "samples.npy", str(tmp_path / "samples.npy")]
    sources += [tmp_path / "named.npz", tmp_path / "unnamed.npz"]
    models = {quantize(DIGITS, "int8", source) for source in [*sources, list(digits["calibration"][:6])]}
    assert len(models) == 1


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("labels.npz", {"labels": np.zeros(3, np.float32)}, r"called \['labels'\]; the inputs are called \['image'\]"),
        (
            "size.npz",
            {"image": np.zeros((3, 9, 9, 1), np.float32)},
            r"\(1, 9, 9, 1\); input 'image' takes \(1, 8, 8, 1\)",
        ),
        ("type.npz", {"image": np.zeros((3, 8, 8, 1), np.uint8)}, "uint8; input 'image' takes float32"),
    ],
)
def test_npz_that_does_not_fit_says_what_it_has(
    tmp_path: Path, name: str, arrays: dict[str, NDArray[Any]], message: str
) -> None:
    np.savez(tmp_path / name, **arrays)
    with pytest.raises(CalibrationError, match=message):
        quantize(DIGITS, "int8", tmp_path / name)


def test_file_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(CalibrationError, match=r"damaged\.npz' cannot be read as numpy data"):
        quantize(DIGITS, "int8", tmp_path / "damaged.npz")
    with pytest.raises(CalibrationError, match=r"is a folder: for images state their preprocessing"):
        quantize(DIGITS, "int8", tmp_path)
    with pytest.raises(CalibrationError, match=r"'randon' is neither 'random' nor a .npy or .npz file. Did you mean"):
        quantize(DIGITS, "int8", "randon")
    with pytest.raises(FileNotFoundError):
        quantize(DIGITS, "int8", tmp_path / "missing.npy")


def test_random_calibration_by_word_warns_that_it_is_for_speed_only() -> None:
    with pytest.warns(CalibrationWarning, match="ranges come from noise.*do not ship it") as caught:
        model = quantize(DIGITS, "int8", "random")
    assert {Path(warning.filename).name for warning in caught} == {Path(__file__).name}
    record = read_record(model)
    assert record is not None and record.calibration_samples == 8


def test_calibration_for_a_precision_without_ranges_is_refused(digits: dict[str, NDArray[Any]]) -> None:
    with pytest.raises(OptionError, match="'weight_only' uses neither calibration nor border nor method"):
        quantize(DIGITS, "weight_only", digits["calibration"])


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_methods_litert_quantizer_lacks_are_refused(digits: dict[str, NDArray[Any]], method: str) -> None:
    with pytest.raises(OptionError, match=f"method '{method}' is not in litert-quantizer.*onnxruntime has"):
        quantize(DIGITS, "int8", digits["calibration"], method=method)


def test_progress_bar_comes_only_when_asked_where_nobody_watches(
    digits: dict[str, NDArray[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    quantize(DIGITS, "int8", digits["calibration"][:5], progress=True)
    shown = capsys.readouterr().err
    assert "calibrating: 100%" in shown and "5/5" in shown
    quantize(DIGITS, "int8", digits["calibration"][:5], progress=False)
    assert capsys.readouterr().err == ""


# Images


def write_images(folder: Path, images: NDArray[np.float32]) -> None:
    """Write ``images`` (N, H, W, 1) in [0, 1], 16 levels, as PNG files."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install pillow")
    for index, image in enumerate(images):
        pillow.fromarray(np.round(image[..., 0] * 16 * 15).astype(np.uint8)).save(folder / f"{index:03}.png")


def test_folder_of_images_calibrates_as_the_same_arrays(digits: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    write_images(tmp_path, digits["calibration"][:8, 0])
    from_folder = quantize(DIGITS, "int8", Images(tmp_path, mean=0, std=240))
    assert from_folder == quantize(DIGITS, "int8", digits["calibration"][:8])


def test_images_are_resized_normalized_and_laid_out_as_stated(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install pillow")
    (tmp_path / "deeper").mkdir()
    for name, color in {"a.png": (255, 0, 51), "deeper/b.jpg": (0, 0, 0), "c.bmp": (1, 2, 3)}.items():
        pillow.new("RGB", (40, 20), color).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    images = Images(tmp_path, mean=(0, 1, 1), std=(255, 1, 50), size=(4, 6), layout="NCHW")
    first, *others = list(images)
    assert [value.shape for value in (first, *others)] == [(1, 3, 4, 6)] * 3 and first.dtype == np.float32
    np.testing.assert_allclose(first[0, :, 0, 0], [1, -1, 1])
    (taken,) = Images(tmp_path, mean=0, std=1, size=2, channels=1, dtype="uint8", limit=1)
    assert taken.shape == (1, 2, 2, 1) and taken.dtype == np.uint8


def test_images_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no image in it"):
        Images(tmp_path, mean=0, std=1).paths()
    with pytest.raises(OptionError, match="not a folder"):
        Images(tmp_path / "missing", mean=0, std=1).paths()
    with pytest.raises(OptionError, match=r"layout 'NHCW' is unknown. Did you mean 'NHWC'"):
        Images(tmp_path, mean=0, std=1, layout="NHCW")
    with pytest.raises(OptionError, match="std=0 must be above 0"):
        Images(tmp_path, mean=0, std=0)
    with pytest.raises(OptionError, match=r"shape \(1, 10\) takes no images"):
        Images(tmp_path, mean=0, std=1).fit((1, 10), np.float32)
    with pytest.raises(OptionError, match="images of any size: state size"):
        Images(tmp_path, mean=0, std=1).fit((1, -1, -1, 3), np.float32)
