"""Tables as HTML for notebooks: plain elements that take the notebook's own style, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_MOST_ROWS = 200


class Bar(float):
    """A cell that is drawn as a bar: a share from 0 to 1."""


Cell = str | int | float | None


def page(title: str, *parts: str) -> str:
    """Return a heading, escaped, above parts that are HTML already."""
    return f"<div><p><b>{escape(title)}</b></p>{''.join(parts)}</div>"


def text(words: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(words)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table: numbers to the right, a `Bar` as a bar, None as an empty cell; long ones are cut with a note."""
    every = list(rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in every[:_MOST_ROWS])
    cut = text(f"the first {_MOST_ROWS} of {len(every)} rows") if len(every) > _MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{cut}"


def _cell(value: Cell) -> str:
    if isinstance(value, Bar):
        share = min(max(value, 0.0), 1.0)
        # A colour that is seen on light and on dark.
        bar = f'<div style="width:{100 * share:.1f}%;height:0.8em;background:#4c8dd6"></div>'
        return f'<td style="min-width:8em" title="{100 * share:.1f} %">{bar}</td>'
    if value is None:
        return "<td></td>"
    if isinstance(value, str):
        return f'<td style="text-align:left">{escape(value)}</td>'
    shown = f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
    return f'<td style="text-align:right">{shown}</td>'
