"""An operation of the package, done again and again with one call of the C library failing each time: the first, then
the second, until none is left to fail. Runs with ``failing_calls.c`` loaded before all other libraries.

``python failing_program.py OPERATION FAULTS FOLDER [COUNT]`` prints a line of JSON for each time: which call failed,
how it ended, and what was wrong with the files that were left. FAULTS is JSON: by any name, a `Fault`. With COUNT only
so many calls of each fault fail, drawn from all that there are.

Each time has a process of its own, a copy of this one, so that one which ends badly does not end the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import small_models
from digits_model import DIGITS, digits_data
from failing_operations import OPERATIONS, ROUNDS, Operation
from litedelegates import LiteDelegatesError
from litedelegates.study import Store
from synthetic_study import write_study

MOST = 20_000


@dataclass(frozen=True)
class Fault:
    """What can go wrong with a call.

    Attributes:
        function: The call, as ``failing_calls.c`` names it.
        error: The error number, or below 0 the signal that ends the process in its place.
        where: The calls that count: with files of the operation's folder ("folder"), with pipes ("pipe:"), with memory
            for the library whose path has this in it, or all ("").
        least_bytes: The least size that counts, for memory.
        in_workers: Whether it is a call of the processes that the operation starts, and not of its own.
    """

    function: str
    error: int
    where: str = "folder"
    least_bytes: int = 0
    in_workers: bool = False

    def arm(self, nth: int, folder: Path) -> None:
        """Let the ``nth`` call fail."""
        if self.in_workers:
            shared = folder.with_suffix(".fault")
            shared.write_bytes(bytes(CALLS.tell_others(None)))
            CALLS.tell_others(os.fsencode(shared))
            os.environ["FAILING_CALLS"] = str(shared)
        where = str(folder) if self.where == "folder" else self.where
        size = ctypes.c_size_t(self.least_bytes)
        CALLS.fail_call(self.function.encode(), where.encode(), self.error, ctypes.c_long(nth), size)


CALLS = ctypes.CDLL(None)
CALLS.calls_left.restype = ctypes.c_long
CALLS.tell_others.restype = ctypes.c_size_t


def once(operation: Operation, folder: Path, arm: Callable[[], object]) -> tuple[str, int]:
    """Do the operation in a process of its own; return how it ended ("done", "none left", what became of its parts, or
    an error), and how many more calls there would have had to be for one to fail.
    """
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(folder.with_suffix(".acknowledged"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 3)
        (folder / "tmp").mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder / "tmp")  # what is kept for a while fails too
        try:
            arm()
            said = operation(folder) or "done"
        except (LiteDelegatesError, OSError, MemoryError) as error:
            said = f"{type(error).__name__}: {error}"
        except BaseException as error:
            said = f"UNTYPED {type(error).__name__}: {error}"
        left = CALLS.calls_left()
        CALLS.tell_others(None)
        CALLS.fail_call(b"", b"", 0, ctypes.c_long(0), ctypes.c_size_t(0))  # what is said is to arrive
        if left > 0:
            said = "none left" if said == "done" else f"UNTYPED without a fault: {said}"
        os.write(send, json.dumps([said[:4000], left]).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as file:
        answer = file.read()
    _, status = os.waitpid(child, 0)
    if not os.WIFEXITED(status):
        return f"UNTYPED signal {os.WTERMSIG(status)}", 0
    said, left = json.loads(answer)
    return said, left


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


class Trial:
    """An operation, and the folders that it is done in."""

    def __init__(self, name: str, root: Path) -> None:
        """Do it once without a fault, in the folder that shows what it should leave."""
        self._name, self._operation = name, OPERATIONS[name]
        self._before, self._after, self._during = root / "before", root / "after", root / "during"
        self._before.mkdir()
        shutil.copy(DIGITS, self._before / "digits.tflite")
        (self._before / "conv.tflite").write_bytes(small_models.conv())
        (self._before / "chain.tflite").write_bytes(small_models.add_chain(2))
        write_study(self._before / "s.sqlite", models={"digits": 300.0}, threads=(1,), rounds=8, runs=2)
        shutil.copytree(self._before, self._after)
        first, _ = once(self._operation, self._after, lambda: None)
        if first != "done":
            sys.exit(f"{name} does not work without a fault: {first}")

    def fail(self, label: str, fault: Fault, nth: int) -> tuple[str, int]:
        """Let one call fail, print what became of it, and return how it ended and how many calls were missing."""
        shutil.copytree(self._before, self._during)
        ended, left = once(self._operation, self._during, lambda: fault.arm(nth, self._during))
        wrong = wrong_files(self._during, self._before, self._after)
        print(json.dumps({"fault": label, "nth": nth, "left": left, "ended": ended, "wrong": wrong}), flush=True)
        shutil.rmtree(self._during)
        return ended, left

    def places(self, label: str, fault: Fault, most: int | None) -> Iterable[int]:
        """Return which calls are to fail, in order."""
        if most is None:
            return count(1)
        _, left = self.fail(label, fault, MOST)
        calls = MOST - left
        draw = random.Random(f"{self._name} {label}")
        return sorted(draw.sample(range(1, calls + 1), min(most, calls)))

    def go_through(self, label: str, fault: Fault, most: int | None) -> None:
        """Let one call after the other fail."""
        for nth in self.places(label, fault, most):
            if self.fail(label, fault, nth)[0] == "none left":
                break
            if nth > MOST:
                sys.exit(f"{self._name} still failed after {MOST} calls: {label}")


def main() -> None:
    name, faults, root, *most = sys.argv[1:]
    warnings.simplefilter("ignore")
    digits_data()  # before anything fails
    with contextlib.suppress(ImportError):  # nor is it to be read anew each time
        import litert_quantizer  # noqa: F401
    trial = Trial(name, Path(root))
    for label, fault in json.loads(faults).items():
        trial.go_through(label, Fault(**fault), int(most[0]) if most else None)


if __name__ == "__main__":
    main()
