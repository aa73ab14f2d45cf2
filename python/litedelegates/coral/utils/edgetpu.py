"""Interpreters on the Edge TPU where there is one, and on the CPU where the model does not need it."""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.coral.utils.raw_memory import (
    invoke_with_bytes,
    invoke_with_dmabuffer,
    invoke_with_membuffer,
    read_input,
    supports_dmabuf,
)
from litedelegates.delegates import Delegate, Xnnpack
from litedelegates.delegates.edgetpu import EdgeTpu
from litedelegates.delegates.edgetpu_library import EdgeTpuLibrary
from litedelegates.errors import DelegateUnavailableError
from litedelegates.interpreter import Interpreter
from litedelegates.model import Model

if TYPE_CHECKING:
    from litedelegates.model import ModelSource

__all__ = [
    "invoke_with_bytes",
    "invoke_with_dmabuffer",
    "invoke_with_membuffer",
    "list_edge_tpus",
    "get_runtime_version",
    "load_edgetpu_delegate",
    "make_interpreter",
    "run_inference",
    "set_verbosity",
    "supports_dmabuf",
]

CUSTOM_OP = "edgetpu-custom-op"  # what the Edge TPU compiler puts in place of the ops it took
_DEVICE = re.compile(r"(?P<type>usb|pci)?(?::(?P<index>\d+))?")


def list_edge_tpus() -> list[dict[str, str]]:
    """Return ``{"type": "usb" or "pci", "path": ...}`` for each Edge TPU; none where libedgetpu is not installed."""
    try:
        return [{"type": device.type, "path": device.path} for device in EdgeTpuLibrary().devices()]
    except DelegateUnavailableError:
        return []


def get_runtime_version() -> str:
    """Return the version of libedgetpu and the date it was built.

    Raises:
        DelegateUnavailableError: libedgetpu is not installed.
    """
    return EdgeTpuLibrary().version


def set_verbosity(verbosity: int) -> bool:
    """Set how much libedgetpu logs, from 0 (nothing) to 10.

    Returns:
        Whether it could be set: False out of that range, and where libedgetpu is not installed.
    """
    if not 0 <= verbosity <= 10:
        return False
    try:
        EdgeTpuLibrary().set_verbosity(verbosity)
    except DelegateUnavailableError:
        return False
    return True


def load_edgetpu_delegate(options: dict[str, Any] | None = None) -> Any:
    """Open the Edge TPU, with libedgetpu's options such as ``{"device": "usb:0", "Performance": "Max"}``.

    Returns:
        A delegate for `make_interpreter`, and for the ``experimental_delegates`` of our Interpreter and of the
        official one.

    Raises:
        DelegateUnavailableError: It cannot work here; says why. It is a ValueError too.
        OptionError: An unknown option or a bad value; names the valid ones.
    """
    return _edge_tpu({_field(key): _value(value) for key, value in (options or {}).items()}).for_official()


def make_interpreter(
    model_path_or_content: ModelSource, device: str | None = None, delegate: Any = None
) -> Interpreter:
    """Load a model for the Edge TPU, for another delegate, or for the CPU.

    A model that was not compiled for the Edge TPU runs on XNNPACK, as the Edge TPU would take none of its ops.
    As in PyCoral, `allocate_tensors` has to be called before the first `invoke`.

    Args:
        model_path_or_content: Path of a ``.tflite`` file as str, or its content as bytes.
        device: Which Edge TPU: None for any, ":N" for the N-th, "usb", "usb:N", "pci" or "pci:N".
        delegate: What to run on in place of an Edge TPU; ``device`` is not looked at then. What `load_edgetpu_delegate`
            or the official ``load_delegate`` returns and options objects such as ``Gpu()`` are followed by XNNPACK; a
            name such as "gpu" or a chain of delegates is taken as it is.

    Raises:
        ValueError: ``device`` is none of these.
        InvalidModelError: The model cannot be read or is corrupt; says where.
        DelegateUnavailableError: The model needs the Edge TPU, and there is none that it could use; says why.
    """
    if delegate is not None:
        if isinstance(delegate, Delegate):
            chain = [delegate] if isinstance(delegate, Xnnpack) else [delegate, Xnnpack()]
            return Interpreter(model_path_or_content, delegate=chain)
        if hasattr(delegate, "_get_native_delegate_pointer"):
            return Interpreter(model_path_or_content, experimental_delegates=[delegate])
        return Interpreter(model_path_or_content, delegate=delegate)
    wanted = _DEVICE.fullmatch(device or "")
    if wanted is None:
        raise ValueError(f"device={device!r}: it must be None, ':N', 'usb', 'usb:N', 'pci' or 'pci:N'")
    model: Any = Model.load(model_path_or_content)  # verified once; Interpreter takes it as it is
    if not is_compiled(model):
        return Interpreter(model)
    edge_tpu = _edge_tpu({"device": device} if device else {})
    _refuse_absent(model.name, wanted["type"], int(wanted["index"] or 0))
    return Interpreter(model, delegate=[edge_tpu, Xnnpack()])


