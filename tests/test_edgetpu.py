"""The Edge TPU, with a library that looks like libedgetpu and has no device behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as OfficialInterpreter
from litedelegates import (
    DelegateError,
    DelegateUnavailableError,
    EdgeTpu,
    EdgeTpuDevice,
    Interpreter,
    OptionError,
    Xnnpack,
    list_edge_tpus,
    load_delegate,
)
from litedelegates.delegates import chain, edgetpu_diagnosis
from litedelegates.delegates.edgetpu_library import EdgeTpuLibrary
from native_libraries import compile_library

X = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
PCI, USB = "pci=/dev/apex_0", "usb=/sys/bus/usb/devices/2-1"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_library("fake_edgetpu.c", tmp_path_factory.mktemp("coral") / "libedgetpu.so.1")


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the library writes what it opens; a PCIe and two USB devices are there."""
    monkeypatch.setenv("FAKE_EDGETPU_DEVICES", f"{PCI} {USB} usb=/sys/bus/usb/devices/2-2")
    monkeypatch.setenv("FAKE_EDGETPU_RECORD", str(tmp_path / "opened.txt"))
    return tmp_path / "opened.txt"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /dev and /sys, without any Edge TPU."""
    monkeypatch.setattr(edgetpu_diagnosis, "DEV", str(tmp_path / "dev"))
    monkeypatch.setattr(edgetpu_diagnosis, "USB_DEVICES", str(tmp_path / "sys"))
    monkeypatch.setattr(edgetpu_diagnosis, "_is_permitted", lambda node: "forbidden" not in Path(node).read_text())
    return tmp_path


def add_usb(machine: Path, content: str, ids: tuple[str, str] = ("18d1", "9302")) -> Path:
    folder, node = machine / "sys/2-1", machine / "dev/bus/usb/002/005"
    for path, text in [
        (folder / "idVendor", ids[0]),
        (folder / "idProduct", ids[1]),
        (folder / "busnum", "2"),
        (folder / "devnum", "5"),
        (node, content),
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return node


def test_the_edge_tpu_takes_its_ops_and_xnnpack_the_rest(library: str, record: Path) -> None:
    interpreter = Interpreter(small_models.compiled_for_edge_tpu(), delegate=[EdgeTpu(library=library), Xnnpack()])
    for _ in range(3):
        assert interpreter.run(X).tolist() == (2 * X + 200).tolist()
    assert [found.ran for found in interpreter.placement] == ["edgetpu", "edgetpu", "xnnpack"]
    assert record.read_text() == "pci /dev/apex_0\n"


def test_the_same_delegate_works_in_the_official_interpreter(library: str, record: Path) -> None:
    delegate = load_delegate(EdgeTpu(device="usb:1", library=library))
    official = OfficialInterpreter(
        model_content=small_models.compiled_for_edge_tpu(), experimental_delegates=[delegate]
    )
    official.allocate_tensors()
    official.set_tensor(official.get_input_details()[0]["index"], X)
    official.invoke()
    ours = Interpreter(small_models.compiled_for_edge_tpu(), delegate=EdgeTpu(device="usb:1", library=library))
    np.testing.assert_array_equal(official.get_tensor(official.get_output_details()[0]["index"]), ours.run(X))
    assert [op["op_name"] for op in official._get_ops_details()].count("DELEGATE") >= 2
    assert record.read_text() == "usb /sys/bus/usb/devices/2-2\n" * 2


@pytest.mark.parametrize(
    ("options", "opened"),
    [
        ({}, "pci /dev/apex_0"),
        ({"device": "usb"}, "usb /sys/bus/usb/devices/2-1"),
        ({"device": ":2"}, "usb /sys/bus/usb/devices/2-2"),
        ({"performance": "low"}, "pci /dev/apex_0 Performance=Low"),
        ({"device": "", "performance": "Max"}, "pci /dev/apex_0 Performance=Max"),
        ({"device": "usb", "performance": "high"}, "usb /sys/bus/usb/devices/2-1 Performance=High"),
        ({"usb_always_dfu": True}, "usb /sys/bus/usb/devices/2-1 Usb.AlwaysDfu=True"),
        (
            {"device": "usb:1", "usb_always_dfu": False, "usb_max_bulk_in_queue_length": 0},
            "usb /sys/bus/usb/devices/2-2 Usb.AlwaysDfu=False Usb.MaxBulkInQueueLength=0",
        ),
        (
            {"device": ":1", "usb_max_bulk_in_queue_length": 255},
            "usb /sys/bus/usb/devices/2-1 Usb.MaxBulkInQueueLength=255",
        ),
    ],
)
def test_options_always_reach_the_device(library: str, record: Path, options: dict[str, object], opened: str) -> None:
    EdgeTpu(library=library, **options).create()  # type: ignore[arg-type]
    assert record.read_text().strip() == opened


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "tpu"}, "'pci:N'"),
        ({"device": "usb:"}, "'pci:N'"),
        ({"device": "/dev/apex_0"}, "'pci:N'"),
        ({"device": 0}, "str"),
        ({"performance": "hihg"}, "'high'"),
        ({"performance": 3}, "one of 'low'"),
        ({"usb_always_dfu": "True"}, "bool"),
        ({"usb_max_bulk_in_queue_length": 256}, "0 to 255"),
        ({"device": "pci:0", "usb_always_dfu": True}, "this is PCIe"),
        ({"Performance": "Low"}, "'performance'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        EdgeTpu(**options)  # type: ignore[arg-type]


def test_usb_options_for_a_device_that_is_on_pcie_are_refused(library: str, record: Path) -> None:
    with pytest.raises(OptionError, match=r"device=':0'.*this is PCIe"):
        EdgeTpu(device=":0", usb_always_dfu=True, library=library).create()
    assert not record.exists()


def test_it_can_be_given_by_name() -> None:
    both = chain(["edgetpu", "xnnpack"], {"performance": "low", "num_threads": 2})
    assert both == (EdgeTpu(performance="low"), Xnnpack(num_threads=2))


def test_devices_and_version_are_told(library: str, record: Path) -> None:
    assert list_edge_tpus(library) == [
        EdgeTpuDevice("pci", "/dev/apex_0"),
        EdgeTpuDevice("usb", "/sys/bus/usb/devices/2-1"),
        EdgeTpuDevice("usb", "/sys/bus/usb/devices/2-2"),
    ]
    assert "RuntimeVersion(14)" in EdgeTpuLibrary(library).version


def why_unavailable(library: str, **options: str) -> str:
    with pytest.raises(DelegateUnavailableError) as raised:
        EdgeTpu(library=library, **options).create()  # type: ignore[arg-type]
    return str(raised.value)


def test_a_missing_library_says_what_to_install(tmp_path: Path) -> None:
    assert "libedgetpu1-std" in why_unavailable(str(tmp_path / "libedgetpu.so.1"))
    other = compile_library("arithmetic_delegate.c", tmp_path / "libother.so")
    with pytest.raises(DelegateError, match="is no libedgetpu: it lacks edgetpu_list_devices, "):
        EdgeTpu(library=other).create()


def test_no_device_is_said_with_what_to_look_for(library: str, machine: Path) -> None:
    message = why_unavailable(library)
    assert "there is no /dev/apex_*" in message and "1a6e:089a" in message
    assert "apex" not in why_unavailable(library, device="usb")
    assert "Performance=Low: options reach a listed device only" in why_unavailable(library, performance="low")


def test_a_device_without_permission_is_said_with_its_path(
    library: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = add_usb(machine, "forbidden", ids=("1a6e", "089a"))
    assert f"no permission to read and write {node}: add the user to the group plugdev" in why_unavailable(library)
    apex = machine / "dev/apex_0"
    apex.write_text("forbidden")
    assert f"no permission to read and write {apex}: add the user to the group of" in why_unavailable(library)
    # Listed all the same, as USB devices are.
    monkeypatch.setenv("FAKE_EDGETPU_DEVICES", f"usb={machine / 'sys/2-1'}")
    monkeypatch.setenv("FAKE_EDGETPU_BUSY", "1")
    assert f"no permission to read and write {node}" in why_unavailable(library, device="usb:0")


def test_a_device_that_is_busy_or_does_not_exist_is_told_from_the_others(
    library: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_usb(machine, "")
    assert "is there, and libedgetpu (BuildLabel(fake), RuntimeVersion(14)) does not list it" in why_unavailable(
        library
    )
    monkeypatch.setenv("FAKE_EDGETPU_DEVICES", USB)
    monkeypatch.setenv("FAKE_EDGETPU_BUSY", "1")
    assert "there is no usb:3: libedgetpu lists usb:0 (/sys/bus/usb/devices/2-1)" in why_unavailable(
        library, device="usb:3"
    )
    busy = why_unavailable(library, device="usb:0", performance="low")
    assert "did not open usb:0. Probable reasons: another process uses it" in busy


def test_a_model_that_was_not_compiled_for_it_is_refused(library: str, record: Path) -> None:
    with pytest.raises(DelegateError, match=r"not compiled for the Edge TPU.*edgetpu_compiler"):
        Interpreter(small_models.add(), delegate=[EdgeTpu(library=library), Xnnpack()])
    assert not record.exists()


def test_the_devices_command_lists_the_edge_tpu(library: str) -> None:
    def listed(**environment: str) -> dict[str, object]:
        command = [sys.executable, "-m", "litedelegates", "devices", "--json"]
        result = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
        found: dict[str, object] = json.loads(result.stdout)["delegates"][-1]
        return found

    folder = str(Path(library).parent)
    there = listed(LD_LIBRARY_PATH=folder, FAKE_EDGETPU_DEVICES=USB)
    assert there["name"] == "edgetpu" and there["is_available"]
    assert there["detail"] == (
        "libedgetpu.so.1, BuildLabel(fake), RuntimeVersion(14): usb:0 (/sys/bus/usb/devices/2-1)"
    )
    none = listed(LD_LIBRARY_PATH=folder)
    assert not none["is_available"] and "RuntimeVersion(14)" in str(none["reason"])
