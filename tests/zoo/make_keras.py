"""Convert the Keras architectures of the zoo, with random weights: python -m zoo.make_keras FOLDER [NAME ...].

Needs TensorFlow. What is in the folder already stays as it is. Ends with 1 when one cannot be converted.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from zoo import keras_classifiers, keras_images, keras_sequences
from zoo.files import keep

ARCHITECTURES = keras_images.ARCHITECTURES | keras_sequences.ARCHITECTURES | keras_classifiers.ARCHITECTURES


def make(name: str) -> bytes:
    """Return the architecture ``name`` as a TFLite model."""
    keras.utils.set_random_seed(1)
    model = ARCHITECTURES[name]()
    _stir(model)
    content: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return content


def _stir(model: Any) -> None:
    """Move what starts at nought or one: biases and statistics that do nothing would hide a wrong one."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        if len(weight.shape) == 1 and "float" in str(weight.dtype):
            weight.assign(weight + random.uniform(-0.2, 0.2, weight.shape).astype(np.float32))


def main(folder: Path, names: list[str]) -> int:
    failed = 0
    for name in names or ARCHITECTURES:
        path = folder / f"{name}.tflite"
        if path.is_file():
            continue
        keras.backend.clear_session()
        begin = time.perf_counter()
        try:
            keep(path, make(name))
        except Exception:  # the others are still to be made
            failed += 1
            print(f"{name} cannot be made:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        else:
            print(f"{name}: {path.stat().st_size / 1e6:.2f} MB in {time.perf_counter() - begin:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