def is_compiled(model: Model) -> bool:
    """Return whether a model was compiled for the Edge TPU: whether it holds an op that only that can run."""
    return any(op.is_custom and op.type == CUSTOM_OP for graph in model.subgraphs for op in graph.operators)


def run_inference(interpreter: Any, input_data: Any) -> None:
    """Copy raw data into the first input and run the model.

    Args:
        interpreter: An interpreter whose tensors are allocated.
        input_data: bytes; or an array of shape (N,), of the input's dtype or of uint8 for the bytes of any dtype; or a
            tuple of a ``ctypes.c_void_p`` and the number of elements there. What goes beyond the size of the input is
            ignored.

    Raises:
        ValueError: The data is too small, of another dtype, or not one-dimensional.
        TypeError: It is none of these.
    """
    details = interpreter.get_input_details()[0]
    dtype, shape = np.dtype(details["dtype"]), tuple(int(size) for size in details["shape"])
    if isinstance(input_data, bytes):
        values = np.frombuffer(input_data, np.uint8)
    elif _is_pointer(input_data):
        pointer, size = input_data
        values = read_input(interpreter, pointer.value, size)
    elif isinstance(input_data, np.ndarray):
        values = input_data
    else:
        raise TypeError(
            f"input data is bytes, a numpy array or (ctypes.c_void_p, size), not {type(input_data).__name__}"
        )
    if values.ndim != 1:
        raise ValueError(f"input data has the shape {values.shape}; it must have one dimension, as of .flatten()")
    if values.dtype not in (dtype, np.dtype(np.uint8)):
        raise ValueError(f"input data is of {values.dtype}; the model takes {dtype}")
    expected = int(np.prod(shape, dtype=np.int64)) * (dtype.itemsize // values.dtype.itemsize)
    if values.size < expected:
        raise ValueError(f"input size={values.size}, expected={expected}.")
    raw = np.ascontiguousarray(values[:expected])
    interpreter.set_tensor(details["index"], raw.view(dtype).reshape(shape))
    interpreter.invoke()


def _is_pointer(data: Any) -> bool:
    if not isinstance(data, tuple) or len(data) != 2:
        return False
    return isinstance(data[0], ctypes.c_void_p) and isinstance(data[1], int)


def _edge_tpu(options: dict[str, Any]) -> Delegate:
    made: Delegate = EdgeTpu(**options)
    return made


def _refuse_absent(model: str, kind: str | None, index: int) -> None:
    try:
        found = EdgeTpuLibrary().devices()
    except DelegateUnavailableError as error:
        raise DelegateUnavailableError(f"{model} was compiled for the Edge TPU, and {error}") from None
    fitting = [device for device in found if kind in (None, device.type)]
    if index >= len(fitting):
        where = {None: "", "usb": "on USB ", "pci": "on PCIe "}[kind]
        listed = ", ".join(device.path for device in found) or "no device"
        raise DelegateUnavailableError(
            f"{model} was compiled for the Edge TPU, and there is no Edge TPU number {index} {where}here: libedgetpu "
            f"lists {listed}. Plug one in, and see that you may read /dev/apex_* or its USB node; or run the model "
            "that it was compiled from"
        )


def _field(key: str) -> str:
    """Return the field of `EdgeTpu` for libedgetpu's key: "usb_always_dfu" for "Usb.AlwaysDfu"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key.replace(".", "_")).lower()


def _value(value: Any) -> Any:
    """Return the typed value for one that is written as libedgetpu reads it."""
    if not isinstance(value, str):
        return value
    if value in ("True", "False"):
        return value == "True"
    return int(value) if value.isdecimal() else value
