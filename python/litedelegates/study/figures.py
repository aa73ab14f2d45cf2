"""What a store says of each cell, in figures: what comparing, exporting and reporting stand on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litedelegates.measure import Interval, RatioInterval, Summary, series_interval, summarize
from litedelegates.study.records import Cell, Outcome
from litedelegates.study.store import Store
from litedelegates.study.words import Samples


@dataclass(frozen=True, eq=False)
class Figures:
    """The figures of one cell; None is what was not measured.

    Attributes:
        cell: The configuration.
        outcome: How it ended; None when it was not begun.
        base: The cell it is compared with, which may be itself.
        blocks_ns: Latency of each run of each block in nanoseconds: upload, run and read-back together.
        rounds: Group and round of each block: only in equal ones were cells interleaved.
        split_ns: Median of upload, of run and of read-back.
        median_ns: Median over the blocks of the median of each block.
        median_interval_ns: The 95 % interval of it; None with too few blocks.
        summary: The figures over all runs.
        ratio: Time of the cell over that of ``base``, over the rounds that have both; None without such rounds.
        round_ratios: The same of each of these rounds, from the medians of the two blocks.
    """

    cell: Cell
    outcome: Outcome | None
    base: Cell | None
    blocks_ns: tuple[Samples, ...]
    rounds: tuple[tuple[str, int], ...]
    split_ns: tuple[float, float, float] | None
    median_ns: float | None
    median_interval_ns: Interval | None
    summary: Summary | None
    ratio: RatioInterval | None
    round_ratios: tuple[float, ...] = ()

    @property
    def status(self) -> str:
        """The status of the outcome; "unfinished" where there is none."""
        return "unfinished" if self.outcome is None else self.outcome.status

    @property
    def is_base(self) -> bool:
        """Whether it is what the others are compared with."""
        return self.base is not None and self.base.key == self.cell.key

    @property
    def is_measured(self) -> bool:
        """Whether its times count: it ended well, or its study is still going on."""
        return self.median_ns is not None and self.status in ("ok", "unfinished")

    @property
    def samples_ns(self) -> Samples:
        """The latency of every run that was kept."""
        return np.concatenate(self.blocks_ns) if self.blocks_ns else np.empty(0, np.int64)

    @property
    def speed_up(self) -> RatioInterval | None:
        """Time of ``base`` over that of the cell."""
        return None if self.ratio is None else self.ratio.inverted()


def read_figures(store: Store) -> list[Figures]:
    """Return the figures of every cell, in the order of the matrix."""
    return [_figures(store, cell) for cell in store.cells()]


def _figures(store: Store, cell: Cell) -> Figures:
    blocks = [block for block in store.blocks(cell) if len(block.samples_ns)]
    base, outcome = store.base_of(cell), store.outcome(cell)
    rounds = tuple((block.group, block.round_index) for block in blocks)
    if not blocks:
        return Figures(cell, outcome, base, (), rounds, None, None, None, None, None)
    latencies = tuple(block.latency_ns for block in blocks)
    medians = [float(np.median(block)) for block in latencies]
    upload, run, read_back = np.median(np.concatenate([block.samples_ns for block in blocks]), axis=0)
    return Figures(
        cell=cell,
        outcome=outcome,
        base=base,
        blocks_ns=latencies,
        rounds=rounds,
        split_ns=(float(upload), float(run), float(read_back)),
        median_ns=float(np.median(medians)),
        median_interval_ns=series_interval(medians),
        summary=summarize(np.concatenate(latencies)),
        ratio=None if base is None else store.ratio(cell, base),
        round_ratios=() if base is None else _round_ratios(store, cell, base),
    )


def _round_ratios(store: Store, cell: Cell, base: Cell) -> tuple[float, ...]:
    medians = [(np.median(own), np.median(other)) for own, other in store.pairs(cell, base) if len(own) and len(other)]
    return tuple(float(own / other) for own, other in medians if other > 0)
