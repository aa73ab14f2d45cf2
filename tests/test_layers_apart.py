"""Layer studies with a delegate that crashes, hangs or eats memory: its settings are refused, and the rest is there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import marked_workers
import numpy as np
import pytest
from digits_model import DIGITS
from litedelegates.cli import main
from litedelegates.errors import RunError
from litedelegates.graph import extract, load
from litedelegates.layers import LayersConfig, LayerStudy, Setting, study_layers
from litedelegates.layers.errors_apart import ErrorOrder, errors_apart
from litedelegates.layers.in_place import in_place
from litedelegates.layers.prefixes import prefix_differences
from litedelegates.layers.variants import Variant, make_variant
from litedelegates.measure import Plan, interleave
from litedelegates.measure.cpu_time import read_cpu_time

QUICK: dict[str, Any] = {"seconds": 0.02, "runs": 3, "samples": 2}
TROUBLES = {"crash": "signal 11 (SIGSEGV)", "hang": "no answer within 2 s", "eat": "memory"}
ADDS = ("4", "7")  # layers that the troubled delegate takes
EASY = ("1", "2")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "study.sqlite"


pytestmark = pytest.mark.usefixtures("marked_workers")


def worker_pids() -> set[int]:
    """Return the process ids of the workers of this test."""
    return marked_workers.worker_pids("litedelegates.layers.")


def wait_until_gone() -> None:
    assert marked_workers.wait_for_workers("litedelegates.layers.", present=False, seconds=30)


def rows(store: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """Return the session and the text of each record that was measured, by kind and key."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        found = connection.execute("SELECT kind, key, session, record FROM layer_record WHERE kind != 'variant'")
        return {(kind, key): (session, record) for kind, key, session, record in found}


def is_add(layer: int) -> bool:
    return load(DIGITS).ops[layer].type == "ADD"


