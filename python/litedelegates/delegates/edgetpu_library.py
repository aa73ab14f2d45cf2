"""libedgetpu, the runtime of Coral's Edge TPUs: where it is, its version, and the devices that it lists."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass

from litedelegates import _core
from litedelegates.delegates.opened import open_once
from litedelegates.errors import DelegateError, DelegateUnavailableError

LIBRARY_NAME = {"darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}.get(sys.platform, "libedgetpu.so.1")
INSTALL_HINT = (
    "Install the Edge TPU runtime (Debian package libedgetpu1-std, see https://coral.ai/software), or say where it is "
    "with library=..."
)
_SYMBOLS = (
    "edgetpu_list_devices",
    "edgetpu_free_devices",
    "edgetpu_version",
    "edgetpu_verbosity",
    "tflite_plugin_create_delegate",
    "tflite_plugin_destroy_delegate",
)
_TYPES = {0: "pci", 1: "usb"}


@dataclass(frozen=True)
class EdgeTpuDevice:
    """An Edge TPU that libedgetpu lists.

    Attributes:
        type: "pci" or "usb".
        path: Where the system has it, such as "/dev/apex_0" or "/sys/bus/usb/devices/2-1".
    """

    type: str
    path: str


class _Record(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


class EdgeTpuLibrary:
    """An opened libedgetpu.

    Attributes:
        path: The path or name that it was opened by.
    """

    def __init__(self, library: str | os.PathLike[str] | None = None) -> None:
        """Open it.

        Raises:
            DelegateUnavailableError: It cannot be opened; says why, and what to install.
            DelegateError: It is another library.
        """
        self.path = os.fspath(library or LIBRARY_NAME)
        try:
            _core.open_delegate_library(self.path)
        except DelegateError as error:
            raise DelegateUnavailableError(f"{error}. {INSTALL_HINT}") from None
        self._native = open_once(self.path)
        missing = [name for name in _SYMBOLS if not hasattr(self._native, name)]
        if missing:
            raise DelegateError(f"{self.path} is no libedgetpu: it lacks {', '.join(missing)}")
        self._native.edgetpu_list_devices.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
        self._native.edgetpu_list_devices.restype = ctypes.POINTER(_Record)
        self._native.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Record)]
        self._native.edgetpu_free_devices.restype = None
        self._native.edgetpu_version.argtypes = []
        self._native.edgetpu_version.restype = ctypes.c_char_p

        self._native.edgetpu_verbosity.argtypes = [ctypes.c_int]
        self._native.edgetpu_verbosity.restype = None

    @property
    def version(self) -> str:
        """Its version, as it writes it."""
        version: bytes | None = self._native.edgetpu_version()
        return (version or b"unknown").decode(errors="replace")

    def set_verbosity(self, level: int) -> None:
        """Set how much it logs, from 0 (nothing) to 10."""
        self._native.edgetpu_verbosity(level)

    def devices(self) -> list[EdgeTpuDevice]:
        """Return the Edge TPUs of this machine, in the order that ":0", ":1" count them."""
        count = ctypes.c_size_t()
        records = self._native.edgetpu_list_devices(ctypes.byref(count))
        if not records:
            return []
        try:
            return [
                EdgeTpuDevice(_TYPES.get(record.type, f"type {record.type}"), os.fsdecode(record.path or b""))
                for record in records[: count.value]
            ]
        finally:
            self._native.edgetpu_free_devices(records)


def list_edge_tpus(library: str | os.PathLike[str] | None = None) -> list[EdgeTpuDevice]:
    """Return the Edge TPUs of this machine.

    Args:
        library: Path of libedgetpu; by default the installed one.

    Raises:
        DelegateUnavailableError: libedgetpu cannot be opened; says why, and what to install.
    """
    return EdgeTpuLibrary(library).devices()
