"""One segment of a pipeline: takes requests from a queue, runs them, hands them on."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Failure:
    """What takes the place of a result when a segment failed.

    Attributes:
        message: Which segment failed, on what.
        error: What it raised.
    """

    message: str
    error: Exception


Request = dict[str, Array] | Failure | None  # tensors by name; None says that no more will come


class Bounded:
    """A queue whose limit can be changed while it is in use, and that can be closed from another thread.

    The standard library's can do neither in Python 3.10.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._items: deque[Request] = deque()
        self._limit = limit
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: Request) -> None:
        """Add an item; waits while the queue is full. The end and what comes after closing do not wait."""
        with self._changed:
            while not self._is_closed and item is not None and self._is_full():
                self._changed.wait()
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Request:
        """Take the oldest item; waits while there is none. A closed queue gives None."""
        with self._changed:
            while not self._items and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def resize(self, limit: int) -> None:
        """Let at most ``limit`` items wait; those that wait already stay.

        Raises:
            ValueError: It is less than 1.
        """
        if limit < 1:
            raise ValueError(f"a queue holds at least 1 item, not {limit}")
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    def close(self) -> None:
        """Drop the items and wake up everybody who waits."""
        with self._changed:
            self._is_closed = True
            self._items.clear()
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return self._limit is not None and len(self._items) >= self._limit


class Stage:
    """What the thread of one segment does."""

    def __init__(
        self, interpreter: Any, source: Bounded, target: Bounded, stop: threading.Event, *, is_last: bool
    ) -> None:
        self._interpreter = interpreter
        self._source, self._target, self._stop = source, target, stop
        self._is_last = is_last
        self._inputs = [(details["name"], details["index"]) for details in interpreter.get_input_details()]
        self._outputs = [(details["name"], details["index"]) for details in interpreter.get_output_details()]

    def run(self) -> None:
        """Run every request until the end or until the pipeline is closed."""
        while not self._stop.is_set():
            request = self._source.get()
            if request is None:
                self._target.put(None)
                return
            self._target.put(self._answer(request))

    def _answer(self, request: dict[str, Array] | Failure) -> Request:
        if isinstance(request, Failure):
            return request  # keeps its place, so that results stay in order
        try:
            for name, index in self._inputs:
                self._interpreter.set_tensor(index, request[name])
            self._interpreter.invoke()
            made = {name: self._interpreter.get_tensor(index) for name, index in self._outputs}
        except Exception as error:  # whatever it is: it surfaces at pop and not in this thread
            inputs = ", ".join(name for name, _ in self._inputs)
            return Failure(f"the segment that takes {inputs} failed: {error}", error)
        return made if self._is_last else {**request, **made}
