"""A 64-bit ARM older than 8.1, such as a Raspberry Pi 4: the runtime's GPU library must not be loaded there."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import litedelegates
import pytest
from litedelegates.devices import availability

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"
OFFICIAL = """
import sys
from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator
model = CompiledModel.from_file(sys.argv[1], hardware_accel=HardwareAccelerator.CPU)
model.run_by_index(0, model.create_input_buffers(0), model.create_output_buffers(0))
"""
OURS = """
import sys
import numpy
from litedelegates import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.run(numpy.zeros(interpreter.inputs[0].shape, numpy.float32))
print({record.ran for record in interpreter.placement})
"""


def lacks_atomics() -> bool:
    """Return whether this CPU is an ARM without the atomic instructions of version 8.1."""
    features = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("Features")]
    return platform.machine() == "aarch64" and "atomics" not in features[0].split()


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, DIGITS], capture_output=True, text=True, timeout=300)


def test_ours_runs_on_every_cpu_and_the_official_compiled_model_dies_on_an_old_arm() -> None:
    ours, official = run(OURS), run(OFFICIAL)
    assert (ours.returncode, ours.stdout.strip()) == (0, "{'xnnpack'}"), ours.stderr[-500:]
    assert (official.returncode < 0) == lacks_atomics(), f"ended with {official.returncode}: {official.stderr[-500:]}"


def test_the_gpu_is_refused_with_the_reason_and_the_process_lives_on() -> None:
    if not lacks_atomics():
        assert "LSE" not in availability("gpu").reason
        return
    with pytest.raises(litedelegates.DelegateUnavailableError, match="LSE atomic instructions"):
        litedelegates.Interpreter(DIGITS, delegate="gpu")
    assert "LSE atomic instructions" in availability("gpu").reason