@pytest.mark.measures
@pytest.mark.parametrize("kind", ("crash", "hang"))
def test_a_troubled_delegate_beside_xnnpack_costs_its_own_settings_and_nothing_else(
    store: Path, troubled: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all(is_add(int(layer)) for layer in ADDS) and not any(is_add(int(layer)) for layer in EASY)
    delegate = f"external:{troubled};{kind}=invoke"
    arguments = ["layers", str(DIGITS), "--precisions", "float32", "--delegates", f"{delegate},xnnpack"]
    arguments += ["--layers", ",".join(ADDS + EASY), "--seconds", "0.02", "--runs", "3", "--samples", "2"]
    arguments += ["--time-limit", "2", "--store", str(store)]
    assert main(arguments) == 0  # refusals are part of the result
    out, err = capsys.readouterr()
    assert "in place float32 xnnpack 1t" in err and "delegate errors" in err and "Traceback" not in err
    assert TROUBLES[kind] in out
    study = LayerStudy.open(store)
    bad, good = Setting("float32", delegate), Setting("float32", "xnnpack")
    in_place_of = {record.setting: record for record in study.in_place}
    refusal = in_place_of[bad].refusal or ""
    assert refusal.startswith("run: ") and TROUBLES[kind] in refusal
    assert in_place_of[good].refusal is None and in_place_of[good].whole_us
    assert {layer for part in in_place_of[good].parts for layer in part.layers} == set(range(15))
    for layer in map(int, ADDS + EASY):
        for setting in (bad, good):
            alone = study.alone_of(layer, setting)
            assert alone is not None and (alone.median_us is None) == (setting is bad and is_add(layer))
    errors = {(error.layer, error.delegate): error for error in study.errors}
    assert set(errors) == {(int(layer), name) for layer in ADDS + EASY for name in (delegate, "xnnpack")}
    for (_, name), error in errors.items():
        if name == "xnnpack":
            assert error.refusal is None and error.sqnr_db is not None and error.samples == 2
        else:
            assert TROUBLES[kind] in (error.refusal or "") and error.samples == 0
    assert not worker_pids()

    before, begin = rows(store), time.monotonic()
    assert main([*arguments, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert rows(store) == before and len(again["errors"]) == 8
    assert time.monotonic() - begin < 4  # it hung four times before, two seconds each


def test_retry_tries_a_crash_again(store: Path, troubled: str) -> None:
    delegate = f"external:{troubled};crash=invoke"
    config = LayersConfig(str(DIGITS), ("float32",), (delegate, "xnnpack"), parts=("in_place",), **QUICK)
    study_layers(config, store)
    before = rows(store)
    study_layers(config, store, retry=True)
    (changed,) = [key for key, row in rows(store).items() if row != before[key]]
    assert changed == ("in_place", Setting("float32", delegate).label)


def test_memory_that_is_eaten_in_place_is_a_refusal(troubled: str) -> None:
    source = load(DIGITS)
    variant = make_variant(source, DIGITS, "float32", "")
    setting = Setting("float32", f"external:{troubled};eat=invoke")
    with pytest.raises(RunError, match="above the limit of 400 MB, and was ended"):
        in_place(variant, setting, runs=3, seconds=0.02, memory_limit=400_000_000)
    assert not worker_pids()


@pytest.mark.parametrize("where", ("create", "prepare"))
def test_what_crashes_while_it_is_loaded_is_refused_with_the_step(store: Path, troubled: str, where: str) -> None:
    delegate = f"external:{troubled};crash={where}"
    parts = ("in_place", "error")
    study = study_layers(LayersConfig(str(DIGITS), ("float32",), (delegate,), parts=parts, **QUICK), store)
    (record,) = study.in_place
    assert record.refusal == "load: the process was ended by signal 11 (SIGSEGV)"
    assert len(study.errors) == 15 and all("SIGSEGV" in (error.refusal or "") for error in study.errors)


def test_a_precision_that_crashes_leaves_the_other_its_errors(store: Path, troubled: str) -> None:
    pytest.importorskip("litert_quantizer")
    delegate = f"external:{troubled};crash=invoke"  # takes float only
    config = LayersConfig(str(DIGITS), ("int8",), (delegate,), parts=("in_place", "error"), layers=("0-8",), **QUICK)
    study = study_layers(config, store)
    assert {record.setting.precision: record.refusal is None for record in study.in_place} == {
        "float32": False,
        "int8": True,
    }
    of_delegate = [error for error in study.errors if error.kind == "delegate"]
    assert len(of_delegate) == 18
    for error in of_delegate:
        assert ("SIGSEGV" in (error.refusal or "")) == (error.precision == "float32"), error
        assert (error.samples == 2) == (error.precision == "int8")
    for kind in ("local", "propagated", "output"):
        own = [error for error in study.errors if error.kind == kind]
        assert len(own) == 9 and all(error.refusal is None for error in own)


def order_of(samples: int, kind: Any = "delegate", delegate: str | None = "xnnpack") -> ErrorOrder:
    return ErrorOrder(kind, str(DIGITS), {"float32": str(DIGITS)}, delegate or "none", delegate, samples=samples)


def test_a_killed_process_costs_what_was_in_work_and_a_new_one_goes_on() -> None:
    wanted = [(layer, "float32") for layer in range(15)]
    found: Iterator[Any] = errors_apart(order_of(600, "output"), wanted, 60)
    records = [next(found)]
    (pid,) = worker_pids()
    os.kill(pid, signal.SIGKILL)
    records += found
    assert [record.layer for record in records if record.refusal is None] != []
    refused = [record for record in records if record.refusal is not None]
    assert sorted(record.layer for record in records) == list(range(15))
    assert len(refused) <= 1 and all("SIGKILL" in (record.refusal or "") for record in refused)
    assert not worker_pids()


def test_what_falls_again_and_again_is_not_tried_for_ever(tmp_path: Path) -> None:
    """A file of samples that is gone when the process wants it stands for what it never gets beyond."""
    np.save(tmp_path / "x.npy", np.zeros((2, 8, 8, 1), np.float32))
    order = ErrorOrder("local", str(DIGITS), {"float32": str(DIGITS)}, "none", inputs=str(tmp_path / "gone.npy"))
    records = list(errors_apart(order, [(0, "float32"), (1, "float32")], 60))
    assert [record.layer for record in records] == [0, 1]
    assert all((record.refusal or "").startswith("not tried: ") for record in records)
    assert all("gone.npy" in (record.refusal or "") for record in records)


def test_errors_from_another_process_are_those_of_this_one() -> None:
    from litedelegates.layers.errors import local_errors, propagated_errors
    from litedelegates.layers.samples import Samples

    source = load(DIGITS)
    variant = make_variant(source, DIGITS, "float32", "")
    feeds = Samples.load(source, None, None, 3, 7).feeds
    wanted = [(layer, "float32") for layer in (0, 3, 14)]
    for kind, measure in (("local", local_errors), ("propagated", propagated_errors)):
        order = ErrorOrder(kind, str(DIGITS), {"float32": str(DIGITS)}, "none", samples=3, seed=7)
        assert list(errors_apart(order, wanted, 60)) == list(measure([variant], feeds, layers=[0, 3, 14]))


@pytest.mark.measures
def test_a_loop_that_is_left_ends_the_process_at_its_next_word() -> None:
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    begin = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 3.0)
    try:
        with pytest.raises(KeyboardInterrupt):  # as Ctrl-C while it waits
            list(errors_apart(order_of(100_000), [(0, "float32"), (1, "float32")], 60))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - begin < 4.5  # a process that does not listen is ended after two seconds
    assert not worker_pids()


def test_differences_of_prefixes_are_taken_in_a_process_too(troubled: str, tmp_path: Path) -> None:
    path = tmp_path / "end.tflite"
    extract(load(DIGITS), range(11, 15)).save(path)
    source = load(path)
    variant = make_variant(source, path, "float32", tmp_path)
    found = prefix_differences(variant, Setting("float32", "xnnpack"), seconds=0.03)
    assert [part.layers for part in found.parts] == [(0,), (1,), (2,), (3,)] and found.is_estimate
    assert found.whole_us is not None and found.whole_us > 0
    adds = tmp_path / "adds.tflite"
    extract(load(DIGITS), range(3, 7)).save(adds)
    own = load(adds)
    bad = Setting("float32", f"external:{troubled};crash=invoke")
    with pytest.raises(RunError, match="SIGSEGV"):
        prefix_differences(Variant("float32", str(adds), own, own, {}), bad, seconds=0.03)
    assert not worker_pids()


@pytest.mark.measures
def test_the_process_that_runs_a_model_does_not_count_as_a_disturbance() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:

        def wait(runs: int) -> Any:
            time.sleep(0.05)
            return np.full(runs, 50_000_000)

        plan = Plan(max_seconds=1.0, min_rounds=6, runs_per_block=1, warmup_seconds=0.0)
        first = interleave({"a": wait}, plan)
        begin, used = time.monotonic(), cpu_seconds(busy.pid)
        second = interleave({"a": wait}, plan, pids=[busy.pid])
        # Of all CPUs together, in percent: a whole one, or less where others are busy too.
        own = 100 * (cpu_seconds(busy.pid) - used) / (time.monotonic() - begin) / (os.cpu_count() or 1)
        busy.kill()
    shares = [
        max(
            [
                int(condition.text.split("took ")[1].split("%")[0])
                for condition in found.conditions
                if is_busy(condition)
            ],
            default=0,
        )
        for found in (first, second)
    ]
    assert own > 0 and shares[0] > 0 and shares[1] < shares[0] - own / 2


def cpu_seconds(pid: int) -> float:
    found = read_cpu_time(pid)
    assert found is not None
    return found.total_s


def is_busy(condition: Any) -> bool:
    return condition.kind == "busy" and condition.severity == "warning"


def test_ctrl_c_while_errors_are_taken_ends_with_130_and_leaves_no_process(store: Path) -> None:
    command = [sys.executable, "-m", "litedelegates", "layers", str(DIGITS), "--precisions", "float32"]
    command += ["--parts", "error", "--samples", "2000", "--delegates", "xnnpack,none", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        deadline = time.monotonic() + 120
        while not worker_pids() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.5)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=120)
    assert program.returncode == 130, err
    assert "interrupted; the same command goes on from here" in err and "Traceback" not in err
    wait_until_gone()


def test_a_script_without_a_main_guard_can_study_layers(store: Path) -> None:
    """As in a notebook: nothing of the caller is run again in the processes."""
    script = f"""
from litedelegates.layers import LayersConfig, study_layers
print("begun")
config = LayersConfig({str(DIGITS)!r}, ("float32",), ("xnnpack",), layers=("1",), seconds=0.02, runs=3, samples=1)
print(study_layers(config, {str(store)!r}).errors[0].samples)
"""
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["begun", "1"]
