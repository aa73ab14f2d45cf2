"""Studies: each cell in a process of its own, whatever becomes of it written down, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import marked_workers
import numpy as np
import pytest
import small_models
from digits_model import DIGITS, digits_data
from litedelegates import OptionError
from litedelegates.measure import series_interval
from litedelegates.study import Outcome, Progress, Store, StoreError, StudyConfig, read_config, run_study
from native_libraries import compile_library

PARENT = Path(__file__).with_name("study_parent.py")
QUICK = {"seconds": 0.05, "rounds": 6, "block_seconds": 0.005, "warmup_seconds": 0.01}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "study.sqlite"


def outcomes(path: Path) -> dict[str, Outcome]:
    """Return the outcomes of a store by the options of the cell."""
    with Store.open(path) as study:
        found = {}
        for cell in study.cells():
            outcome = study.outcome(cell)
            assert outcome is not None
            found[",".join(f"{name}={value}" for name, value in cell.options.items()) or cell.delegate] = outcome
        return found


pytestmark = pytest.mark.usefixtures("marked_workers")


def worker_pids() -> set[int]:
    """Return the process ids of the workers of this test."""
    return marked_workers.worker_pids("litedelegates.study.cell_worker")


def wait_for_workers(present: bool, seconds: float) -> bool:
    """Wait until there are workers, or none any more, and return whether that came to be."""
    return marked_workers.wait_for_workers("litedelegates.study.cell_worker", present=present, seconds=seconds)


def test_cells_are_measured_interleaved_and_compared_with_their_base(store: Path) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    config = StudyConfig((str(DIGITS),), precisions=("float32", "dynamic"), threads=(1, 2), **QUICK)
    run_study(config, store)
    with Store.open(store) as study:
        cells = study.cells()
        assert [(cell.precision, cell.delegate, cell.threads) for cell in cells] == [
            (precision, delegate, threads)
            for threads in (1, 2)
            for precision in ("float32", "dynamic")
            for delegate in ("none", "xnnpack")
        ]
        for cell in cells:
            outcome, base = study.outcome(cell), study.base_of(cell)
            assert outcome is not None and base is not None
            assert outcome.status == "ok" and outcome.reason is None
            assert (base.precision, base.delegate, base.threads) == ("float32", "none", cell.threads)
            assert outcome.load_ns and outcome.first_run_ns and outcome.memory and outcome.memory["peak"] > 10**7
            assert outcome.ops and sum((outcome.placement or {}).values()) == len(outcome.ops)
            blocks = study.blocks(cell)
            assert [block.round_index for block in blocks] == list(range(len(blocks))) and len(blocks) >= 6
            assert all((block.samples_ns > 0).any() for block in blocks)
            ratio = study.ratio(cell, base)
            assert ratio is not None and ratio.rounds == len(blocks)
        rounds: dict[tuple[str, int], set[int]] = {}
        for cell in cells:
            for block in study.blocks(cell):
                rounds.setdefault((block.group, block.round_index), set()).add(block.position)
        assert all(positions == {0, 1, 2, 3} for positions in rounds.values())
        (session,) = study.sessions()
        assert session.how == "finished" and session.machine["cores"] and session.versions["ai-edge-litert"]


def test_outputs_are_held_against_the_file_as_it_is(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    data = digits_data()
    np.save(tmp_path / "images.npy", data["images"][:200])
    np.save(tmp_path / "labels.npy", data["labels"][:200])
    config = StudyConfig(
        (str(DIGITS),),
        precisions=("float32", "int8"),
        delegates=("none",),
        calibration="random",
        inputs=str(tmp_path / "images.npy"),
        labels=str(tmp_path / "labels.npy"),
        **QUICK,
    )
    run_study(config, store)
    with Store.open(store) as study:
        plain, int8 = (study.outcome(cell) for cell in study.cells())
    assert plain is not None and int8 is not None and plain.error is not None and int8.error is not None
    assert plain.error["max_abs"] == 0 and plain.error["inputs"] == "given" and plain.error["samples"] == 32
    assert int8.error["relative"] > 0.001
    assert int8.note is not None and "random" in int8.note
    assert plain.accuracy is not None and plain.accuracy > 0.98
    assert (int8.accuracy is not None and int8.accuracy != plain.accuracy) or int8.accuracy > 0.9


def test_an_error_says_what_the_precision_explains_so_that_a_wrong_delegate_shows(store: Path, tmp_path: Path) -> None:
    (tmp_path / "add.tflite").write_bytes(small_models.add())
    offset = compile_library("offset_delegate.c", tmp_path / "liboffset.so")
    delegates = ("none", "xnnpack", f"external:{offset};offset=0.01")
    run_study(StudyConfig((str(tmp_path / "add.tflite"),), delegates=delegates, **QUICK), store)
    with Store.open(store) as study:
        errors = [outcome.error for cell in study.cells() if (outcome := study.outcome(cell)) is not None]
    assert [error["relative_norm"] > error["bound"] for error in errors if error] == [False, False, True]
    assert all("doubt" not in error for error in errors if error)


@pytest.mark.parametrize("where", ["create", "prepare", "invoke"])
def test_cells_that_crash_hang_or_eat_memory_are_outcomes_and_the_rest_completes(
    store: Path, troubled: str, where: str
) -> None:
    kinds = {"crash": "crashed", "hang": "timeout", "eat": "out of memory"}
    delegates = ["none", *(f"external:{troubled};{kind}={where}" for kind in kinds), f"external:{troubled}", "xnnpack"]
    config = StudyConfig((str(DIGITS),), delegates=tuple(delegates), time_limit=8, memory_limit_mb=400, **QUICK)
    run_study(config, store)
    found = outcomes(store)
    for kind, status in kinds.items():
        outcome = found[f"external.{kind}={where}"]
        assert outcome.status == status, outcome.reason
        assert outcome.reason is not None and outcome.reason.startswith("first run" if where == "invoke" else "load")
    assert "SIGSEGV" in (found[f"external.crash={where}"].reason or "")
    assert "400 MB" in (found[f"external.eat={where}"].reason or "")
    assert all(found[name].status == "ok" for name in ("none", "xnnpack", f"external:{troubled}"))
    assert found[f"external:{troubled}"].placement == {"TroubledDelegate": 2, "builtin": 13}
    assert list(found[f"external:{troubled}"].libraries or {}) == [troubled]
    assert not worker_pids()


def test_a_crash_in_the_middle_keeps_the_blocks_before_it(store: Path, troubled: str) -> None:
    config = StudyConfig(
        (str(DIGITS),), delegates=("none", f"external:{troubled};crash=invoke;after=300"), **{**QUICK, "seconds": 1.0}
    )
    run_study(config, store)
    with Store.open(store) as study:
        base, cell = study.cells()
        outcome = study.outcome(cell)
        assert outcome is not None and outcome.status == "crashed" and (outcome.reason or "").startswith("run: ")
        assert outcome.load_ns and outcome.placement
        assert 0 < len(study.blocks(cell)) < len(study.blocks(base))
        assert any(event.kind == "crashed" and event.cell_key == cell.key for event in study.events())


def test_a_delegate_that_refuses_is_a_failure(store: Path, troubled: str) -> None:
    run_study(StudyConfig((str(DIGITS),), delegates=("none", f"external:{troubled};tea=now"), **QUICK), store)
    with Store.open(store) as study:
        found = [outcome for outcome in map(study.outcome, study.cells()) if outcome is not None]
    assert [outcome.status for outcome in found] == ["ok", "failed"] and "no such option" in (found[1].reason or "")


def test_a_delegate_that_refuses_and_a_precision_that_cannot_be_made_are_failures(store: Path, troubled: str) -> None:
    pytest.importorskip("litert_quantizer", reason="the calibration is read by the quantizer")
    config = StudyConfig(
        (str(DIGITS),),
        precisions=("float32", "int8"),
        delegates=("none", f"external:{troubled};tea=now"),
        calibration="no such file.npy",
        **QUICK,
    )
    run_study(config, store)
    with Store.open(store) as study:
        found = [outcome for outcome in map(study.outcome, study.cells()) if outcome is not None]
    assert [outcome.status for outcome in found] == ["ok", "failed", "failed", "failed"]
    assert "no such option" in (found[1].reason or "") and "no such file.npy" in (found[2].reason or "")


def test_a_rerun_measures_only_what_is_missing(store: Path, troubled: str) -> None:
    first = StudyConfig((str(DIGITS),), delegates=("none", f"external:{troubled};crash=prepare"), **QUICK)
    run_study(first, store)
    with Store.open(store) as study:
        before = {cell.key: len(study.blocks(cell)) for cell in study.cells()}
    seen: list[Progress] = []
    run_study(first, store, progress=seen.append)
    assert [progress.doing for progress in seen] == ["done"]
    more = StudyConfig((str(DIGITS),), delegates=("none", "xnnpack"), **QUICK)
    run_study(more, store)
    with Store.open(store) as study:
        none, _, added = study.cells()
        assert added.delegate == "xnnpack" and study.ratio(added, none) is not None
        assert len(study.blocks(none)) > before[none.key]  # again beside what is new
        assert len(study.sessions()) == 3


def kill_at(moment: float, command: list[str]) -> tuple[int, list[str]]:
    """Run a command, kill it after ``moment`` seconds, and return its exit code and the whole lines it wrote."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    timer = time.monotonic() + moment
    while process.poll() is None and time.monotonic() < timer:
        time.sleep(0.005)
    process.kill()
    output, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said.decode()
    return process.returncode, output.decode().rpartition("\n")[0].splitlines()


