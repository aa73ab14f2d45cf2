"""What models, results and the current folder may not do: run code, read other files, eat memory, fool a reader."""

from __future__ import annotations

import ast
import csv
import io
import os
import sqlite3
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litedelegates
import numpy as np
import pytest
import small_models
from digits_model import DIGITS
from litedelegates.arrays import ArraysError, read_arrays
from litedelegates.cli import main
from litedelegates.cli.visible import visible
from litedelegates.files import write_whole
from litedelegates.graph import load
from litedelegates.isolated import python_command
from litedelegates.study import Store, StoreError
from litedelegates.tables import csv_lines
from synthetic_study import write_study

PACKAGE = Path(litedelegates.__file__).parent
MODULES = ("json", "numpy", "runpy", "sqlite3", "tempfile", "onnx", "yaml", "matplotlib", "ai_edge_litert")
LIBRARIES = (
    *("libLiteRt.so", "libLiteRtWebGpuAccelerator.so", "libLiteRtDispatch_IntelOpenvino.so", "libedgetpu.so.1"),
    *(
        "libtensorflowlite_flex.so",
        "libtflite_host_accessors.so",
        "libvulkan.so.1",
        "libtbb.so.12",
        "_core_openvino.so",
    ),
)


@pytest.fixture
def hostile_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the current folder one full of modules and libraries that leave a mark when they are loaded."""
    folder, mark = tmp_path / "hostile", tmp_path / "loaded"
    folder.mkdir()
    mark.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(mark / name)!r}, 'w')\n")
    source = tmp_path / "mark.c"
    source.write_text(
        "#include <fcntl.h>\n__attribute__((constructor)) static void mark(void) "
        f'{{ open("{mark}/library", O_CREAT | O_WRONLY, 0600); }}\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / LIBRARIES[0], source], check=True)
    for name in LIBRARIES[1:]:
        (folder / name).write_bytes((folder / LIBRARIES[0]).read_bytes())
    monkeypatch.chdir(folder)
    return mark


USES = """
import sys
from litedelegates import Flex, Interpreter, DelegateError
from litedelegates.delegates.edgetpu_library import EdgeTpuLibrary
from litedelegates.devices import available
from litedelegates.study import StudyConfig, run_study
available()
for use in (Flex().load, EdgeTpuLibrary, lambda: Interpreter(sys.argv[1], delegate="gpu")):
    try:
        use()
    except DelegateError:
        pass
quick = {"seconds": 0.0, "rounds": 1, "block_seconds": 0.001, "warmup_seconds": 0.0}
run_study(StudyConfig((sys.argv[1],), **quick), sys.argv[2])
"""


def test_nothing_is_loaded_from_the_current_folder(hostile_folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "uses.py"  # not -c or -m, with which Python itself looks there
    program.write_text(USES)
    command = [sys.executable, str(program), str(DIGITS), str(tmp_path / "s.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert list(hostile_folder.iterdir()) == []
    # The traps work: Python's -m would have fallen for them.
    subprocess.run(
        [sys.executable, "-m", "litedelegates.study.cell_worker"], input=b"", capture_output=True, check=False
    )
    assert list(hostile_folder.iterdir()) != []


def test_a_process_of_ours_finds_the_package_and_its_arguments() -> None:
    command = python_command("litedelegates", "--version")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("litedelegates ")


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


FORBIDDEN = ("eval", "exec", "compile", "yaml.load", "os.system", "os.popen", "tempfile.mktemp", "pickle.load")


def test_no_module_runs_or_unpickles_what_it_reads() -> None:
    found = []
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(file.name, name) for name in names if name in ("pickle", "marshal", "shelve", "dill")]
        for name, call in calls(tree):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if name in FORBIDDEN or keywords.get("shell") == "True":
                found.append((file.name, name))
            if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
                found.append((file.name, ast.unparse(call)))
    assert found == []


def declared(shape: tuple[int, ...]) -> bytes:
    """Return a .npy that says it holds float64 of a shape, and holds nothing."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_files_of_arrays_that_lie_or_hold_objects_are_refused(tmp_path: Path) -> None:
    file, archive = tmp_path / "a.npy", tmp_path / "a.npz"
    for content, says in (
        (declared((1 << 40,)), "8796093022208 bytes of shape"),
        (declared((1 << 40, 1 << 40)), "and there are 0"),
        (b"no array", "cannot be read as numpy data"),
    ):
        file.write_bytes(content)
        with pytest.raises(ArraysError, match=says):
            read_arrays(file)
    np.save(file, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ArraysError, match="allow_pickle=False"):
        read_arrays(file)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.npy", declared((1 << 40,)))
    with pytest.raises(ArraysError, match="cannot be read as numpy data"):
        read_arrays(archive)
    # A bomb says in its directory what it unpacks to.
    content = bytearray(archive.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 0xFFFFFFF0)
    archive.write_bytes(bytes(content) if free_below(0xFFFFFFF0) else zipped_many(0xFFFFFFF0))
    with pytest.raises(ArraysError, match="cannot be read as numpy data"):
        read_arrays(archive)
    np.savez(archive, x=np.arange(3), y=np.ones(2))
    assert {name: array.tolist() for name, array in read_arrays(archive).items()} == {  # type: ignore[union-attr]
        "x": [0, 1, 2],
        "y": [1.0, 1.0],
    }


