"""Caches and stores that were damaged, outputs that are closed or full, folders that cannot be written."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from digits_model import DIGITS, digits_data
from litedelegates import Interpreter
from litedelegates.isolated import python_command
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.study import Store, StudyConfig, run_study
from native_libraries import compile_library

QUICK = {"seconds": 0.0, "rounds": 2, "block_seconds": 0.001, "warmup_seconds": 0.0}
DAMAGES = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "noise": lambda content: os.urandom(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_beside_a_store_are_made_anew(damage: str, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    first, store = tmp_path / "first.sqlite", tmp_path / "second.sqlite"
    config = StudyConfig((str(DIGITS),), precisions=("float32", "dynamic"), delegates=("none",), **QUICK)
    layers = LayersConfig(str(DIGITS), ("dynamic",), ("none",), parts=("in_place",), runs=1, seconds=0.001)
    run_study(config, first)
    study_layers(layers, first)
    made = sorted(Path(f"{first}.models").iterdir())
    assert {file.suffix for file in made} == {".tflite", ".npz", ".doubt"}
    beside = Path(f"{store}.models")
    beside.mkdir()
    for file in made:
        (beside / file.name).write_bytes(DAMAGES[damage](file.read_bytes()))
    run_study(config, store)
    assert not [record.refusal for record in study_layers(layers, store).variants if record.refusal]
    with Store.open(store) as study:
        outcomes = [study.outcome(cell) for cell in study.cells()]
    assert [(outcome.status, outcome.error is not None) for outcome in outcomes if outcome] == [("ok", True)] * 2
    for file in made:
        if file.suffix == ".tflite":
            assert (beside / file.name).stat().st_size == file.stat().st_size


def test_what_a_study_that_was_killed_left_half_written_is_removed(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    layers = LayersConfig(str(DIGITS), ("float32",), ("none",), parts=("in_place",), runs=1, seconds=0.001)
    for measure in (
        lambda: run_study(StudyConfig((str(DIGITS),), delegates=("none",), **QUICK), store),
        lambda: study_layers(layers, store),
    ):
        part = Path(f"{store}.models") / ".m.tflite.0123456789abcdef.part"
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"half")
        measure()
        assert [file.name for file in part.parent.glob(".*")] == []


CACHED = """
import sys
import numpy as np
from litedelegates import Interpreter, LiteDelegatesError, Xnnpack
x = np.load(sys.argv[3])
try:
    with Interpreter(sys.argv[1], delegate=Xnnpack(weight_cache_file_path=sys.argv[2])) as interpreter:
        np.save(sys.argv[4], interpreter.run(x))
    print("ran")
except LiteDelegatesError as error:
    print(type(error).__name__)
"""


def test_a_damaged_weight_cache_gives_right_numbers_or_an_error(tmp_path: Path) -> None:
    cache, image, output = tmp_path / "weights.cache", tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(image, digits_data()["images"][:1])
    command = [sys.executable, "-c", CACHED, str(DIGITS), str(cache), str(image), str(output)]
    with Interpreter(DIGITS, delegate=None) as interpreter:
        wanted = interpreter.run(digits_data()["images"][:1])

    def run() -> str:
        output.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if output.exists():
            np.testing.assert_allclose(np.load(output), wanted, atol=1e-4)
        return done.stdout.strip() or f"exit code {done.returncode}"

    assert run() == "ran" and cache.stat().st_size > 1000
    whole = cache.read_bytes()
    endings = {}
    for name, change in DAMAGES.items():
        cache.write_bytes(change(whole))
        endings[name] = run()
    print(endings)
    assert set(endings.values()) <= {"ran", "CompileError", "DelegateError", "RunError"}


def bash(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = shlex.join(python_command("litedelegates"))
    return subprocess.run(
        ["bash", "-c", f'run() {{ {command} "$@"; }}; {script}'],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_outputs_that_are_closed_full_or_left_early_end_in_one_line(tmp_path: Path) -> None:
    shutil.copy(DIGITS, tmp_path / "m.tflite")
    full = bash("run graph m.tflite --json > /dev/full", tmp_path)
    assert full.returncode == 1 and full.stderr == "litedelegates graph: No space left on device\n"
    closed = bash("run graph m.tflite >&-", tmp_path)
    assert (closed.returncode, closed.stderr) == (0, "")
    left = bash("run graph m.tflite --json | head -c 10 > /dev/null; exit ${PIPESTATUS[0]}", tmp_path)
    assert (left.returncode, left.stderr) == (0, "")


def test_a_home_that_cannot_be_written_is_not_needed(tmp_path: Path) -> None:
    shutil.copy(DIGITS, tmp_path / "m.tflite")
    done = bash(
        "run run m.tflite --runs 1 && run bench m.tflite --seconds 0 --quiet --store s.sqlite",
        tmp_path,
        HOME="/proc/1/nowhere",
        XDG_CACHE_HOME="/proc/1/nowhere",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "m.tflite",
        "s.sqlite",
        "s.sqlite.models",
    ]


def test_a_delegate_that_crashes_when_it_is_freed_loses_no_measurement(tmp_path: Path) -> None:
    troubled = compile_library("troubled_delegate.c", tmp_path / "libtroubled.so")
    config = StudyConfig((str(DIGITS),), delegates=("none", f"external:{troubled};crash=destroy"), loads=2, **QUICK)
    run_study(config, tmp_path / "s.sqlite")
    with Store.open(tmp_path / "s.sqlite") as store:
        cells = store.cells()
        assert [store.outcome(cell).status for cell in cells] == ["ok", "ok"]  # type: ignore[union-attr]
        assert all(store.blocks(cell) for cell in cells)
        events = [event for event in store.events() if event.kind == "crashed"]
    assert [event.cell_key for event in events] == [cells[1].key] * 2
    assert all("freeing" in event.text and "SIGSEGV" in event.text for event in events)
