"""Weights of ResNet152V2 from a file, its batch norms folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
EPSILON = 1.001e-5  # of the network's batch norms in Keras


class FileWeights:
    """The weights of a file, by Keras' names of the layers.

    Takes the ``.h5`` that ``keras.applications.ResNet152V2(weights="imagenet")`` downloads (needs h5py), or an ``.npz``
    with arrays such as "conv1_conv/kernel", "conv1_conv/bias" and "post_bn/gamma" in the same layouts.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            OSError: It cannot be read.
        """
        self._path = path
        self._arrays = _read_npz(path) if path.suffix == ".npz" else _read_h5(path)

    def linear(self, name: str, shape: tuple[int, ...], gain: float) -> tuple[Array, Array]:
        """Return weights (outputs first) and bias of a layer, with the batch norm behind it folded in."""
        kernel = self._array(f"{name}/kernel")
        values = np.moveaxis(kernel, -1, 0).astype(np.float64)
        if values.shape != shape:
            raise ValueError(f"{self._path}: {name}/kernel has the shape {kernel.shape}, which is not {shape} turned")
        bias = self._arrays.get(f"{name}/bias", np.zeros(shape[0])).astype(np.float64)
        norm = f"{name.removesuffix('_conv')}_bn"
        if name.endswith("_conv") and f"{norm}/gamma" in self._arrays:
            scale, shift = self._norm(norm)
            values, bias = values * scale.reshape(-1, *[1] * (values.ndim - 1)), bias * scale + shift
        return np.ascontiguousarray(values, np.float32), bias.astype(np.float32)

    def affine(self, name: str, channels: int) -> tuple[Array | None, Array]:
        """Return scale and shift of a batch norm."""
        scale, shift = self._norm(name)
        if scale.shape != (channels,):
            raise ValueError(f"{self._path}: {name} has {len(scale)} channels, not {channels}")
        return scale.astype(np.float32), shift.astype(np.float32)

    def _norm(self, name: str) -> tuple[Array, Array]:
        gamma, beta, mean, variance = (
            self._array(f"{name}/{part}").astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    def _array(self, name: str) -> Array:
        if name not in self._arrays:
            known = ", ".join(sorted(self._arrays)[:4]) or "nothing"
            raise ValueError(f"{self._path} has no {name}; it has {len(self._arrays)} arrays: {known} ...")
        return self._arrays[name]


def _read_npz(path: Path) -> dict[str, Array]:
    with np.load(path) as file:
        return dict(file)


def _read_h5(path: Path) -> dict[str, Array]:
    """Return the arrays by the name of the layer, which is a group of the file, and their own, such as "kernel"."""
    import h5py

    found: dict[str, Array] = {}

    def keep(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset):
            parts = name.split("/")
            found[f"{parts[0]}/{parts[-1].partition(':')[0]}"] = entry[()]

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found
