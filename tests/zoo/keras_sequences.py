"""Keras models of sequences, all with an open batch: recurrent, temporal, transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from zoo.keras_classifiers import conv

SEQUENCE = (12, 8)


def lstm() -> Any:
    values = keras.Input(SEQUENCE)
    x = layers.LSTM(16, return_sequences=True, unroll=True)(values)
    return keras.Model(values, layers.Dense(4)(layers.LSTM(12, unroll=True)(x)))


def gru() -> Any:
    values = keras.Input(SEQUENCE)
    return keras.Model(values, layers.Dense(4)(layers.GRU(16, return_sequences=True, unroll=True)(values)))


def bidirectional() -> Any:
    values = keras.Input(SEQUENCE)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True, unroll=True))(values)
    return keras.Model(values, layers.Dense(4)(layers.Bidirectional(layers.GRU(8, unroll=True))(x)))


def time_distributed() -> Any:
    """Each image of a film, then what follows what."""
    film = keras.Input((4, 16, 16, 3))
    image = keras.Input((16, 16, 3))
    each = keras.Model(image, layers.GlobalAveragePooling2D()(conv(conv(image, 8, strides=2), 16, strides=2)))
    x = layers.GRU(8, unroll=True)(layers.TimeDistributed(each)(film))
    return keras.Model(film, layers.Dense(3)(x))


def convolutional_lstm() -> Any:
    film = keras.Input((3, 16, 16, 2))
    x = layers.ConvLSTM2D(4, 3, padding="same", unroll=True)(film)
    return keras.Model(film, layers.Conv2D(1, 1)(x))


def recurrent_attention() -> Any:
    """A reader, and a writer that attends to what was read."""
    read, written = keras.Input(SEQUENCE), keras.Input((6, 8))
    memory = layers.GRU(16, return_sequences=True, unroll=True)(read)
    x = layers.GRU(16, return_sequences=True, unroll=True)(written)
    x = layers.Concatenate()([x, layers.Attention(use_scale=True)([x, memory])])
    return keras.Model([read, written], layers.Dense(8)(x))


def temporal_convolutions() -> Any:
    """Causal and dilated, with residuals."""
    values = x = keras.Input((64, 8))
    for rate in (1, 2, 4):
        y = layers.Conv1D(16, 3, padding="causal", dilation_rate=rate, activation="relu")(x)
        x = layers.Add()([layers.Conv1D(16, 1)(x), y])
    return keras.Model(values, layers.Dense(4)(layers.GlobalMaxPooling1D()(x)))


def text_convolutions() -> Any:
    words = keras.Input((20,), dtype="int32")
    x = layers.Embedding(16, 12)(words)
    kept = [layers.GlobalMaxPooling1D()(layers.Conv1D(8, size, activation="relu")(x)) for size in (2, 3, 4)]
    return keras.Model(words, layers.Dense(3)(layers.Concatenate()(kept)))


def keywords() -> Any:
    """Spoken words: depthwise separable convolutions of a spectrogram."""
    sound = keras.Input((49, 10))
    x = conv(layers.Reshape((49, 10, 1))(sound), 16, (10, 4), strides=(2, 2))
    for _ in range(2):
        x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
        x = conv(x, 16, 1)
    return keras.Model(sound, layers.Dense(12)(layers.GlobalAveragePooling2D()(x)))


def transform(x: Any, width: int, heads: int = 2, **options: Any) -> Any:
    """Return ``x`` after one block of a transformer, normalized before attention and before the two dense layers."""
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y, **options)])
    y = layers.Dense(2 * width, activation="gelu")(layers.LayerNormalization()(x))
    return layers.Add()([x, layers.Dense(width)(y)])


class Places(layers.Layer):
    """Adds a learned vector for each place of the sequence, and with ``first`` puts one before it."""

    def __init__(self, first: bool = False) -> None:
        super().__init__()
        self.first = first

    def build(self, shape: Any) -> None:
        _, length, width = shape
        self.one = self.add_weight((1, 1, width), "random_normal") if self.first else None
        self.places = self.add_weight((1, length + self.first, width), "random_normal")

    def call(self, x: Any) -> Any:
        if self.one is not None:
            x = ops.concatenate([ops.broadcast_to(self.one, (ops.shape(x)[0], 1, x.shape[-1])), x], 1)
        return x + self.places


def vit() -> Any:
    image = keras.Input((32, 32, 3))
    x = Places(first=True)(layers.Reshape((16, 32))(layers.Conv2D(32, 8, 8)(image)))
    for _ in range(2):
        x = transform(x, 32)
    return keras.Model(image, layers.Dense(10)(layers.LayerNormalization()(x)[:, 0]))


def windows(x: Any, size: int) -> Any:
    """Return the image ``x`` as sequences of ``size * size`` places, one sequence a window."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height // size, size, width // size, size, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, size * size, channels))


