"""Tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

# What spreadsheets take for the beginning of a formula, which may run a program or send what is beside it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV under a header.

    A text that a spreadsheet would take for a formula, as the name of a layer may be made to look, gets an apostrophe
    in front, which spreadsheets understand as "text". Numbers are written as they are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.replace("\r", "\\r")  # which the writer does not quote, and readers take for the end of a line
    return f"'{text}" if value.startswith(_FORMULA) and not _is_number(value) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
