"""Lets one run of an Interpreter happen at a time, whichever thread starts it."""

from __future__ import annotations

from threading import Lock, get_ident

from litedelegates.errors import RunError, RunTimeoutError


class RunLock:
    """A lock for whole runs: setting the inputs, running, reading the outputs.

    Attributes:
        lock: What is taken.
        owner: Identity of the thread that has taken it; 0 when none has.
    """

    __slots__ = ("lock", "owner")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget who has it: in a child process, where that thread does not exist."""
        self.lock = Lock()
        self.owner = 0

    @property
    def is_taken_elsewhere(self) -> bool:
        """Whether another thread has it."""
        return self.lock.locked() and self.owner != get_ident()

    def wait(self, time_limit_s: float | None = None) -> None:
        """Take ``lock`` once the thread that has it gives it back.

        Raises:
            RunError: That is this thread.
            RunTimeoutError: It does not within the time limit.
        """
        if self.owner == get_ident():
            raise RunError(
                "this thread is in the middle of a run of the same Interpreter: what is called from there (an array's "
                "conversion, a signal handler) needs an Interpreter of its own"
            )
        if not self.lock.acquire(timeout=-1 if time_limit_s is None else time_limit_s):
            raise RunTimeoutError(
                f"another thread's run of the same Interpreter took the whole time limit of {time_limit_s:g} s: "
                "nothing was run"
            )

    def __enter__(self) -> None:
        if not self.lock.acquire(False):
            self.wait()
        self.owner = get_ident()

    def __exit__(self, *exception: object) -> None:
        self.owner = 0
        self.lock.release()
