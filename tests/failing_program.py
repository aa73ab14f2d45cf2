"""An operation of the package, done again and again with one call of the C library failing each time: the first, then
the second, until none is left to fail. Runs with ``failing_calls.c`` loaded before all other libraries.

``python failing_program.py OPERATION CAUSES FOLDER`` prints a line of JSON for each time: which call failed, how it
ended, and what was wrong with the files that were left. CAUSES is JSON: by the name of the function, the error number
and the least size that it fails for.

Each time has a process of its own, a copy of this one, so that one which ends badly does not end the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import json
import os
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from digits_model import DIGITS, digits_data
from litedelegates import Interpreter, LiteDelegatesError, graph
from litedelegates.cli import main as command_line
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.quantize import quantize_file
from litedelegates.report import write_report
from litedelegates.study import BlockRecord, Store, StudyConfig, run_study
from synthetic_study import write_study

MOST = 400
ROUNDS = 3


def load_and_run(folder: Path) -> None:
    with Interpreter(folder / "digits.tflite", delegate="xnnpack") as interpreter:
        interpreter.run(digits_data()["images"][:1])


def cut(folder: Path) -> None:
    for name, part in zip(("head", "tail"), graph.cut(folder / "digits.tflite", at=[7]), strict=True):
        part.save(folder / f"{name}.tflite")


def quantize(folder: Path) -> None:
    quantize_file(folder / "digits.tflite", folder / "small.tflite", "float16")


def add_blocks(folder: Path) -> None:
    with Store.create(folder / "s.sqlite", {}) as store:
        samples = np.ones((4, 3), np.int64)
        for index in range(ROUNDS):
            store.add_block(BlockRecord(store.cells()[0].key, "new", index, 0, samples, samples, 0.0, 0, 1))
            os.write(3, b"+")  # it is in the file


def report(folder: Path) -> None:
    with Store.open(folder / "s.sqlite") as store:
        write_report(store, folder / "report", ["html", "markdown", "csv", "json"])


def study(folder: Path) -> None:
    quick = {"seconds": 0.0, "rounds": 2, "block_seconds": 0.001, "warmup_seconds": 0.0}
    run_study(StudyConfig((str(folder / "digits.tflite"),), delegates=("none",), **quick), folder / "new.sqlite")


def layers(folder: Path) -> None:
    asked = {"parts": ("in_place",), "runs": 2, "seconds": 0.001, "samples": 1}
    config = LayersConfig(str(folder / "digits.tflite"), ("float32",), ("none",), **asked)
    study_layers(config, folder / "new.sqlite")


def command(*arguments: str) -> Callable[[Path], None]:
    def call(folder: Path) -> None:
        os.chdir(folder)
        said, printed = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            code = command_line(arguments)
        if code not in (0, 1, 2) or "unexpected" in said.getvalue() or (code > 0) != bool(said.getvalue()):
            raise AssertionError(f"exit code {code}: {said.getvalue()}")
        if code > 0:  # 2 is what `compare` says of a store that it cannot use
            raise LiteDelegatesError(said.getvalue())

    return call


OPERATIONS: dict[str, Callable[[Path], None]] = {
    "load_and_run": load_and_run,
    "cut": cut,
    "quantize": quantize,
    "add_blocks": add_blocks,
    "report": report,
    "study": study,
    "layers": layers,
    "run_command": command("run", "digits.tflite", "--runs", "1", "--output", "out.npz"),
    "profile_command": command("profile", "digits.tflite", "--runs", "1", "--csv", "ops.csv"),
    "graph_command": command("graph", "digits.tflite"),
    "compare_command": command("compare", "s.sqlite", "s.sqlite"),
}


def once(operation: Callable[[Path], None], folder: Path, arm: Callable[[], object], left: Callable[[], int]) -> str:
    """Do the operation in a process of its own and return how it ended: "done", "none left", or an error."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(folder.with_suffix(".acknowledged"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 3)
        said = "done"
        try:
            arm()
            operation(folder)
        except (LiteDelegatesError, OSError, MemoryError) as error:
            said = f"{type(error).__name__}: {error}"
        except BaseException as error:
            said = f"UNTYPED {type(error).__name__}: {error}"
        if left() > 0:
            said = "none left" if said == "done" else f"UNTYPED without a fault: {said}"
        os.write(send, said.encode()[:4000])
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as file:
        said = file.read().decode()
    _, status = os.waitpid(child, 0)
    return said if os.WIFEXITED(status) else f"UNTYPED signal {os.WTERMSIG(status)}"


def wrong_files(folder: Path, before: Path, after: Path) -> list[str]:
    """Return what is wrong with the files that were left: each is as it was, or as it should be."""
    found = []
    for file in folder.rglob("*"):
        name = file.relative_to(folder)
        if file.is_dir() or "sqlite" in file.name or file.name.startswith(".s.") or file.suffix == ".csv":
            continue
        allowed = [other / name for other in (before, after) if (other / name).is_file()]
        if file.name.endswith(".part") or not allowed:
            found.append(f"{name} stays behind")
        elif file.suffix in (".tflite", ".npz") and file.read_bytes() not in [other.read_bytes() for other in allowed]:
            found.append(f"{name} is neither old nor new")
        elif not file.stat().st_size:
            found.append(f"{name} is empty")
    for file in folder.glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                found.append(f"{file.name} is damaged")
    if (folder / "s.sqlite").is_file():
        acknowledged = len(folder.with_suffix(".acknowledged").read_bytes())
        with Store.open(before / "s.sqlite") as old, Store.open(folder / "s.sqlite") as new:
            held = len(new.blocks(new.cells()[0], "new"))
            if old.cells() != new.cells() or not acknowledged <= held <= ROUNDS:
                found.append("records were lost")
    return found


def main() -> None:
    name, causes, given = sys.argv[1:]
    operation, root = OPERATIONS[name], Path(given)
    faults = ctypes.CDLL(None)
    faults.calls_left.restype = ctypes.c_long
    warnings.simplefilter("ignore")
    digits_data()  # before anything fails
    before, after, folder = root / "before", root / "after", root / "during"
    before.mkdir()
    shutil.copy(DIGITS, before / "digits.tflite")
    write_study(before / "s.sqlite", models={"digits": 300.0}, threads=(1,), rounds=8, runs=2)
    shutil.copytree(before, after)
    first = once(operation, after, lambda: None, lambda: 0)
    if first != "done":
        sys.exit(f"{name} does not work without a fault: {first}")
    for function, (error, least_bytes) in json.loads(causes).items():
        where = "" if function == "malloc" else str(folder)
        for nth in range(1, MOST):
            shutil.copytree(before, folder)
            call = (function.encode(), where.encode(), error, ctypes.c_long(nth), ctypes.c_size_t(least_bytes))
            ended = once(operation, folder, functools.partial(faults.fail_call, *call), faults.calls_left)
            wrong = wrong_files(folder, before, after)
            print(json.dumps({"function": function, "nth": nth, "ended": ended, "wrong": wrong}), flush=True)
            shutil.rmtree(folder)
            if ended == "none left":
                break
        else:
            sys.exit(f"{name} still failed after {MOST} calls of {function}")


if __name__ == "__main__":
    main()
