"""Stages in threads of this process, one thread a device."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError  # until Python 3.11 not the built-in one
from pathlib import Path
from typing import Any

from litedelegates.deploy.failures import PipelineError
from litedelegates.deploy.loaded import LoadedStage, Ran
from litedelegates.deploy.records import ExitRule, StageFile
from litedelegates.engines import Array


class ThreadPlaces:
    """A thread for each device: it loads the models of the device's stages and runs them one at a time."""

    lanes = 1

    def __init__(self, exits: Sequence[ExitRule] = ()) -> None:
        """Start with no threads."""
        self._exits = exits
        self._threads: dict[str, _DeviceThread] = {}
        self._folder, self._is_closed = Path(), False
        self._started = 0
        self._lock = threading.Lock()

    @property
    def pids(self) -> dict[str, int]:
        """None: there are only threads."""
        return {}

    def load(self, folder: Path, stages: Sequence[StageFile], limit: float) -> None:
        """Load the models; see `places.Places.load`."""
        self._folder = folder
        for stage in stages:
            thread = self._thread(stage.device)
            self._ask(thread, stage, limit, functools.partial(thread.loaded, stage, self._load))

    def run(self, stage: StageFile, values: Mapping[str, Any], limit: float) -> Ran:
        """Run a stage in the thread of its device; see `places.Places.run`."""
        thread = self._thread(stage.device)

        def run() -> Ran:
            made, times, confidences = thread.loaded(stage, self._load).run(values)
            return Ran(made, times, thread.name, confidences=confidences)

        found: Ran = self._ask(thread, stage, limit, run)
        return found

    def fetch(self, values: Mapping[str, Any], limit: float) -> dict[str, Array]:
        """Return the arrays: they are here already."""
        return dict(values)

    def close(self) -> None:
        """End the threads, each as soon as it has done what it does."""
        with self._lock:
            for thread in self._threads.values():
                thread.end()
            self._threads.clear()
            self._is_closed = True

    def _load(self, stage: StageFile) -> LoadedStage:
        return LoadedStage(self._folder / stage.file, stage, self._exits)

    def _thread(self, device: str) -> _DeviceThread:
        with self._lock:
            if self._is_closed:
                raise PipelineError("failed", "the pipeline is closed")
            if device not in self._threads:
                self._started += 1
                self._threads[device] = _DeviceThread(f"thread {self._started}")
            return self._threads[device]

    def _ask(self, thread: _DeviceThread, stage: StageFile, limit: float, call: Callable[[], Any]) -> Any:
        future = thread.submit(call)
        try:
            return future.result(limit)
        except FutureTimeoutError as error:
            if future.done():
                raise PipelineError(
                    "failed", f"TimeoutError: {error}", stage=stage.number, worker=thread.name
                ) from error
            # Nothing can end a thread from outside: it is left alone, and another one takes its place.
            with self._lock:
                if self._threads.get(stage.device) is thread:
                    del self._threads[stage.device]
            thread.end()
            raise PipelineError(
                "timeout", f"no answer within {limit:g} s", stage=stage.number, worker=thread.name
            ) from None
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise PipelineError("failed", reason, stage=stage.number, worker=thread.name) from error


class _DeviceThread:
    """Does what it is asked, in order; holds the models that it loaded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._stages: dict[str, LoadedStage] = {}
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        # A daemon: one that hangs must not keep the program from ending.
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def loaded(self, stage: StageFile, load: Callable[[StageFile], LoadedStage]) -> LoadedStage:
        """Return a stage, loaded; to be called in this thread."""
        if stage.file not in self._stages:
            self._stages[stage.file] = load(stage)
        return self._stages[stage.file]

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Do something after everything else that was asked."""
        future: Future[Any] = Future()
        self._calls.put((call, future))
        return future

    def end(self) -> None:
        """Free the models after everything that was asked, and end."""
        self._calls.put(None)

    def _serve(self) -> None:
        while (asked := self._calls.get()) is not None:
            call, future = asked
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
        for stage in self._stages.values():
            stage.close()
