"""``litedelegates quantize``: what it writes, what it prints, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from digits_model import DIGITS, accuracy, digits_data
from litedelegates.cli import main
from litedelegates.cli.outcome import outcome
from litedelegates.cli.python_words import on_the_command_line
from litedelegates.errors import QuantizationWarning
from litedelegates.quantize import quantize, read_record
from small_models_builder import ModelBuilder, Op
from small_models_quantize import boxes_and_scores


def with_prelu() -> bytes:
    model = ModelBuilder()
    graph = model.graph()
    x, h, w = graph.input("x", (1, 4)), graph.tensor("h", (1, 4)), graph.constant("w", np.eye(4, dtype=np.float32))
    graph.op(Op.FULLY_CONNECTED, [x, w, -1], [h])
    graph.op(Op.PRELU, [h, graph.constant("slopes", np.full((1, 4), 0.1, np.float32))], [graph.output("y", (1, 4))])
    return model.to_bytes()


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.npy"
    np.save(path, digits_data()["calibration"][:16, 0])
    return path


def command(*arguments: object) -> int:
    return main(["quantize", *map(str, arguments)])


def test_written_model_is_that_of_python(tmp_path: Path, samples: Path) -> None:
    target = tmp_path / "int8.tflite"
    assert command(DIGITS, "int8", "-o", target, "--calibration", samples, "--threads", 1) == 0
    assert target.read_bytes() == quantize(DIGITS, "int8", samples)


def test_mixed_model_by_keys_is_that_of_the_plan_file(
    tmp_path: Path, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, file, plan = tmp_path / "keys.tflite", tmp_path / "file.tflite", tmp_path / "plan.json"
    ops = ["--op", "CONV_2D=int8", "--op", "*pointwise*=dynamic", "--op", "14=float16"]
    assert command(DIGITS, "-o", keys, "--calibration", samples, *ops) == 0
    assert "int8: 4 ops" in capsys.readouterr().out
    plan.write_text(json.dumps({"CONV_2D": "int8", "*pointwise*": "dynamic", "14": "float32"}))
    assert command(DIGITS, "-o", file, "--calibration", samples, "--plan", plan, "--op", "14=float16") == 0
    assert keys.read_bytes() == file.read_bytes()
    assert accuracy(keys.read_bytes()) >= 0.99


def test_only_and_exclude_may_be_repeated(tmp_path: Path) -> None:
    only, exclude = tmp_path / "only.tflite", tmp_path / "exclude.tflite"
    assert command(DIGITS, "dynamic", "-o", only, "--only", "CONV_2D", "--only", "logits") == 0
    assert command(DIGITS, "dynamic", "-o", exclude, "--exclude", "hidden", "--exclude", "DEPTHWISE_CONV_2D") == 0
    assert len(only.read_bytes()) == len(exclude.read_bytes())


def test_json_tells_sizes_and_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "small.tflite"
    assert command(DIGITS, "float16", "-o", target, "--json") == 0
    shown, record = json.loads(capsys.readouterr().out), read_record(target)
    assert record is not None and shown["record"] == json.loads(record.to_json())
    assert (shown["bytes"], shown["source_bytes"]) == (target.stat().st_size, DIGITS.stat().st_size)


def test_random_calibration_is_said_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(DIGITS, "int8", "-o", tmp_path / "int8.tflite", "--calibration", "random") == 0
    assert "warning: --calibration random: the ranges come from noise" in capsys.readouterr().err


def test_folder_of_images_calibrates(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install pillow")
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, image in enumerate(digits_data()["calibration"][:8, 0, ..., 0]):
        pillow.fromarray(np.round(image * 240).astype(np.uint8)).save(folder / f"{index}.png")
    target = tmp_path / "int8.tflite"
    stated = ["--mean", "0", "--std", "240", "--image-size", "8x8", "--limit", 4]
    assert command(DIGITS, "int8", "-o", target, "--calibration", folder, *stated) == 0
    record = read_record(target)
    assert record is not None and record.calibration_samples == 4
    assert accuracy(target.read_bytes()) >= 0.98


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["int9"], "precision 'int9' is unknown. Did you mean 'int8'"),
        ([], "neither precision nor plan was given"),
        (["int8"], "'int8' needs calibration"),
        (["--op", "CONV_2D"], "write it as KEY=PRECISION"),
        (["--op", "CONV2D=dynamic"], "'CONV2D' means no op of the model. Nearest: 'CONV_2D'"),
        (["int8", "--calibration", "random", "--mean", "0"], "--mean: only for --calibration FOLDER"),
        (["int8", "--calibration", "."], "state how the model was trained to see images"),
        (["int8", "--calibration", ".", "--mean", "a", "--std", "1"], "--mean a: write a number"),
        (["int8", "--calibration", ".", "--mean", "0", "--std", "1", "--image-size", "8x"], "--image-size 8x"),
        (["float16", "--format", "qdq"], "option 'format' is unknown for a .tflite"),
        (["float16", "--plan", "missing.json"], "missing.json"),
        (["float16", "-o", "out.onnx"], "out.onnx: the result is a .tflite, give a name that ends so"),
        (["float16", "-o", "."], "this is a folder: give the name of a file in it"),
        (["float16", "--exclude", "*"], "the plan leaves every op in float32"),
        (["int8", "--calibration", "randm"], "Did you mean 'random'?"),
    ],
)
def test_wrong_arguments_say_what_to_write_and_write_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    # What is wrong with a file, a model or samples is no wrong argument.
    is_other = arguments in (["int8"], ["int8", "--calibration", "randm"], ["float16", "--exclude", "*"])
    code = 1 if is_other or arguments[-2:] == ["-o", "."] or "missing.json" in arguments else 2
    assert command(DIGITS, *arguments, *([] if "-o" in arguments else ["-o", "out.tflite"])) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["[1, 2]", "{", '{"CONV_2D": 8}'])
def test_plan_file_that_is_no_plan_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    assert command(DIGITS, "-o", tmp_path / "out.tflite", "--plan", tmp_path / "plan.json") == 2
    assert "plan" in capsys.readouterr().err


def test_missing_folder_is_found_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(DIGITS, "int8", "-o", tmp_path / "no" / "out.tflite", "--calibration", tmp_path / "no.npy") == 1
    assert "the folder to write to does not exist" in capsys.readouterr().err


def test_file_larger_than_the_system_allows_leaves_the_old_model(tmp_path: Path) -> None:
    target = tmp_path / "small.tflite"
    target.write_bytes(b"before")
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from litedelegates.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [sys.executable, "-c", script, "quantize", str(DIGITS), "dynamic", "-o", str(target)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large: writing failed at" in done.stderr and "Traceback" not in done.stderr
    assert target.read_bytes() == b"before" and list(tmp_path.iterdir()) == [target]


def test_help_teaches_by_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("--help")
    shown = capsys.readouterr().out
    assert "--op CONV_2D=dynamic --op 'head/*=float16'" in shown
    assert all(len(line) <= 120 for line in shown.splitlines())


def test_values_that_are_off_are_a_warning_in_words_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, samples = tmp_path / "detector.tflite", tmp_path / "x.npy"
    source.write_bytes(boxes_and_scores())
    np.save(samples, np.random.default_rng(0).standard_normal((512, 8)).astype(np.float32))
    assert command(source, "int8", "-o", tmp_path / "int8.tflite", "--calibration", samples) == 0
    said = capsys.readouterr().err
    assert "litedelegates quantize: warning: in int8, output 'y' has dead columns: columns 4 to 6" in said
    assert "--exclude CONCATENATION leaves that op in float32" in said
    target = tmp_path / "mixed.tflite"
    assert command(source, "int8", "-o", target, "--calibration", samples, "--exclude", "CONCATENATION") == 0
    assert "warning" not in capsys.readouterr().err
    assert command(source, "int8", "-o", target, "--calibration", samples, "--no-value-check") == 0
    assert "warning" not in capsys.readouterr().err


def test_ops_that_stay_float32_are_told_in_words_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "prelu.tflite"
    source.write_bytes(with_prelu())
    arguments = (source, "int8", "-o", tmp_path / "int8.tflite", "--calibration", "random")
    assert command(*arguments) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "noise" not in line]
    assert said == [
        "litedelegates quantize: asked for int8, but 1 ops stayed float32: PRELU 'y'. litert-quantizer does not do "
        "them here: --exclude PRELU leaves them out, --allow-float32-ops accepts them"
    ]
    assert command(*arguments, "--exclude", "PRELU") == 0
    assert command(*arguments, "--allow-float32-ops") == 0


def test_a_plan_of_the_planner_is_told_from_one_of_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.json").write_text('{"schema_version": 1, "layers": []}')
    assert command(DIGITS, "-o", tmp_path / "out.tflite", "--plan", tmp_path / "plan.json") == 2
    assert f"`litedelegates deploy {tmp_path / 'plan.json'} -o FOLDER`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("python", "typed"),
    [
        ("exclude=['CONV_2D', 'a b;c', 3]", "--exclude CONV_2D --exclude 'a b;c' --exclude 3"),
        ('exclude=["it\'s"]', "--exclude 'it'\\''s'"),
        ("border='float32' and check_values=False", "--border float32 and --no-value-check"),
        ("plan key 'x' means no op", "plan key 'x' means no op"),
    ],
)
def test_arguments_of_python_are_told_as_options(python: str, typed: str) -> None:
    assert on_the_command_line(python) == typed


def test_other_commands_that_quantize_say_it_in_a_line_of_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> int:
        said = QuantizationWarning("exclude=['ADD'] leaves it in float32")
        print(warnings.formatwarning(said, QuantizationWarning, __file__, 1), end="", file=sys.stderr)
        return 0

    assert outcome("bench", call) == 0
    assert capsys.readouterr().err == "litedelegates bench: warning: --exclude ADD leaves it in float32\n"
