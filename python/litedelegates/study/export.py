"""A study in the formats that other tools read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from litedelegates.errors import MissingExtraError, OptionError, install_extra, nearest
from litedelegates.files import writable
from litedelegates.study.figures import Figures, read_figures
from litedelegates.study.peer_formats import to_benchmark_model, to_csv_lines, to_pytest_benchmark
from litedelegates.study.store import Store

EXPORT_SCHEMA = 1


def rows(store: Store) -> list[dict[str, Any]]:
    """Return one flat row a cell; every row has the same names, None where nothing was measured."""
    return [_row(figures) for figures in read_figures(store)]


def to_csv(store: Store) -> str:
    """Return one line a cell."""
    return to_csv_lines(rows(store))


def to_json(store: Store) -> str:
    """Return everything in the store, raw samples included."""
    sessions = store.sessions()
    content = {
        "schema_version": EXPORT_SCHEMA,
        "created": store.created,
        "config": store.config,
        "sessions": [vars(session) for session in sessions],
        "events": [vars(event) for event in store.events()],
        "cells": [
            {
                "key": cell.key,
                "cell": cell.to_json(),
                "base": None if (base := store.base_of(cell)) is None else base.key,
                "outcome": None if (outcome := store.outcome(cell)) is None else outcome.to_json(),
                "blocks": [block.to_json() for block in store.blocks(cell)],
            }
            for cell in store.cells()
        ],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def to_frame(store: Store) -> Any:
    """Return a pandas DataFrame with one row a run: the cell, its block, and the time of each part in nanoseconds.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError(f"tables of samples need pandas: {install_extra('tables')}") from error

    parts = []
    for cell in store.cells():
        for block in store.blocks(cell):
            upload, run, read_back = block.samples_ns.T
            part = pandas.DataFrame({"upload_ns": upload, "run_ns": run, "read_back_ns": read_back})
            part.insert(0, "round", block.round_index)
            for name in ("threads", "delegate", "precision", "model_name", "key"):
                part.insert(0, name, getattr(cell, name))
            parts.append(part)
    names = ("key", "model_name", "precision", "delegate", "threads", "round", "upload_ns", "run_ns", "read_back_ns")
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame(columns=list(names))


def to_parquet(store: Store) -> bytes:
    """Return the frame of `to_frame` as a Parquet file.

    Raises:
        MissingExtraError: pandas or pyarrow is not installed.
    """
    frame = to_frame(store)
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"Parquet needs pyarrow: {install_extra('tables')}") from error
    buffer = io.BytesIO()
    frame.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


# By name: the file it is written to and what makes its content.
FORMATS: Mapping[str, tuple[str, Callable[[Store], str | bytes]]] = {
    "csv": ("results.csv", to_csv),
    "json": ("study.json", to_json),
    "parquet": ("samples.parquet", to_parquet),
    "pytest-benchmark": ("pytest-benchmark.json", to_pytest_benchmark),
    "benchmark-model": ("benchmark_model.csv", to_benchmark_model),
}


def export(store: Store, form: str) -> tuple[str, bytes]:
    """Return the file name and the content of a study in a format of `FORMATS`.

    Raises:
        OptionError: There is no such format.
        MissingExtraError: What the format needs is not installed.
    """
    if form not in FORMATS:
        raise OptionError(f"there is no format {form!r}. {nearest(form, FORMATS)}")
    name, make = FORMATS[form]
    content = make(store)
    return name, content if isinstance(content, bytes) else writable(content).encode()


def _row(figures: Figures) -> dict[str, Any]:
    cell, outcome, summary, ratio = figures.cell, figures.outcome, figures.summary, figures.speed_up
    error = dict(outcome.error or {}) if outcome else {}
    memory = dict(outcome.memory or {}) if outcome else {}
    interval = figures.median_interval_ns
    split = figures.split_ns or (None, None, None)
    row: dict[str, Any] = {
        "key": cell.key,
        "model": cell.model_name,
        "model_sha256": cell.model_sha256,
        "precision": cell.precision,
        "delegate": cell.delegate,
        "threads": cell.threads,
        "options": json.dumps(dict(cell.options), sort_keys=True),
        "status": figures.status,
        "reason": outcome.reason if outcome else None,
        "reference": figures.base.label if figures.base else None,
        "median_us": _us(figures.median_ns),
        "median_low_us": _us(interval.low if interval else None),
        "median_high_us": _us(interval.high if interval else None),
        "upload_us": _us(split[0]),
        "run_us": _us(split[1]),
        "read_back_us": _us(split[2]),
    }
    statistics = ("count", "mean_us", "std_us", "min_us", "max_us", "mad_us", "iqr_us", "p90_us", "p95_us", "p99_us")
    row |= {name: getattr(summary, name, None) for name in (*statistics, "outliers")}
    row |= {
        "speed_up": ratio.ratio if ratio else None,
        "speed_up_low": ratio.low if ratio else None,
        "speed_up_high": ratio.high if ratio else None,
        "verdict": figures.ratio.verdict if figures.ratio else None,
        "load_us": _us(outcome.load_ns if outcome else None),
        "first_run_us": _us(outcome.first_run_ns if outcome else None),
        "run_bytes": outcome.run_bytes if outcome else None,
        "accuracy": outcome.accuracy if outcome else None,
    }
    row |= {f"error_{name}": error.get(name) for name in ("max_abs", "rmse", "relative")}
    row |= {f"memory_{name}_bytes": memory.get(name) for name in ("before", "loaded", "first_run", "peak")}
    row["ops"] = json.dumps(dict(outcome.placement or {})) if outcome else None
    row["conditions"] = "; ".join(str(c.get("text", "")) for c in outcome.conditions) if outcome else None
    return row


def _us(value_ns: float | None) -> float | None:
    return None if value_ns is None else value_ns / 1000
