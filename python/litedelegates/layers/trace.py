"""A layer study as a trace in the Trace Event Format, which ui.perfetto.dev and chrome://tracing show.

Each setting is a process with two threads: the parts that ran in place, and the layers that ran alone. They are drawn
one behind the other, as long as each took on average (in place) or in the median (alone), without the gaps between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from litedelegates.layers.records import Alone, InPlace, PartTiming, Setting
from litedelegates.layers.results import LayerStudy

_IN_PLACE, _ALONE = 1, 2


def to_trace(study: LayerStudy) -> str:
    """Return the trace as JSON; times are microseconds."""
    events: list[dict[str, Any]] = []
    for process, setting in enumerate(study.settings, 1):
        events += [_named("process_name", process, 0, setting.label), _sorted(process)]
        in_place = study.in_place_of(setting)
        if in_place is not None and in_place.parts:
            estimate = " (estimate)" if in_place.is_estimate else ""
            events.append(_named("thread_name", process, _IN_PLACE, f"in place{estimate}"))
            events += _in_place(study, in_place, process)
        alone = [record for record in study.alone if record.setting == setting and record.median_us is not None]
        if alone:
            events.append(_named("thread_name", process, _ALONE, "each layer alone"))
            events += _alone(study, alone, process)
    content = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"model": study.model, "study": study.key}}
    return json.dumps(content)


def _in_place(study: LayerStudy, record: InPlace, process: int) -> Iterator[dict[str, Any]]:
    at = 0.0
    for part in record.parts:
        yield _complete(
            part.name, part.role, at, record.part_us(part), process, _IN_PLACE, _about(study, part, record.setting)
        )
        at += record.part_us(part)


def _alone(study: LayerStudy, records: list[Alone], process: int) -> Iterator[dict[str, Any]]:
    at = 0.0
    for record in sorted(records, key=lambda record: record.layer):
        layer = study.layer(record.layer)
        assert record.median_us is not None
        about = {
            "layer": layer.index,
            "name": layer.name,
            "low_us": record.low_us,
            "high_us": record.high_us,
            "speed_up": record.speed_up,
            "verdict": record.verdict,
            "ran": record.ran,
        }
        yield _complete(f"{layer.index} {layer.type}", "alone", at, record.median_us, process, _ALONE, about)
        at += record.median_us


def _about(study: LayerStudy, part: PartTiming, setting: Setting) -> dict[str, Any]:
    layers = [study.layer(index) for index in part.layers]
    about: dict[str, Any] = {
        "layers": ", ".join(f"{layer.index} {layer.type} {layer.name}" for layer in layers),
        "ran": part.ran,
        "role": part.role,
        "evidence": part.evidence,
        "runs": len(part.samples_us),
    }
    if layers:
        last = layers[-1]
        error = study.error_of(last.index, setting.precision, "local")
        about |= {
            "shape": None if last.shape is None else list(last.shape),
            "bytes": last.nbytes.get("float32"),
            "cut_bytes": last.cut_nbytes.get("float32"),
            "local_sqnr_db": None if error is None or error.sqnr_db is None else str(error.sqnr_db),
        }
    return about


def _complete(
    name: str, category: str, start_us: float, us: float, process: int, thread: int, about: dict[str, Any]
) -> dict[str, Any]:
    args = {key: value for key, value in about.items() if value is not None}
    times = {"ts": round(start_us, 3), "dur": round(us, 3)}
    return {"name": name, "cat": category, "ph": "X", **times, "pid": process, "tid": thread, "args": args}


def _named(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}


def _sorted(process: int) -> dict[str, Any]:
    """Keep the settings in their order."""
    return {"name": "process_sort_index", "ph": "M", "pid": process, "tid": 0, "args": {"sort_index": process}}
