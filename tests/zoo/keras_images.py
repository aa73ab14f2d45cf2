"""Keras models that give an image, a map or boxes, all with an open batch: segmentation, decoders, detectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from zoo.keras_classifiers import IMAGE, conv


def unet() -> Any:
    image = x = keras.Input(IMAGE)
    kept = []
    for filters in (8, 16):
        x = conv(x, filters)
        kept.append(x)
        x = layers.MaxPooling2D()(x)
    x = conv(x, 32)
    for filters in (16, 8):
        x = layers.Conv2DTranspose(filters, 2, 2, activation="relu")(x)
        x = conv(layers.Concatenate()([x, kept.pop()]), filters)
    return keras.Model(image, layers.Conv2D(2, 1)(x))


def unet_resized() -> Any:
    image = x = keras.Input(IMAGE)
    first = conv(x, 8)
    x = conv(layers.MaxPooling2D()(first), 16)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = conv(layers.Concatenate()([x, first]), 8)
    return keras.Model(image, layers.Conv2D(2, 1)(layers.UpSampling2D(interpolation="nearest")(x)))


def open_size() -> Any:
    """Height and width are open as well."""
    image = x = keras.Input((None, None, 3))
    x = conv(conv(x, 8, strides=2), 16, strides=2)
    x = layers.Conv2DTranspose(8, 4, 4, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Conv2D(1, 1)(x))


def deeplab() -> Any:
    """Dilated convolutions, and one of the whole image that is spread over it again."""
    image = x = keras.Input(IMAGE)
    x = conv(conv(x, 16, strides=2), 24, strides=2)
    whole = conv(layers.GlobalAveragePooling2D(keepdims=True)(x), 16, 1)
    whole = layers.UpSampling2D(x.shape[1:3], interpolation="bilinear")(whole)
    x = layers.Concatenate()([whole, conv(x, 16, 1), *(conv(x, 16, dilation_rate=rate) for rate in (2, 4))])
    x = layers.UpSampling2D(4, interpolation="bilinear")(layers.Conv2D(5, 1)(x))
    return keras.Model(image, x)


def autoencoder() -> Any:
    image = x = keras.Input((32, 32, 1))
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, 2, "same", activation="relu")(x)
    code = layers.Dense(16)(layers.Flatten()(x))
    x = layers.Reshape((8, 8, 16))(layers.Dense(8 * 8 * 16, activation="relu")(code))
    for filters in (16, 8):
        x = layers.Conv2DTranspose(filters, 3, 2, "same", activation="relu")(x)
    return keras.Model(image, [layers.Conv2D(1, 3, padding="same")(x), code])


def generator() -> Any:
    """From a vector to an image, as the generator of a GAN."""
    code = keras.Input((32,))
    x = layers.Reshape((4, 4, 32))(layers.Dense(4 * 4 * 32)(code))
    for filters in (32, 16, 8):
        x = layers.Conv2DTranspose(filters, 4, 2, "same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    return keras.Model(code, layers.Conv2D(3, 3, padding="same", activation="tanh")(x))


class DepthToSpace(layers.Layer):
    """Keras has no layer of its own for it."""

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        return tf.nn.depth_to_space(x, 2)


def super_resolution() -> Any:
    image = x = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 5, padding="same", activation="relu")(x)
    x = layers.Conv2D(12, 3, padding="same")(x)
    return keras.Model(image, DepthToSpace()(x))


def keypoints() -> Any:
    """Heat maps, and where their mass is."""
    image = x = keras.Input(IMAGE)
    x = conv(conv(x, 16, strides=2), 16, strides=2)
    maps = layers.Conv2D(5, 1)(layers.Conv2DTranspose(16, 3, 2, "same")(x))
    height, width, count = maps.shape[1:]
    mass = layers.Softmax(1)(layers.Reshape((height * width, count))(maps))
    mass = layers.Reshape((height, width, count))(mass)
    down = ops.sum(mass * ops.reshape(ops.linspace(0.0, 1.0, height), (1, height, 1, 1)), (1, 2))
    across = ops.sum(mass * ops.reshape(ops.linspace(0.0, 1.0, width), (1, 1, width, 1)), (1, 2))
    return keras.Model(image, [ops.stack([down, across], -1), maps])


def ssd() -> Any:
    """Boxes and classes of several scales, one after the other."""
    image = x = keras.Input(IMAGE)
    x = conv(x, 16, strides=2)
    boxes, classes = [], []
    for filters in (24, 32, 48):
        x = conv(x, filters, strides=2)
        boxes.append(layers.Reshape((-1, 4))(layers.Conv2D(4 * 3, 3, padding="same")(x)))
        classes.append(layers.Reshape((-1, 5))(layers.Conv2D(5 * 3, 3, padding="same")(x)))
    scores = layers.Activation("sigmoid")(layers.Concatenate(1)(classes))
    return keras.Model(image, [layers.Concatenate(1)(boxes), scores])


def yolo() -> Any:
    """Boxes in the pixels of the image, from a grid and anchors."""
    image = x = keras.Input(IMAGE)
    found = []
    x = conv(conv(x, 16, strides=2, activation="silu"), 24, strides=2, activation="silu")
    for filters in (32, 48):
        x = conv(x, filters, strides=2, activation="silu")
        size = x.shape[1]
        y = layers.Reshape((size, size, 3, 5 + 4))(layers.Conv2D(3 * (5 + 4), 1)(x))
        grid = ops.stack(ops.meshgrid(ops.arange(size), ops.arange(size)), -1)
        grid = ops.cast(ops.reshape(grid, (1, size, size, 1, 2)), "float32")
        middle = (ops.sigmoid(y[..., :2]) * 2 - 0.5 + grid) * (64 / size)
        extent = (ops.sigmoid(y[..., 2:4]) * 2) ** 2 * 16
        y = ops.concatenate([middle - extent / 2, middle + extent / 2, ops.sigmoid(y[..., 4:])], -1)
        found.append(layers.Reshape((-1, 5 + 4))(y))
    return keras.Model(image, layers.Concatenate(1)(found))


def centernet() -> Any:
    """The best peaks of a map, and what another map says there."""
    image = x = keras.Input(IMAGE)
    x = conv(conv(x, 16, strides=2), 16, strides=2)
    heat = layers.Conv2D(1, 1, activation="sigmoid")(x)
    peaks = heat * ops.cast(ops.equal(heat, layers.MaxPooling2D(3, 1, "same")(heat)), "float32")
    values, places = ops.top_k(layers.Flatten()(peaks), 5)
    sizes = layers.Reshape((-1, 2))(layers.Conv2D(2, 1)(x))
    return keras.Model(image, [values, ops.take_along_axis(sizes, ops.expand_dims(places, -1), 1)])


def feature_pyramid() -> Any:
    """The same head on the maps of three scales, each with the coarser one added."""
    image = x = keras.Input(IMAGE)
    maps = []
    for filters in (16, 24, 32):
        x = conv(x, filters, strides=2)
        maps.append(layers.Conv2D(16, 1)(x))
    for index in (1, 0):
        maps[index] = layers.Add()([maps[index], layers.UpSampling2D()(maps[index + 1])])
    shared = layers.Conv2D(9 * 4, 3, padding="same")
    return keras.Model(image, layers.Concatenate(1)([layers.Reshape((-1, 4))(shared(one)) for one in maps]))


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "unet": unet,
    "unet_resized": unet_resized,
    "open_size": open_size,
    "deeplab": deeplab,
    "autoencoder": autoencoder,
    "generator": generator,
    "super_resolution": super_resolution,
    "keypoints": keypoints,
    "ssd": ssd,
    "yolo": yolo,
    "centernet": centernet,
    "feature_pyramid": feature_pyramid,
}
