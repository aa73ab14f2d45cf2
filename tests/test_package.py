"""The package as a whole: its names, its import, its memory, its command line."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import litedelegates
import numpy as np
import pytest
import small_models
from litedelegates import Interpreter
from litedelegates.cli import main

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"
HEAVY = (
    "ai_edge_litert",
    "flatbuffers",
    "litert_quantizer",
    "ml_dtypes",
    "onnx",
    "onnxruntime",
    "pandas",
    "scipy",
    "tensorflow",
)


def test_every_public_name_exists() -> None:
    for name in litedelegates.__all__:
        assert getattr(litedelegates, name) is not None


def test_the_import_pulls_in_nothing_heavy() -> None:
    code = "import sys, litedelegates; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(loaded) & set(HEAVY)


def resident_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def cycle(delegate: str | None) -> None:
    with Interpreter(DIGITS, delegate=delegate) as interpreter:
        interpreter.run(*(np.zeros(info.shape, info.dtype) for info in interpreter.inputs))


@pytest.mark.parametrize("delegate", [None, "xnnpack"])
def test_memory_is_flat_over_200_cycles_on_the_cpu(delegate: str | None) -> None:
    for _ in range(40):
        cycle(delegate)
    gc.collect()
    before = resident_kb()
    for _ in range(200):
        cycle(delegate)
    gc.collect()
    grown = resident_kb() - before
    assert grown < 4096, f"{delegate}: {grown} kB more after 200 cycles"  # a leak of a model's size would show


def test_devices_lists_every_delegate_with_available_or_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["delegates"]
    assert [one["name"] for one in listed] == ["none", "xnnpack", "gpu", "openvino", "edgetpu"]
    assert listed[0]["is_available"] and listed[1]["is_available"]
    assert all(one["is_available"] or len(one["reason"]) > 10 for one in listed)
    assert main(["devices"]) == 0
    assert "xnnpack  available" in capsys.readouterr().out


def test_run_prints_what_ran_where_and_saves_the_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    np.save(tmp_path / "image.npy", image)
    arguments = ["run", str(DIGITS), "--runs", "3", "--placement"]
    assert main([*arguments, "--input", str(tmp_path / "image.npy"), "--output", str(tmp_path / "out.npz")]) == 0
    printed = capsys.readouterr().out
    assert "latency" in printed and "CONV_2D" in printed and "xnnpack" in printed
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["logits"], Interpreter(DIGITS).run(image))


def test_profile_prints_the_slowest_ops_and_saves_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "ops.csv"
    assert main(["profile", str(DIGITS), "--delegate", "none", "--runs", "3", "--top", "2", "--csv", str(target)]) == 0
    assert "CONV_2D" in capsys.readouterr().out
    assert len(target.read_text().splitlines()) == 1 + len(Interpreter(DIGITS).placement)


def test_quantize_writes_a_smaller_model_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "half.tflite"
    assert main(["quantize", str(DIGITS), "float16", "-o", str(target)]) == 0
    assert "%" in capsys.readouterr().out
    assert target.stat().st_size < 0.6 * DIGITS.stat().st_size
    Interpreter(target).run(np.zeros((1, 8, 8, 1), np.float32))


def test_failures_on_the_command_line_are_one_message_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "missing.tflite"]) == 1
    assert "no model at missing.tflite" in capsys.readouterr().err
    assert main(["run", str(DIGITS), "--option", "num_thread=2"]) == 2
    assert "num_threads" in capsys.readouterr().err
    with pytest.raises(SystemExit) as usage:
        main(["no-such-command"])
    assert usage.value.code == 2


def test_the_module_runs_as_a_command(tmp_path: Path) -> None:
    (tmp_path / "add.tflite").write_bytes(small_models.add())
    command = [sys.executable, "-m", "litedelegates", "run", str(tmp_path / "add.tflite"), "--runs", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "sum float32[1, 4]" in result.stdout and result.stderr == ""
