"""``litedelegates graph`` and ``litedelegates cut``: what they print and write, and what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import small_models
from litedelegates.cli import main
from litedelegates.graph import check, cut, layers, load
from test_graph import DIGITS


def command(*arguments: object) -> int:
    return main([*map(str, arguments)])


def test_the_table_has_a_line_for_each_op_with_what_would_travel(capsys: pytest.CaptureFixture[str]):
    assert command("graph", DIGITS) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "digits: 15 ops"
    header = next(number for number, line in enumerate(printed) if line.startswith("op"))
    rows = printed[header + 1 :]
    assert len(rows) == 15
    for row, place in zip(rows, load(DIGITS).cuts, strict=False):
        assert row.split()[-3:] == [str(place.nbytes), str(place.float16_nbytes), str(place.int8_nbytes)]


def test_the_cheapest_cuts_come_first(capsys: pytest.CaptureFixture[str]):
    assert command("graph", DIGITS, "--cheapest", 3) == 0
    sizes = [int(line.split()[-3]) for line in capsys.readouterr().out.splitlines()[-3:]]
    assert sizes == sorted(place.nbytes for place in load(DIGITS).cuts)[:3]


def test_json_and_drawing_are_complete(capsys: pytest.CaptureFixture[str]):
    assert command("graph", DIGITS, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["ops"]) == 15
    assert command("graph", DIGITS, "--dot") == 0
    assert capsys.readouterr().out.startswith('digraph "digits" {')


def test_cutting_writes_the_parts_and_says_what_travels(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command("cut", DIGITS, "--at", "5,9", "--out", tmp_path / "parts", "--check") == 0
    printed = capsys.readouterr().out
    assert "out block1_relu (float32 [1, 16, 16, 32], 32768 bytes)" in printed
    assert "equal bit for bit" in printed
    paths = sorted((tmp_path / "parts").iterdir())
    assert [path.name for path in paths] == [f"digits_part{number}.tflite" for number in range(3)]
    assert check(paths, DIGITS).equal


def test_cutting_at_tensors_and_taking_ops_and_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command("cut", DIGITS, "--tensors", "block1_relu", "--tensors", "pool", "--out", tmp_path, "--json") == 0
    written = json.loads(capsys.readouterr().out)["parts"]
    assert [part["outputs"][0]["name"] for part in written] == ["block1_relu", "pool", "logits"]
    assert command("cut", DIGITS, "--ops", "2:5", "--out", tmp_path) == 0
    assert len(load(tmp_path / "digits_3_ops.tflite").ops) == 3
    assert command("cut", DIGITS, "--layers", "--out", tmp_path / "layers") == 0
    assert len(list((tmp_path / "layers").iterdir())) == 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cut", DIGITS, "--at", "99"], "no cut at 99: positions of this model are 1 to 14"),
        (["cut", DIGITS, "--tensors", "pol"], "no tensor 'pol'. The nearest of 37: 'pool'"),
        (["cut", "nowhere.tflite", "--at", "3"], "there is no model at nowhere.tflite"),
        (["cut", DIGITS, "--layers", "--check"], "--check compares the parts with the whole"),
        (["graph", DIGITS, "--shape", "image"], "--shape image: write it as INPUT=N,N,..."),
        (["graph", DIGITS, "--shape", "image=1,x"], "--shape image=1,x: write it as INPUT=N,N,..."),
        (
            ["cut", DIGITS, "--at", "5", "--out", DIGITS],
            "digits.tflite: this is a file, and the parts go into a folder",
        ),
        (["graph", DIGITS, "--shape", "imag=1,8,8,1"], "no input 'imag'. Did you mean 'image'?"),
    ],
)
def test_what_cannot_be_done_ends_with_one_line_and_code_1_or_2(
    tmp_path: Path, arguments: list[object], message: str, capsys: pytest.CaptureFixture[str]
):
    where = ["--out", tmp_path] if arguments[0] == "cut" and "--out" not in arguments else []
    is_argument = message.startswith(("--", "no input", "digits.tflite: this is a file"))
    assert command(*arguments, *where) == (2 if is_argument else 1)
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cut", DIGITS, "--out", ".", "--at", "5,x"], "argument --at: '5,x' is not a number, or several such as"),
        (["cut", DIGITS, "--out", ".", "--ops", "3:"], "argument --ops: '3:' is not FIRST:END, such as 40:120"),
        (["cut", DIGITS, "--out", ".", "--ops", "5:3"], "argument --ops: '5:3' is not FIRST:END"),
        (["graph", DIGITS, "--cheapest", "-3"], "argument --cheapest: '-3' is not a number of at least 1"),
    ],
)
def test_an_argument_that_is_no_number_says_what_to_write(
    arguments: list[object], message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_ops_that_cannot_be_models_are_listed_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "model.tflite"
    path.write_bytes(small_models.CASES["counter"].build())
    expected = [layer for layer in layers(path) if layer.refusal]
    assert command("cut", path, "--layers", "--out", tmp_path / "layers", "--json") == 0
    refused = json.loads(capsys.readouterr().out)["refused"]
    assert expected and refused == [{"op": layer.op.index, "reason": layer.refusal} for layer in expected]


def test_a_disk_that_is_full_leaves_no_half_of_a_part(tmp_path: Path):
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
        "from litedelegates.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["cut", str(DIGITS), "--at", "5", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "digits_part1.tflite" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["digits_part0.tflite"]
    assert load(tmp_path / "digits_part0.tflite").to_bytes() == cut(DIGITS, at=5)[0].to_bytes()


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m litedelegates graph --json {DIGITS} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_ops_that_only_make_constants_are_shown_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "half.tflite"
    path.write_bytes(small_models.CASES["float16_weights"].build())
    assert command("graph", path) == 0
    assert "DEQUANTIZE" not in capsys.readouterr().out
    assert command("graph", path, "--all") == 0
    assert "DEQUANTIZE" in capsys.readouterr().out
