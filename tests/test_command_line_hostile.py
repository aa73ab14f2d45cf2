"""Files that are not what a command takes, of each kind: one line, a code, and no word of Python or of the system."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from digits_model import DIGITS
from litedelegates import InvalidModelError, OptionError
from litedelegates.cli import main
from litedelegates.errors import install_extra
from litedelegates.files import writable
from litedelegates.layers import LayersConfig
from litedelegates.model import Model
from litedelegates.study import Store, StoreError, StudyConfig

ODD_NAME = os.fsdecode(b"n\xff\xfe.tflite")
# What only a person who knows Python, errno or codecs reads.
_FOREIGN = re.compile(r"Errno|codec|unexpected|Traceback|0x[0-9a-f]{6}|INFO:|WARNING:|W0000|I0000")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DIGITS, "m.tflite")
    return tmp_path


def refusal(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Return the code of a command, and the one line that it says."""
    code = main([*map(str, arguments)])
    (line,) = capfd.readouterr().err.splitlines()
    assert not _FOREIGN.search(line), line
    return code, line


@pytest.mark.parametrize("kind", ["/dev/zero", "/dev/null", "pipe", "folder"])
@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["profile"],
        ["graph"],
        ["cut", "--at", "3", "--out", "o"],
        ["bench"],
        ["layers"],
        ["quantize", "-o", "q.tflite"],
    ],
    ids=lambda command: command[0],
)
def test_what_is_no_regular_file_is_no_model(kind: str, command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    Path("folder").mkdir()
    name, *more = command
    code, line = refusal(capfd, name, kind, *(["dynamic"] if name == "quantize" else []), *more)
    assert code == 1 and re.search(r"regular file|[Dd]irectory|SavedModel", line)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"{", "JSON|plan|Expecting"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["simulate", "x.json"],
        ["deploy", "x.json", "-o", "o"],
        ["bench", "x.json"],
        ["quantize", "m.tflite", "-o", "q.tflite", "--plan", "x.json"],
    ],
    ids=lambda command: command[0],
)
def test_json_that_cannot_be_read_says_so(
    content: bytes, says: str, command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    Path("x.json").write_bytes(content)
    code, line = refusal(capfd, *command)
    assert code in (1, 2) and "x.json" in line and re.search(says, line)


@pytest.mark.parametrize("name", ["deep.toml", "deep.yaml"])
def test_study_files_nested_too_deeply_are_told(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml" if name.endswith("yaml") else "tomllib")
    Path(name).write_text("models = " * name.endswith("toml") + "[" * 20_000)
    assert "nested too deeply" in refusal(capfd, "bench", name)[1]


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("side", "says"), [(60_000, "unpacks to more"), (12_000, "unpacks to more"), (50, "truncated")]
)
def test_an_image_that_is_a_bomb_or_broken_is_told(side: int, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    Path("x.png").write_bytes(png(side, side))
    code, line = refusal(capfd, "run", "m.tflite", "--image", "x.png")
    assert code == 1 and "x.png" in line and says in line


def test_labels_that_are_not_utf_8_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    Path("labels.txt").write_bytes(b"cat\n\xff\n")
    assert (
        "labels.txt holds no labels: byte 4 is 0xff" in refusal(capfd, "run", "m.tflite", "--labels", "labels.txt")[1]
    )


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1.0, True, "1"])
@pytest.mark.parametrize("config", [StudyConfig, LayersConfig])
def test_times_are_finite_numbers(value: object, config: type[StudyConfig | LayersConfig]) -> None:
    model = ("m.tflite",) if config is StudyConfig else "m.tflite"
    for name in ("seconds", "time_limit"):
        with pytest.raises(OptionError, match="finite number"):
            config(model, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "option"), [("bench", "--seconds"), ("layers", "--time-limit"), ("run", "--runs"), ("profile", "--top")]
)
def test_numbers_that_mean_nothing_end_with_2(command: str, option: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "m.tflite", option, "inf" if option != "--runs" else "0"])
    assert ended.value.code == 2 and f"argument {option}" in capfd.readouterr().err


def test_a_store_with_a_trigger_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    Store.create("s.sqlite", {}).close()
    with sqlite3.connect("s.sqlite") as connection:
        connection.execute("CREATE TRIGGER t BEFORE INSERT ON session BEGIN SELECT RAISE(ABORT, 'no'); END")
    connection.close()
    with pytest.raises(StoreError, match="'t', a trigger or view"):
        Store.open("s.sqlite")
    assert refusal(capfd, "bench", "m.tflite", "--store", "s.sqlite")[0] == 1


def test_a_store_in_no_folder_names_the_folder(capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        "no: the folder that the store is to be in" in refusal(capfd, "bench", "m.tflite", "--store", "no/s.sqlite")[1]
    )