def held_blocks(path: Path) -> set[tuple[str, int]]:
    """Return the cell and round of every block of a store, which may not have come into being yet."""
    if not path.is_file() or not path.stat().st_size:
        return set()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not connection.execute("SELECT name FROM sqlite_master WHERE name = 'block'").fetchall():
            return set()
    with Store.open(path) as study:
        return {(block.cell_key, block.round_index) for cell in study.cells() for block in study.blocks(cell)}


def kill_and_complete(store: Path, kills: int, chance: random.Random) -> int:
    """Kill a study at random moments, then let it come to its end; return how often it was killed."""
    written: set[tuple[str, int]] = set()
    killed = 0
    for _ in range(kills):
        code, lines = kill_at(chance.uniform(0.0, 4.0), [sys.executable, str(PARENT), str(store), "1.5", str(DIGITS)])
        written |= {(key, int(index)) for key, index in (line.split() for line in lines)}
        assert written <= held_blocks(store)
        assert wait_for_workers(False, 30), "workers outlived the study"
        killed += code != 0
    subprocess.run([sys.executable, str(PARENT), str(store), "1.5", str(DIGITS)], check=True, capture_output=True)
    assert written <= held_blocks(store)
    assert all(outcome.status == "ok" for outcome in outcomes(store).values())
    with Store.open(store) as study:
        assert len(study.cells()) == 8
        assert all(study.ratio(cell, study.base_of(cell) or cell) is not None for cell in study.cells())
        assert [session.how for session in study.sessions()][-1] == "finished"
    return killed


