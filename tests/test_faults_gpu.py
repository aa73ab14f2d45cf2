"""A GPU that is lost in the middle: an error or a recorded outcome, and never wrong numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from digits_model import DIGITS
from litedelegates.study import Store, StudyConfig, run_study
from native_libraries import compile_library

RUN = """
import sys
import numpy as np
from litedelegates import Interpreter, LiteDelegatesError
x = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
wanted = Interpreter(sys.argv[1], delegate=None).run(x)
try:
    interpreter = Interpreter(sys.argv[1], delegate="gpu")
    for _ in range(20):
        assert np.allclose(interpreter.run(x), wanted, atol=1e-3), "wrong numbers"
    print("right")
except LiteDelegatesError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def losing_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the GPU's driver be one that loses its device; give the number of submissions with LOSING_GPU_AFTER."""
    given = os.environ.get("VK_ICD_FILENAMES") or os.environ.get("VK_DRIVER_FILES")
    if not given:
        pytest.skip("VK_ICD_FILENAMES does not say which driver is in use")
    driver = Path(json.loads(Path(given).read_text())["ICD"]["library_path"])
    library = compile_library("losing_gpu.c", tmp_path / "liblosing_gpu.so")
    icd = tmp_path / "losing.json"
    content = {"file_format_version": "1.0.0", "ICD": {"library_path": library, "api_version": "1.1.0"}}
    icd.write_text(json.dumps(content))
    monkeypatch.setenv("LOSING_GPU_DRIVER", str(driver))
    monkeypatch.setenv("VK_ICD_FILENAMES", str(icd))
    return icd


def ending(after: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(DIGITS)],
        env={**os.environ, "LOSING_GPU_AFTER": str(after)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "wrong numbers" not in done.stderr
    return done.stdout.strip() or f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"


@pytest.mark.gpu
def test_a_lost_gpu_gives_an_error_and_no_wrong_numbers(losing_gpu: Path) -> None:
    endings = {after: ending(after) for after in (0, 1, 3, 6, 10, 15, 10_000)}
    print(endings)
    assert endings.pop(10_000) == "right"
    assert "right" not in endings.values()


@pytest.mark.gpu
def test_a_study_writes_down_a_lost_gpu_and_goes_on(
    losing_gpu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSING_GPU_AFTER", "40")
    quick = {"seconds": 1.0, "rounds": 6, "block_seconds": 0.01, "warmup_seconds": 0.01, "time_limit": 20}
    run_study(StudyConfig((str(DIGITS),), delegates=("none", "gpu", "xnnpack"), **quick), tmp_path / "s.sqlite")
    with Store.open(tmp_path / "s.sqlite") as store:
        found = {cell.delegate: store.outcome(cell) for cell in store.cells()}
    print(found["gpu"])
    assert [found[name].status for name in ("none", "xnnpack")] == ["ok", "ok"]  # type: ignore[union-attr]
    assert found["gpu"] is not None and found["gpu"].status in ("failed", "crashed", "timeout")
    assert found["gpu"].reason
