"""Coral's Edge TPU, through libedgetpu."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal

from litedelegates import _core
from litedelegates.delegates.base import Created
from litedelegates.delegates.edgetpu_diagnosis import diagnose
from litedelegates.delegates.edgetpu_library import EdgeTpuLibrary
from litedelegates.delegates.options import delegate_options
from litedelegates.errors import DelegateError, DelegateUnavailableError, OptionError, nearest

if TYPE_CHECKING:
    from litedelegates.model import Model

CUSTOM_OP = "edgetpu-custom-op"
_DEVICE = re.compile(r"(usb|pci)?(:\d{1,9})?")
_PERFORMANCE = ("low", "medium", "high", "max")
# How libedgetpu spells the options; it ignores a key that it does not know.
_KEYS = {
    "performance": "Performance",
    "usb_always_dfu": "Usb.AlwaysDfu",
    "usb_max_bulk_in_queue_length": "Usb.MaxBulkInQueueLength",
}


@delegate_options
class EdgeTpu(Created):
    """Run the ops that ``edgetpu_compiler`` made on an Edge TPU.

    A device that this process has open already is shared, and keeps the options it was opened with.

    Attributes:
        device: ":N" counts all devices, "usb:N" and "pci:N" those of one kind; "usb" and "pci" are any of that kind.
            Unset is any device, PCIe before USB; where options are set that only USB has, a USB one.
        performance: Clock: "low", "medium", "high", "max". libedgetpu's default is "max".
        usb_always_dfu: Load the firmware at every opening; USB only.
        usb_max_bulk_in_queue_length: 0 to 255, how many reads are queued; USB only. libedgetpu's default is 32, and 8
            for a device that is shared.
        library: Path of libedgetpu; unset is the installed one.
    """

    device: str | None = None
    performance: Literal["low", "medium", "high", "max"] | None = None
    usb_always_dfu: bool | None = None
    usb_max_bulk_in_queue_length: int | None = None
    library: str | os.PathLike[str] | None = None

    name = "edgetpu"

    def __post_init__(self) -> None:
        if isinstance(self.library, os.PathLike):
            object.__setattr__(self, "library", os.fspath(self.library))
        if isinstance(self.performance, str):
            object.__setattr__(self, "performance", self.performance.lower())
            if self.performance not in _PERFORMANCE:
                raise OptionError(
                    f"EdgeTpu(performance={self.performance!r}): {nearest(self.performance, _PERFORMANCE)}"
                )
        if isinstance(self.device, str):
            if not _DEVICE.fullmatch(self.device):
                raise OptionError(
                    f"EdgeTpu(device={self.device!r}): device must be ':N', 'usb', 'usb:N', 'pci' or 'pci:N'"
                )
            if self.device.startswith("pci") and self._usb_options():
                self._refuse_usb_options(self.device)
        length = self.usb_max_bulk_in_queue_length
        if isinstance(length, int) and not 0 <= length <= 255:
            raise OptionError(f"EdgeTpu(usb_max_bulk_in_queue_length={length}): it must be from 0 to 255")

    def texts(self) -> list[tuple[str, str]]:
        """Return the options beside the device as libedgetpu reads them."""
        given = [(key, getattr(self, option)) for option, key in _KEYS.items()]
        # Its parser wants Low, True and 32.
        return [(key, str(value).capitalize()) for key, value in given if value is not None]

    def create(self) -> _core.LoadedDelegate:
        """Open the device.

        Raises:
            DelegateUnavailableError: There is no libedgetpu, no device, or no permission; says which.
            OptionError: The device turned out to be on PCIe, and options were set that only USB has.
        """
        library = EdgeTpuLibrary(self.library)
        device = self._device(library)
        options = [("device", device), *self.texts()] if device else self.texts()
        try:
            return _core.ExternalDelegate(library.path, options=options)
        except DelegateError as error:
            raise DelegateUnavailableError(f"cannot open the Edge TPU: {diagnose(library, device)}") from error

    def _device(self, library: EdgeTpuLibrary) -> str:
        """Return the device with its index wherever options are set: without one libedgetpu drops them silently."""
        device = self.device or ""
        if not self.texts():
            return device
        kind, colon, index = device.partition(":")
        listed = [found.type for found in library.devices()]
        if colon:
            if not kind and self._usb_options() and listed[int(index) : int(index) + 1] == ["pci"]:
                self._refuse_usb_options(device)
            return device
        for found in (kind,) if kind else ("usb",) if self._usb_options() else ("pci", "usb"):
            if found in listed:
                return f"{found}:0"
        options = ", ".join(f"{key}={value}" for key, value in self.texts())
        wanted = kind or ("usb" if self._usb_options() else "")
        raise DelegateUnavailableError(
            f"cannot open an Edge TPU with {options}: options reach a listed device only, and "
            f"{diagnose(library, wanted)}"
        )

    def _usb_options(self) -> list[str]:
        return [option for option in _KEYS if option.startswith("usb") and getattr(self, option) is not None]

    def _refuse_usb_options(self, device: str) -> None:
        raise OptionError(f"EdgeTpu(device={device!r}): {', '.join(self._usb_options())} is for USB, and this is PCIe")

    def check_model(self, model: Model) -> None:
        """Refuse a model that ``edgetpu_compiler`` has not seen: nothing of it could run on the Edge TPU."""
        if not any(op.type == CUSTOM_OP for graph in model.subgraphs for op in graph.operators):
            raise DelegateError(
                f"{model.name} is not compiled for the Edge TPU: it has no op {CUSTOM_OP!r}. Compile the fully "
                "quantized model with edgetpu_compiler, which writes NAME_edgetpu.tflite"
            )
