"""Ten architectures of the zoo, converted with an open batch and random weights, beside the official Interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow: `make converters` runs this")

from zoo.files import keep
from zoo.journey import BAD, cut_rows, quantize_rows
from zoo.make_keras import make
from zoo.outcomes import try_model

# Those that convert in seconds, of each kind: applications, an image out, boxes, recurrent, attention.
SAMPLE = (
    "mobilenet",
    "squeeze_and_excite",
    "unet",
    "generator",
    "ssd",
    "yolo",
    "gru",
    "swin",
    "bert",
    "detr",
)
# A driver in software takes seconds for each to compile.
ON_GPU = ("squeeze_and_excite", "ssd")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models, as the converter writes them."""
    folder = tmp_path_factory.mktemp("zoo")
    for name in SAMPLE:
        keep(folder / f"{name}.tflite", make(name))
    return folder


def check(path: Path, delegate: str) -> None:
    rows = try_model("keras", path.stem, path, (delegate,))
    assert [(row["batch"], row["status"]) for row in rows] == [(1, "equal"), (3, "equal")], rows
    # The comparison can tell one input from another: what they give is far apart.
    assert all(row["changes"] > 100 * row["distance"] + 1e-2 for row in rows), rows


@pytest.mark.parametrize("delegate", ["none", "xnnpack"])
@pytest.mark.parametrize("name", SAMPLE)
def test_model_gives_what_the_official_interpreter_gives_at_every_batch(zoo: Path, name: str, delegate: str) -> None:
    check(zoo / f"{name}.tflite", delegate)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ON_GPU)
def test_model_runs_on_the_gpu_at_every_batch(zoo: Path, name: str) -> None:
    check(zoo / f"{name}.tflite", "gpu")


# Small ones that are quantized, cut and compared in seconds: sequences, boxes, a picture out.
QUANTIZED = ("gru", "ssd", "unet")


@pytest.mark.parametrize("name", QUANTIZED)
def test_model_is_quantized_without_a_silent_wrong_number_and_cut_at_every_batch(zoo: Path, name: str) -> None:
    path = zoo / f"{name}.tflite"
    rows = [*quantize_rows(path), *cut_rows(path)]
    assert not [row for row in rows if row["status"] in BAD], rows
    assert {row["what"] for row in rows if row["status"] == "fine"} >= {"float16", "weight_only", "dynamic"}
    assert rows[-1]["equal"] == rows[-1]["tried"] == 6
