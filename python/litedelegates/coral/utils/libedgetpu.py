"""The Edge TPU's library, ``libedgetpu``, by its C interface: what does not need a model."""

from __future__ import annotations

import ctypes
import functools
import sys

from litedelegates.errors import DelegateUnavailableError

_NAMES = {"linux": "libedgetpu.so.1", "darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}
_TYPES = {0: "pci", 1: "usb"}  # enum edgetpu_device_type


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("path", ctypes.c_char_p)]


@functools.cache
def library() -> ctypes.CDLL:
    """Return the library, opened once.

    Raises:
        DelegateUnavailableError: It is not installed or cannot be opened; carries the loader's words.
    """
    name = _NAMES.get(sys.platform, _NAMES["linux"])
    try:
        opened = ctypes.CDLL(name)
        opened.edgetpu_list_devices.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
        opened.edgetpu_list_devices.restype = ctypes.POINTER(_Device)
        opened.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Device)]
        opened.edgetpu_free_devices.restype = None
        opened.edgetpu_verbosity.argtypes = [ctypes.c_int]
        opened.edgetpu_verbosity.restype = None
        opened.edgetpu_version.argtypes = []
        opened.edgetpu_version.restype = ctypes.c_char_p
    except (OSError, AttributeError) as error:
        raise DelegateUnavailableError(
            f"the Edge TPU's library {name} cannot be used: {error}. Install the package libedgetpu1-std"
        ) from None
    return opened


def devices() -> list[dict[str, str]]:
    """Return ``{"type": "usb" or "pci", "path": ...}`` for each Edge TPU, in the library's order.

    Raises:
        DelegateUnavailableError: The library is not installed.
    """
    count = ctypes.c_size_t()
    found = library().edgetpu_list_devices(ctypes.byref(count))
    if not found:
        return []
    try:
        return [
            {"type": _TYPES.get(device.type, "unknown"), "path": (device.path or b"").decode(errors="replace")}
            for device in found[: count.value]
        ]
    finally:
        library().edgetpu_free_devices(found)