def test_the_cpu_is_no_slip_for_the_gpu(capfd: pytest.CaptureFixture[str]) -> None:
    code, line = refusal(capfd, "run", "m.tflite", "--delegate", "cpu")
    assert code == 2 and "the CPU is 'xnnpack', or 'none'" in line and "Did you mean" not in line


def test_a_batch_is_chosen_with_shape(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "m.tflite", "--shape", "image=3,8,8,1", "--runs", "1"]) == 0
    assert "logits float32[3, 10]" in capfd.readouterr().out
    assert main(["profile", "m.tflite", "--shape", "image=3,8,8,1", "--runs", "1", "--delegate", "none"]) == 0
    capfd.readouterr()
    code, line = refusal(capfd, "run", "m.tflite", "--shape", "imag=3,8,8,1")
    assert code == 2 and "Did you mean 'image'" in line


def test_names_that_are_not_utf_8_work_from_the_model_to_the_report(capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copy(DIGITS, ODD_NAME)
    assert writable(ODD_NAME) == "n\\xff\\xfe.tflite" and Model.load(ODD_NAME).path == ODD_NAME
    quick = ["--seconds", "0.01", "--rounds", "1", "--delegates", "none", "--store", "s.sqlite"]
    assert main(["bench", ODD_NAME, *quick]) == 0
    assert "n\\xff\\xfe float32 none 1t" in capfd.readouterr().out
    assert main(["report", "s.sqlite", "-o", "r"]) == 0
    assert main(["cut", ODD_NAME, "--at", "3", "--out", os.fsdecode(b"o\xff")]) == 0
    Path(os.fsdecode(b"broken\xff.tflite")).write_bytes(b"no")
    with pytest.raises(InvalidModelError, match="not a model"):
        Model.load(os.fsdecode(b"broken\xff.tflite"))


def test_a_terminal_without_unicode_gets_escapes() -> None:
    shutil.copy(DIGITS, ODD_NAME)
    command = [sys.executable, "-m", "litedelegates", "run", ODD_NAME, "--runs", "1"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"") and b"latency" in done.stdout


def test_a_hint_names_the_packages_of_an_extra() -> None:
    said = install_extra("keras")
    if "litert-quantizer" not in said:
        pytest.skip("the package is not installed, so that nothing says what its extras need")
    assert re.fullmatch(
        r"pip install '.*litert-quantizer[^']*' 'tensorflow.*\(the extra litedelegates\[keras\]\)", said
    )
    assert install_extra("nothing") == "pip install 'litedelegates[nothing]'"


def test_relative_paths_go_from_where_a_store_and_a_plan_lie(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("models", "out", "elsewhere"):
        Path(name).mkdir()
    shutil.move("m.tflite", "models/m.tflite")
    quick = ["--seconds", "0.01", "--runs", "1", "--delegates", "none", "--parts", "alone,in_place"]
    precisions = ["--precisions", "float32"]
    assert main(["layers", "models/m.tflite", *precisions, *quick, "--store", "out/s.sqlite", "--quiet"]) == 0
    monkeypatch.chdir(folder / "elsewhere")
    assert main(["plan", "../out/s.sqlite", "-o", "../out/plan.json"]) == 0
    shutil.move(folder / "out", folder / "moved")
    monkeypatch.chdir(folder)
    assert main(["deploy", "moved/plan.json", "-o", "moved/deployed", "--quiet"]) == 0
    monkeypatch.chdir(folder / "moved")
    capfd.readouterr()
    assert main(["verify", "deployed", "--seconds", "0", "--json"]) == 0
    shutil.move(folder / "models/m.tflite", folder / "models/other.tflite")
    capfd.readouterr()
    assert all(
        "--model" in refusal(capfd, *command)[1]
        for command in (["deploy", "plan.json", "-o", "d", "--quiet"], ["plan", "s.sqlite"])
    )


def test_a_layer_study_of_which_nothing_wanted_could_be_measured_ends_with_1(capfd: pytest.CaptureFixture[str]) -> None:
    quick = ["--seconds", "0.01", "--runs", "1", "--parts", "alone", "--layers", "1", "--quiet", "--store", "s.sqlite"]
    assert main(["layers", "m.tflite", "--precisions", "float32", "--delegates", "none", *quick]) == 0
    missing = "external:/no/libvendor.so"
    assert main(["layers", "m.tflite", "--precisions", "float32", "--delegates", missing, *quick]) == 1
    assert "--retry" in capfd.readouterr().out


def test_a_bench_in_which_a_cell_failed_names_retry(capfd: pytest.CaptureFixture[str]) -> None:
    quick = ["--seconds", "0.01", "--rounds", "1", "--quiet"]
    assert main(["bench", "m.tflite", "--delegates", "external:/no/libvendor.so", *quick]) == 1
    out = capfd.readouterr().out
    assert "--retry" in out and "Errno" not in out
