"""What each precision costs trained networks on real data: the digits that ship, and an eye tracker from a wheel."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import MODELS, REPOSITORY
from litedelegates.engines import open_session
from litedelegates.quantize import quantize
from resnet152v2_findings import Accuracy
from resnet152v2_stages import LITERT, ONNX

sys.path.append(str(REPOSITORY / "tests"))  # the ONNX twin of the digits model, and models that ship in wheels

EYES = ((222, 189, False), (305, 187, True))  # middle in the photo, and whether the network wants it mirrored
EYE_SIDES = (52, 60, 68, 76)  # of the squares that are cut out of the photo
EYE_SHIFTS = (-4, -1, 2, 5)
SIDE = 64  # of the eye tracker's input


def measure_trained(folder: Path) -> list[Accuracy]:
    """Return the errors of both networks; without matplotlib's photo, Pillow or a network only those of the digits."""
    found = measure_digits(folder)
    try:
        return found + measure_eyes()
    except (ImportError, OSError, RuntimeError) as error:
        print(f"the eye tracker is left out: {error}", file=sys.stderr)
        return found


def measure_digits(folder: Path) -> list[Accuracy]:
    """Return error of the logits and accuracy on 600 digits, for the .tflite and its twin."""
    from small_onnx import digits_twin

    with np.load(MODELS / "digits_test.npz") as data:
        images, labels = (data["test_images"] / 16).astype(np.float32), data["test_labels"]
        calibration = (data["calibration_images"] / 16).astype(np.float32)
    twin = folder / "digits.onnx"
    twin.write_bytes(digits_twin(MODELS / "digits.tflite").SerializeToString())
    found = []
    for engine, path, recipes in (("LiteRT", MODELS / "digits.tflite", LITERT), ("ONNX Runtime", twin, ONNX)):
        shape = (-1, 1, 8, 8, 1) if engine == "LiteRT" else (-1, 1, 1, 8, 8)
        outputs = run_all(path, recipes, list(images.reshape(shape)), list(calibration.reshape(shape)))
        wanted = outputs["float32"]
        for precision, rows in outputs.items():
            right = float(np.mean(rows.argmax(1) == labels))
            found.append(_accuracy(f"digits on {engine}", precision, rows, wanted, "of the logits", right))
    return found


def measure_eyes() -> list[Accuracy]:
    """Return how far the points move that the eye tracker finds in a photo, in pixels of its input."""
    from real_models import real_models

    crops = cut_eyes()
    outputs = run_all(real_models()["iris_landmark"], LITERT, crops[1::2], crops[::2])
    wanted = outputs["float32"]
    return [
        _accuracy("eye tracker (iris_landmark) on a photo", precision, rows, wanted, "pixels of 64", None)
        for precision, rows in outputs.items()
    ]


def cut_eyes() -> list[Any]:
    """Return squares around both eyes of the photo that ships in matplotlib, in several sizes and places."""
    import matplotlib
    from PIL import Image, ImageOps

    photo = Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    crops = []
    for x, y, is_mirrored in EYES:
        for side in EYE_SIDES:
            for shift in EYE_SHIFTS:
                left, top = x + shift - side // 2, y - shift // 2 - side // 2
                eye = photo.resize((SIDE, SIDE), box=(left, top, left + side, top + side))
                pixels = np.asarray(ImageOps.mirror(eye) if is_mirrored else eye, np.float32)
                crops.append(pixels[np.newaxis] / 255)
    return crops


def run_all(path: Path, recipes: Any, samples: Sequence[Any], calibration: Sequence[Any]) -> dict[str, Any]:
    """Return all outputs on the samples, one row each, by precision."""
    found = {"float32": run(path, samples)}
    for precision, recipe in recipes.items():
        if recipe is not None:
            kind, more = recipe
            values = list(calibration) if kind == "int8" else None
            model = quantize(path, kind, values, allow_float32_ops=True, progress=False, **more)
            found[precision] = run(model, samples)
    return found


def run(model: Any, samples: Sequence[Any]) -> Any:
    """Return the outputs of a model of one input, flat, one row a sample."""
    session = open_session(model, num_threads=1)
    name = session.inputs[0].name
    rows = [np.concatenate([np.ravel(out) for out in session.run({name: one}).values()]) for one in samples]
    session.close()
    return np.stack(rows)


def _accuracy(network: str, precision: str, rows: Any, wanted: Any, unit: str, right: float | None) -> Accuracy:
    error = float(np.abs(rows.astype(np.float64) - wanted).mean())
    return Accuracy(network, precision, len(rows), unit, error, float(wanted.std()), right)
