"""Runs a worker process: commands come in on standard input, answers go out on standard output, a line of JSON each.

A room that has work for a worker process has a module of its own that calls `serve`; that module is what is started.
The process ends when its input is closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Tell: TypeAlias = "Callable[[dict[str, Any]], None]"

_PR_SET_PDEATHSIG = 1


class Desk(Protocol):
    """What orders are about."""

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message says and return the answer."""
        ...

    def close(self) -> None:
        """Free what is loaded, before the process ends."""
        ...


def serve(make_desk: Callable[[], Desk]) -> None:
    """Answer orders until there are no more.

    Args:
        make_desk: Makes what answers them; called at the first order, so that it can import what takes its time.
    """
    serve_telling(lambda tell: make_desk())


def serve_telling(make_desk: Callable[[Tell], Desk]) -> None:
    """Answer orders as `serve` does.

    Args:
        make_desk: Is given what tells of an order before it is answered (see `process.Worker.follow`).
    """
    try:
        _serve(make_desk)
    except Exception as error:
        _fall(error)


def _serve(make_desk: Callable[[Tell], Desk]) -> None:
    # Whoever cannot be asked to end, in a kernel that never returns, is ended by the system.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # When memory runs out, the system should take this process and not the one that keeps the results.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    # Libraries print; what they print must not pass for an answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()

    from litedelegates.study.words import decode, encode

    def tell(message: dict[str, Any]) -> None:
        if not orders.empty():  # nobody gives an order before the last one is answered, but the one to end
            raise _NobodyListensError
        _write(answers, encode({"told": message}))

    desk: Desk | None = None
    while True:
        message = decode(orders.get())
        if message["do"] == "quit":
            if desk is not None:
                desk.close()
            os._exit(0)  # not by way of Python's end, for which the thread that listens would have to end too
        try:
            if desk is None:
                desk = make_desk(tell)
            answer = desk.answer(message)
        except _NobodyListensError:
            continue
        except MemoryError as error:
            answer = {"failed": "out of memory", "reason": f"MemoryError: {error}".rstrip(": ")}
        except Exception as error:
            answer = {"failed": "failed", "reason": _reason(error)}
        _write(answers, encode(answer))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:  # without "[Errno 2]", which says the same to fewer people
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return f"{type(error).__name__}: {where}{error.strerror}"
    return f"{type(error).__name__}: {error}"


class _NobodyListensError(BaseException):
    """What was ordered is not wanted any more; no error, so that nothing on the way takes it for one."""


def _listen(orders: queue.SimpleQueue[bytes]) -> None:
    """Pass orders on, and end the process when there will be no more, even while it runs a model."""
    try:
        for line in sys.stdin.buffer:
            orders.put(line)
    except Exception as error:
        _fall(error)
    os._exit(0)


def _fall(error: Exception) -> None:
    """End the process with its last words, also where a thread waits for orders or for the model."""
    with contextlib.suppress(Exception):
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    os._exit(1)


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
