"""The GPUs that Vulkan's loader finds, for messages: asked of Vulkan itself, through its C interface."""

from __future__ import annotations

import ctypes

from litedelegates.delegates.opened import open_once

_CREATE_INSTANCE = 1  # Vulkan's number of that structure
_NAME_OFFSET, _NAME_BYTES = 20, 256  # of the properties: five numbers of 32 bits come first
_PROPERTIES_BYTES = 2048  # more than they have
_MOST_DEVICES = 16


class _InstanceInfo(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


def adapter_names() -> tuple[str, ...]:
    """Return the names of the GPUs that have a Vulkan driver here, such as ("llvmpipe (LLVM 15.0.6, 256 bits)",).

    None where Vulkan is not installed or does not start. It loads the drivers into this process.
    """
    try:
        vulkan = open_once("libvulkan.so.1")
    except OSError:
        return ()
    instance = ctypes.c_void_p()
    info = _InstanceInfo(kind=_CREATE_INSTANCE)
    if vulkan.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance)) != 0:
        return ()
    try:
        count = ctypes.c_uint32(_MOST_DEVICES)
        devices = (ctypes.c_void_p * _MOST_DEVICES)()
        if vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices) < 0:
            return ()
        return tuple(_name(vulkan, devices[index]) for index in range(count.value))
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _name(vulkan: ctypes.CDLL, device: int | None) -> str:
    properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
    vulkan.vkGetPhysicalDeviceProperties(ctypes.c_void_p(device), properties)
    name = properties.raw[_NAME_OFFSET : _NAME_OFFSET + _NAME_BYTES]
    return name.split(b"\0", 1)[0].decode(errors="replace")
