"""What works on this machine: drivers that crash, hang or are refused, and models tried in a worker process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_models
from litedelegates import DelegateError, OptionError
from litedelegates.delegates import Precision, gpu
from litedelegates.delegates.vulkan import adapter_names
from litedelegates.devices import Availability, availability, try_in_worker
from litedelegates.model import Model
from native_libraries import compile_library

NO_GPU_LIBRARY = gpu.why_unavailable()
needs_the_gpu_library = pytest.mark.skipif(NO_GPU_LIBRARY is not None, reason=str(NO_GPU_LIBRARY))


@pytest.fixture
def broken_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the only Vulkan driver be one that aborts when it is loaded."""
    library = compile_library("aborting_driver.c", tmp_path / "libaborting.so")
    driver = tmp_path / "aborting.json"
    content = {"file_format_version": "1.0.0", "ICD": {"library_path": library, "api_version": "1.1.0"}}
    driver.write_text(json.dumps(content))
    monkeypatch.setenv("VK_ICD_FILENAMES", str(driver))
    monkeypatch.setenv("VK_DRIVER_FILES", str(driver))


def ask(name: str) -> Availability:
    """Ask anew: answers are kept for the process, and these tests change the machine."""
    return availability.__wrapped__(name)


def test_models_that_work_are_tried_without_a_word() -> None:
    model = Model.load(small_models.conv())
    for names in ((), ("xnnpack",)):
        try_in_worker(model, names, {}, 1)


def test_what_a_delegate_raises_in_the_worker_is_raised_here_in_its_own_class() -> None:
    with pytest.raises(OptionError, match="no option 'precision'"):
        try_in_worker(Model.load(small_models.add()), ("xnnpack",), {"precision": "fp32"}, None)


@needs_the_gpu_library
def test_a_driver_that_crashes_ends_the_worker_alone(broken_driver: None) -> None:
    with pytest.raises(DelegateError, match=r"on gpu\+xnnpack in a worker process ended the process \(signal 6"):
        try_in_worker(Model.load(small_models.add()), ("gpu", "xnnpack"), {}, None)
    found = ask("gpu")
    assert not found.is_available and "ended the process (signal 6" in found.reason


@needs_the_gpu_library
def test_a_driver_that_hangs_costs_no_more_than_the_time_limit(
    broken_driver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIVER_HANGS", "1")
    start = time.monotonic()
    with pytest.raises(DelegateError, match="did not finish within 3 s"):
        try_in_worker(Model.load(small_models.add()), ("gpu",), {}, None, time_limit_s=3)
    assert time.monotonic() - start < 30


@needs_the_gpu_library
def test_a_machine_without_a_driver_says_so_with_the_words_of_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(name, "/nowhere/driver.json")
    reason = ask("gpu").reason
    assert "no GPU with a Vulkan driver was found" in reason and "VK_ICD_FILENAMES" in reason
    assert "/nowhere/driver.json" in reason


@pytest.mark.gpu
def test_a_driver_that_is_refused_is_named_with_what_it_lacks_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = os.environ.get("VK_ICD_FILENAMES") or os.environ.get("VK_DRIVER_FILES")
    if not given:
        pytest.skip("VK_ICD_FILENAMES does not say which driver is in use")
    monkeypatch.setenv("LESSER_GPU_DRIVER", json.loads(Path(given).read_text())["ICD"]["library_path"])
    driver = tmp_path / "lesser.json"
    library = compile_library("lesser_gpu.c", tmp_path / "liblesser.so")
    content = {"file_format_version": "1.0.0", "ICD": {"library_path": library, "api_version": "1.1.0"}}
    driver.write_text(json.dumps(content))
    (name,) = adapter_names()
    for variable in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(variable, str(driver))
    reason = ask("gpu").reason
    assert f"Vulkan finds {name}, and the runtime's GPU library does not take its driver" in reason
    assert "shaderUniform*ArrayDynamicIndexing required" in reason and "Update the driver" in reason


@pytest.mark.gpu
def test_a_gpu_in_software_is_called_so_and_warned_of_once_in_a_process() -> None:
    program = """if True:
        import sys, warnings
        from litedelegates import Interpreter, SoftwareGpuWarning
        from litedelegates.devices import small_model
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                with Interpreter(small_model(), "gpu") as interpreter:
                    device = interpreter.device
        print(device)
        print(*(warning.message for warning in caught if warning.category is SoftwareGpuWarning), sep="\\n")
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    device, *warned = ended.stdout.strip().splitlines()
    assert device == ask("gpu").detail
    is_software = any(word in device for word in ("SwiftShader", "llvmpipe"))
    assert device.endswith(", in software on the CPU") == is_software
    assert len(warned) == is_software and all(device in text for text in warned)


def test_hardware_is_not_called_software() -> None:
    logged = "NVIDIA GeForce RTX 3060, arch=ampere, vendor=nvidia, backend=Vulkan, adapterType=discrete GPU"
    assert gpu.device_name(logged) == "NVIDIA GeForce RTX 3060"


@pytest.mark.gpu
def test_options_reach_the_worker() -> None:
    model = Model.load(small_models.conv())
    options = {"precision": Precision.FP32, "serialization_dir": Path("/tmp"), "program_cache_fd": 3, "num_threads": 1}
    try_in_worker(model, ("gpu", "xnnpack"), options, 1)