def image_of(x: Any, size: int, height: int) -> Any:
    """Return the image of ``height`` rows and columns whose windows are ``x``."""
    count, channels = height // size, x.shape[-1]
    x = ops.reshape(x, (-1, count, count, size, size, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height, height, channels))


def roll(x: Any, shift: int) -> Any:
    """Return the image rolled down and to the right; TFLite has no op for it."""
    for axis in (1, 2):
        parts = ops.split(x, [shift % x.shape[axis]], axis)
        x = ops.concatenate(parts[::-1], axis)
    return x


def swin() -> Any:
    """Attention inside windows, which are shifted by half for the second block; then four places become one."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 4, 4)(image)
    for shift in (0, 2):
        y = roll(x, shift) if shift else x
        y = image_of(transform(windows(y, 4), 16), 4, 8)
        x = roll(y, -shift) if shift else y
    corners = [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    x = layers.Dense(32)(layers.LayerNormalization()(ops.concatenate(corners, -1)))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def bert() -> Any:
    """Words, and which of them are none."""
    words, mask = keras.Input((16,), dtype="int32"), keras.Input((16,), dtype="int32")
    x = layers.LayerNormalization()(Places()(layers.Embedding(32, 32)(words)))
    seen = ops.expand_dims(ops.cast(mask, "bool"), 1)
    for _ in range(2):
        x = transform(x, 32, attention_mask=seen)
    return keras.Model([words, mask], [x, layers.Dense(32, activation="tanh")(x[:, 0])])


def gpt() -> Any:
    """Every place sees those before it."""
    words = keras.Input((12,), dtype="int32")
    x = Places()(layers.Embedding(32, 32)(words))
    for _ in range(2):
        x = transform(x, 32, use_causal_mask=True)
    return keras.Model(words, layers.Dense(32)(layers.LayerNormalization()(x)))


def conformer() -> Any:
    sound = keras.Input((20, 16))
    x = transform(layers.Dense(16)(sound), 16)
    y = layers.Dense(32)(layers.LayerNormalization()(x))
    y = ops.multiply(y[..., :16], ops.sigmoid(y[..., 16:]))
    y = layers.DepthwiseConv1D(5, padding="same")(y)
    y = layers.Dense(16)(layers.Activation("silu")(layers.BatchNormalization()(y)))
    return keras.Model(sound, layers.Dense(8)(layers.Add()([x, y])))


def detr() -> Any:
    """Learned questions to an image."""
    image = keras.Input((32, 32, 3))
    x = layers.Reshape((16, 32))(conv(conv(conv(image, 8, strides=2), 16, strides=2), 32, strides=2))
    memory = transform(Places()(x), 32)
    asked = Places(first=False)(ops.zeros_like(memory[:, :5]))
    y = layers.Add()([asked, layers.MultiHeadAttention(2, 16)(asked, memory)])
    y = layers.Dense(32, activation="relu")(layers.LayerNormalization()(y))
    return keras.Model(image, [layers.Dense(4)(y), layers.Dense(4, activation="sigmoid")(y)])


def linear_attention() -> Any:
    """Attention without a softmax over places, by einsum."""
    values = keras.Input((24, 16))
    query, key, value = (layers.Reshape((24, 2, 8))(layers.Dense(16)(values)) for _ in range(3))
    query, key = ops.elu(query) + 1, ops.elu(key) + 1
    memory = ops.einsum("blhd,blhe->bhde", key, value)
    weight = ops.einsum("blhd,bhd->blh", query, ops.sum(key, 1))
    y = ops.einsum("blhd,bhde->blhe", query, memory) / ops.expand_dims(weight, -1)
    return keras.Model(values, layers.Dense(4)(layers.Reshape((24, 16))(y)))


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "lstm": lstm,
    "gru": gru,
    "bidirectional": bidirectional,
    "time_distributed": time_distributed,
    "convolutional_lstm": convolutional_lstm,
    "recurrent_attention": recurrent_attention,
    "temporal_convolutions": temporal_convolutions,
    "text_convolutions": text_convolutions,
    "keywords": keywords,
    "vit": vit,
    "swin": swin,
    "bert": bert,
    "gpt": gpt,
    "conformer": conformer,
    "detr": detr,
    "linear_attention": linear_attention,
}
