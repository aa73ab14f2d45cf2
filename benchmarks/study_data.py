"""The data that a model is calibrated and tried on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from harness import MODELS
from litedelegates.quantize import random_calibration

Inputs: TypeAlias = tuple[Any, ...]  # one array for each input of the model

CALIBRATION_COUNT = 64
RANDOM_COUNT = 16
DIGITS_PIXEL_MAX = 16  # models/train_digits.py


@dataclass(frozen=True)
class Data:
    """What the model is calibrated and tried on.

    Attributes:
        calibration: Samples for int8.
        trials: Samples whose outputs are compared; with labels none of them was used for calibration.
        labels: The right class of each trial, or None.
        source: Where they come from, for the reader of the result.
        is_random: They are noise: errors are not those of real data.
    """

    calibration: list[Inputs]
    trials: list[Inputs]
    labels: Any
    source: str
    is_random: bool


def load_data(model: Path, specs: tuple[Any, ...], calibration: Path | None, seed: int) -> Data:
    """Return the data for ``model``: the user's file, the digits that come with digits.tflite, or noise.

    Args:
        model: The model file.
        specs: Its inputs, as ``Interpreter.inputs`` gives them.
        calibration: ``.npy`` for a model of one input, or ``.npz`` with an array for each input by name (any name for
            a model of one input) and, if wanted, "labels".
        seed: Seed of the noise.

    Raises:
        ValueError: The file does not fit the model.
    """
    if calibration is not None:
        return _load_file(calibration, specs)
    if model.resolve() == (MODELS / "digits.tflite").resolve():
        return _load_digits(MODELS / "digits_test.npz")
    noise = random_calibration(model.read_bytes(), RANDOM_COUNT, seed)
    samples = [tuple(sample.values()) for sample in noise]
    source = "random calibration: times are valid, errors are not those of real data"
    return Data(samples, samples, None, source, is_random=True)


def _load_digits(path: Path) -> Data:
    with np.load(path) as file:
        images = _split((file["test_images"] / DIGITS_PIXEL_MAX).astype(np.float32))
        calibration = _split((file["calibration_images"] / DIGITS_PIXEL_MAX).astype(np.float32))
        labels = file["test_labels"]
    source = f"{len(calibration)} digits for calibration, {len(images)} others with labels ({path.name})"
    return Data(calibration, images, labels, source, is_random=False)


def _split(images: Any) -> list[Inputs]:
    return [(images[index : index + 1],) for index in range(len(images))]


def _load_file(path: Path, specs: tuple[Any, ...]) -> Data:
    loaded = np.load(path)
    arrays = {"input": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    labels = arrays.pop("labels", None)
    names = [spec.name for spec in specs]
    if len(specs) == 1 and len(arrays) == 1:
        arrays = {names[0]: next(iter(arrays.values()))}
    if set(arrays) != set(names):
        raise ValueError(f"{path} holds the arrays {sorted(arrays)}; the inputs of the model are called {names}")
    count = len(arrays[names[0]])
    samples = [tuple(_shape_sample(path, spec, arrays[spec.name], index) for spec in specs) for index in range(count)]
    if labels is None:
        return Data(samples[:CALIBRATION_COUNT], samples, None, f"{count} samples of {path.name}", is_random=False)
    if len(labels) != count or count < 2:
        raise ValueError(f"{path} holds {len(labels)} labels for {count} samples")
    cut = min(CALIBRATION_COUNT, count // 2)
    source = f"{path.name}: the first {cut} samples for calibration, the other {count - cut} with labels"
    return Data(samples[:cut], samples[cut:], labels[cut:], source, is_random=False)


def _shape_sample(path: Path, spec: Any, array: Any, index: int) -> Any:
    sample = array[index]
    if sample.shape == tuple(spec.shape)[1:]:
        sample = sample[np.newaxis]
    if sample.shape != tuple(spec.shape) or sample.dtype != spec.dtype:
        raise ValueError(
            f"{path}: sample {index} for input {spec.name!r} is {sample.dtype} {sample.shape}; the model takes "
            f"{np.dtype(spec.dtype)} {tuple(spec.shape)}. The file needs one entry a sample, scaled as for training"
        )
    return sample
