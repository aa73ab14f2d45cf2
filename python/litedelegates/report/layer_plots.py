"""The layers of a model by depth as one figure: latency, speed-up, error and bytes; with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from litedelegates.report.findings import is_number

# As the page has them: a precision keeps its colour from figure to figure.
COLOURS = {"float32": "#8b867e", "float16": "#2b8f78", "dynamic": "#8757a6", "int8": "#2a6fb0", "int16x8": "#bd4560"}
SPARE = ("#8d7a1c", "#4b8fa8", "#d0702a")


def draw_layers(study: Mapping[str, Any], title: str) -> Any:
    """Return a figure of a document of `layers_document`, of the delegate that was measured in most precisions."""
    from matplotlib.figure import Figure

    host = _fullest_host(study["settings"])
    settings = [one for one in study["settings"] if one["host"] == host]
    panels = [draw for draw in (_times, _gains, _errors, _bytes) if _has(draw, study, settings)]
    figure = Figure(figsize=(8.4, 0.8 + 1.75 * max(1, len(panels))), layout="constrained")
    shared = None
    for row, draw in enumerate(panels):
        shared = figure.add_subplot(len(panels), 1, row + 1, sharex=shared)
        draw(shared, study, settings)
        if row < len(panels) - 1:
            shared.tick_params(labelbottom=False)
    if shared is not None:
        shared.set_xlabel("layer")
        shared.set_xlim(-0.5, len(study["layers"]) - 0.5)
        indices = [layer["index"] for layer in study["layers"]]
        shared.xaxis.set_major_formatter(lambda value, _: f"{indices[int(value)]}" if 0 <= value < len(indices) else "")
        figure.axes[0].set_title(f"{title}, {host}" if host else title, loc="left")
        if panels[0] is not _bytes:  # which has a legend of its own
            figure.axes[0].legend(frameon=False, fontsize=8, ncols=6, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def _fullest_host(settings: Sequence[Mapping[str, Any]]) -> str | None:
    measured = [one["host"] for one in settings if one["alone"] or (one["in_place"] and not one["in_place"]["refusal"])]
    return max(dict.fromkeys(measured), key=measured.count) if measured else None


def _has(draw: Any, study: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> bool:
    if draw is _errors:
        return any(one["kind"] == _kind(study) and one.get("sqnr_db") for one in study["errors"])
    if draw is _bytes:
        return any(map(is_number, study["bytes"]["float32"]))
    return any(_way(one, "speed_up" if draw is _gains else "us") for one in settings)


def _way(setting: Mapping[str, Any], name: str) -> str | None:
    """Return where a setting has numbers of a name: a speed-up rather alone, where it has an interval."""
    ways = ("alone", "in_place") if name == "speed_up" else ("in_place", "alone")
    return next((way for way in ways if setting[way] and any(map(is_number, setting[way][name]))), None)


def _times(axes: Any, study: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> None:
    for one in settings:
        way = _way(one, "us")
        if way is not None:
            estimate = ", estimate" if one["in_place"] and one["in_place"]["is_estimate"] else ""
            label = _plain(f"{one['precision']}{estimate}")
            _steps(axes, one[way]["us"], color=_colour(one["precision"]), label=label)
            if way == "in_place" and any(map(is_number, one[way]["conversion_us"])):
                _bars(axes, one[way]["conversion_us"])
    axes.set_ylabel("µs")
    axes.set_ylim(bottom=0)


def _gains(axes: Any, study: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> None:
    for one in settings:
        way = _way(one, "speed_up")
        if way is None:
            continue
        own = one[way]
        known = [at for at, value in enumerate(own["speed_up"]) if is_number(value)]
        ratios = [own["speed_up"][at] for at in known]
        spans = None
        if way == "alone":
            ends = [[_or(own[f"speed_up_{end}"][at], own["speed_up"][at]) for at in known] for end in ("low", "high")]
            spans = [[max(0.0, r - low) for r, low in zip(ratios, ends[0], strict=True)]]
            spans.append([max(0.0, high - r) for r, high in zip(ratios, ends[1], strict=True)])
        axes.errorbar(known, ratios, spans, fmt=".", markersize=4, elinewidth=0.8, color=_colour(one["precision"]))
    axes.set_yscale("log")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}×" if f"{value:.0e}"[0] in "25" else "")
    axes.set_ylabel("speed-up")


def _errors(axes: Any, study: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> None:
    for one in study["errors"]:
        if one["kind"] == _kind(study) and one.get("sqnr_db"):
            style = {"markersize": 4, "linewidth": 1, "color": _colour(one["precision"])}
            axes.plot(_gaps(one["sqnr_db"]), ".-", label=_plain(one["precision"]), **style)
    axes.set_ylabel(f"{_kind(study)}\nSQNR in dB")


def _bytes(axes: Any, study: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> None:
    kilobytes = {name: [_or(v, math.nan) / 1000 for v in study[name]["float32"]] for name in ("bytes", "cuts")}
    axes.bar(range(len(kilobytes["bytes"])), kilobytes["bytes"], width=0.85, color="#b7d2de", label="output")
    _steps(axes, kilobytes["cuts"], color="black", label="alive across the cut")
    illegal = [at for at, layer in enumerate(study["layers"]) if layer["refusal"]]
    if illegal:
        axes.plot(illegal, [0] * len(illegal), "x", markersize=4, color="#a83a32", label="no cut is legal")
    axes.set_ylabel("kB in float32")
    axes.legend(frameon=False, fontsize=8, loc="upper right")


def _bars(axes: Any, values: Sequence[Any]) -> None:
    known = [at for at, value in enumerate(values) if is_number(value)]
    seen = "of it conversions" in axes.get_legend_handles_labels()[1]
    label = None if seen else "of it conversions"
    heights = [values[at] for at in known]
    axes.bar(known, heights, width=0.8, facecolor="none", edgecolor="#d0702a", hatch="////", linewidth=0.6, label=label)


def _steps(axes: Any, values: Sequence[Any], **style: Any) -> None:
    axes.step(range(len(values)), _gaps(values), where="mid", linewidth=1.1, **style)


def _gaps(values: Sequence[Any]) -> list[float]:
    return [_or(value, math.nan) for value in values]


def _or(value: Any, other: float) -> float:
    return float(value) if is_number(value) else other


def _kind(study: Mapping[str, Any]) -> str | None:
    kinds = [one["kind"] for one in study["errors"] if one.get("sqnr_db")]
    return "local" if "local" in kinds else kinds[0] if kinds else None


def _plain(name: str) -> str:
    # matplotlib reads what stands between dollars as mathematics.
    return name.replace("$", r"\$")


def _colour(precision: str) -> str:
    return COLOURS.get(precision) or SPARE[sum(precision.encode()) % len(SPARE)]
