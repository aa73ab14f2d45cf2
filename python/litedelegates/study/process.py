"""A worker from the outside: orders with a time limit and a memory limit, and what became of it when it fell."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from litedelegates.errors import LiteDelegatesError
from litedelegates.isolated import python_command
from litedelegates.measure import read_memory
from litedelegates.study.words import Status, decode, encode

WATCH_SECONDS = 0.025
_QUIT_SECONDS = 2.0
_NOISE = ("INFO:", "I0000", "W0000", "WARNING: All log messages")


class CellFailed(LiteDelegatesError):
    """A cell came to its end before it was measured.

    Attributes:
        status: How.
        reason: Why, in one sentence.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class Worker:
    """A process that loads and runs models.

    Attributes:
        pid: Its process id.
    """

    def __init__(self, memory_limit: int | None, module: str, inherited: Collection[int] = ()) -> None:
        """Start it.

        Args:
            memory_limit: Bytes of resident memory at which it is ended.
            module: What it runs: a module that calls `worker.serve`.
            inherited: Descriptors of open files that it has as well, under the same numbers.
        """
        self._memory_limit = memory_limit
        self._oom_kills = _read_oom_kills()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the worker
        # A session of its own: Ctrl-C is for the study, which decides what becomes of its workers.
        self._process = subprocess.Popen(
            python_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
            pass_fds=tuple(inherited),
        )
        self.pid = self._process.pid
        self._buffer = b""

    def ask(self, do: str, limit: float, **arguments: Any) -> dict[str, Any]:
        """Give an order and return the answer.

        Args:
            do: Name of the order.
            limit: Seconds after which the worker counts as hanging and is ended.
            **arguments: Of the order.

        Raises:
            CellFailed: It failed, crashed, ran out of time or of memory; it has ended then, but for a plain failure.
        """
        return self._hear(self._give(do, arguments), limit)

    def follow(self, do: str, limit: float, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Give an order and yield what the worker tells of it (see `worker.serve_telling`) until it is done.

        Args:
            do: Name of the order.
            limit: Seconds without a word after which the worker counts as hanging and is ended.
            **arguments: Of the order.

        Raises:
            CellFailed: As in `ask`.
        """
        step = self._give(do, arguments)
        while (told := self._hear(step, limit).get("told")) is not None:
            self._watch_memory(step)  # else it is looked at only while it says nothing
            yield told

    def _give(self, do: str, arguments: Mapping[str, Any]) -> str:
        """Give an order and return what it is called."""
        step = do.replace("_", " ")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(encode({"do": do, **arguments}))
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._fallen(step) from None
        except OSError as error:
            raise self._lost(step, error) from error
        return step

    def _hear(self, step: str, limit: float) -> dict[str, Any]:
        answer = decode(self._read_line(step, limit))
        if "failed" in answer:
            raise CellFailed(answer["failed"], f"{step}: {answer['reason']}")
        return answer

    def _read_line(self, step: str, limit: float) -> bytes:
        assert self._process.stdout is not None
        file = self._process.stdout.fileno()
        deadline = time.monotonic() + limit
        while b"\n" not in self._buffer:
            try:
                ready, _, _ = select.select([file], [], [], WATCH_SECONDS)
                chunk = os.read(file, 1 << 20) if ready else None
            except OSError as error:
                raise self._lost(step, error) from error
            if chunk is not None:
                if not chunk:
                    raise self._fallen(step)
                self._buffer += chunk
                continue
            self._watch_memory(step)
            if time.monotonic() > deadline:
                self.end()
                raise CellFailed(
                    "timeout", f"{step}: no answer within {limit:g} s; the process was ended{self._last_words()}"
                )
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _watch_memory(self, step: str) -> None:
        if self._memory_limit is None:
            return
        found = read_memory(self.pid)
        resident = 0 if found is None else found.resident_bytes
        if resident > self._memory_limit:
            self.end()
            raise CellFailed(
                "out of memory",
                f"{step}: the process took {resident / 1e6:.0f} MB of memory, above the limit of "
                f"{self._memory_limit / 1e6:.0f} MB, and was ended",
            )

    def _fallen(self, step: str) -> CellFailed:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.end()
            return CellFailed("crashed", f"{step}: the process closed its output{self._last_words()}")
        words = self._last_words()
        if code == -signal.SIGKILL and _read_oom_kills() > self._oom_kills:
            return CellFailed("out of memory", f"{step}: the system killed the process because memory ran out{words}")
        if code < 0:
            return CellFailed("crashed", f"{step}: the process was ended by {_signal_name(-code)}{words}")
        return CellFailed("crashed", f"{step}: the process ended with exit code {code}{words}")

    def _lost(self, step: str, error: OSError) -> CellFailed:
        """End the process, which might still do what it was told and which nobody would hear of."""
        self.end()
        return CellFailed("failed", f"{step}: the process could not be talked to and was ended: {error}")

    def _last_words(self) -> str:
        """Return the last line that the process wrote to its error output, as the end of a sentence."""
        with contextlib.suppress(OSError, ValueError):
            size = self._said.seek(0, os.SEEK_END)
            self._said.seek(max(0, size - 4096))
            lines = self._said.read().decode(errors="replace").splitlines()
            told = [line.strip() for line in lines if line.strip() and not line.startswith(_NOISE)]
            if told:
                return f"; its last words: {told[-1][:300]}"
        return ""

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process, if it has not ended, at once."""
        if not self.is_alive:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> str | None:
        """Let the process free its model and end, or end it when it does not; return how it fell meanwhile, if so."""
        fell = None
        if self.is_alive and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
                self._process.stdin.write(encode({"do": "quit"}))
                self._process.stdin.flush()
                if self._process.wait(_QUIT_SECONDS) < 0:
                    fell = str(self._fallen("freeing the model"))
        self.end()
        for file in (self._process.stdin, self._process.stdout, self._said):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()
        return fell


def _read_oom_kills() -> int:
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return f"signal {number} ({signal.Signals(number).name})"
    return f"signal {number}"
