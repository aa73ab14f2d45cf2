"""The result of the precisions benchmark as a table: on the terminal, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness import WIDTH
from litedelegates.measure import Interval, RatioInterval, Timed
from tables import format_markdown, format_table, say_interval, say_number, say_ratio


@dataclass(frozen=True)
class Row:
    """What was found for one precision on one delegate; None is what was not.

    Attributes:
        delegate: The delegate.
        precision: The precision of the model file.
        size_kb: Size of the model file in units of 1,000 bytes.
        load_ms: Median time to load and compile.
        first_run_ms: Median time of the first run after loading.
        median_ms: Median latency: upload, run and read-back, which waits for the result.
        median_interval_ms: Its 95 % interval, from the medians of the blocks.
        speed_up: Time of float32 on the same delegate over the time of this one.
        max_error: Largest difference of an output value from float32 on the built-in kernels.
        relative_error: Root mean square of the difference over that of the float32 output.
        accuracy: Share of the labelled samples that were classified right.
        placement: Where the ops ran, in a few words.
        route: The way through the runtime.
        notes: What else must be known, such as why it failed.
        timed: The samples.
        samples: Loading times and first runs behind the medians, in nanoseconds.
    """

    delegate: str
    precision: str
    size_kb: float | None = None
    load_ms: float | None = None
    first_run_ms: float | None = None
    median_ms: float | None = None
    median_interval_ms: Interval | None = None
    speed_up: RatioInterval | None = None
    max_error: float | None = None
    relative_error: float | None = None
    accuracy: float | None = None
    placement: str = ""
    route: str = ""
    notes: tuple[str, ...] = ()
    timed: Timed | None = None
    samples: dict[str, list[int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.delegate} {self.precision}"

    def with_note(self, note: str) -> Row:
        """Return the row with one more note; an empty one adds nothing."""
        return replace(self, notes=(*self.notes, note)) if note else self


def format_terminal(rows: Iterable[Row]) -> str:
    """Return the table by delegate, notes below it, within 120 columns as long as the figures let it."""
    listed = list(rows)
    numbers = {note: str(i) for i, note in enumerate(dict.fromkeys(note for row in listed for note in row.notes), 1)}
    table = _format_terminal_table(listed, numbers, short=False)
    if max(map(len, table.splitlines())) > WIDTH:
        table = _format_terminal_table(listed, numbers, short=True)
    notes = [
        textwrap.fill(f"[{number}] {note}", WIDTH, subsequent_indent="    ", break_long_words=False)
        for note, number in numbers.items()
    ]
    return "\n".join([table, *([""] if notes else []), *notes])


def _format_terminal_table(rows: Sequence[Row], numbers: dict[str, str], *, short: bool) -> str:
    medians = [row.median_ms for row in rows if row.median_ms is not None]
    unit, factor = ("us", 1000.0) if min(medians, default=1.0) < 1 else ("ms", 1.0)
    header = ["", "kB", "load ms", "first ms", f"median {unit}", "speed-up", "max diff", "correct", "ran on", ""]
    cells: list[list[str]] = []
    delegate = None
    for row in rows:
        if row.delegate != delegate:
            delegate = row.delegate
            cells.append([delegate] + [""] * (len(header) - 1))
        # Short: who took most ops. The rest is in the other files.
        placement = row.placement.split(",")[0] if short else row.placement
        marks = "".join(f"[{numbers[note]}]" for note in row.notes)
        cells.append(["  " + row.precision, *_cells(row, factor), placement, marks])
    columns = len(header) if numbers else len(header) - 1
    return format_table(header[:columns], [line[:columns] for line in cells], left=(0, 8, 9))


def format_document(rows: Iterable[Row], heading: str, lines: Iterable[str]) -> str:
    """Return the table as a Markdown document that explains itself."""
    header = ["delegate", "precision", "kB", "load ms", "first run ms", "median ms", "speed-up", "max diff", "correct"]
    cells = [[row.delegate, row.precision, *_cells(row), row.placement or "-", "; ".join(row.notes)] for row in rows]
    table = format_markdown([*header, "where the ops ran", "note"], cells)
    return "\n".join([f"# {heading}", "", *[f"{line}  " for line in lines], "", table, "", *EXPLANATION]) + "\n"


def format_csv(rows: Iterable[Row]) -> str:
    """Return the table as CSV, one line a configuration, unrounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scalars = ("delegate", "precision", "size_kb", "load_ms", "first_run_ms", "median_ms")
    bounds = ("median_low_ms", "median_high_ms", "speed_up", "speed_up_low", "speed_up_high")
    rest = ("max_error", "relative_error", "accuracy", "placement", "route")
    writer.writerow([*scalars, *bounds, *rest, "runs", "notes"])
    for row in rows:
        interval, ratio = row.median_interval_ms, row.speed_up
        line: list[Any] = [getattr(row, name) for name in scalars]
        line += [None, None] if interval is None else [interval.low, interval.high]
        line += [None, None, None] if ratio is None else [ratio.ratio, ratio.low, ratio.high]
        line += [getattr(row, name) for name in rest]
        writer.writerow([*line, row.timed.samples_ns.size if row.timed else 0, "; ".join(row.notes)])
    return text.getvalue()


EXPLANATION = (
    "Median: upload, run and read-back of one inference, with the 95 % interval from the medians of its blocks.",
    "Speed-up: float32 on the same delegate over this, with the 95 % bootstrap interval over rounds; 1 inside the "
    "interval means no difference shown.",
    "Max diff: largest difference of an output value from float32 on the built-in kernels.",
)


def _cells(row: Row, median_factor: float = 1.0) -> list[str]:
    median, speed_up = "-", "-"
    if row.median_ms is not None:
        interval = row.median_interval_ms
        bounds = (interval.low * median_factor, interval.high * median_factor) if interval else (None, None)
        median = f"{say_number(row.median_ms * median_factor)} {say_interval(*bounds)}"
    if row.speed_up is not None:
        is_base = row.speed_up.low == row.speed_up.high == 1
        speed_up = "1" if is_base else say_ratio(row.speed_up)
    return [
        "-" if row.size_kb is None else f"{row.size_kb:.0f}",
        say_number(row.load_ms),
        say_number(row.first_run_ms),
        median,
        speed_up,
        "-"
        if row.max_error is None
        else f"{row.max_error:.1e}"
        if 0 < row.max_error < 1e-3
        else f"{row.max_error:.2g}",
        "-" if row.accuracy is None else f"{row.accuracy:.1%}",
    ]
