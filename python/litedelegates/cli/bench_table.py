"""What `litedelegates bench` prints of a study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from litedelegates.measure import series_interval, summarize
from litedelegates.study import Cell, Store


def describe_cells(store: Store, cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Return what is known of each cell, as plain values; times in microseconds."""
    return [_describe(store, cell) for cell in cells]


def cell_line(record: dict[str, Any], width: int) -> str:
    """Return a cell as a line of a table whose first column is ``width`` wide."""
    label = f"{record['label']:<{width}}  "
    if record["status"] != "ok":
        reason = f": {record['reason']}" if record.get("reason") else ""
        return f"{label} {record['status']}{reason}"
    words = [f"{record['summary']['median_us'] / 1e3:10.3f} ms"]
    ratio = record["ratio"]
    if ratio is None:
        words.append("          nothing to compare with" if not record["is_base"] else "          (base)")
    elif ratio["low"] is None:
        words.append(f"  {1 / ratio['ratio']:.3g} times as fast (too few rounds for an interval)")
    else:
        bounds = f"[{1 / ratio['high']:.3g}, {1 / ratio['low']:.3g}]"
        words.append(f"  {1 / ratio['ratio']:.3g} times as fast {bounds} {ratio['verdict']}")
    error, accuracy = record.get("error") or {}, record.get("accuracy")
    if "relative" in error:
        words.append(f"  error {100 * error['relative']:.3g} %")
    if accuracy is not None:
        words.append(f"  accuracy {100 * accuracy:.2f} %")
    return label + "".join(words)


def note_lines(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is to be known about the cells, each sentence once."""
    notes: dict[str, list[str]] = {}
    for record in records:
        said = [record.get("note"), *(entry["text"] for entry in record.get("conditions", ()))]
        for text in filter(None, said):
            notes.setdefault(text, []).append(record["label"])
    return [f"note: {text} ({_some(labels)})" for text, labels in notes.items()]


def _describe(store: Store, cell: Cell) -> dict[str, Any]:
    base, outcome, blocks = store.base_of(cell), store.outcome(cell), store.blocks(cell)
    is_base = base is not None and base.key == cell.key
    ratio = None if base is None or is_base else store.ratio(cell, base)
    medians = [float(np.median(block.latency_ns)) / 1e3 for block in blocks]
    interval = series_interval(medians) if medians else None
    outcome_fields = {} if outcome is None else outcome.to_json()
    outcome_fields.pop("ops", None)
    return {
        "key": cell.key,
        "label": cell.label,
        **cell.to_json(),
        "status": "not begun",
        **outcome_fields,
        "is_base": is_base,
        "base": None if base is None else base.key,
        "rounds": len(blocks),
        "summary": asdict(summarize(np.concatenate([block.latency_ns for block in blocks]))) if blocks else None,
        "median_interval_us": None if interval is None else asdict(interval),
        "ratio": None if ratio is None else {**asdict(ratio), "verdict": ratio.verdict},
    }


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
