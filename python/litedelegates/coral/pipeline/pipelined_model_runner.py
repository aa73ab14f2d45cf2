"""A model cut into segments, one interpreter each, that work on successive inputs at the same time."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from litedelegates.coral.pipeline.stage import Bounded, Failure, Stage
from litedelegates.errors import RunError

Array = np.ndarray[Any, Any]

_BETWEEN = 2  # requests that may wait before each further segment; the queue at the front has the size the user sets

_living: weakref.WeakSet[PipelinedModelRunner] = weakref.WeakSet()


class PipelinedModelRunner:
    """Run the segments of a model in a thread each; results come in the order the inputs went in.

    A tensor passes from the segment that makes it to every later one that has an input of the same name.

    ``runner.push({"image": image}); runner.push({}); while (result := runner.pop()) is not None: ...``
    """

    def __init__(self, interpreters: Sequence[Any]) -> None:
        """Allocate the interpreters and start a thread for each.

        Args:
            interpreters: The segments in order, of this package or of ``ai_edge_litert``; nothing else may use them
                while the runner lives.

        Raises:
            ValueError: There are none, or one has an input that neither the first one's inputs nor an earlier one's
                outputs are named after.
        """
        if not interpreters:
            raise ValueError("at least one interpreter is needed")
        self._interpreters = list(interpreters)
        _check_names(self._interpreters)
        for interpreter in self._interpreters:
            interpreter.allocate_tensors()
        self._input_dtypes = {
            details["name"]: np.dtype(details["dtype"]) for details in self._interpreters[0].get_input_details()
        }
        self._queues = [Bounded(), *(Bounded(_BETWEEN) for _ in self._interpreters[1:]), Bounded()]
        self._stop = threading.Event()
        self._push_lock, self._pop_lock = threading.Lock(), threading.Lock()
        self._is_ended = self._is_drained = False
        stages = [
            Stage(interpreter, source, target, self._stop, is_last=source is self._queues[-2])
            for interpreter, source, target in zip(self._interpreters, self._queues[:-1], self._queues[1:], strict=True)
        ]
        # Daemons, so that a runner that was never ended does not keep the process; they know the queues and not the
        # runner, so that it can be collected.
        self._threads = [
            threading.Thread(target=stage.run, name=f"pipeline segment {position}", daemon=True)
            for position, stage in enumerate(stages)
        ]
        for thread in self._threads:
            thread.start()
        weakref.finalize(self, _abandon, self._stop, self._queues).atexit = False
        if not _living:
            # Registered here, after the interpreters are loaded: at exit it runs before what frees their devices.
            atexit.unregister(_close_all)
            atexit.register(_close_all)
        _living.add(self)

    def set_input_queue_size(self, size: int) -> None:
        """Let at most ``size`` inputs wait for the first segment; `push` blocks beyond. Unlimited until it is set.

        Raises:
            ValueError: It is less than 1.
        """
        self._queues[0].resize(size)

    def set_output_queue_size(self, size: int) -> None:
        """Let at most ``size`` results wait for `pop`; the segments pause beyond. Unlimited until it is set.

        Raises:
            ValueError: It is less than 1.
        """
        self._queues[-1].resize(size)

    def push(self, input_tensors: Mapping[str, Array]) -> None:
        """Queue one set of inputs; an empty one says that no more will come.

        The arrays are copied, so that they may be written to again at once.

        Args:
            input_tensors: The first segment's inputs by tensor name.

        Raises:
            ValueError: An input is missing, unknown, or not an array of the right dtype.
            RuntimeError: No more was to come.
        """
        if input_tensors:
            self._check_inputs(input_tensors)
        with self._push_lock:
            if self._is_ended:
                if not input_tensors:
                    return
                raise RuntimeError("push({}) ended the pipeline; make another runner for more inputs")
            self._is_ended = not input_tensors
            copies = {name: np.array(array) for name, array in input_tensors.items()}
            self._queues[0].put(copies or None)

    def pop(self) -> dict[str, Array] | None:
        """Wait for the next result.

        Returns:
            The last segment's outputs by tensor name, or None when the inputs have ended and every result was taken.

        Raises:
            RunError: A segment failed on this set of inputs; says which. The results after it can be popped.
            RuntimeError: The runner is closed.
        """
        with self._pop_lock:
            if self._is_drained:
                return None
            if self._stop.is_set():
                raise RuntimeError("the runner is closed")
            result = self._queues[-1].get()
            self._is_drained = result is None
        if isinstance(result, Failure):
            raise RunError(result.message) from result.error
        return result

    def interpreters(self) -> list[Any]:
        """Return the interpreters, in order."""
        return self._interpreters

    def close(self) -> None:
        """Stop after the runs in progress, drop what waits, and end the threads."""
        _abandon(self._stop, self._queues)
        for thread in self._threads:
            thread.join()

    def _check_inputs(self, tensors: Mapping[str, Array]) -> None:
        if set(tensors) != set(self._input_dtypes):
            raise ValueError(f"expected the inputs {', '.join(self._input_dtypes)}; got {', '.join(map(str, tensors))}")
        for name, dtype in self._input_dtypes.items():
            array = tensors[name]
            if not isinstance(array, np.ndarray) or array.dtype != dtype:
                given = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise ValueError(f"input {name!r} must be a numpy array of {dtype}, not {given}")


def _check_names(interpreters: Sequence[Any]) -> None:
    known = {details["name"] for details in interpreters[0].get_input_details()}
    for position, interpreter in enumerate(interpreters):
        missing = {details["name"] for details in interpreter.get_input_details()} - known
        if missing:
            raise ValueError(
                f"interpreter {position} has the inputs {', '.join(sorted(missing))}, which no earlier one makes"
            )
        known |= {details["name"] for details in interpreter.get_output_details()}


def _abandon(stop: threading.Event, queues: Sequence[Bounded]) -> None:
    stop.set()
    for queue in queues:
        queue.close()


def _close_all() -> None:
    for runner in list(_living):
        runner.close()
