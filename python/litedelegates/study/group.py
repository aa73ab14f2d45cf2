"""Cells that are measured together: loaded side by side and interleaved, so that their times compare."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from litedelegates.measure import MachineState, StopRule, check_before, check_between, read_machine_state
from litedelegates.measure.interleave import Orders
from litedelegates.study.config import FLOAT32, StudyConfig
from litedelegates.study.loaded import LoadedCell
from litedelegates.study.models import ModelFiles
from litedelegates.study.process import CellFailed
from litedelegates.study.records import BlockRecord, Cell
from litedelegates.study.reference import References
from litedelegates.study.store import Store

Report = Callable[..., None]
_MAX_SECONDS = 30.0  # of a cell, where a precision is asked for and no limit given


@dataclass
class Spent:
    """What a cell has had in this group so far, earlier runs of the study included."""

    medians: list[float] = field(default_factory=list)  # of each block
    runs: int = 0
    seconds: float = 0.0

    def add(self, block: BlockRecord) -> None:
        """Count a block."""
        self.medians.append(float(np.median(block.latency_ns)))
        self.runs += len(block.samples_ns)
        self.seconds += float(block.samples_ns.sum()) / 1e9


class Group:
    """Measures some cells together; those that have ended before are left alone, but for the base."""

    def __init__(
        self,
        name: str,
        cells: list[LoadedCell],
        pending: set[str],
        config: StudyConfig,
        store: Store,
        session: int,
        files: ModelFiles,
        references: References,
        report: Report,
    ) -> None:
        """Prepare to measure those of ``cells`` whose key is ``pending``; the first is the base."""
        self._name, self._config, self._store, self._session = name, config, store, session
        self._files, self._references, self._report = files, references, report
        self._pending = pending
        base = cells[0].cell
        known = store.outcome(base)
        base_helps = base.key in pending or (known is not None and known.status == "ok")
        # In the order of the matrix; a cell that fails is taken out.
        self._cells = {
            loaded.cell.key: loaded
            for loaded in cells
            if loaded.cell.key in pending or (loaded is cells[0] and base_helps)
        }
        self._spent = {key: self._read_spent(loaded.cell) for key, loaded in self._cells.items()}
        self._orders = Orders(list(self._cells), config.seed)
        self._round = store.rounds(name)
        for _ in range(self._round):  # a resumed study goes on in the orders, and does not begin them again
            self._orders.draw()
        self._conditions: dict[tuple[str, str], dict[str, Any]] = {}

    def measure(self) -> None:
        """Load every cell, time them in rounds, and write how each ended."""
        config = self._config
        shares = [(number + 1) / config.loads for number in range(config.loads)]
        # The last one also where only the end is missing, for what is known of a cell besides its times.
        shares = [share for share in shares if not self._is_enough(share)] or shares[-1:]
        order = list(self._cells)
        random = np.random.default_rng([config.seed, self._round])
        first_load = self._store.loads(self._name)
        try:
            for number, share in enumerate(shares):
                for cell in self._cells.values():
                    self._close(cell)
                if number > 0:
                    order = order[::-1] if number % 2 else [order[index] for index in random.permutation(len(order))]
                for key in order:
                    self._attempt(key, self._prepare)
                self._time(first_load + number, share)
            for key in list(self._cells):
                self._attempt(key, LoadedCell.measure_energy)
            for key in list(self._cells):
                self._attempt(key, LoadedCell.check_files)
            for cell in self._cells.values():
                cell.judge(list(self._conditions.values()))
                self._finish(cell, replace(cell.outcome, status="ok"))
        finally:
            for cell in self._cells.values():
                self._close(cell)

    def _close(self, loaded: LoadedCell) -> None:
        """End the process of a cell. It has its times: when it falls on its way out, that is an event."""
        if fell := loaded.close():
            self._store.add_event(self._session, "crashed", f"{loaded.cell.label}: {fell}", loaded.cell)

    def _attempt(self, key: str, step: Callable[..., Any], *arguments: Any) -> None:
        """Take a step with a cell that has not failed, and write down when it does."""
        loaded = self._cells.get(key)
        if loaded is None:
            return
        begin = time.monotonic()
        try:
            step(loaded, *arguments)
        except CellFailed as failed:
            failure = loaded.cause_of(failed)
            loaded.close()
            del self._cells[key]
            loaded.spend(time.monotonic() - begin)
            self._store.add_event(self._session, failure.status, f"{loaded.cell.label}: {failure.reason}", loaded.cell)
            self._finish(loaded, replace(loaded.outcome, status=failure.status, reason=failure.reason))
        else:
            loaded.spend(time.monotonic() - begin)

    def _prepare(self, loaded: LoadedCell) -> None:
        """Load a cell and find out about it what is no block."""
        cell = loaded.cell
        self._report("loading" if cell.precision == FLOAT32 else "quantizing and loading", cell)
        loaded.load(self._files)
        is_pending = cell.key in self._pending
        if is_pending:
            loaded.examine(self._references)
        self._report("warming up", cell)
        loaded.warm_up()
        if is_pending:
            self._store.set_outcome(loaded.outcome)

    def _time(self, load: int, share: float) -> None:
        """Run rounds of one block of each cell until there is enough of them."""
        before = self._state()
        self._note(check_before(before))
        while self._cells and (self._orders.half_way or not self._is_enough(share)):
            for position, key in enumerate(self._orders.draw()):
                self._attempt(key, self._add_block, position, load)
            self._round += 1
        self._note(check_between(before, self._state()))

    def _add_block(self, loaded: LoadedCell, position: int, load: int) -> None:
        block = loaded.run_block(self._name, self._round, position, load)
        self._store.add_block(block)
        self._spent[loaded.cell.key].add(block)
        self._report("timing", loaded.cell, self._round)

    def _is_enough(self, share: float) -> bool:
        """Return whether ``share`` of what each cell is to have was measured."""
        config = self._config
        measured = [self._spent[key] for key in self._cells if key in self._pending]
        if not measured:
            return True
        total = sum(spent.seconds for spent in measured)
        if config.within is not None or config.ratio_within is not None:
            return self._is_precise(share, total / len(measured))
        if config.max_seconds is not None and total >= share * config.max_seconds * len(measured):
            return True
        has_rounds = all(len(spent.medians) >= share * config.rounds for spent in measured)
        has_runs = all(spent.runs >= share * (config.num_runs or 0) for spent in measured)
        # Of all together: a cell whose block is one long run takes more than its share.
        return has_rounds and has_runs and total >= share * config.seconds * len(measured)

    def _is_precise(self, share: float, seconds: float) -> bool:
        config = self._config
        rule = StopRule(
            min_rounds=math.ceil(share * config.rounds),
            max_rounds=sys.maxsize,
            max_seconds=share * (_MAX_SECONDS if config.max_seconds is None else config.max_seconds),
            precision=config.within,
            ratio_precision=config.ratio_within,
        )
        blocks = [self._spent[key].medians for key in self._cells]
        return rule.judge(min(map(len, blocks)), seconds, blocks) is not None

    def _finish(self, loaded: LoadedCell, outcome: Any) -> None:
        if loaded.cell.key in self._pending:
            self._store.set_outcome(outcome)
        self._report(outcome.status, loaded.cell)

    def _read_spent(self, cell: Cell) -> Spent:
        spent = Spent()
        for block in self._store.blocks(cell, self._name):
            spent.add(block)
        return spent

    def _state(self) -> MachineState:
        return read_machine_state([os.getpid(), *(cell.pid for cell in self._cells.values() if cell.pid is not None)])

    def _note(self, conditions: list[Any]) -> None:
        for condition in conditions:
            self._conditions[condition.kind, condition.severity] = asdict(condition)
