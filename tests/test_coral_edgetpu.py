"""Interpreters as PyCoral makes them, with and without a libedgetpu; a stub stands for the library."""

from __future__ import annotations

import ctypes
import dataclasses
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import load_delegate
from litedelegates import DelegateError, DelegateUnavailableError, Hosted, Interpreter, InvalidModelError, Xnnpack
from litedelegates.coral.utils import edgetpu, libedgetpu
from litedelegates.delegates import Delegate

NATIVE = Path(__file__).parent / "native"
COMPILED = small_models.custom_op(edgetpu.CUSTOM_OP)
ONES = np.ones((1, 4), np.float32)

Build = Callable[[str], Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("native")

    def built(name: str) -> Path:
        # Another file each time: the stub keeps its state as long as it is loaded.
        target = folder / f"lib{name}_{len(list(folder.iterdir()))}.so"
        source = NATIVE / f"{name}.c"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-pthread", "-Wall", "-Werror", "-o", target, source], check=True
        )
        return target

    return built


def use_library(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    monkeypatch.setattr(libedgetpu, "_NAMES", {sys.platform: name, "linux": name})
    libedgetpu.library.cache_clear()
    yield
    libedgetpu.library.cache_clear()


@pytest.fixture
def stub(build: Build, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctypes.CDLL]:
    path = str(build("edgetpu_stub"))
    for _ in use_library(monkeypatch, path):
        yield ctypes.CDLL(path)


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from use_library(monkeypatch, "libno-such-edgetpu.so.9")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options that the Edge TPU delegate, which is replaced by one that cannot open, is asked for."""
    calls: list[dict[str, Any]] = []

    class EdgeTpu(Delegate):
        name = "edgetpu"

        def __init__(self, **options: Any) -> None:
            calls.append(options)

        def step(self) -> Any:
            raise DelegateUnavailableError("the delegate of the test cannot open")

        def for_official(self) -> object:
            return "opened"

    module = types.ModuleType(edgetpu._MODULE)
    module.EdgeTpu = EdgeTpu  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, edgetpu._MODULE, module)
    return calls


def test_devices_are_listed_with_type_and_path(stub: ctypes.CDLL) -> None:
    listed = edgetpu.list_edge_tpus()
    assert listed == [
        {"type": "pci", "path": "/dev/apex_0"},
        {"type": "usb", "path": "/sys/bus/usb/devices/2-1"},
    ]
    assert stub.stub_lists_not_freed() == 0
    stub.stub_unplug()
    assert edgetpu.list_edge_tpus() == []


def test_version_and_verbosity_go_to_the_library(stub: ctypes.CDLL) -> None:
    assert edgetpu.get_runtime_version() == "BuildLabel(STUB), RuntimeVersion(14)"
    assert edgetpu.set_verbosity(10) is True and stub.stub_verbosity() == 10
    assert edgetpu.set_verbosity(11) is False and edgetpu.set_verbosity(-1) is False
    assert stub.stub_verbosity() == 10


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


def test_a_delegate_wins_over_the_device(build: Build) -> None:
    official = load_delegate(str(build("offset_delegate")), {"offset": "100"})
    for delegate in (official, Hosted.from_official(official)):
        interpreter = edgetpu.make_interpreter(small_models.add(), device="not looked at", delegate=delegate)
        assert interpreter.run(ONES, ONES).tolist() == [[102.0] * 4]
        assert interpreter.delegates[-1] == Xnnpack()
    assert edgetpu.make_interpreter(small_models.add(), delegate="none").delegates == ()
    assert edgetpu.make_interpreter(small_models.add(), delegate=Xnnpack(num_threads=2)).delegates == (
        Xnnpack(num_threads=2),
    )


@pytest.mark.usefixtures("stub")
@pytest.mark.parametrize(
    ("device", "options"), [(None, {}), ("", {}), *((d, {"device": d}) for d in (":1", "usb", "usb:0", "pci:0"))]
)
def test_a_compiled_model_asks_for_the_edge_tpu(asked: list[Any], device: str | None, options: dict[str, str]) -> None:
    with pytest.raises(DelegateUnavailableError, match="cannot open"):
        edgetpu.make_interpreter(COMPILED, device)
    assert asked == [options]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("device", [":2", "usb:1", "pci:1"])
def test_a_device_that_is_not_there_is_named(stub: ctypes.CDLL, device: str) -> None:
    with pytest.raises(DelegateUnavailableError, match=rf"number {device[-1]} .*apex_0.*compiled from"):
        edgetpu.make_interpreter(COMPILED, device)
    stub.stub_unplug()
    with pytest.raises(DelegateUnavailableError, match="lists no device"):
        edgetpu.make_interpreter(COMPILED)


@pytest.mark.usefixtures("no_library", "asked")
def test_a_compiled_model_without_the_library_says_what_to_install() -> None:
    with pytest.raises(DelegateError, match=r"compiled for the Edge TPU.*libno-such-edgetpu"):
        edgetpu.make_interpreter(COMPILED)


def test_a_build_without_the_edge_tpu_delegate_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgetpu, "_MODULE", "litedelegates.delegates.no_such_delegate")
    with pytest.raises(DelegateError, match="no Edge TPU delegate"):
        edgetpu.make_interpreter(COMPILED)


def test_options_of_the_library_become_those_of_the_delegate(asked: list[Any]) -> None:
    assert edgetpu.load_edgetpu_delegate() == "opened"
    edgetpu.load_edgetpu_delegate(
        {"device": "usb:0", "Performance": "Low", "Usb.AlwaysDfu": "False", "Usb.MaxBulkInQueueLength": "8"}
    )
    typed = {"device": "usb:0", "performance": "Low", "usb_always_dfu": False, "usb_max_bulk_in_queue_length": 8}
    assert asked == [{}, typed]


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
    ],
    ids=["array", "bytes", "array of bytes", "too long", "strided"],
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
        (None, TypeError, "NoneType"),
    ],
)
def test_run_inference_refuses_what_does_not_fit(data: Any, error: type[Exception], message: str) -> None:
    interpreter = edgetpu.make_interpreter(small_models.scale_by_two())
    with pytest.raises(error, match=message):
        edgetpu.run_inference(interpreter, data)
