"""A process that does what it is told: where that brings it down, it is an error here, and a new one does the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litedelegates.errors import RunError
from litedelegates.free_memory import memory_share
from litedelegates.study.process import CellFailed, Worker

_START_SECONDS = 60.0


def start(module: str, memory_limit: int | None = None, tries: int = 2) -> Worker:
    """Start a process. One that falls before it is told anything does so by nobody's fault: another one may not.

    Args:
        module: What it runs; it has to know the order ``greet``.
        memory_limit: Bytes of resident memory at which it is ended; by default most of what is free now.
        tries: How many are started, one after the other.

    Raises:
        CellFailed: None of them came to be there.
    """
    try:
        worker = Worker(memory_share() if memory_limit is None else memory_limit, module)
    except OSError as error:
        raise CellFailed("failed", f"no process can be started: {error}") from error
    try:
        worker.ask("greet", _START_SECONDS)  # its imports are not to count as time of what it does
    except BaseException as error:
        worker.close()
        if tries == 1 or not isinstance(error, CellFailed):
            raise
        return start(module, memory_limit, tries - 1)
    return worker


class Helper:
    """A process that is started when it is first told something, and anew where it has fallen."""

    def __init__(self, module: str, memory_limit: int | None = None) -> None:
        """Start nothing yet; the arguments are those of `start`."""
        self._module, self._memory_limit = module, memory_limit
        self._worker: Worker | None = None

    def ask(self, do: str, limit: float, **arguments: Any) -> dict[str, Any]:
        """Give an order and return the answer; see `study.process.Worker.ask`.

        Raises:
            RunError: It failed, or brought the process down; says why.
            CellFailed: No process can be started.
        """
        with self._listening() as worker:
            return worker.ask(do, limit, **arguments)

    def follow(self, do: str, limit: float, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Give an order and yield what is told of it until it is done; see `study.process.Worker.follow`.

        Raises:
            RunError: As in `ask`, like the next one.
            CellFailed: No process can be started.
        """
        with self._listening() as worker:
            yield from worker.follow(do, limit, **arguments)

    @contextmanager
    def _listening(self) -> Iterator[Worker]:
        if self._worker is None or not self._worker.is_alive:  # it may have fallen while it did nothing
            self.close()
            self._worker = start(self._module, self._memory_limit)
        try:
            yield self._worker
        except CellFailed as failure:
            if not self._worker.is_alive:
                self.close()
            raise RunError(failure.reason) from failure

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