def free_below(nbytes: int) -> bool:
    from litedelegates.free_memory import free_memory

    return (free_memory() or 0) < nbytes


def zipped_many(nbytes: int) -> bytes:
    """Return an archive whose members together say that they unpack to more than any machine of tests has."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for index in range(1000):
            made.writestr(f"{index}.npy", b"")
    content = bytearray(file.getvalue())
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<I", content, at + 24, nbytes)
        at = content.find(b"PK\x01\x02", at + 1)
    return bytes(content)


def test_a_name_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert visible("a\x1b[31mb\r\x07\x9b2J\u202etflite\tn\n") == "a\\x1b[31mb\\x0d\\x07\\x9b2J\\u202etflite\tn\n"
    model = tmp_path / "\x1b]0;owned\x07.tflite"
    model.write_bytes(small_models.add())
    assert main(["graph", str(model)]) == 0
    assert main(["graph", str(tmp_path / "\x1b[2J.tflite")]) == 1
    said = capsys.readouterr()
    assert "\\x1b]0;owned\\x07" in said.out and "\\x1b[2J" in said.err
    assert "\x1b" not in said.out + said.err and "\x07" not in said.out


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    names = ["=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1"]
    text = csv_lines(["name", "us"], [[name, -1.5] for name in names])
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [row[0] for row in read] == [f"'{name}" for name in names]
    assert {row[1] for row in read} == {"-1.5"}
    assert csv_lines(["a"], [["-1.5"], ["name"], ["\r=1"]]) == "a\n-1.5\nname\n'\\r=1\n"


def test_no_link_of_others_is_followed_while_a_file_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda nbytes: "00")
    victim, target = tmp_path / "victim", tmp_path / "target"
    victim.write_text("precious")
    (tmp_path / ".target.00.part").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(target, [b"content"])
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "link.bin"])
def test_an_onnx_model_reads_no_file_outside_its_folder(location: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from litedelegates.engines import open_session
    from litedelegates.quantize import quantize

    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(np.arange(1024, dtype=np.float32).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    helper = onnx.helper
    weights = onnx.TensorProto(name="w", data_type=1, dims=[1024], data_location=1)
    weights.external_data.add(key="location", value=location)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", [value("x", 1, [1024])], [value("y", 1, [1024])], [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    for use in (load, open_session, lambda path: quantize(path, "float16")):
        with pytest.raises(litedelegates.LiteDelegatesError):
            use(str(path))


def test_a_damaged_store_is_told_and_code_in_a_schema_is_not_trusted(tmp_path: Path) -> None:
    path = write_study(tmp_path / "s.sqlite", models={"digits": 300.0}, threads=(1,), rounds=8, runs=50)
    with Store.open(path) as store:
        assert store.connection.execute("PRAGMA trusted_schema").fetchone() == (0,)
        with pytest.raises((sqlite3.Error, StoreError)):
            store.connection.execute("SELECT load_extension('libc.so.6')")
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"s\.sqlite"), Store.open(path) as store:
        for cell in store.cells():
            store.blocks(cell)
        store.events()
