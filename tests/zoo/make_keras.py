"""Convert the Keras architectures of the zoo, with random weights: python -m zoo.make_keras FOLDER [NAME ...].

Needs TensorFlow. What is in the folder already stays as it is. Ends with 1 when one cannot be converted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from zoo import keras_classifiers, keras_images, keras_sequences
from zoo.files import make_missing

ARCHITECTURES = keras_images.ARCHITECTURES | keras_sequences.ARCHITECTURES | keras_classifiers.ARCHITECTURES


def make(name: str) -> bytes:
    """Return the architecture ``name`` as a TFLite model."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    model = ARCHITECTURES[name]()
    _stir(model)
    content: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return content


def _stir(model: Any) -> None:
    """Give biases values and normalizations the statistics of random inputs.

    As they start, a wrong bias would not show, and after thirty layers every input gives the same.
    """
    random = np.random.default_rng(1)
    for weight in model.weights:
        if len(weight.shape) == 1 and "float" in str(weight.dtype):
            weight.assign(weight + random.uniform(-0.2, 0.2, weight.shape).astype(np.float32))
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = 0.0  # takes over what it sees
    shapes = [[8, *(size or 32 for size in value.shape[1:])] for value in model.inputs]
    integers = ["int" in value.dtype for value in model.inputs]
    values = [
        random.integers(0, 4, shape) if whole else random.normal(size=shape).astype(np.float32)
        for shape, whole in zip(shapes, integers, strict=True)
    ]
    model(values if len(values) > 1 else values[0], training=True)


if __name__ == "__main__":
    sys.exit(make_missing(Path(sys.argv[1]), sys.argv[2:] or ARCHITECTURES, make))