def test_a_study_that_is_killed_loses_nothing_and_leaves_no_process(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    wanted, kills, studies, chance = int(os.environ.get("LITEDELEGATES_KILLS", "8")), 0, 0, random.Random(0)
    while kills < wanted:
        kills += kill_and_complete(tmp_path / f"study{studies}.sqlite", min(10, wanted - kills), chance)
        studies += 1
    print(f"{kills} kills, {studies} studies")


def test_workers_end_when_their_study_is_killed_while_one_hangs(store: Path, troubled: str, tmp_path: Path) -> None:
    program = tmp_path / "hang.py"
    program.write_text(
        "import sys\n"
        "from litedelegates.study import StudyConfig, run_study\n"
        "run_study(StudyConfig((sys.argv[2],), delegates=(sys.argv[3],), time_limit=600), sys.argv[1])\n"
    )
    command = [sys.executable, str(program), str(store), str(DIGITS), f"external:{troubled};hang=prepare"]
    process = subprocess.Popen(command)
    assert wait_for_workers(True, 120)
    time.sleep(1)  # until it hangs
    assert worker_pids() and process.poll() is None
    process.kill()
    process.wait()
    assert wait_for_workers(False, 30)


def test_a_second_study_and_another_machine_are_refused(store: Path) -> None:
    config = StudyConfig((str(DIGITS),), delegates=("none",), **QUICK)
    with Store.create(store, {}) as study, pytest.raises(StoreError, match="another study is writing"):
        study.add_session({"cpu_model": "an abacus"}, {})
        run_study(config, store)
    with pytest.raises(StoreError, match=r"another machine \(cpu_model: an abacus"):
        run_study(config, store)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"precisions": ("int9",)}, "Did you mean 'int8'"),
        ({"delegates": ("xnnpak",)}, "Did you mean 'xnnpack'"),
        ({"delegates": ("gpu;precision_los_allowed=1",)}, "Did you mean 'precision_loss_allowed'"),
        ({"delegates": ("gpu;fast",)}, "NAME=VALUE"),
        ({"delegates": ("auto",)}, "every delegate that it is given"),
        ({"threads": (0,)}, "at least 1"),
        ({"seconds": -1}, "not be negative"),
        ({"models": "model.tflite"}, "must be a list"),
        ({"labels": "labels.npy"}, "no inputs"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(fields: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        StudyConfig(**{"models": ("model.tflite",), **fields})  # type: ignore[arg-type]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="reads TOML with the standard library from Python 3.11 on")
def test_study_files_name_their_models_beside_them(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('models = ["a.tflite"]\nprecisions = "int8"\nthreads = [1, 2]\nseconds = 0.5\nstore = "s.sqlite"\n')
    assert read_config(file) == {
        "models": [str(tmp_path / "a.tflite")],
        "precisions": ["int8"],
        "threads": [1, 2],
        "seconds": 0.5,
        "store": str(tmp_path / "s.sqlite"),
    }
    file.write_text("modls = []")
    with pytest.raises(OptionError, match="Did you mean 'models'"):
        read_config(file)
    file.write_text("models = ")
    with pytest.raises(OptionError, match="not TOML"):
        read_config(file)


@pytest.mark.measures
def test_a_study_goes_on_until_it_is_as_precise_as_wanted(store: Path) -> None:
    fields = {**QUICK, "seconds": 0.01, "within": 0.2, "max_seconds": 20.0}
    run_study(StudyConfig((str(DIGITS),), delegates=("none", "xnnpack"), **fields), store)
    with Store.open(store) as study:
        for cell in study.cells():
            medians = [float(np.median(block.latency_ns)) for block in study.blocks(cell)]
            interval, middle = series_interval(medians), float(np.median(medians))
            assert interval is not None and len(medians) >= 16  # the first look
            assert max(interval.high - middle, middle - interval.low) <= 0.2 * middle
            assert sum(float(block.samples_ns.sum()) for block in study.blocks(cell)) < 20e9


@pytest.mark.measures
def test_what_disturbed_a_cell_goes_with_it(store: Path) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        run_study(StudyConfig((str(DIGITS),), delegates=("xnnpack",), **{**QUICK, "seconds": 1.0}), store)
    finally:
        busy.kill()
        busy.wait()
    (outcome,) = outcomes(store).values()
    (told,) = [entry for entry in outcome.conditions if (entry["kind"], entry["severity"]) == ("busy", "warning")]
    assert "other processes took" in told["text"]
