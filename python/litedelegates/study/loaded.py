"""A cell that is loaded in a process of its own, and everything that is asked of it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from litedelegates.measure import EnergyMeter, find_drift, find_unsteady, find_unwaited
from litedelegates.study import cell_worker
from litedelegates.study.config import StudyConfig
from litedelegates.study.delegates import hash_libraries
from litedelegates.study.models import ModelFiles, RunFile
from litedelegates.study.process import CellFailed, Worker
from litedelegates.study.question import LIBRARIES, Question
from litedelegates.study.records import BlockRecord, Cell, Outcome
from litedelegates.study.reference import References
from litedelegates.study.sources import Sources
from litedelegates.study.words import unpack

# A block that takes so many times what its warm-up promised counts as hanging, if the time limit is over too.
_PATIENCE = 20
_ENERGY_SECONDS = 0.5


class LoadedCell:
    """One cell, from its file to its last run; every method raises `CellFailed` when the cell comes to its end.

    Attributes:
        cell: The cell.
        outcome: What is known of it so far.
        pid: The process, while there is one.
    """

    def __init__(
        self,
        cell: Cell,
        config: StudyConfig,
        memory_limit: int | None,
        session: int,
        asked: Question,
        sources: Sources,
    ) -> None:
        """Begin with nothing loaded."""
        self.cell, self.outcome = cell, Outcome(cell.key, "unfinished", session=session, asked=asked)
        self._sources = sources
        self.pid: int | None = None
        self._config, self._memory_limit, self._session = config, memory_limit, session
        self._worker: Worker | None = None
        self._promised_ns = 0.0  # what a block should take
        self._is_steady = True
        self._warmup_runs = 0
        self._blocks: list[BlockRecord] = []

    def load(self, files: ModelFiles) -> None:
        """Start a process, load the model and time its first run; a later load leaves the figures of the first."""
        self.check_files()
        file = files.get(self.cell)
        is_first = self.outcome.load_ns is None
        if is_first:
            self._learn(
                run_sha256=file.sha256,
                run_bytes=file.nbytes,
                note=file.note,
                libraries=hash_libraries(self.cell.delegate) or None,
            )
        loaded = self._start(file)
        if is_first:
            loaded["ops"] = tuple(tuple(op) for op in loaded["ops"])
            self._learn(**loaded)
        first = self._ask("first_run", self._config.time_limit)
        if is_first:
            memory = first.pop("memory")
            self._learn(**first, memory={**(self.outcome.memory or {}), **memory})

    def examine(self, references: References) -> None:
        """Hold the outputs against the reference's and the labels."""
        if self.outcome.error is not None:
            return
        self._learn(error=references.error_of(self.cell, self._running))
        if self._config.labels is not None:
            limit = max(self._config.time_limit, 600.0)
            self._learn(**self._ask("accuracy", limit, inputs=self._config.inputs, labels=self._config.labels))

    def warm_up(self) -> None:
        """Run until the times have settled, and size the blocks by them."""
        config = self._config
        warm = self._ask(
            "warm_up",
            config.time_limit + config.warmup_seconds,
            seconds=config.warmup_seconds,
            runs=config.warmup_runs,
            block_seconds=config.block_seconds,
        )
        self._promised_ns = warm["per_run_ns"] * warm["runs_per_block"]
        self._is_steady = self._is_steady and warm["is_steady"]
        self._warmup_runs = warm["warmup_runs"]
        if self.outcome.runs_per_block is None:
            self._learn(warmup_ns=tuple(warm["warmup_ns"]), runs_per_block=warm["runs_per_block"])

    def run_block(self, group: str, round_index: int, position: int, load: int) -> BlockRecord:
        """Time a block."""
        runs = self.outcome.runs_per_block or 1
        started, monotonic_ns = time.time(), time.monotonic_ns()
        limit = max(self._config.time_limit, _PATIENCE * self._promised_ns / 1e9)
        answer = self._ask("run", limit, runs=runs, discard=math.ceil(runs / 4))
        block = BlockRecord(
            self.cell.key,
            group,
            round_index,
            position,
            unpack(answer["samples"]),
            unpack(answer["discarded"]),
            started,
            monotonic_ns,
            self._session,
            load,
        )
        self._blocks.append(block)
        peak = max((self.outcome.memory or {}).get("peak", 0), answer["memory"]["peak"])
        self._learn(
            cpu_ns=(self.outcome.cpu_ns or 0) + answer["cpu_ns"], memory={**(self.outcome.memory or {}), "peak": peak}
        )
        return block

    def measure_energy(self) -> None:
        """Measure the energy of a stretch of runs of its own, where the machine has a meter."""
        with EnergyMeter() as meter:
            pass  # tells whether there is one
        if meter.energy is not None and meter.energy.unavailable is None:
            runs = max(1, math.ceil((self.outcome.runs_per_block or 1) * _ENERGY_SECONDS / self._config.block_seconds))
            limit = self._config.time_limit + _PATIENCE * _ENERGY_SECONDS
            with EnergyMeter() as meter:
                self._ask("run", limit, runs=runs, discard=0)
            found = meter.energy
            if found is not None and found.joules is not None:
                self._learn(energy={**asdict(found), "runs": runs, "joules_per_run": found.joules / runs})
                return
        reason = "the meter said nothing" if meter.energy is None else meter.energy.unavailable
        self._learn(energy={"unavailable": reason})

    def judge(self, shared: list[dict[str, Any]]) -> None:
        """Write down what may have disturbed it, besides what disturbed all cells."""
        found = [find_unsteady(self._is_steady, range(self._warmup_runs))]
        if self._blocks:
            found.append(find_drift([float(np.median(block.latency_ns)) for block in self._blocks]))
            found += find_unwaited(self._blocks[-1].samples_ns)
        own = [asdict(condition) for condition in found if condition is not None]
        self._learn(conditions=(*shared, *own))

    def check_files(self) -> None:
        """Raise where a file that the figures belong to is not what it was when the study began."""
        self._sources.check((self.cell.model, self._config.inputs, self._config.labels))
        libraries = hash_libraries(self.cell.delegate) or None
        if libraries != (self.outcome.asked or {}).get(LIBRARIES):
            raise CellFailed("failed", f"a library of {self.cell.delegate} was changed while the study ran")

    def cause_of(self, failure: CellFailed) -> CellFailed:
        """Return why the cell failed: also what crashes may do so because a file was written over under it."""
        try:
            self.check_files()
        except CellFailed as changed:
            return changed if failure.status != "out of memory" else failure
        except OSError:
            pass
        return failure

    def spend(self, seconds: float) -> None:
        """Add to the time that was spent on it."""
        self._learn(seconds=(self.outcome.seconds or 0.0) + seconds)

    def close(self) -> str | None:
        """End its process; return how it fell while it freed the model, if it did."""
        if self._worker is None:
            return None
        fell = self._worker.close()
        self._worker = self.pid = None
        return fell

    def _start(self, file: RunFile) -> dict[str, Any]:
        self._worker = Worker(self._memory_limit, cell_worker.MODULE)
        self.pid = self._worker.pid
        return self._ask(
            "load",
            self._config.time_limit,
            model=file.path,
            sha256=file.sha256,
            delegate=self.cell.delegate,
            threads=self.cell.threads,
            options=dict(self.cell.options),
            inputs=self._config.inputs,
            seed=self._config.seed,
        )

    @property
    def _running(self) -> Worker:
        if self._worker is None:
            raise ValueError(f"{self.cell.label} is not loaded")
        return self._worker

    def _ask(self, order: str, limit: float, **arguments: Any) -> dict[str, Any]:
        return self._running.ask(order, limit, **arguments)

    def _learn(self, **facts: Any) -> None:
        self.outcome = replace(self.outcome, **facts)
