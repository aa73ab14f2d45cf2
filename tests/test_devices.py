"""What works on this machine: drivers that crash, hang or are refused, and models tried in a worker process."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import small_models
from litedelegates import DelegateError, OptionError
from litedelegates.delegates import Precision, gpu
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


@pytest.mark.gpu
def test_options_reach_the_worker() -> None:
    model = Model.load(small_models.conv())
    options = {"precision": Precision.FP32, "serialization_dir": Path("/tmp"), "program_cache_fd": 3, "num_threads": 1}
    try_in_worker(model, ("gpu", "xnnpack"), options, 1)
