"""Plots of a study as SVG or PNG, for papers and slides; with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from litedelegates.errors import MissingExtraError, install_extra
from litedelegates.report.layer_plots import draw_layers

COLOURS = ("#2a6fb0", "#8b867e", "#d0702a", "#2b8f78", "#8757a6", "#bd4560", "#8d7a1c", "#4b8fa8")
FIXED = {"xnnpack": 0, "none": 1, "gpu": 2, "edgetpu": 3, "openvino": 4}
MARKERS = {"float32": "o", "float16": "s", "dynamic": "^", "int8": "D", "int16x8": "v"}


def draw_plots(document: Mapping[str, Any], form: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name (without ending) and the content of each plot; ``form`` is "svg" or "png".

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtraError(f"plots need matplotlib: {install_extra('plots')}") from error

    # Text stays text, and the same study gives the same bytes.
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "litedelegates",
        "font.size": 9,
        "axes.spines.top": False,
    }
    for model in document["models"]:
        cells = [c for c in document["cells"] if c["model_key"] == model["key"] and c["status"] == "ok"]
        with rc_context({**style, "axes.spines.right": False}):
            for kind, draw in (("speed-up", _speed_up), ("trade-off", _trade_off)):
                figure = draw(cells, model["name"])
                if figure is not None:
                    yield f"{kind}-{file_name(model['name'])}", _save(figure, form)
    for study in document["layers"]:
        with rc_context({**style, "axes.spines.right": False}):
            yield f"layers-{file_name(study['name'])}", _save(draw_layers(study, _plain(study["name"])), form)


def file_name(name: str) -> str:
    """Return a name that is safe for a file whatever a model is called."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:80] or "model"


def _speed_up(cells: Sequence[Mapping[str, Any]], title: str) -> Any:
    shown = sorted((c for c in cells if c["speed_up"]), key=lambda c: c["speed_up"]["ratio"])
    if not shown:
        return None
    figure, axes = _figure(1.2 + 0.26 * len(shown))
    ratios = [c["speed_up"]["ratio"] for c in shown]
    bounds = [(c["speed_up"]["low"] or r, c["speed_up"]["high"] or r) for c, r in zip(shown, ratios, strict=True)]
    spans = [[r - low for r, (low, _) in zip(ratios, bounds, strict=True)]]
    spans.append([high - r for r, (_, high) in zip(ratios, bounds, strict=True)])
    # A bar on a logarithmic axis begins at the reference.
    axes.barh(
        range(len(shown)),
        [r - 1 for r in ratios],
        left=1,
        xerr=spans,
        height=0.66,
        color=[_colour(c["delegate"], cells) for c in shown],
        error_kw={"elinewidth": 1, "capsize": 2},
    )
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [_plain(c["label"]) for c in shown])
    axes.set_xlabel("times as fast as the reference, with 95 % interval")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_title(_plain(title), loc="left")
    return figure


def _trade_off(cells: Sequence[Mapping[str, Any]], title: str) -> Any:
    by_accuracy = any(c["accuracy"] is not None for c in cells)
    points = []
    for cell in cells:
        value = cell["accuracy"] if by_accuracy else (cell["error"] or {}).get("relative")
        if value is not None and cell["median_us"] is not None:
            points.append((cell, value * 100 if by_accuracy else value))
    if not points:
        return None
    figure, axes = _figure(3.6)
    for cell, value in points:
        label = _plain(f"{cell['precision']} {cell['delegate']}")
        seen = label in axes.get_legend_handles_labels()[1]
        axes.plot(
            cell["median_us"] / 1000,
            value,
            MARKERS.get(cell["precision"], "P"),
            color=_colour(cell["delegate"], cells),
            label=None if seen else label,
        )
    axes.set_xscale("log")
    if not by_accuracy and all(value > 0 for _, value in points):
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("median latency in ms")
    axes.set_ylabel("accuracy in %" if by_accuracy else "relative error")
    axes.set_title(_plain(title), loc="left")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _figure(height: float) -> tuple[Any, Any]:
    # Without pyplot, which would choose a window system and keep every figure.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.add_subplot()


def _save(figure: Any, form: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {}
    figure.savefig(buffer, format=form, dpi=160, metadata=metadata)
    return buffer.getvalue()


def _colour(delegate: str, cells: Sequence[Mapping[str, Any]]) -> str:
    if delegate in FIXED:
        return COLOURS[FIXED[delegate]]
    others = sorted({c["delegate"] for c in cells} - set(FIXED))
    return COLOURS[(5 + others.index(delegate)) % len(COLOURS)]


def _plain(name: str) -> str:
    # matplotlib reads what stands between dollars as mathematics.
    return name.replace("$", r"\$")
