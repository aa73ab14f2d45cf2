"""A study in the words of pytest-benchmark and of LiteRT's benchmark_model."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from litedelegates.study.figures import Figures, read_figures
from litedelegates.study.store import Store
from litedelegates.tables import csv_lines

# The fields of LiteRT's benchmark_model, in its units.
BENCHMARK_MODEL_FIELDS = (
    *("graph", "precision", "delegate", "num_threads", "num_runs", "avg_ms", "min_ms", "max_ms", "stddev_ms"),
    *("median_ms", "p5_ms", "p95_ms", "init_ms", "first_inference_ms", "average_warm_up_ms"),
    *("init_footprint_kb", "overall_footprint_kb", "peak_mem_mb"),
)


def to_pytest_benchmark(store: Store) -> str:
    """Return the JSON that pytest-benchmark writes, for the tools that read it; seconds, as there."""
    sessions = store.sessions()
    machine = dict(sessions[-1].machine) if sessions else {}
    content = {
        "machine_info": {
            "processor": machine.get("cpu_model") or "",
            "machine": machine.get("architecture") or "",
            "python_version": machine.get("python") or "",
            "system": machine.get("system") or "",
            "release": machine.get("kernel") or "",
            "cpu": {"count": machine.get("cores_online"), "arch": machine.get("architecture") or ""},
        },
        "commit_info": {},
        "benchmarks": [_pytest_benchmark(f) for f in read_figures(store) if f.is_measured],
        "datetime": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(store.created)),
        "version": "5.1.0",
    }
    return json.dumps(content, indent=1)


def to_benchmark_model(store: Store) -> str:
    """Return benchmark_model's fields as CSV, one line a cell that was measured."""
    lines = [_benchmark_model(figures) for figures in read_figures(store) if figures.is_measured]
    return to_csv_lines(lines, BENCHMARK_MODEL_FIELDS)


def to_csv_lines(lines: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> str:
    """Return rows as CSV with a header; ``names`` are the columns where there may be no row."""
    columns = list(names or (lines[0] if lines else ()))
    return csv_lines(columns, ([line[name] for name in columns] for line in lines))


def _pytest_benchmark(figures: Figures) -> dict[str, Any]:
    seconds = figures.samples_ns / 1e9
    q1, median, q3 = np.quantile(seconds, [0.25, 0.5, 0.75])
    iqr, std = float(q3 - q1), float(np.std(seconds, ddof=1)) if len(seconds) > 1 else 0.0
    inside = seconds[(seconds >= q1 - 1.5 * iqr) & (seconds <= q3 + 1.5 * iqr)]
    beyond_one_sigma = int(np.count_nonzero(np.abs(seconds - seconds.mean()) > std))
    cell, outliers = figures.cell, len(seconds) - len(inside)
    stats = {
        "min": float(seconds.min()),
        "max": float(seconds.max()),
        "mean": float(seconds.mean()),
        "stddev": std,
        "rounds": len(seconds),
        "median": float(median),
        "iqr": iqr,
        "q1": float(q1),
        "q3": float(q3),
        "iqr_outliers": outliers,
        "stddev_outliers": beyond_one_sigma,
        "outliers": f"{beyond_one_sigma};{outliers}",
        "ld15iqr": float(inside.min()),
        "hd15iqr": float(inside.max()),
        "ops": float(1 / seconds.mean()),
        "total": float(seconds.sum()),
        "iterations": 1,
        "data": seconds.tolist(),
    }
    params = {"precision": cell.precision, "delegate": cell.delegate, "threads": cell.threads}
    names = {"group": cell.model_name, "name": cell.label, "fullname": f"litedelegates::{cell.label}"}
    return {**names, "params": params, "param": None, "extra_info": {"key": cell.key}, "options": {}, "stats": stats}


def _benchmark_model(figures: Figures) -> dict[str, Any]:
    cell, outcome, summary = figures.cell, figures.outcome, figures.summary
    memory = dict(outcome.memory or {}) if outcome else {}
    before, peak = memory.get("before"), memory.get("peak")
    warm_up = outcome.warmup_ns if outcome else ()
    milliseconds = figures.samples_ns / 1e6
    return {
        "graph": cell.model,
        "precision": cell.precision,
        "delegate": cell.delegate,
        "num_threads": cell.threads,
        "num_runs": len(milliseconds),
        "avg_ms": float(milliseconds.mean()),
        "min_ms": float(milliseconds.min()),
        "max_ms": float(milliseconds.max()),
        "stddev_ms": None if summary is None or summary.std_us is None else summary.std_us / 1000,
        "median_ms": float(np.median(milliseconds)),
        # As there: without asking whether there are enough runs to claim it.
        "p5_ms": float(np.quantile(milliseconds, 0.05)),
        "p95_ms": float(np.quantile(milliseconds, 0.95)),
        "init_ms": _ms(outcome.load_ns if outcome else None),
        "first_inference_ms": _ms(outcome.first_run_ns if outcome else None),
        "average_warm_up_ms": float(np.mean(warm_up)) / 1e6 if warm_up else None,
        "init_footprint_kb": None if before is None or "loaded" not in memory else (memory["loaded"] - before) / 1024,
        "overall_footprint_kb": None if before is None or peak is None else (peak - before) / 1024,
        "peak_mem_mb": None if peak is None else peak / 1024**2,
    }


def _ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else value_ns / 1e6
