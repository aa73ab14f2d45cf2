"""``litedelegates bench``: what it measures, prints and refuses, and the flags of benchmark_model."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from digits_model import DIGITS
from litedelegates.cli import main
from litedelegates.study import Store, StoreError

QUICK = ["--seconds", "0.05", "--rounds", "6", "--block-seconds", "0.005", "--warmup-seconds", "0.01"]
GRAPH = ["--min_secs=0.05", "--num_runs=20", "--warmup_min_secs=0.01", "--num_threads=1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: object) -> int:
    return main(["bench", *map(str, arguments)])


@pytest.mark.measures
def test_the_matrix_is_measured_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    assert command(DIGITS, "--precisions", "float32,dynamic", "--threads", "1,2", *QUICK) == 0
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line.startswith("digits")]
    assert len(lines) == 8 and sum("(base)" in line for line in lines) == 2
    assert all(re.search(r"[\d.]+ times as fast \[.*\] faster", line) for line in lines if "dynamic xnnpack" in line)
    assert "results in study.sqlite" in out and "[8/8]" in err


@pytest.mark.measures
def test_json_holds_every_figure_and_a_rerun_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        DIGITS,
        "--delegates",
        "none,xnnpack",
        "--store",
        "s.sqlite",
        "--json",
        "--quiet",
        "--loads",
        2,
        *QUICK,
    ]
    assert command(*arguments) == 0
    first = json.loads(capsys.readouterr().out)
    base, fast = first["cells"]
    assert base["is_base"] and base["ratio"] is None and fast["base"] == base["key"]
    assert fast["ratio"]["verdict"] == "faster" and fast["rounds"] >= 6 and fast["summary"]["median_us"] > 1
    assert fast["placement"] == {"xnnpack": 15} and fast["error"]["relative"] < 1e-4
    assert "joules" in fast["energy"] or fast["energy"]["unavailable"]
    with Store.open("s.sqlite") as store:
        assert {block.load for block in store.blocks(fast["key"])} == {0, 1}
    assert command(*arguments) == 0
    assert json.loads(capsys.readouterr().out) == first


@pytest.mark.skipif(sys.version_info < (3, 11), reason="reads TOML with the standard library from Python 3.11 on")
def test_a_study_file_says_it_all_and_options_come_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("study.toml").write_text(f'models = ["{DIGITS}"]\ndelegates = ["none", "xnnpack"]\nthreads = [1, 2]\n')
    assert command("study.toml", "--threads", 2, "--json", *QUICK) == 0
    found = json.loads(capsys.readouterr().out)
    assert [cell["threads"] for cell in found["cells"]] == [2, 2] and found["store"] == "study.sqlite"
    assert command("study.toml", DIGITS) == 2
    assert "give it alone" in capsys.readouterr().err


def test_a_study_in_which_nothing_could_be_measured_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.tflite").write_bytes(DIGITS.read_bytes()[:1000])
    assert command("broken.tflite", *QUICK) == 1
    assert "InvalidModelError" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.tflite"], "missing.tflite"),
        ([], "there is no model"),
        ([DIGITS, "--precisions", "int9"], "Did you mean 'int8'"),
        ([DIGITS, "--threads", "two"], "integers such as"),
        ([DIGITS, "--num_runs=5"], "--num_runs is a flag of benchmark_model"),
        (["--graph", DIGITS, "--use_nnapi=true"], "no such delegate"),
        (["--graph", DIGITS, "--threads", "2"], "leave out the options of a matrix"),
        (["--graph", DIGITS, "--external_delegate_options=a:b"], "go with --external_delegate_path"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[object], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*arguments) == (1 if arguments == ["missing.tflite"] else 2)
    assert says in capsys.readouterr().err


def test_ctrl_c_leaves_a_valid_store_that_a_rerun_completes() -> None:
    program = [sys.executable, "-m", "litedelegates", "bench", str(DIGITS), "--store", "s.sqlite"]
    process = subprocess.Popen(
        [*program, *QUICK, "--seconds", "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline, blocks = time.monotonic() + 30, 0
    while blocks < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
        with contextlib.suppress(FileNotFoundError, StoreError), Store.open("s.sqlite") as store:
            blocks = sum(len(store.blocks(cell)) for cell in store.cells())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "the same command goes on from here" in err and "Traceback" not in err and "unfinished" in out
    with Store.open("s.sqlite") as store:
        assert store.sessions()[0].how == "interrupted"
        held = [len(store.blocks(cell)) for cell in store.cells()]
    assert command(DIGITS, "--store", "s.sqlite", *QUICK) == 0
    with Store.open("s.sqlite") as store:
        assert all(len(store.blocks(cell)) >= before for cell, before in zip(store.cells(), held, strict=True))
        assert all(outcome and outcome.status == "ok" for outcome in map(store.outcome, store.cells()))


def test_benchmark_models_flags_give_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(f"--graph={DIGITS}", *GRAPH, "--use_xnnpack=false", "--report_peak_memory_footprint=true") == 0
    out = capsys.readouterr().out
    found = re.search(
        r"Inference timings in us: Init: (\d+), First inference: (\d+), Warmup \(avg\): ([\d.]+), "
        r"Inference \(avg\): ([\d.]+)",
        out,
    )
    assert found is not None and all(float(value) > 0 for value in found.groups())
    count = re.search(r"count=(\d+) first=", out)
    assert count is not None and int(count[1]) >= 20
    assert "{'builtin': 15}" in out and "Overall peak memory footprint (MB) via periodic monitoring: " in out
    assert not Path("study.sqlite").exists()


def test_benchmark_models_flags_choose_delegates_and_profile_ops(capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*GRAPH, "--require_full_delegation", "--enable_op_profiling", "--profiling_output_csv_file=ops.csv"]
    assert command(f"--graph={DIGITS}", *flags) == 0
    assert "{'xnnpack': 15}" in capsys.readouterr().out
    with Path("ops.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 5 and rows[-1]["cdf%"] == "100.000%" and all("(xnnpack)" in row["name"] for row in rows)
    assert command(f"--graph={DIGITS}", *GRAPH, "--require_full_delegation=true", "--use_xnnpack=false") == 1
    assert "15 ops stayed on the built-in kernels" in capsys.readouterr().err
