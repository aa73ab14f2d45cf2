"""Small networks for digits, trained a few steps with Keras 3, tf_keras, QKeras and tensorflow-model-optimization."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tf_keras
from digits_model import digits_data
from numpy.typing import NDArray

TRAINING = 400  # of the 600 images; the others are for the accuracy


def train(network: Any, epochs: int) -> Any:
    """Return ``network`` trained ``epochs`` times over the first images."""
    library = keras if isinstance(network, keras.Model) else tf_keras
    data = digits_data()
    network.compile(library.optimizers.Adam(3e-3), library.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(data["images"][:TRAINING], data["labels"][:TRAINING], epochs=epochs, batch_size=32, verbose=0)
    return network


def plain(library: Any) -> Any:
    """Return a float32 network of ``library``, keras or tf_keras."""
    library.utils.set_random_seed(1)
    layers = library.layers
    image = library.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, use_bias=False, name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(16, 3, activation="relu", name="second")(x)
    x = layers.Flatten(name="flatten")(x)
    return library.Model(image, layers.Dense(10, name="logits")(x), name="digits")


def with_qkeras() -> Any:
    """Return a QKeras network of 4, 6 and 8 bits whose output layer has no learned range."""
    from qkeras import QActivation, QConv2D, QDense, QDepthwiseConv2D

    keras.utils.set_random_seed(1)
    bias = "quantized_bits(8, 2, alpha=1)"
    image = keras.Input((8, 8, 1), name="image")
    x = QActivation("quantized_relu(8, 0)", name="pixels")(image)
    x = QConv2D(8, 3, kernel_quantizer="quantized_bits(4, 0, alpha=1)", bias_quantizer=bias, name="first")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = QActivation("quantized_relu(4, 2)", name="relu")(x)
    x = QDepthwiseConv2D(
        3,
        padding="same",
        depthwise_quantizer="quantized_bits(4, 0, alpha=1)",
        bias_quantizer=bias,
        activation="quantized_bits(6, 2, alpha=1)",
        name="signed",
    )(x)
    x = QConv2D(
        16,
        3,
        kernel_quantizer="quantized_bits(8, 0, alpha='auto')",
        bias_quantizer=bias,
        activation="quantized_relu(6, 2)",
        name="second",
    )(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = QDense(10, kernel_quantizer="quantized_bits(6, 0, alpha=1)", bias_quantizer=bias, name="logits")(x)
    return keras.Model(image, x, name="digits")


def quantization_aware(network: Any) -> Any:
    """Return ``network`` (tf_keras) as tensorflow-model-optimization rewrites it for training."""
    import tensorflow_model_optimization as tfmot

    annotated = tfmot.quantization.keras.quantize_annotate_model(network)
    return tfmot.quantization.keras.quantize_apply(annotated)


def logits_of(network: Any) -> NDArray[np.float32]:
    """Return what ``network`` computes for the images that it was not trained on."""
    return np.asarray(network.predict(digits_data()["images"][TRAINING:], verbose=0))
