"""Figures of layers as node data of Model Explorer: a file for each figure and setting, which colours the graph.

The files name no graph, so that they colour the one that is shown: start Model Explorer on the model that was studied
and add them there. A node is found by the name of one of its output tensors, for ONNX by its own name as well.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from litedelegates.files import write_whole
from litedelegates.layers.export import speed_up_in_place
from litedelegates.layers.records import LayerInfo, Setting
from litedelegates.layers.results import LayerStudy

# From good to bad, on which black text can be read.
_GOOD, _MIDDLE, _BAD = "#b7e1cd", "#fff2cc", "#f4b6ae"
_LOW_IS_GOOD = (_GOOD, _MIDDLE, _BAD)
_HIGH_IS_GOOD = (_BAD, _MIDDLE, _GOOD)
_ERRORS = ("local", "propagated", "output")


def write_overlays(study: LayerStudy, folder: str | os.PathLike[str]) -> list[Path]:
    """Write every figure that the study has, each to a ``.json`` that is called by it, and return the files.

    Raises:
        OSError: A file cannot be written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in overlays(study).items():
        write_whole(target / name, [json.dumps(content, indent=1).encode()])
        written.append(target / name)
    return written


def overlays(study: LayerStudy) -> dict[str, dict[str, Any]]:
    """Return the node data by the name of its file; figures that no layer has are left out.

    Time in place or else alone, speed-up alone or else in place, SQNR of each kind of error, bytes across each cut.
    """
    found = {}
    for name, values, colours in _figures(study):
        data = _node_data(study, values, colours)
        if data["results"]:
            found[f"{re.sub(r'[^A-Za-z0-9_.+-]+', '-', name)}.json"] = data
    return found


def _figures(study: LayerStudy) -> Iterator[tuple[str, Mapping[int, float | None], tuple[str, ...]]]:
    indices = [layer.index for layer in study.layers]
    for setting in study.settings:
        yield f"time_us {setting.label}", {i: _time(study, i, setting) for i in indices}, _LOW_IS_GOOD
        yield f"speed_up {setting.label}", {i: _speed_up(study, i, setting) for i in indices}, _HIGH_IS_GOOD
    for precision in dict.fromkeys(error.precision for error in study.errors):
        for kind in _ERRORS:
            errors = {i: study.error_of(i, precision, kind) for i in indices}
            figures = {i: None if error is None else error.sqnr_db for i, error in errors.items()}
            yield f"{kind}_sqnr_db {precision}", figures, _HIGH_IS_GOOD
    for precision in ("float32", "float16", "int8"):
        values = {layer.index: layer.cut_nbytes.get(precision) for layer in study.layers}
        yield f"cut_bytes {precision}", values, _LOW_IS_GOOD
    for info in study.variants:
        yield f"cut_bytes_held {info.precision}", {i: info.cut_nbytes.get(i) for i in indices}, _LOW_IS_GOOD


def _time(study: LayerStudy, layer: int, setting: Setting) -> float | None:
    in_place, alone = study.layer_us(layer, setting), study.alone_of(layer, setting)
    return in_place if in_place is not None or alone is None else alone.median_us


def _speed_up(study: LayerStudy, layer: int, setting: Setting) -> float | None:
    alone = study.alone_of(layer, setting)
    return speed_up_in_place(study, layer, setting) if alone is None or alone.speed_up is None else alone.speed_up


def _node_data(study: LayerStudy, values: Mapping[int, float | None], colours: tuple[str, ...]) -> dict[str, Any]:
    results: dict[str, dict[str, float]] = {}
    for layer in study.layers:
        value = values.get(layer.index)
        if value is not None and math.isfinite(value):  # JSON has no other numbers
            results |= {key: {"value": float(f"{value:.6g}")} for key in _keys(layer)}
    stops = [{"stop": place / (len(colours) - 1), "bgColor": colour} for place, colour in enumerate(colours)]
    return {"results": results, "gradient": stops}


def _keys(layer: LayerInfo) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys((layer.output, layer.name)) if name)
