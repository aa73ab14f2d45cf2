"""Memory that two processes of this machine share, through which arrays go between them.

The memory is a file without a name: it is gone with the last process that has it open, however that ends.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from litedelegates.errors import UnsupportedError
from litedelegates.model import numpy_dtype
from litedelegates.routes import Array

_ALIGNMENT = 64  # bytes: a cache line, and what vector instructions like best


class Block:
    """A block of shared memory that one side writes and the other reads, in turns.

    Attributes:
        file: Its descriptor: the same number in a process that inherits it.
    """

    def __init__(self, file: int | None = None) -> None:
        """Make a block, or open the one that this process has inherited as ``file``."""
        self.file = os.memfd_create("litedelegates") if file is None else file
        self._memory: mmap.mmap | None = None

    def write(self, arrays: Mapping[str, Array]) -> list[dict[str, Any]]:
        """Write arrays, in place of what is there, and return where they are, for `read`.

        Raises:
            UnsupportedError: One holds objects, such as strings.
        """
        places, end = [], 0
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise UnsupportedError(f"{name!r} holds {array.dtype}: only plain numbers go from process to process")
            places.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "offset": end})
            end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        memory = self._map(end)
        for place, array in zip(places, arrays.values(), strict=True):
            _view(memory, place)[...] = array
        return places

    def read(self, places: list[dict[str, Any]]) -> dict[str, Array]:
        """Return the arrays that `write` wrote, without a copy: they change when it writes again."""
        end = max((place["offset"] + _nbytes(place) for place in places), default=0)
        memory = self._map(end)
        return {place["name"]: _view(memory, place) for place in places}

    def close(self) -> None:
        """Give the memory back, once no array shows it any more."""
        if self.file >= 0:
            os.close(self.file)
            self.file, self._memory = -1, None

    def _map(self, nbytes: int) -> mmap.mmap:
        """Return the memory, which grows where it is too small."""
        if self._memory is None or len(self._memory) < nbytes:
            size = max(nbytes, mmap.PAGESIZE, os.fstat(self.file).st_size)
            if os.fstat(self.file).st_size < size:
                os.ftruncate(self.file, size)
            self._memory = mmap.mmap(self.file, size)
        return self._memory


def _view(memory: mmap.mmap, place: dict[str, Any]) -> Array:
    dtype = numpy_dtype(place["dtype"])
    count = int(np.prod(place["shape"], dtype=np.int64))
    return np.frombuffer(memory, dtype, count, place["offset"]).reshape(place["shape"])


def _nbytes(place: dict[str, Any]) -> int:
    return int(np.prod(place["shape"], dtype=np.int64)) * numpy_dtype(place["dtype"]).itemsize
