"""Arrays from numpy's files, which may come from anybody: no objects, and no more than memory holds."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import LiteDelegatesError
from litedelegates.files import open_regular
from litedelegates.free_memory import free_memory

Array = NDArray[Any]


class ArraysError(LiteDelegatesError, ValueError):
    """A file holds no arrays that can be read.

    Attributes:
        reason: Why, without the file's name.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{os.fspath(path)} cannot be read as numpy data: {reason}")
        self.reason = reason


def read_arrays(path: str | os.PathLike[str]) -> Array | dict[str, Array]:
    """Return the array of a ``.npy``, or those of a ``.npz`` by name.

    A ``.npz`` of a few MB can unpack to more than the machine has, so what it says of its sizes is added up first;
    the unpacking itself stops where a member is larger than it said.

    Raises:
        OSError: The file cannot be read.
        ArraysError: It is no such file, is damaged, holds Python objects, or needs more memory than is free.
    """
    file = Path(path)
    with open_regular(file) as opened:
        is_archive = opened.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    try:
        if not is_archive:
            _check_fits(file, _declared(file))
            return np.asarray(np.load(file, allow_pickle=False))
        with zipfile.ZipFile(file) as archive:
            _check_fits(file, sum(info.file_size for info in archive.infolist()))
        with np.load(file, allow_pickle=False) as loaded:
            return {name: np.asarray(loaded[name]) for name in loaded.files}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ArraysError(path, str(error)) from error
    except MemoryError as error:
        raise ArraysError(path, f"it needs more memory than there is ({error})") from error


def _declared(file: Path) -> int:
    """Return the bytes of the array of a ``.npy``, which it has to hold."""
    held = file.stat().st_size
    with file.open("rb") as opened:
        version = np.lib.format.read_magic(opened)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(opened)
        held -= opened.tell()
    nbytes = int(dtype.itemsize)
    for size in shape:
        nbytes *= size
    if not dtype.hasobject and nbytes > held:
        raise ValueError(f"its header says {nbytes} bytes of shape {shape} follow, and there are {held}")
    return held


def _check_fits(file: Path, nbytes: int) -> None:
    free = free_memory()
    if free is not None and nbytes > free:
        raise ValueError(f"its arrays take {nbytes} bytes of memory, and {free} are free")
