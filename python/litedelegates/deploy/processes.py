"""Stages in processes of this machine, one a device: what goes wrong in one ends it alone, and another is started."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from litedelegates.deploy.failures import Kind, PipelineError
from litedelegates.deploy.loaded import Ran
from litedelegates.deploy.records import ExitRule, StageFile
from litedelegates.engines import Array
from litedelegates.shared_memory import Block
from litedelegates.study.process import CellFailed, Worker

_MODULE = "litedelegates.deploy.stage_desk"
_KINDS: Mapping[str, Kind] = {"timeout": "timeout", "failed": "failed"}


class ProcessPlaces:
    """A process for each device."""

    lanes = 1

    def __init__(self, exits: Sequence[ExitRule], cpus: Mapping[str, Collection[int]]) -> None:
        """Start with no processes; those of the devices in ``cpus`` will stay on these cores."""
        self._exits, self._cpus = exits, cpus
        self._processes: dict[str, _DeviceProcess] = {}
        # Processes end with the thread that started them: one that lives as long as this.
        self._starter = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._folder, self._load_limit, self._is_closed = Path(), 0.0, False

    def load(self, folder: Path, stages: Sequence[StageFile], limit: float) -> None:
        """Load the models; see `places.Places.load`."""
        self._folder, self._load_limit = folder, limit

        def load(device: str) -> None:
            process = self._process(device)
            with process.lock:
                for stage in stages:
                    if stage.device == device:
                        process.load(stage, folder, self._exits, limit)

        devices = list(dict.fromkeys(stage.device for stage in stages))
        with ThreadPoolExecutor(len(devices)) as pool:
            for loading in [pool.submit(load, device) for device in devices]:
                loading.result()

    def run(self, stage: StageFile, values: Mapping[str, Any], limit: float) -> Ran:
        """Run a stage in the process of its device; see `places.Places.run`."""
        process = self._process(stage.device)
        with process.lock:
            process.load(stage, self._folder, self._exits, self._load_limit)
            return process.run(stage, values, limit)

    def fetch(self, values: Mapping[str, Any], limit: float) -> dict[str, Array]:
        """Return the arrays: they are here already."""
        return dict(values)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            for process in self._processes.values():
                with process.lock:
                    process.close()
            self._processes.clear()
            self._is_closed = True
            self._starter.shutdown()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by device."""
        with self._lock:
            return {device: process.pid for device, process in self._processes.items() if process.pid is not None}

    def _process(self, device: str) -> _DeviceProcess:
        with self._lock:
            if self._is_closed:
                raise PipelineError("failed", "the pipeline is closed")
            if device not in self._processes:
                self._processes[device] = _DeviceProcess(self._starter, self._cpus.get(device))
            return self._processes[device]


class _DeviceProcess:
    """The process of a device, which is started when it is needed and again when it has ended.

    Attributes:
        lock: To be held by who asks it.
    """

    def __init__(self, starter: ThreadPoolExecutor, cpus: Collection[int] | None) -> None:
        self.lock = threading.Lock()
        self._starter = starter
        self._cpus = None if cpus is None else sorted(cpus)
        self._inbox, self._outbox = Block(), Block()
        self._worker: Worker | None = None
        self._loaded: set[str] = set()
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Its process id; None while there is none."""
        return None if self._worker is None else self._worker.pid

    def load(self, stage: StageFile, folder: Path, exits: Sequence[ExitRule], limit: float) -> None:
        """Load a stage, unless it is loaded."""
        if self._is_closed:  # while who asks waited for the lock
            raise PipelineError("failed", "the pipeline is closed", stage=stage.number)
        if self._worker is None:
            files = (self._inbox.file, self._outbox.file)
            self._worker = self._starter.submit(Worker, None, _MODULE, files).result(limit)
            self._loaded = set()
            self._ask(stage, "begin", limit, inbox=files[0], outbox=files[1], cpus=self._cpus)
        if stage.file not in self._loaded:
            rules = [rule.to_json() for rule in exits]
            self._ask(stage, "load", limit, path=str(folder / stage.file), stage=stage.to_json(), exits=rules)
            self._loaded.add(stage.file)

    def run(self, stage: StageFile, values: Mapping[str, Array], limit: float) -> Ran:
        """Run a stage that is loaded."""
        worker = f"process {self.pid}"
        begin = perf_counter()
        arrays = {name: np.asarray(value) for name, value in values.items()}
        inputs = self._inbox.write(arrays)
        written = perf_counter()
        answer = self._ask(stage, "run", limit, file=stage.file, inputs=inputs)
        answered = perf_counter()
        made = {name: value.copy() for name, value in self._outbox.read(answer["outputs"]).items()}
        copied = perf_counter()
        upload, run, read = answer["times_us"]
        return Ran(
            made,
            (upload, run, read),
            worker,
            transfer_us=(written - begin + copied - answered) * 1e6,
            received_nbytes=sum(value.nbytes for value in arrays.values()),
            confidences=answer["confidences"],
        )

    def close(self) -> None:
        """End the process and free the memory, for good."""
        self._is_closed = True
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        self._inbox.close()
        self._outbox.close()

    def _ask(self, about: StageFile, order: str, limit: float, **arguments: Any) -> dict[str, Any]:
        assert self._worker is not None
        worker = self._worker
        try:
            return worker.ask(order, limit, **arguments)
        except CellFailed as failure:
            kind = _KINDS.get(failure.status, "died")
            if not worker.is_alive:
                worker.close()
                self._worker = None
            raise PipelineError(kind, failure.reason, stage=about.number, worker=f"process {worker.pid}") from failure
