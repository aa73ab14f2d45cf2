"""The cuts that `split.py` ran: what was predicted and measured of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from split_cuts import Cut
from tables import format_table, say_number


@dataclass(frozen=True)
class Row:
    """A cut that was run.

    Attributes:
        mbps: Of the link, as it was shaped.
        role: Why this cut: "best latency", "best period", "best both" or "another".
        cut: What was predicted.
        latency_us: Measured: median over inputs that came one at a time.
        period_us: Measured over inputs in a stream.
        stages: Medians of each stage, as `StageTiming.to_json` has them.
    """

    mbps: float
    role: str
    cut: Cut
    latency_us: float
    period_us: float | None
    stages: tuple[dict[str, Any], ...]

    @property
    def off(self) -> float:
        """How far the predicted latency is from the measured one, relative to that."""
        return self.cut.latency_us / self.latency_us - 1


def table(rows: Sequence[Row]) -> str:
    """Return them as text."""
    header = (
        "link", "cut", "after layer", "precisions", "kB", "latency predicted", "interval", "measured", "off",
        "period predicted", "measured",
    )  # fmt: skip
    return format_table(
        header,
        [
            (
                f"{row.mbps:g} Mbit/s",
                row.role,
                f"{row.cut.after} {row.cut.name[-30:]}",
                "+".join(row.cut.precisions),
                say_number(row.cut.nbytes / 1e3),
                f"{say_number(row.cut.latency_us / 1e3)} ms",
                " to ".join(say_number(us / 1e3) for us in row.cut.interval_us),
                f"{say_number(row.latency_us / 1e3)} ms",
                f"{row.off:+.1%}",
                f"{say_number(row.cut.period_us / 1e3)} ms",
                f"{say_number(None if row.period_us is None else row.period_us / 1e3)} ms",
            )
            for row in rows
        ],
        left=(0, 1, 2, 3),
    )


def plain(row: Row) -> dict[str, Any]:
    """Return what of a row goes to a file."""
    return {**asdict(row), "cut": {name: value for name, value in asdict(row.cut).items() if name != "chosen"}}
