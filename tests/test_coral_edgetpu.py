"""Interpreters as PyCoral makes them, with and without a libedgetpu; a stub stands for the library."""

from __future__ import annotations

import ctypes
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import load_delegate
from litedelegates import DelegateError, DelegateUnavailableError, Hosted, Interpreter, InvalidModelError, Xnnpack
from litedelegates.coral.utils import edgetpu
from litedelegates.delegates import edgetpu_library
from native_libraries import compile_library

COMPILED = small_models.custom_op(edgetpu.CUSTOM_OP)
ONES = np.ones((1, 4), np.float32)

BOTH = {"pci": "/dev/apex_0", "usb": "/sys/bus/usb/devices/2-1"}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(compile_library("fake_edgetpu.c", tmp_path_factory.mktemp("coral") / "libedgetpu.so.1"))


@pytest.fixture
def opened(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two devices of a libedgetpu look-alike, and the file in which it notes what it opens."""
    monkeypatch.setattr(edgetpu_library, "LIBRARY_NAME", str(built))
    monkeypatch.setenv("FAKE_EDGETPU_DEVICES", " ".join(f"{kind}={path}" for kind, path in BOTH.items()))
    monkeypatch.setenv("FAKE_EDGETPU_RECORD", str(tmp_path / "opened"))
    return tmp_path / "opened"


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgetpu_library, "LIBRARY_NAME", "libno-such-edgetpu.so.9")


@pytest.mark.usefixtures("opened")
def test_devices_are_listed_with_type_and_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert edgetpu.list_edge_tpus() == [{"type": kind, "path": path} for kind, path in BOTH.items()]
    monkeypatch.setenv("FAKE_EDGETPU_DEVICES", "")
    assert edgetpu.list_edge_tpus() == []


@pytest.mark.usefixtures("opened")
def test_version_and_verbosity_go_to_the_library(built: Path) -> None:
    assert edgetpu.get_runtime_version() == "BuildLabel(fake), RuntimeVersion(14)"
    assert edgetpu.set_verbosity(10) is True
    assert edgetpu.set_verbosity(11) is False and edgetpu.set_verbosity(-1) is False
    assert ctypes.CDLL(str(built)).fake_edgetpu_verbosity() == 10


@pytest.mark.usefixtures("no_library")
def test_without_the_library_there_are_no_devices_and_the_version_says_why() -> None:
    assert edgetpu.list_edge_tpus() == []
    assert edgetpu.set_verbosity(1) is False
    with pytest.raises(DelegateUnavailableError, match=r"libno-such-edgetpu.*libedgetpu1-std"):
        edgetpu.get_runtime_version()


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("device", [None, "", ":0", ":1", "usb", "usb:0", "pci", "pci:12"])
def test_a_model_that_is_not_compiled_runs_on_the_cpu(device: str | None) -> None:
    interpreter = edgetpu.make_interpreter(small_models.add(), device)
    interpreter.allocate_tensors()
    assert interpreter.run(ONES, ONES).tolist() == [[2.0] * 4]
    assert [record.ran for record in interpreter.placement] == ["xnnpack"]


@pytest.mark.parametrize("device", ["usb:", ":", "tpu", "pci:a", "USB", "usb:-1", "0", " usb", "usb:0\n"])
def test_a_bad_device_raises_a_value_error(device: str) -> None:
    with pytest.raises(ValueError, match="'usb:N'"):
        edgetpu.make_interpreter(small_models.add(), device=device)


def test_a_model_comes_as_a_path_or_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "add.tflite").write_bytes(small_models.add())
    interpreter = edgetpu.make_interpreter(str(tmp_path / "add.tflite"))
    assert interpreter.run(ONES, ONES).tolist() == [[2.0] * 4]
    with pytest.raises(InvalidModelError):
        edgetpu.make_interpreter(str(tmp_path / "missing.tflite"))
    with pytest.raises(InvalidModelError):
        edgetpu.make_interpreter(b"no model")


def test_a_delegate_wins_over_the_device(tmp_path: Path) -> None:
    official = load_delegate(compile_library("offset_delegate.c", tmp_path / "liboffset.so"), {"offset": "100"})
    for delegate in (official, Hosted.from_official(official)):
        interpreter = edgetpu.make_interpreter(small_models.add(), device="not looked at", delegate=delegate)
        assert interpreter.run(ONES, ONES).tolist() == [[102.0] * 4]
        assert interpreter.delegates[-1] == Xnnpack()
    assert edgetpu.make_interpreter(small_models.add(), delegate="none").delegates == ()
    assert edgetpu.make_interpreter(small_models.add(), delegate=Xnnpack(num_threads=2)).delegates == (
        Xnnpack(num_threads=2),
    )


@pytest.mark.parametrize(
    ("device", "kind"), [(None, "pci"), ("", "pci"), (":1", "usb"), ("usb", "usb"), ("usb:0", "usb"), ("pci:0", "pci")]
)
def test_a_compiled_model_runs_on_the_edge_tpu(opened: Path, device: str | None, kind: str) -> None:
    interpreter = edgetpu.make_interpreter(COMPILED, device)
    interpreter.allocate_tensors()
    assert interpreter.run(ONES).tolist() == [[101.0] * 4]
    assert [record.ran for record in interpreter.placement] == ["edgetpu"]
    assert opened.read_text().splitlines() == [f"{kind} {BOTH[kind]}"]


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("device", [":2", "usb:1", "pci:1"])
def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    with pytest.raises(DelegateUnavailableError, match=rf"number {device[-1]} .*apex_0.*compiled from"):
        edgetpu.make_interpreter(COMPILED, device)
    monkeypatch.setenv("FAKE_EDGETPU_DEVICES", "")
    with pytest.raises(DelegateUnavailableError, match="lists no device"):
        edgetpu.make_interpreter(COMPILED)


@pytest.mark.usefixtures("no_library")
def test_a_compiled_model_without_the_library_says_what_to_install() -> None:
    with pytest.raises(DelegateError, match=r"compiled for the Edge TPU.*libno-such-edgetpu"):
        edgetpu.make_interpreter(COMPILED)


def test_options_of_the_library_reach_it(opened: Path) -> None:
    options = {"device": "usb:0", "Performance": "Low", "Usb.AlwaysDfu": "False", "Usb.MaxBulkInQueueLength": "8"}
    delegate = edgetpu.load_edgetpu_delegate(options)
    given = [f"{name}={value}" for name, value in options.items() if name != "device"]
    (line,) = opened.read_text().splitlines()
    assert line.split()[:2] == ["usb", BOTH["usb"]] and sorted(line.split()[2:]) == sorted(given)
    assert edgetpu.make_interpreter(COMPILED, delegate=delegate).run(ONES).tolist() == [[101.0] * 4]


@pytest.mark.usefixtures("no_library")
def test_only_the_edge_tpus_custom_op_marks_a_compiled_model() -> None:
    with pytest.raises(DelegateError, match="Edge TPU"):
        edgetpu.make_interpreter(COMPILED)
    with pytest.raises(RuntimeError, match="MyCustomOp"):
        edgetpu.make_interpreter(small_models.custom_op())


@dataclasses.dataclass(frozen=True)
class Raw:
    data: Any
    output: list[float]


FLOATS = np.array([1, 2, 3, 4], np.float32)


@pytest.mark.parametrize("cls", [Interpreter, Official])
@pytest.mark.parametrize(
    "raw",
    [
        Raw(FLOATS, [2, 4, 6, 8]),
        Raw(FLOATS.tobytes(), [2, 4, 6, 8]),
        Raw(np.frombuffer(FLOATS.tobytes(), np.uint8), [2, 4, 6, 8]),
        Raw(np.append(FLOATS, np.float32(9)), [2, 4, 6, 8]),
        Raw(np.repeat(FLOATS, 2)[::2], [2, 4, 6, 8]),
        Raw((FLOATS.ctypes.data_as(ctypes.c_void_p), FLOATS.size), [2, 4, 6, 8]),
    ],
    ids=["array", "bytes", "array of bytes", "too long", "strided", "pointer"],
)
def test_run_inference_takes_raw_data_for_the_first_input(cls: Any, raw: Raw) -> None:
    interpreter = cls(model_content=small_models.scale_by_two())
    interpreter.allocate_tensors()
    assert edgetpu.run_inference(interpreter, raw.data) is None  # type: ignore[func-returns-value]
    assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tolist() == [raw.output]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (FLOATS[:3], ValueError, r"input size=3, expected=4\."),
        (FLOATS.tobytes()[:15], ValueError, r"input size=15, expected=16\."),
        (FLOATS[None], ValueError, "one dimension"),
        (FLOATS.astype(np.float64), ValueError, r"float64.*float32"),
        ([1.0, 2.0, 3.0, 4.0], TypeError, "list"),
        ((FLOATS.ctypes.data, 16), TypeError, "tuple"),
        ((FLOATS.ctypes.data_as(ctypes.c_void_p), 3), ValueError, r"input size=3, expected=4\."),
        ((FLOATS.ctypes.data_as(ctypes.c_void_p), -1), ValueError, r"input size=-1, expected=4\."),
        ((ctypes.c_void_p(None), 16), ValueError, "address"),
        (None, TypeError, "NoneType"),
    ],
)
def test_run_inference_refuses_what_does_not_fit(data: Any, error: type[Exception], message: str) -> None:
    interpreter = edgetpu.make_interpreter(small_models.scale_by_two())
    with pytest.raises(error, match=message):
        edgetpu.run_inference(interpreter, data)


def on_each_route() -> list[Any]:
    model = small_models.scale_by_two()
    found = [edgetpu.make_interpreter(model), Interpreter(model, experimental_preserve_all_tensors=True)]
    assert [interpreter.route.name for interpreter in found] == ["compiled", "classic"]
    return found


def test_the_native_functions_run_on_the_handle_or_the_interpreter() -> None:
    for interpreter in (*on_each_route(), Official(model_content=small_models.scale_by_two())):
        interpreter.allocate_tensors()
        output = interpreter.get_output_details()[0]["index"]
        handles = [interpreter] if isinstance(interpreter, Official) else [interpreter, interpreter._native_handle()]
        for factor, handle in enumerate(handles, start=1):
            values = factor * FLOATS
            edgetpu.invoke_with_membuffer(handle, values.ctypes.data, values.size)
            assert interpreter.get_tensor(output).tolist() == [(2 * values).tolist()]
            edgetpu.invoke_with_bytes(handle, FLOATS.tobytes() + b"more")
            assert interpreter.get_tensor(output).tolist() == [(2 * FLOATS).tolist()]


def test_the_native_functions_refuse_models_that_are_not_ready_and_sizes_that_do_not_fit() -> None:
    for interpreter in on_each_route():
        handle = interpreter._native_handle()
        with pytest.raises(RuntimeError, match="allocate_tensors"):
            edgetpu.invoke_with_membuffer(handle, FLOATS.ctypes.data, 4)
        interpreter.allocate_tensors()
        for size in (3, 0, -1):
            with pytest.raises(ValueError, match=rf"input size={size}, expected=4\."):
                edgetpu.invoke_with_membuffer(handle, FLOATS.ctypes.data, size)
        with pytest.raises(ValueError, match="address"):
            edgetpu.invoke_with_membuffer(handle, 0, 16)
        with pytest.raises(ValueError, match=r"input size=3, expected=16\."):
            edgetpu.invoke_with_bytes(handle, b"abc")
    with pytest.raises(ValueError, match="native handle 0x10"):
        edgetpu.invoke_with_membuffer(16, FLOATS.ctypes.data, 16)
    with pytest.raises(TypeError, match="NoneType"):
        edgetpu.invoke_with_bytes(None, b"")


def test_device_memory_is_refused_and_says_what_to_do() -> None:
    interpreter = edgetpu.make_interpreter(small_models.scale_by_two())
    assert not edgetpu.supports_dmabuf(interpreter._native_handle())
    with pytest.raises(RuntimeError, match=r"dma-buf of file descriptor 7 .*invoke_with_membuffer"):
        edgetpu.invoke_with_dmabuffer(interpreter._native_handle(), 7, 16)


def test_a_model_is_invoked_after_it_was_allocated_as_in_pycoral() -> None:
    interpreter = edgetpu.make_interpreter(small_models.scale_by_two())
    with pytest.raises(RuntimeError, match="allocate_tensors"):
        edgetpu.run_inference(interpreter, FLOATS)
