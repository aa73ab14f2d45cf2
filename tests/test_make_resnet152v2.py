"""The script that writes ResNet152V2, on a network of the same kind that has a few blocks only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))

from litedelegates.engines import open_session
from litedelegates.graph import load
from resnet152v2_network import Network
from resnet152v2_tflite import write_tflite
from resnet152v2_weights import EPSILON, FileWeights

STACKS = ((4, 2), (8, 2))
IMAGE = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)


class Recorder:
    """Weights as Keras has them, norms not folded, collected by Keras' names while the network asks for its own."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(1)
        self.arrays: dict[str, Any] = {}

    def linear(self, name: str, shape: tuple[int, ...], gain: float) -> tuple[Any, Any]:
        spread = (2 / np.prod(shape[1:])) ** 0.5
        self.arrays[f"{name}/kernel"] = self.random.normal(0, spread, (*shape[1:], shape[0])).astype(np.float32)
        if name.endswith(("_1_conv", "_2_conv")):
            self.affine(f"{name.removesuffix('_conv')}_bn", shape[0])
        else:
            self.arrays[f"{name}/bias"] = self.random.normal(size=shape[0]).astype(np.float32)
        return np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)

    def affine(self, name: str, channels: int) -> tuple[Any, Any]:
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            self.arrays[f"{name}/{part}"] = self.random.uniform(0.5, 1.5, channels).astype(np.float32)
        return np.ones(channels, np.float32), np.zeros(channels, np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recorder = Recorder()
    Network(recorder, STACKS)
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    np.savez(path, allow_pickle=False, **recorder.arrays)
    return path


def run(model: bytes) -> Any:
    return open_session(model, same_kernels=True).run({"image": IMAGE})["probabilities"]


def test_both_files_compute_the_same(weights: Path):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")
    from resnet152v2_onnx import write_onnx

    layers = Network(FileWeights(weights), STACKS).layers
    first, second = b"".join(write_tflite(layers, "test")), write_onnx(layers, "test")
    np.testing.assert_allclose(run(first), run(second), rtol=1e-4, atol=1e-9)
    named = {op.name for op in load(first).ops}
    assert named <= {tensor.name for tensor in load(second).tensors}


def test_a_norm_behind_a_convolution_is_folded_into_it(weights: Path):
    name = "conv2_block1_1_conv"
    arrays = dict(np.load(weights))
    kernel = arrays[f"{name}/kernel"].astype(np.float64)[0, 0]
    pixels = np.random.default_rng(2).normal(size=(5, len(kernel)))
    gamma, beta, mean, variance = (
        arrays[f"conv2_block1_1_bn/{part}"].astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    wanted = gamma * (pixels @ kernel - mean) / np.sqrt(variance + EPSILON) + beta
    folded, bias = FileWeights(weights).linear(name, (kernel.shape[1], 1, 1, len(kernel)), 1.0)
    np.testing.assert_allclose(pixels @ folded[:, 0, 0].T + bias, wanted, rtol=1e-5, atol=1e-5)


def test_a_file_of_another_network_is_refused_by_the_name_that_is_missing(weights: Path, tmp_path: Path):
    path = tmp_path / "other.npz"
    np.savez(path, allow_pickle=False, **{"conv1_conv/kernel": np.zeros((7, 7, 3, 64), np.float32)})
    with pytest.raises(ValueError, match="has no conv2_block1_preact_bn/gamma; it has 1 arrays: conv1_conv/kernel"):
        Network(FileWeights(path), STACKS)
    with pytest.raises(ValueError, match=r"conv1_conv/kernel has the shape \(7, 7, 3, 64\)"):
        FileWeights(path).linear("conv1_conv", (64, 3, 3, 3), 1.0)
