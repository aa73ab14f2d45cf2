"""Train the small digit classifier that ships with litedelegates, and write its held-out test set beside it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
PIXEL_MAX = 16  # load_digits counts ink in 4 x 4 blocks: 0 to 16
TEST_COUNT = 600
CALIBRATION_COUNT = 64

DESCRIPTION = """\
Train a small convolutional network on scikit-learn's 8 x 8 handwritten digits and write

  digits.tflite      float32, input "image" (1, 8, 8, 1) in [0, 1], output "logits" (1, 10), signature "serving_default"
  digits_test.npz    test_images, test_labels (never trained on), calibration_images, calibration_labels (from the
                     training split); images are uint8 (N, 8, 8, 1) from 0 to 16: divide by 16 before use

It needs tensorflow and scikit-learn (pip install tensorflow-cpu scikit-learn), no network, and about a minute.
The same seed on the same machine and TensorFlow gives the same file.

example:
  python models/train_digits.py --epochs 60 --out models
"""


def load_split(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return ``train_images, train_labels, test_images, test_labels``, images uint8 (N, 8, 8, 1) from 0 to 16."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = digits.images.astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.uint8)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=TEST_COUNT, random_state=seed, stratify=labels
    )
    return train_images, train_labels, test_images, test_labels


def build_network() -> Any:
    """Return the Keras network: two skip blocks at 16 x 16, pooling, a wider part at 8 x 8, and two dense layers.

    The image is enlarged first because at 8 x 8 the whole network runs in 20 us: too little for a benchmark to resolve.
    """
    import keras
    from keras import layers

    def conv(x: Any, channels: int, name: str, *, relu: bool = True) -> Any:
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    def separable(x: Any, channels: int, name: str, *, relu: bool = True) -> Any:
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
        x = layers.BatchNormalization(name=f"{name}_depthwise_norm")(x)
        x = layers.ReLU(name=f"{name}_depthwise_relu")(x)
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
        x = layers.BatchNormalization(name=f"{name}_pointwise_norm")(x)
        return layers.ReLU(name=f"{name}_pointwise_relu")(x) if relu else x

    image = keras.Input((8, 8, 1), batch_size=1, name="image")
    x = layers.UpSampling2D(2, interpolation="bilinear", name="enlarge")(image)
    x = stem = conv(x, 32, "stem")
    x = separable(x, 32, "block1", relu=False)
    x = skip1 = layers.ReLU(name="block1_relu")(layers.Add(name="block1_add")([x, stem]))
    x = conv(x, 32, "block2_conv1")
    x = conv(x, 32, "block2_conv2", relu=False)
    x = layers.ReLU(name="block2_relu")(layers.Add(name="block2_add")([x, skip1]))
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = separable(x, 64, "widen")
    x = conv(x, 56, "deep")
    x = layers.AveragePooling2D(8, name="average")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(32, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(10, name="logits")(x), name="digits")


def train(images: NDArray[np.float32], labels: NDArray[np.uint8], epochs: int, seed: int) -> Any:
    """Return the network trained on ``images`` (N, 8, 8, 1) in [0, 1], jittered anew each epoch."""
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    network = build_network()
    jitter = keras.Sequential(
        [
            layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=seed),
            layers.RandomRotation(0.03, fill_mode="constant", seed=seed + 1),
            layers.RandomZoom(0.08, fill_mode="constant", seed=seed + 2),
        ]
    )
    batch = 64
    steps = len(images) // batch
    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=seed)
    data = data.batch(batch, drop_remainder=True).map(lambda x, y: (jitter(x, training=True), y))
    # The input layer has batch 1 for the exported file; the weights do not care, so train a free-batch twin.
    twin = keras.models.clone_model(network, input_tensors=keras.Input((8, 8, 1), name="image"))
    twin.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(3e-3, epochs * steps), weight_decay=1e-3
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    twin.fit(data, epochs=epochs, verbose=0)
    network.set_weights(twin.get_weights())
    return network


def convert(network: Any) -> bytes:
    """Return ``network`` as a float32 ``.tflite`` with the one signature ``serving_default``."""
    import tensorflow as tf

    # From a SavedModel of a plain tf.Module the weights would stay variables (VAR_HANDLE ops); this route freezes them.
    return bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())


def tidy_names(model: bytes) -> bytes:
    """Return ``model`` with its signature and each tensor named after layers; the converter joins fused names with ';'.

    An output of an op takes the name of the op that closes the layer ("digits_1/stem_1/Conv2D;...;stem_relu_1/Relu"
    becomes "stem_relu"); constants are named after the op that reads them ("stem_relu/weights").
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    tree.description = "litedelegates digits classifier"
    graph = tree.subgraphs[0]
    constant_roles = {1: "weights", 2: "bias"}
    for tensor in (graph.tensors[i] for i in graph.inputs):
        tensor.name = "image"
    for op in graph.operators:
        output = graph.tensors[op.outputs[0]]
        output.name = "logits" if op.outputs[0] in graph.outputs else _layer_of(output.name.decode())
        for position, index in enumerate(op.inputs):
            if tree.buffers[graph.tensors[index].buffer].data is not None:
                graph.tensors[index].name = f"{output.name}/{constant_roles.get(position, 'constant')}"
    (signature,) = tree.signatureDefs
    signature.inputs[0].name, signature.outputs[0].name = "image", "logits"
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _layer_of(fused_name: str) -> str:
    layers_joined = [part.split("/")[1].removesuffix("_1") for part in fused_name.split(";") if part.count("/") >= 2]
    closing = [name for name in layers_joined if not name.endswith("_norm")]
    relu = [name for name in closing if name.endswith("_relu")]
    return (relu or closing or [fused_name])[0]


def measure_accuracy(model: bytes, images: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Return the share of ``images`` (N, 8, 8, 1) in [0, 1] that ``model`` classifies as ``labels``."""
    import tensorflow as tf

    runner = tf.lite.Interpreter(model_content=model).get_signature_runner("serving_default")
    guesses = [int(runner(image=image[np.newaxis])["logits"].argmax()) for image in images]
    return float(np.mean(np.array(guesses) == labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the two files (default: beside this script)")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the training images (default: 60)")
    parser.add_argument("--seed", type=int, default=7, help="seed of split, weights and jitter (default: 7)")
    arguments = parser.parse_args()

    train_images, train_labels, test_images, test_labels = load_split(arguments.seed)
    scaled = (train_images / PIXEL_MAX).astype(np.float32)
    model = tidy_names(convert(train(scaled, train_labels, arguments.epochs, arguments.seed)))
    accuracy = measure_accuracy(model, (test_images / PIXEL_MAX).astype(np.float32), test_labels)

    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "digits.tflite").write_bytes(model)
    np.savez_compressed(
        arguments.out / "digits_test.npz",
        test_images=test_images,
        test_labels=test_labels,
        calibration_images=train_images[:CALIBRATION_COUNT],
        calibration_labels=train_labels[:CALIBRATION_COUNT],
    )
    print(f"digits.tflite: {len(model) / 1000:.0f} kB, test accuracy {accuracy:.2%} on {len(test_labels)} images")


if __name__ == "__main__":
    main()
