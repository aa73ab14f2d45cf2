"""``litedelegates layers``: what it measures, prints, writes and refuses."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from digits_model import DIGITS
from litedelegates.cli import main
from litedelegates.cli.layers_table import study_lines
from litedelegates.graph import load
from litedelegates.layers import BesideLayer, LayerStudy
from synthetic_layers import write_layer_study

QUICK = ["--seconds", "0.02", "--runs", "3", "--samples", "2"]
FLOAT = [DIGITS, "--precisions", "float32", "--layers", "0-2", *QUICK]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: object) -> int:
    return main(["layers", *map(str, arguments)])


def test_every_figure_of_a_study_is_in_its_table(tmp_path: Path) -> None:
    write_layer_study(tmp_path / "s.sqlite")
    lines = list(study_lines(LayerStudy.open(tmp_path / "s.sqlite"), 3))
    text = "\n".join(lines)
    assert "note: no GPU was found (int8 gpu 1t)" in lines and "note: made for a test (int8)" in lines
    assert "note: 1 of 5 records of alone are refusals, the first of layer 2: op 2 cannot be taken out" in lines
    assert "slowest layers on xnnpack, 1 thread: us in place, us alone" in text
    assert "slowest layers on gpu" not in text
    (stem,) = [line for line in lines if re.match(r" +0 CONV_2D +stem .*41\.0", line)]
    assert re.search(r" 41\.0 +50\.0 +10\.0 +10\.0 +x5\.00$", stem)
    assert re.search(r"^whole model +60\.0 +22\.0 +x2\.73$", text, re.MULTILINE)
    assert re.search(r"^ +3 FULLY_CONNECTED +logits +21\.0 +17\.0 +-  constant$", text, re.MULTILINE)
    assert re.search(r"^ +0 CONV_2D +stem +38\.0 +- +31\.0$", text, re.MULTILINE)
    most, fewest = text.split("most bytes across the cut")[1].split("fewest bytes across the cut")
    assert most.split("\n")[1].split() == ["1", "RELU", "stem_relu", "16,384", "8,192", "4,096"]
    assert fewest.split("\n")[1].split()[:2] == ["0", "CONV_2D"]


def test_a_model_is_measured_printed_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--csv", "layers.csv", "--overlay", "nodes", "--trace", "trace.json"]
    assert command(*FLOAT, "--delegates", "none,xnnpack", *files, "--top", 2) == 0
    out, err = capsys.readouterr()
    assert "15 layers" in out and "slowest layers on none, 1 thread" in out and "slowest layers on xnnpack" in out
    assert "results in study.sqlite, layers.csv, trace.json, nodes" in out
    assert re.search(r"\[8/\d+\] \d+ s, (about|roughly) \d+ s left", err) and "done" in err
    with Path("layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30 and all(float(row["alone_us"]) > 0 for row in rows if int(row["layer"]) < 3)
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    assert len([event for event in events if event["ph"] == "X" and event["cat"] == "alone"]) == 6
    assert Path("nodes/time_us-float32-xnnpack-1t.json").is_file()


def test_json_holds_every_record_and_a_rerun_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*FLOAT, "--delegates", "none", "--parts", "alone", "--json", "--quiet", "--store", "own.sqlite"]
    assert command(*arguments) == 0
    first, err = capsys.readouterr()
    content = json.loads(first)
    assert (
        content["store"] == "own.sqlite" and content["schema_version"] == 1 and not content["interrupted"] and not err
    )
    assert [record["layer"] for record in content["alone"]] == [0, 1, 2] and "in_place" not in content["config"][
        "parts"
    ]
    assert command(*arguments) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precisions", "int9"), "no precision 'int9'. Did you mean 'int8'"),
        (("--parts", "alon"), "no part 'alon'. Did you mean 'alone'"),
        (("--delegates", "xnpack"), "Did you mean 'xnnpack'"),
        (("--layers", "CONV2D"), "Did you mean 'CONV_2D'"),
        (("--variant", "x.tflite"), "write it as NAME=FILE"),
        (("--threads", "two"), "must be integers"),
        (("--csv", "missing/layers.csv"), "the folder to write to does not exist"),
        (("--inputs", "missing.npz"), "missing.npz"),
    ],
)
def test_a_wrong_argument_is_one_line_and_measures_nothing(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*FLOAT, *arguments) == (1 if message == "missing.npz" else 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("litedelegates layers: ") and message in line
    assert not Path("study.sqlite").exists()


def test_what_is_no_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.tflite").write_bytes(DIGITS.read_bytes()[:1000])
    assert command("broken.tflite") == 1
    assert "broken.tflite" in capsys.readouterr().err
    assert command("missing.onnx") == 1
    assert "missing.onnx" in capsys.readouterr().err


def test_ctrl_c_prints_what_there_is_and_ends_with_130() -> None:
    arguments = [
        str(argument) for argument in (DIGITS, "--precisions", "float32", "--parts", "alone", "--seconds", 0.5)
    ]
    command_line = [sys.executable, "-m", "litedelegates", "layers", *arguments]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None and program.stdout is not None
        for line in program.stderr:
            if re.match(r"\[[1-9]", line):
                break
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=120)
    assert program.returncode == 130, err
    assert "interrupted; the same command goes on from here" in err and "Traceback" not in err
    assert "slowest layers on none" in out
    study = LayerStudy.open("study.sqlite")
    assert study.alone and all(record.median_us for record in study.alone)


def test_a_second_model_of_the_network_stands_beside_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    from small_onnx import digits_twin

    Path("twin.onnx").write_bytes(digits_twin(DIGITS).SerializeToString())
    arguments = [DIGITS, "--precisions", "float32", "--delegates", "none", "--parts", "in_place", *QUICK]
    assert command(*arguments, "--beside", "twin.onnx", "--json", "--quiet") == 0
    digits = load(DIGITS)
    found = [BesideLayer.from_json(entry) for entry in json.loads(capsys.readouterr().out)["beside"]]
    assert [layer.pair.first for layer in found if layer.pair.first] == [(index,) for index in range(15)]
    assert all(layer.pair.is_matched for layer in found)
    assert max(len(layer.pair.second) for layer in found) > 1  # a Conv and its Relu
    times = [layer.first_us["float32"] for layer in found]  # whole microseconds: a quick layer may have 0
    assert min(times) >= 0 and max(times) > 0
    # An Add that was fused into a Conv has no time of its own.
    fused = {digits.ops[layer.pair.first[0]].type for layer in found if "float32" not in layer.second_us}
    assert fused <= {"ADD", "MAX_POOL_2D"}
    assert command(*arguments, "--beside", "twin.onnx", "--quiet") == 0
    table = capsys.readouterr().out.split("digits.tflite beside twin.onnx: 15 of 15 layers are in both")[1]
    assert re.search(r"^1 CONV_2D +\d+ Conv, \d+ Relu +[\d.]+ +[\d.]+$", table, re.MULTILINE)


def test_sizes_that_a_model_leaves_open_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    from small_onnx import conv_net

    Path("open.onnx").write_bytes(conv_net().SerializeToString())
    arguments = ["open.onnx", "--precisions", "float32", "--parts", "in_place", "--quiet", *QUICK]
    assert command(*arguments) != 0
    told = capsys.readouterr().err
    assert "input 'x' has the shape (?, 3, 16, 16), which leaves sizes open" in told
    assert "--shape x=1,3,16,16" in told
    assert command(*arguments, "--shape", "x=2,3,16,16") == 0
    assert "leaves open" not in capsys.readouterr().out


def test_sizes_that_a_model_leaves_open_are_those_of_the_samples(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    from small_onnx import conv_net, images

    Path("open.onnx").write_bytes(conv_net().SerializeToString())
    np.save("two.npy", np.stack([np.concatenate(images(2, seed)) for seed in range(3)]))
    arguments = ["open.onnx", "--precisions", "float32", "--parts", "in_place", "--quiet", *QUICK]
    assert command(*arguments, "--inputs", "two.npy", "--store", "given.sqlite") == 0, capsys.readouterr()
    study = LayerStudy.open("given.sqlite")
    assert study.config["shapes"] == {"x": [2, 3, 16, 16]}
    assert study.layers[0].nbytes["float32"] == 2 * 8 * 16 * 16 * 4
