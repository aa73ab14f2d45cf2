"""Why an Edge TPU cannot be opened. libedgetpu never says, so this looks where it looked."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

from litedelegates.delegates.edgetpu_library import EdgeTpuDevice, EdgeTpuLibrary

DEV = "/dev"
USB_DEVICES = "/sys/bus/usb/devices"
# What the accelerator calls itself before and after its firmware was loaded.
_USB_IDS = {("1a6e", "089a"), ("18d1", "9302")}
_PERMIT = {
    "pci": "add the user to the group of that file (usermod -aG apex USER) and log in again",
    "usb": "add the user to the group plugdev and log in again; libedgetpu's package brings the udev rule",
}


def diagnose(library: EdgeTpuLibrary, device: str) -> str:
    """Return the probable reason why ``device`` ("", ":N", "usb", "usb:N", "pci", "pci:N") does not open."""
    kind, _, index = device.partition(":")
    listed = [found for found in library.devices() if found.type == (kind or found.type)]
    if not listed:
        return _why_not_listed(library, kind)
    if index and int(index) >= len(listed):
        return f"there is no {device}: libedgetpu lists {say_devices(listed)}"
    wanted = [int(index)] if index else range(len(listed))
    for found in (listed[position] for position in wanted):
        node = found.path if found.type == "pci" else _usb_node(found.path)
        if node and not _is_permitted(node):
            return f"no permission to read and write {node}: {_PERMIT[found.type]}"
    return (
        f"libedgetpu lists {say_devices(listed)} and did not open {device or 'any'}. Probable reasons: another process "
        f"uses it, or this libedgetpu ({library.version}) does not fit the driver"
    )


def say_devices(devices: Sequence[EdgeTpuDevice]) -> str:
    """Return devices as a user names them, such as "usb:0 (/sys/bus/usb/devices/2-1)"."""
    counts: dict[str, int] = {}
    parts = []
    for device in devices:
        counts[device.type] = counts.get(device.type, -1) + 1
        parts.append(f"{device.type}:{counts[device.type]} ({device.path})")
    return ", ".join(parts)


def _why_not_listed(library: EdgeTpuLibrary, kind: str) -> str:
    nodes = [("pci", node) for node in sorted(glob.glob(os.path.join(DEV, "apex_*")))]
    nodes += [("usb", node) for node in _usb_nodes()]
    nodes = [(found, node) for found, node in nodes if found == (kind or found)]
    for found, node in nodes:
        if not _is_permitted(node):
            return f"no permission to read and write {node}: {_PERMIT[found]}"
    if nodes:
        paths = ", ".join(node for _, node in nodes)
        return f"{paths} is there, and libedgetpu ({library.version}) does not list it: it may not fit the driver"
    absent = {
        "pci": "there is no /dev/apex_* (is the driver, gasket-dkms, installed?)",
        "usb": "no Edge TPU is on the USB bus (1a6e:089a or 18d1:9302 in lsusb)",
    }
    return "no Edge TPU is listed: " + (absent[kind] if kind else ", and ".join(absent.values()))


def _usb_nodes() -> list[str]:
    folders = sorted(glob.glob(os.path.join(USB_DEVICES, "*")))
    nodes = (
        _usb_node(folder) for folder in folders if (_read(folder, "idVendor"), _read(folder, "idProduct")) in _USB_IDS
    )
    return [node for node in nodes if node]


def _usb_node(folder: str) -> str:
    bus, device = _read(folder, "busnum"), _read(folder, "devnum")
    return os.path.join(DEV, f"bus/usb/{int(bus):03}/{int(device):03}") if bus.isdigit() and device.isdigit() else ""


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name)) as file:
            return file.read().strip()
    except OSError:
        return ""


def _is_permitted(node: str) -> bool:
    return os.access(node, os.R_OK | os.W_OK)
