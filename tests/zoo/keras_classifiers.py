"""Classifiers in Keras, all with an open batch: the applications, and what else sees an image and says numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import applications, layers, ops

IMAGE = (64, 64, 3)


def application(name: str, **options: Any) -> Callable[[], Any]:
    """Return what makes the application ``name`` without its softmax, which hides what the layers before it gave."""
    settings = {"input_shape": IMAGE, "weights": None, "classes": 100, "classifier_activation": None, **options}
    return lambda: getattr(applications, name)(**settings)


def conv(x: Any, filters: int, size: int = 3, *, activation: str | None = "relu", **options: Any) -> Any:
    """Return ``x`` convolved, normalized and activated."""
    x = layers.Conv2D(filters, size, padding="same", use_bias=False, **options)(x)
    x = layers.BatchNormalization()(x)
    return x if activation is None else layers.Activation(activation)(x)


def head(x: Any, classes: int = 10) -> Any:
    """Return the numbers of ``classes`` classes."""
    return layers.Dense(classes)(layers.GlobalAveragePooling2D()(x))


def resnet() -> Any:
    image = x = keras.Input(IMAGE)
    x = conv(x, 16, strides=2)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        shortcut = conv(x, filters, 1, strides=stride, activation=None)
        x = conv(conv(x, filters, strides=stride), filters, activation=None)
        x = layers.ReLU()(layers.Add()([x, shortcut]))
    return keras.Model(image, head(x))


def resnext() -> Any:
    image = x = keras.Input(IMAGE)
    x = conv(x, 16, strides=2)
    for filters, stride in ((32, 2), (64, 2)):
        shortcut = conv(x, filters, 1, strides=stride, activation=None)
        x = conv(conv(x, filters, 1), filters, strides=stride, groups=4)
        x = layers.ReLU()(layers.Add()([conv(x, filters, 1, activation=None), shortcut]))
    return keras.Model(image, head(x))


def vgg() -> Any:
    image = x = keras.Input((32, 32, 3))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(10)(x))


def squeezenet() -> Any:
    image = x = keras.Input(IMAGE)
    x = layers.MaxPooling2D()(conv(x, 16, strides=2))
    for squeeze, expand in ((4, 16), (8, 32)):
        x = conv(x, squeeze, 1)
        x = layers.Concatenate()([conv(x, expand, 1), conv(x, expand, 3)])
        x = layers.MaxPooling2D()(x)
    x = conv(layers.Dropout(0.5)(x), 10, 1, activation=None)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def shufflenet() -> Any:
    """Channels are shuffled by two reshapes around a transposition."""
    image = x = keras.Input(IMAGE)
    x = conv(x, 24, strides=2)
    for _ in range(2):
        height, width, channels = x.shape[1:]
        y = conv(x, 24, 1, groups=3)
        y = layers.Reshape((height, width, 3, channels // 3))(y)
        y = layers.Reshape((height, width, channels))(layers.Permute((1, 2, 4, 3))(y))
        y = layers.DepthwiseConv2D(3, padding="same", strides=2)(y)
        y = layers.BatchNormalization()(y)
        x = layers.Concatenate()([conv(y, 24, 1, groups=3), layers.AveragePooling2D(3, 2, "same")(x)])
        x = conv(x, 24, 1)
    return keras.Model(image, head(x))


def convnext() -> Any:
    image = x = keras.Input(IMAGE)
    x = layers.LayerNormalization()(layers.Conv2D(24, 4, 4)(x))
    for width in (24, 48):
        x = layers.Conv2D(width, 2, 2)(x)
        y = layers.LayerNormalization()(layers.DepthwiseConv2D(7, padding="same")(x))
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(y))
        x = layers.Add()([x, y])
    return keras.Model(image, head(x))


def squeeze_and_excite() -> Any:
    image = x = keras.Input(IMAGE)
    for filters in (16, 32):
        x = conv(x, filters, strides=2)
        gate = layers.Reshape((1, 1, filters))(layers.GlobalAveragePooling2D()(x))
        gate = layers.Dense(filters, activation="sigmoid")(layers.Dense(filters // 4, activation="relu")(gate))
        x = layers.Multiply()([x, gate])
    return keras.Model(image, head(x))


def cbam() -> Any:
    """Attention to channels, then to places."""
    image = x = keras.Input(IMAGE)
    x = conv(x, 16, strides=2)
    shared = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(16)])
    pooled = [layers.GlobalAveragePooling2D(keepdims=True)(x), layers.GlobalMaxPooling2D(keepdims=True)(x)]
    channels = layers.Activation("sigmoid")(layers.Add()([shared(one) for one in pooled]))
    x = layers.Multiply()([x, channels])
    places = ops.concatenate([ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)], -1)
    places = layers.Conv2D(1, 7, padding="same", activation="sigmoid")(places)
    return keras.Model(image, head(layers.Multiply()([x, places])))


def mlp_mixer() -> Any:
    image = x = keras.Input((32, 32, 3))
    x = layers.Reshape((16, 32))(layers.Conv2D(32, 8, 8)(x))
    for _ in range(2):
        y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        y = layers.Dense(16)(layers.Dense(32, activation="gelu")(y))
        x = layers.Add()([x, layers.Permute((2, 1))(y)])
        y = layers.Dense(32)(layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x)))
        x = layers.Add()([x, y])
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def siamese() -> Any:
    """Two images through the same layers, and how near they are."""
    first, second = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    image = keras.Input((32, 32, 3))
    tower = keras.Model(image, layers.Dense(16)(layers.Flatten()(conv(conv(image, 8, strides=2), 16, strides=2))))
    near = layers.Dot(-1, normalize=True)([tower(first), tower(second)])
    return keras.Model([first, second], [near, layers.Subtract()([tower(first), tower(second)])])


def recommender() -> Any:
    """Embeddings of integers beside plain numbers: wide and deep."""
    user, item = keras.Input((1,), dtype="int32"), keras.Input((4,), dtype="int32")
    numbers = keras.Input((6,))
    u, i = layers.Flatten()(layers.Embedding(16, 8)(user)), layers.Embedding(16, 8)(item)
    near = layers.Dot((1, 2))([u, i])
    x = layers.Concatenate()([u, layers.Flatten()(i), near, layers.BatchNormalization()(numbers)])
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model([user, item, numbers], layers.Add()([layers.Dense(1)(x), layers.Dense(1)(numbers)]))


# Those that take minutes to convert come last.
ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "resnet": resnet,
    "resnext": resnext,
    "vgg": vgg,
    "squeezenet": squeezenet,
    "shufflenet": shufflenet,
    "convnext": convnext,
    "squeeze_and_excite": squeeze_and_excite,
    "cbam": cbam,
    "mlp_mixer": mlp_mixer,
    "siamese": siamese,
    "recommender": recommender,
    "mobilenet": application("MobileNet", alpha=0.25),
    "mobilenet_v2": application("MobileNetV2", alpha=0.35),
    "mobilenet_v3_small": application("MobileNetV3Small", alpha=0.75, include_preprocessing=False),
    "mobilenet_v3_large": application("MobileNetV3Large", alpha=0.75, minimalistic=True),
    "efficientnet_b0": application("EfficientNetB0"),
    "efficientnet_v2_b0": application("EfficientNetV2B0"),
    "nasnet_mobile": application("NASNetMobile"),
    "densenet121": application("DenseNet121"),
}
