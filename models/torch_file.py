"""The arrays of a file that PyTorch saved in its older format, without PyTorch and without running what is in it.

Such a file is five pickles, one behind the other (a magic number, the version, the machine, the arrays without their
content, the keys of the contents in order), then each content as its number of elements and its bytes.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_MAGIC = 0x1950A86A20F9469CFC6C


def read_arrays(content: bytes) -> dict[str, Array]:
    """Return the arrays by name.

    Raises:
        ValueError: It is no such file, or holds something else than arrays.
    """
    file = io.BytesIO(content)
    if _Reader(file, {}).load() != _MAGIC:
        raise ValueError("this is no file of PyTorch's older format")
    for _ in range(2):
        _Reader(file, {}).load()
    kinds: dict[str, str] = {}
    arrays: dict[str, _Array] = _Reader(file, kinds).load()
    contents: dict[str, Array] = {}
    for key in _Reader(file, {}).load():
        count = int.from_bytes(file.read(8), "little")
        kind = np.dtype(kinds[key])
        contents[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return {name: array.of(contents) for name, array in arrays.items()}


class _Array:
    """An array whose content comes later."""

    def __init__(self, key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> None:
        self._key, self._offset, self._shape, self._strides = key, offset, shape, strides

    def of(self, contents: dict[str, Array]) -> Array:
        whole = contents[self._key][self._offset :]
        strides = [stride * whole.itemsize for stride in self._strides]
        return np.lib.stride_tricks.as_strided(whole, self._shape, strides).copy()


class _Reader(pickle.Unpickler):
    """Knows arrays and ordered dictionaries, and refuses to make anything else."""

    def __init__(self, file: io.BytesIO, kinds: dict[str, str]) -> None:
        super().__init__(file)
        self._kinds = kinds

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Array
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise ValueError(f"the file wants to make a {module}.{name}, which is no array")

    def persistent_load(self, pid: Any) -> str:
        _, kind, key, *_ = pid
        self._kinds[key] = kind
        return str(key)
