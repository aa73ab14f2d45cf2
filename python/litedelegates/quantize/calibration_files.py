"""Calibration samples from numpy's files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from litedelegates.arrays import ArraysError, read_arrays

SUFFIXES = (".npy", ".npz")


def load_samples(path: str | os.PathLike[str]) -> NDArray[Any] | dict[str, NDArray[Any]] | str:
    """Return the array of a ``.npy``, the arrays of a ``.npz`` by name, or a clause that says why there are none.

    Raises:
        OSError: The path cannot be read.
    """
    file = Path(path)
    if file.is_dir():
        return "is a folder: for images state their preprocessing, Images(folder, mean=..., std=...)"
    if file.suffix not in SUFFIXES:
        return "is neither 'random' nor a .npy or .npz file"
    try:
        return read_arrays(file)
    except ArraysError as error:
        return f"cannot be read as numpy data ({error.reason})"
