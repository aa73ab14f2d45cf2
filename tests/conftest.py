"""Fixtures for all tests, what becomes of a test that needs a GPU, and the turns of tests that run side by side."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import real_models as downloads
import small_models
from beside import turn
from browser import why_no_browser
from litedelegates import DelegateUnavailableError
from litedelegates.delegates import openvino_library
from marked_workers import MARK
from native_libraries import compile_library

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what goes to the background so, as in `make test &`. Programs that tests start would inherit it,
    # and never hear the Ctrl-C that is sent to them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

REQUIRE_GPU = "LITEDELEGATES_REQUIRE_GPU"
REQUIRE_OPENVINO = "LITEDELEGATES_REQUIRE_OPENVINO"
REQUIRE_BROWSER = "LITEDELEGATES_REQUIRE_BROWSER"
_PROBE_SECONDS = 120
_PROBE = """
import sys
from litedelegates import Interpreter

interpreter = Interpreter(sys.stdin.buffer.read(), delegate="gpu")
interpreter.allocate_tensors()
interpreter.invoke()
ran = {placement.ran for placement in interpreter.placement}
if ran != {"gpu"}:
    sys.exit(f"the model ran on {', '.join(sorted(ran))}")
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test marked ``measures`` alone, where several run side by side."""
    with turn(measures=item.get_closest_marker("measures") is not None):
        return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``gpu``, ``openvino`` or ``browser`` with the reason, or fail it where that is required."""
    for marker, why, what, required in (
        ("gpu", why_no_gpu, "usable GPU", REQUIRE_GPU),
        ("openvino", why_no_openvino, "usable OpenVINO", REQUIRE_OPENVINO),
        ("browser", why_no_browser, "browser", REQUIRE_BROWSER),
    ):
        reason = why() if item.get_closest_marker(marker) is not None else None
        if reason is None:
            continue
        if os.environ.get(required):
            pytest.fail(f"{required} is set, but there is no {what}: {reason}", pytrace=False)
        pytest.skip(f"no {what}: {reason}")


@functools.cache
def why_no_gpu() -> str | None:
    """Return why a tiny model does not run on the GPU here, or None if it does."""
    # A process of its own: a broken driver may crash or hang, and the tests should outlive that.
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            input=small_models.add(),
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the probe did not end within {_PROBE_SECONDS} s"
    if probe.returncode == 0:
        return None
    if probe.returncode < 0:
        return f"the probe was killed by signal {-probe.returncode}"
    last_lines = probe.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return last_lines[0].strip() if last_lines else f"the probe ended with {probe.returncode}"


@functools.cache
def why_no_openvino() -> str | None:
    """Return why OpenVINO's libraries are not there, or None if they are; whether they work is for the tests."""
    try:
        openvino_library.find()
    except DelegateUnavailableError as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a delegate that crashes, hangs or eats memory when it is told to."""
    return compile_library("troubled_delegate.c", tmp_path_factory.mktemp("native") / "libtroubled.so")


@pytest.fixture
def marked_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the workers of a test from those of others on the machine; see `marked_workers.py`."""
    monkeypatch.setenv(MARK, str(tmp_path))


@pytest.fixture(scope="session")
def real_models() -> dict[str, Path]:
    """The path of each real TFLite model by name."""
    return _had(downloads.real_models)


@pytest.fixture(scope="session")
def real_onnx_models() -> dict[str, Path]:
    """The path of each real ONNX model by name."""
    return _had(downloads.real_onnx_models)


def _had(get: Callable[[], dict[str, Path]]) -> dict[str, Path]:
    try:
        return get()
    except downloads.ModelsUnavailableError as error:
        reason = str(error)
    # Not skipped: a skip would hide that nothing was checked.
    pytest.fail(reason, pytrace=False)
