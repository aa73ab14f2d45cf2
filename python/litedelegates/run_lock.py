"""Lets one run of an Interpreter happen at a time, whichever thread starts it."""

from __future__ import annotations

from _thread import TIMEOUT_MAX, RLock  # those of `threading`, without the millisecond that importing it takes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from litedelegates.errors import RunError, RunTimeoutError


class RunLock:
    """A lock for whole runs: setting the inputs, running, reading the outputs.

    Attributes:
        lock: What is taken; where every nanosecond counts ``with lock`` does, after a look at `is_owned`.
        is_owned: Tells whether this thread has it.
    """

    __slots__ = ("is_owned", "lock")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget who has it: in a child process, where that thread does not exist."""
        lock: Any = RLock()  # it knows its owner; it is never taken twice
        self.lock = lock
        self.is_owned: Callable[[], bool] = lock._is_owned

    @property
    def is_taken_elsewhere(self) -> bool:
        """Whether another thread has it."""
        if not self.lock.acquire(False):
            return True
        self.lock.release()
        return False

    def refuse(self) -> NoReturn:
        """Raise because this thread has it."""
        raise RunError(
            "this thread is in the middle of a run of the same Interpreter: what is called from there (an array's "
            "conversion, a signal handler) needs an Interpreter of its own"
        )

    @contextmanager
    def within(self, time_limit_s: float) -> Iterator[None]:
        """Take it when the thread that has it gives it back.

        Raises:
            RunError: That is this thread.
            RunTimeoutError: It does not within the time limit.
        """
        self._take(time_limit_s)
        try:
            yield
        finally:
            self.lock.release()

    def __enter__(self) -> None:
        self._take(None)

    def __exit__(self, *exception: object) -> None:
        self.lock.release()

    def _take(self, time_limit_s: float | None) -> None:
        if self.is_owned():
            self.refuse()
        try:
            taken = self.lock.acquire(timeout=-1 if time_limit_s is None else min(time_limit_s, TIMEOUT_MAX))
        except BaseException:  # a signal handler raised, before or after it was taken
            if self.is_owned():
                self.lock.release()
            raise
        if not taken:
            raise RunTimeoutError(
                f"another thread's run of the same Interpreter took the whole time limit of {time_limit_s:g} s: "
                "nothing was run"
            )
