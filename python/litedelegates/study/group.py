"""Cells that are measured together: loaded side by side and interleaved, so that their times compare."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from litedelegates.measure.interleave import Orders
from litedelegates.study.config import StudyConfig
from litedelegates.study.delegates import hash_libraries
from litedelegates.study.models import ModelFiles
from litedelegates.study.process import CellFailed, Worker
from litedelegates.study.records import BlockRecord, Cell, Outcome
from litedelegates.study.reference import References
from litedelegates.study.store import Store
from litedelegates.study.words import unpack

Report = Callable[..., None]
# A block that takes so many times what its warm-up promised counts as hanging, if the time limit is over too.
_PATIENCE = 20


def group_cells(pairs: list[tuple[Cell, Cell]], max_loaded: int) -> Iterator[tuple[str, list[Cell]]]:
    """Yield the name and the cells of each group: of one model and thread count, with their base as the first."""
    by_base: dict[str, list[Cell]] = {}
    bases = {base.key: base for _, base in pairs}
    for cell, base in pairs:
        by_base.setdefault(base.key, [])
        if cell.key != base.key:
            by_base[base.key].append(cell)
    for key, others in by_base.items():
        base = bases[key]
        size = max_loaded - 1
        for start in range(0, max(len(others), 1), size):
            part = start // size
            name = f"{base.model_name} {base.model_sha256[:8]} {base.threads}t {base.key}"
            yield (f"{name} part {part + 1}" if part else name), [base, *others[start : start + size]]


class Group:
    """Measures some cells together; cells that have ended before are left alone, but for the base."""

    def __init__(
        self,
        name: str,
        cells: list[Cell],
        pending: list[Cell],
        config: StudyConfig,
        store: Store,
        session: int,
        files: ModelFiles,
        references: References,
        memory_limit: int | None,
        report: Report,
    ) -> None:
        """Prepare to measure ``pending`` of ``cells``, the first of which is the base."""
        self._name, self._config, self._store, self._session = name, config, store, session
        self._files, self._references, self._memory_limit = files, references, memory_limit
        self._report = report
        self._pending = {cell.key for cell in pending}
        base = cells[0]
        base_outcome = store.outcome(base)
        base_is_known_to_fail = (
            base.key not in self._pending and base_outcome is not None and base_outcome.status != "ok"
        )
        self._cells = [
            cell for cell in cells if cell.key in self._pending or (cell is base and not base_is_known_to_fail)
        ]
        self._workers: dict[str, Worker] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._promised: dict[str, float] = {}  # nanoseconds that a block should take

    def measure(self) -> None:
        """Load every cell, time them in rounds, and write how each ended."""
        try:
            for cell in self._cells:
                self._attempt(cell, self._prepare)
            self._time()
            for cell in list(self._loaded()):
                self._finish(cell, replace(self._outcomes[cell.key], status="ok"))
        finally:
            for worker in self._workers.values():
                worker.close()

    def _loaded(self) -> Iterator[Cell]:
        return (cell for cell in self._cells if cell.key in self._workers)

    def _attempt(self, cell: Cell, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(cell, *arguments)
        except CellFailed as failure:
            worker = self._workers.pop(cell.key, None)
            if worker is not None:
                worker.close()
            outcome = self._outcomes.get(cell.key) or Outcome(cell.key, "unfinished", session=self._session)
            self._store.add_event(self._session, failure.status, f"{cell.label}: {failure.reason}", cell)
            self._finish(cell, replace(outcome, status=failure.status, reason=failure.reason))

    def _prepare(self, cell: Cell) -> None:
        """Load a cell and measure everything about it that is not a block."""
        begin, limit = time.monotonic(), self._config.time_limit
        self._report("quantizing" if cell.precision != "float32" else "loading", cell)
        file = self._files.get(cell)
        outcome = Outcome(
            cell.key,
            "unfinished",
            session=self._session,
            run_sha256=file.sha256,
            run_bytes=file.nbytes,
            note=file.note,
            libraries=hash_libraries(cell.delegate) or None,
        )
        self._outcomes[cell.key] = outcome
        self._report("loading", cell)
        worker = self._workers[cell.key] = Worker(self._memory_limit)
        loaded = worker.ask(
            "load",
            limit,
            model=file.path,
            delegate=cell.delegate,
            threads=cell.threads,
            options=dict(cell.options),
            inputs=self._config.inputs,
            seed=self._config.seed,
        )
        loaded["ops"] = tuple(tuple(op) for op in loaded["ops"])
        outcome = self._outcomes[cell.key] = replace(outcome, **loaded)
        first = worker.ask("first_run", limit)
        memory = {**(outcome.memory or {}), **first.pop("memory")}
        outcome = self._outcomes[cell.key] = replace(outcome, **first, memory=memory)
        if cell.key in self._pending:
            error = self._references.error_of(cell, worker)
            accuracy = None
            if self._config.labels is not None:
                inputs, labels = self._config.inputs, self._config.labels
                accuracy = worker.ask("accuracy", max(limit, 600.0), inputs=inputs, labels=labels)["accuracy"]
            outcome = self._outcomes[cell.key] = replace(outcome, error=error, accuracy=accuracy)
        self._report("warming up", cell)
        config = self._config
        warm = worker.ask(
            "warm_up",
            limit + config.warmup_seconds,
            seconds=config.warmup_seconds,
            runs=config.warmup_runs,
            block_seconds=config.block_seconds,
        )
        self._promised[cell.key] = warm.pop("per_run_ns") * warm["runs_per_block"]
        warm["warmup_ns"] = tuple(warm["warmup_ns"])
        outcome = self._outcomes[cell.key] = replace(outcome, **warm, seconds=time.monotonic() - begin)
        if cell.key in self._pending:
            self._store.set_outcome(outcome)

    def _time(self) -> None:
        """Run rounds of one block of each cell until there is enough of them."""
        orders = Orders([cell.key for cell in self._cells], self._config.seed)
        by_key = {cell.key: cell for cell in self._cells}
        round_index = first_round = self._store.rounds(self._name)
        for _ in range(first_round):  # a resumed study goes on in the orders, and does not begin them again
            orders.draw()
        spent = {cell.key: self._spent(cell) for cell in self._cells}
        while any(True for _ in self._loaded()) and (orders.half_way or not self._is_enough(spent)):
            for position, key in enumerate(orders.draw()):
                if key in self._workers:
                    self._attempt(by_key[key], self._add_block, round_index, position, spent)
            round_index += 1

    def _add_block(self, cell: Cell, round_index: int, position: int, spent: dict[str, tuple[int, int, float]]) -> None:
        runs = self._outcomes[cell.key].runs_per_block or 1
        discard = math.ceil(runs / 4)
        started, monotonic_ns = time.time(), time.monotonic_ns()
        limit = max(self._config.time_limit, _PATIENCE * self._promised[cell.key] / 1e9)
        answer = self._workers[cell.key].ask("run", limit, runs=runs, discard=discard)
        block = BlockRecord(
            cell.key,
            self._name,
            round_index,
            position,
            unpack(answer["samples"]),
            unpack(answer["discarded"]),
            started,
            monotonic_ns,
            self._session,
        )
        self._store.add_block(block)
        outcome = self._outcomes[cell.key]
        self._outcomes[cell.key] = replace(
            outcome,
            cpu_ns=(outcome.cpu_ns or 0) + answer["cpu_ns"],
            memory={**(outcome.memory or {}), **answer["memory"]},
            seconds=(outcome.seconds or 0.0) + time.time() - started,
        )
        rounds, count, seconds = spent[cell.key]
        spent[cell.key] = rounds + 1, count + runs, seconds + float(block.samples_ns.sum()) / 1e9
        self._report("timing", cell, round_index)

    def _spent(self, cell: Cell) -> tuple[int, int, float]:
        """Return the rounds, runs and seconds that a cell has already in this group."""
        blocks = self._store.blocks(cell, self._name)
        return (
            len(blocks),
            sum(len(block.samples_ns) for block in blocks),
            sum(float(block.samples_ns.sum()) for block in blocks) / 1e9,
        )

    def _is_enough(self, spent: dict[str, tuple[int, int, float]]) -> bool:
        config = self._config
        measured = [spent[cell.key] for cell in self._loaded() if cell.key in self._pending]
        if not measured:
            return True
        total = sum(seconds for *_, seconds in measured)
        if config.max_seconds is not None and total >= config.max_seconds * len(measured):
            return True
        has_rounds = all(rounds >= config.rounds for rounds, _, _ in measured)
        has_runs = all(count >= (config.num_runs or 0) for _, count, _ in measured)
        # Together: a cell whose block is one long run takes more than its share.
        return has_rounds and has_runs and total >= config.seconds * len(measured)

    def _finish(self, cell: Cell, outcome: Outcome) -> None:
        if cell.key in self._pending:
            self._store.set_outcome(outcome)
        self._report(outcome.status, cell)
