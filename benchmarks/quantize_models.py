"""ResNet152V2 with random weights as .keras, .tflite or .onnx: quantize_models.py KIND FILE."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

SEED = 7


def build() -> Any:
    """Return ResNet152V2 whose batch normalizations are no identities, as they are not after training either."""
    import keras

    keras.utils.set_random_seed(SEED)
    random = np.random.default_rng(SEED)
    network = keras.applications.ResNet152V2(weights=None)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (value.shape for value in layer.get_weights())
            layer.set_weights(
                [
                    random.uniform(0.7, 1.3, gamma),
                    random.normal(0, 0.2, beta),
                    random.normal(0, 0.1, mean),
                    random.uniform(0.7, 1.3, variance),
                ]
            )
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([kernel * 20, bias])  # else every class gets 1/1000
    return network


def write(kind: str, path: Path) -> None:
    """Write the network to ``path`` as ``kind``, whole or not at all."""
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    network = build()
    if kind == "keras":
        network.save(part)
    elif kind == "tflite":
        part.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    else:
        signature = [tf.TensorSpec((1, 224, 224, 3), tf.float32, name="image")]  # else the batch stays open
        network.export(part, format="onnx", input_signature=signature, verbose=False)
    part.replace(path)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
