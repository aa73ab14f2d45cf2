"""A study as the plain values that the page draws."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from litedelegates.layers import LayerStudy
from litedelegates.layers.store import LayerStore
from litedelegates.report.choice import ACCURACY_LOSS, RELATIVE_ERROR, Choice, choose, rule, short_label
from litedelegates.report.layers import layers_document
from litedelegates.report.provenance import provenance
from litedelegates.report.warnings import warnings
from litedelegates.study.figures import Figures, read_figures
from litedelegates.study.store import Store

BINS = 48
METHOD = (
    "A latency is upload, run and read-back of one inference: it ends when the result can be read.",
    "Each round runs a block of every configuration, in an order drawn anew, so that a drift of the machine meets all "
    "of them. The median is the median over the blocks; its 95 % interval assumes no distribution and takes blocks, "
    "not runs, for independent.",
    "A speed-up is the ratio to the reference in the same rounds, with a 95 % bootstrap interval over the rounds. "
    "While the interval reaches 1, or comes closer to it than a difference has to be to count, none is shown.",
    "A percentile is given only from as many runs as it takes to claim it at 99 % confidence: 64 for p90, "
    "130 for p95, 662 for p99. Outliers are runs further from the median than 14.826 times the median "
    "absolute deviation.",
    "The relative error is the root mean square of the difference to the outputs it is compared with (the details of a "
    "configuration name them) over their standard deviation. With random inputs it says little about accuracy.",
)
LAYERS_METHOD = (
    "The time of a layer in place is the median over profiled runs of the whole model. Where the engine computes "
    "several layers as one, the first of them has the time; a conversion is charged to the layer that caused it.",
    "Alone, a layer is cut out as a model of its own. Its speed-up is the ratio of times measured in turn, with a 95 % "
    "bootstrap interval; in place there is a ratio only where both precisions ran the same layers as one.",
    "An error is local where only that layer is quantized and its inputs are the true ones, propagated where all "
    "layers up to it are; the error of the output is that of the whole model with only that layer quantized. SQNR is "
    "the mean square of the values over that of the differences.",
    "A cut after a layer sends what is alive there, skip connections included.",
)


def build_document(
    store: Store, title: str | None = None, accuracy_loss: float = ACCURACY_LOSS, relative_error: float = RELATIVE_ERROR
) -> dict[str, Any]:
    """Return everything that the page shows of a study; the same store gives the same document."""
    figures, layers = read_figures(store), _layers(store)
    models: dict[str, list[Figures]] = {}
    for entry in figures:
        models.setdefault(entry.cell.model_sha256, []).append(entry)
    names = _unique_names({sha256: own[0].cell.model_name for sha256, own in models.items()})
    chosen = {sha256: choose(own, accuracy_loss, relative_error) for sha256, own in models.items()}
    created = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(store.created))
    own_title = " · ".join(dict.fromkeys([*names.values(), *(study["name"] for study in layers)]))
    return {
        "title": title or str(store.config.get("title") or own_title or store.path.stem),
        "lede": _lede(store, figures, len(models), layers),
        "rule": rule(accuracy_loss, relative_error),
        "models": [_model(sha256, names[sha256], own, chosen[sha256]) for sha256, own in models.items()],
        "cells": [_cell(entry, names[entry.cell.model_sha256]) for entry in figures],
        "layers": layers,
        "warnings": warnings(store, figures),
        "provenance": provenance(store, figures),
        "method": [*(METHOD if figures or not layers else ()), *(LAYERS_METHOD if layers else ())],
        "foot": f"Study of {created}, from {store.path.name}. Written by litedelegates; this page needs no network.",
    }


def _layers(store: Store) -> list[dict[str, Any]]:
    """Return the layer studies that have got as far as knowing the layers."""
    studies = [LayerStudy.open(store, key) for key in LayerStore(store).studies()]
    names = _unique_names({study.key: PurePath(study.model).stem for study in studies})
    return [
        layers_document(names[study.key], study.layers, study.in_place, study.alone, study.errors, study.variants)
        for study in studies
        if study.layers
    ]


def _unique_names(names: Mapping[str, str]) -> dict[str, str]:
    taken = list(names.values())
    return {sha: f"{name} ({sha[:8]})" if taken.count(name) > 1 else name for sha, name in names.items()}


def _lede(store: Store, figures: Sequence[Figures], models: int, layers: Sequence[Mapping[str, Any]]) -> str:
    sessions = store.sessions()
    machine = sessions[-1].machine if sessions else {}
    place = machine.get("board") or machine.get("cpu_model") or machine.get("architecture") or "an unknown machine"
    said = []
    if figures or not layers:
        runs = sum(len(entry.samples_ns) for entry in figures)
        measured = sum(entry.is_measured for entry in figures)
        configurations = f"{measured} of {len(figures)}" if measured < len(figures) else str(measured)
        said.append(f"{_plural(models, 'model')}, {configurations} configurations measured in {runs:,} timed runs")
    if layers:
        depth = sum(len(study["layers"]) for study in layers)
        settings = len({one["label"] for study in layers for one in study["settings"]})
        studied = "" if len(layers) == 1 else f" of {len(layers)} models"
        said.append(f"{_plural(depth, 'layer')}{studied} studied in {_plural(settings, 'setting')}")
    return f"{'; '.join(said)} on {place}."


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _model(sha256: str, name: str, cells: Sequence[Figures], choice: Choice) -> dict[str, Any]:
    bases = [entry for entry in cells if entry.is_base]
    accuracies = [entry.outcome.accuracy for entry in bases if entry.outcome and entry.outcome.accuracy is not None]
    return {
        "key": sha256,
        "name": name,
        "best": None if choice.best is None else choice.best.cell.key,
        "why": choice.why,
        "bases": [short_label(entry) for entry in bases],
        "base_accuracy": accuracies[0] if accuracies else None,
    }


def _cell(entry: Figures, model: str) -> dict[str, Any]:
    cell, outcome, interval, speed_up = entry.cell, entry.outcome, entry.median_interval_ns, entry.speed_up
    document: dict[str, Any] = {
        "key": cell.key,
        "model": model,
        "model_key": cell.model_sha256,
        "path": cell.model,
        "precision": cell.precision,
        "delegate": cell.delegate,
        "threads": cell.threads,
        "options": dict(cell.options),
        "label": short_label(entry),
        "status": entry.status,
        "is_base": entry.is_base,
        "base_label": None if entry.base is None else entry.base.label,
        "median_us": _us(entry.median_ns),
        "interval_us": None if interval is None else [_us(interval.low), _us(interval.high)],
        "split_us": None if entry.split_ns is None else [_us(value) for value in entry.split_ns],
        "stats": None if entry.summary is None else {k: _rounded(v) for k, v in vars(entry.summary).items()},
        "speed_up": None,
        "histogram": _histogram(entry),
        "rounds": [[r, _us(float(np.median(b)))] for (_, r), b in zip(entry.rounds, entry.blocks_ns, strict=True)],
    }
    if speed_up is not None and entry.ratio is not None:
        bounds = {name: _rounded(getattr(speed_up, name)) for name in ("ratio", "low", "high")}
        document["speed_up"] = {**bounds, "verdict": entry.ratio.verdict, "rounds": speed_up.rounds}
    placement = {} if outcome is None else dict(outcome.placement or {})
    document["placement"] = sorted(placement.items(), key=lambda item: (item[0] == "builtin", -item[1]))
    document["ops"] = [] if outcome is None else [[name, ran] for _, _, name, ran in outcome.ops]
    document["conditions"] = [] if outcome is None else [dict(condition) for condition in outcome.conditions]
    document["load_us"] = _us(None if outcome is None else outcome.load_ns)
    document["first_run_us"] = _us(None if outcome is None else outcome.first_run_ns)
    for name in (
        *("reason", "note", "run_sha256", "run_bytes", "route", "device"),
        *("options_in_effect", "memory", "energy", "error", "accuracy"),
    ):
        value = None if outcome is None else getattr(outcome, name)
        document[name] = dict(value) if isinstance(value, Mapping) else value
    return document


def _histogram(entry: Figures) -> dict[str, Any] | None:
    """Count the runs in bins of equal ratio, without those beyond eight quartile distances."""
    samples = entry.samples_ns / 1000
    if not len(samples) or samples.min() <= 0:
        return None
    lower, median, upper = np.quantile(samples, [0.25, 0.5, 0.75])
    reach = max(8 * (upper - lower), 0.02 * median)
    low, high = max(float(samples.min()), median - reach), min(float(samples.max()), median + reach)
    high = max(high, low * 1.01)
    inside = samples[(samples >= low) & (samples <= high)]
    bins = int(min(BINS, max(8, len(samples) ** 0.5)))
    counts, edges = np.histogram(np.log(inside), bins, (np.log(low), np.log(high)))
    edges_us = [float(f"{edge:.5g}") for edge in np.exp(edges)]
    return {"edges_us": edges_us, "counts": counts.tolist(), "beyond": _rounded(1 - len(inside) / len(samples))}


def _us(value_ns: float | None) -> float | None:
    return None if value_ns is None else _rounded(value_ns / 1000)


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
