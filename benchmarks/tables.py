"""Tables and numbers as plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from litedelegates.measure import Interleaved, RatioInterval


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Iterable[int] = (0,)) -> str:
    """Return a plain table; columns are aligned to the right, those in ``left`` to the left."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    kept_left = set(left)

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if i in kept_left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def format_markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def say_number(value: float | None, digits: int = 3, most_decimals: int = 9) -> str:
    """Return ``value`` with ``digits`` significant digits and no exponent; "-" where there is none."""
    if value is None:
        return "-"
    if not math.isfinite(value) or value == 0:
        return str(value)
    decimals = min(most_decimals, max(0, digits - 1 - math.floor(math.log10(abs(value)))))
    return f"{value:.{decimals}f}"


def say_interval(low: float | None, high: float | None, digits: int = 3, most_decimals: int = 9) -> str:
    """Return the bounds in brackets; "n too small" where there are too few rounds to claim them."""
    if low is None or high is None:
        return "[n too small]"
    return f"[{say_number(low, digits, most_decimals)}, {say_number(high, digits, most_decimals)}]"


def say_ratio(ratio: RatioInterval) -> str:
    """Return the ratio and its interval, with three digits but no more than two decimals."""
    return f"{say_number(ratio.ratio, 3, 2)} {say_interval(ratio.low, ratio.high, 3, 2)}"


def say_conditions(measurements: Iterable[Interleaved]) -> str:
    """Return a line for each thing that was wrong with the machine while it measured; "" if nothing was."""
    said = (f"{found.severity}: {found.text}" for one in measurements for found in one.conditions)
    return "".join(f"\n{line}" for line in dict.fromkeys(said))
