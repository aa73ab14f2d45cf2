"""Intel's OpenVINO as the PyPI package has it: found, loaded, asked for its properties.

Everything goes through OpenVINO's C interface; the Python package ``openvino`` itself is never imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.machinery
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from litedelegates import _core
from litedelegates.errors import DelegateError, DelegateUnavailableError, OptionError, install_extra, nearest
from litedelegates.runtime import open_runtime

_VENDOR = os.path.join("vendors", "intel_openvino")
# In the order of their dependencies.
_DEPENDENCIES = ("libtbbmalloc.so.2", "libtbb.so.12")
# What an imported graph is asked about itself.
WATCHED = (
    "INFERENCE_PRECISION_HINT",
    "INFERENCE_NUM_THREADS",
    "NUM_STREAMS",
    "PERFORMANCE_HINT",
    "EXECUTION_DEVICES",
)


@dataclass(frozen=True)
class Libraries:
    """Where everything is.

    Attributes:
        vendor: The runtime's folder of the dispatch library and the compiler plug-in.
        folder: The folder of OpenVINO's libraries.
        version: What the libraries' names end with: 2631 is 2026.3.1.
    """

    vendor: str
    folder: str
    version: str

    @property
    def dispatch_dir(self) -> str:
        """Folder of the runtime's dispatch library."""
        return os.path.join(self.vendor, "dispatch")

    @property
    def compiler_dir(self) -> str:
        """Folder of the runtime's compiler plug-in."""
        return os.path.join(self.vendor, "compiler")


def find() -> Libraries:
    """Find the libraries without loading them.

    Raises:
        DelegateUnavailableError: They cannot be used here; says why and what to install.
    """
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in ("x86_64", "AMD64"):
        raise DelegateUnavailableError(f"OpenVINO needs Linux on x86-64, and this is {sys.platform} on {machine}")
    runtime = open_runtime()
    if (runtime.version or "").startswith("2.2."):
        # It compiles, and then knows no buffers of OpenVINO's kind ("not found").
        raise DelegateUnavailableError(
            f"ai-edge-litert {runtime.version} cannot make buffers for OpenVINO: pip install 'ai-edge-litert>=2.3,<2.4'"
        )
    vendor = os.path.join(runtime.folder, _VENDOR)
    dispatch = os.path.join(vendor, "dispatch", "libLiteRtDispatch_IntelOpenvino.so")
    if not os.path.isfile(dispatch):
        raise DelegateUnavailableError(f"the runtime has no OpenVINO dispatch library ({dispatch} does not exist)")
    wanted = _needed_version(dispatch)
    install = f"pip install openvino=={_say_version(wanted)}"
    spec = importlib.machinery.PathFinder.find_spec("openvino")
    if spec is None or not spec.submodule_search_locations:
        raise DelegateUnavailableError(
            f"the package openvino is not installed: {install_extra('openvino')} (or {install})"
        )
    folder = os.path.join(next(iter(spec.submodule_search_locations)), "libs")
    if not os.path.isfile(os.path.join(folder, f"libopenvino.so.{wanted}")):
        raise DelegateUnavailableError(
            f"ai-edge-litert {runtime.version or ''} is linked with OpenVINO {_say_version(wanted)}, and {folder} "
            f"holds another version: {install}"
        )
    return Libraries(vendor, folder, wanted)


@functools.cache
def _needed_version(dispatch: str) -> str:
    with open(dispatch, "rb") as file:
        found = re.search(rb"libopenvino\.so\.(\d+)\0", file.read())
    if found is None:
        raise DelegateUnavailableError(f"{dispatch} does not tell which OpenVINO it needs")
    return found.group(1).decode()


def _say_version(suffix: str) -> str:
    # 2631 is 2026.3.1.
    return f"20{suffix[:2]}.{suffix[2]}.{suffix[3:]}"


