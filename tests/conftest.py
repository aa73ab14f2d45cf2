"""Fixtures for all tests, and what becomes of a test that needs a GPU."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import real_models as downloads
import small_models

REQUIRE_GPU = "LITEDELEGATES_REQUIRE_GPU"
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


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``gpu`` with the probed reason, or fail it where a GPU is required."""
    if item.get_closest_marker("gpu") is None:
        return
    reason = why_no_gpu()
    if reason is None:
        return
    if os.environ.get(REQUIRE_GPU):
        pytest.fail(f"{REQUIRE_GPU} is set, but there is no usable GPU: {reason}", pytrace=False)
    pytest.skip(f"no usable GPU: {reason}")


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


@pytest.fixture(scope="session")
def real_models() -> dict[str, Path]:
    """The path of each real model by name."""
    try:
        return downloads.real_models()
    except downloads.ModelsUnavailableError as error:
        reason = str(error)
    # Not skipped: a skip would hide that nothing was checked.
    pytest.fail(reason, pytrace=False)