class Library:
    """OpenVINO, loaded for the whole process, with a core of its own to ask questions of."""

    def __init__(self, libraries: Libraries) -> None:
        hook = os.path.join(os.path.dirname(_core.__file__), "_core_openvino.so")
        if not os.path.isfile(hook):
            raise DelegateUnavailableError(f"litedelegates was built without its OpenVINO part ({hook} does not exist)")
        # The hook alone is global: the runtime's dispatch library finds it first, and OpenVINO by its name.
        self._hook = ctypes.CDLL(hook, ctypes.RTLD_GLOBAL)
        try:
            for name in _DEPENDENCIES:
                ctypes.CDLL(os.path.join(libraries.folder, name))
            openvino, frontend, self._c = (
                ctypes.CDLL(os.path.join(libraries.folder, f"{name}.so.{libraries.version}"))
                for name in ("libopenvino", "libopenvino_tensorflow_lite_frontend", "libopenvino_c")
            )
        except OSError as error:
            raise DelegateUnavailableError(f"OpenVINO's libraries cannot be loaded: {error}") from None
        if not self._hook.litedelegates_openvino_bind(
            ctypes.c_void_p(openvino._handle), ctypes.c_void_p(self._c._handle)
        ):
            raise DelegateUnavailableError(f"OpenVINO {libraries.version} lacks functions that litedelegates uses")
        self._frontend = frontend
        for name in ("effect", "error"):
            getattr(self._hook, f"litedelegates_openvino_{name}").restype = ctypes.c_char_p
        self._c.ov_get_last_err_msg.restype = ctypes.c_char_p
        self._core = ctypes.c_void_p()
        if self._c.ov_core_create(ctypes.byref(self._core)) != 0:
            raise DelegateUnavailableError(f"OpenVINO does not start: {self._last_error()}")

    def _last_error(self) -> str:
        said: bytes | None = self._c.ov_get_last_err_msg()
        lines = (said or b"").decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no reason given"

    def _read(self, device: str, key: str) -> str:
        text = ctypes.c_char_p()
        if self._c.ov_core_get_property(self._core, device.encode(), key.encode(), ctypes.byref(text)) != 0:
            raise DelegateUnavailableError(f"OpenVINO has no device {device} here: {self._last_error()}")
        value = (text.value or b"").decode()
        self._c.ov_free(text)
        return value

    @functools.cached_property
    def devices(self) -> tuple[str, ...]:
        """Names of the devices that OpenVINO finds."""

        class Names(ctypes.Structure):
            _fields_ = (("names", ctypes.POINTER(ctypes.c_char_p)), ("count", ctypes.c_size_t))

        found = Names()
        if self._c.ov_core_get_available_devices(self._core, ctypes.byref(found)) != 0:
            return ()
        names = tuple(found.names[index].decode() for index in range(found.count))
        self._c.ov_available_devices_free(ctypes.byref(found))
        return names

    def check_device(self, device: str) -> None:
        """Raise unless the device is here."""
        if not any(name.split(".")[0] == device for name in self.devices):
            raise DelegateUnavailableError(
                f"OpenVINO finds no {device} here; it finds {', '.join(self.devices) or 'nothing'}"
            )

    def capabilities(self, device: str) -> set[str]:
        """Return what a device is good at, such as {"FP32", "BF16"}."""
        return set(self._read(device, "OPTIMIZATION_CAPABILITIES").split())

    def full_name(self, device: str) -> str:
        """Return the name of the hardware."""
        return self._read(device, "FULL_DEVICE_NAME").strip()

    def check(self, device: str, properties: Mapping[str, str]) -> None:
        """Set properties on the core that only answers questions, to hear whether the device takes them.

        Raises:
            OptionError: One is unknown or has a value that the device refuses.
        """
        known = set(self._read(device, "SUPPORTED_PROPERTIES").split())
        for key, value in properties.items():
            if key not in known:
                raise OptionError(f"OpenVINO's {device} has no property {key!r}. {nearest(key, known)}")
            # Two arguments of a variadic function: both are pointers, as on its fixed ones.
            arguments = (ctypes.c_char_p(text.encode()) for text in (device, key, value))
            if self._c.ov_core_set_property(self._core, *arguments) != 0:
                raise OptionError(f"OpenVINO's {device} refuses {key} = {value!r}: {self._last_error()}")

    @contextlib.contextmanager
    def importing(self, properties: Mapping[str, str]) -> Iterator[list[dict[str, str]]]:
        """Give the graphs that this thread imports meanwhile these properties.

        Yields:
            A list that holds afterwards what each imported graph says of itself.

        Raises:
            DelegateError: A property was refused or did not take effect.
        """
        effects: list[dict[str, str]] = []
        watched = tuple(dict.fromkeys((*properties, *WATCHED)))
        self._hook.litedelegates_openvino_arm(
            _strings(properties.keys()), _strings(properties.values()), len(properties), _strings(watched), len(watched)
        )
        try:
            yield effects
        finally:
            self._hook.litedelegates_openvino_disarm()
        refused = self._hook.litedelegates_openvino_error().decode()
        if refused:
            raise DelegateError(f"OpenVINO refused a property: {refused.strip()}")
        for graph in self._hook.litedelegates_openvino_effect().decode().split("\n\n"):
            if graph:
                effects.append(dict(line.split("=", 1) for line in graph.splitlines() if "=" in line))


def _strings(texts: object) -> ctypes.Array[ctypes.c_char_p]:
    encoded = [text.encode() for text in texts]  # type: ignore[attr-defined]
    return _strings_type(len(encoded))(*encoded)


@functools.cache
def _strings_type(count: int) -> type[ctypes.Array[ctypes.c_char_p]]:
    # ctypes forgets a type that is not in use and makes another one, which only the garbage collector frees.
    return ctypes.c_char_p * count


@functools.cache
def load() -> Library:
    """Load OpenVINO once for the process.

    Raises:
        DelegateUnavailableError: It cannot be used here; says why.
    """
    return Library(find())
