"""Plots of plans as SVG or PNG, for papers and slides; with matplotlib."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from litedelegates.errors import MissingExtraError, OptionError, install_extra, nearest
from litedelegates.plan.front import FrontPoint
from litedelegates.plan.records import Plan
from litedelegates.plan.simulated import Simulation, Span
from litedelegates.plan.what_if import WhatIf

ACCENT = "#1f5f99"
# As the page has them: devices by their order, links grey.
DEVICES = ("#d0702a", "#4b8fa8", "#8d7a1c", "#8757a6", "#bd4560")
LINK = "#8b867e"
FORMATS = ("png", "svg")
_AXES: Mapping[str, tuple[str, float]] = {
    "error": ("relative error", 1.0),
    "nbytes": ("kB over links", 1e3),
    "energy_mj": ("energy in mJ", 1.0),
    "period_us": ("period in ms", 1e3),
}


def save_plot(draw: Callable[[], Any], path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of the figure that ``draw`` makes, in the format that the ending of a path asks for.

    Raises:
        OptionError: The ending is neither ``.svg`` nor ``.png``.
        MissingExtraError: matplotlib is not installed.
    """
    form = Path(path).suffix[1:].lower()
    if form not in FORMATS:
        raise OptionError(f"{os.fspath(path)}: a plot ends in .svg or .png. {nearest(form, FORMATS)}")
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtraError(f"plots need matplotlib: {install_extra('plots')}") from error
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "litedelegates", "font.size": 9}
    buffer = io.BytesIO()
    with rc_context({**style, "axes.spines.top": False, "axes.spines.right": False}):
        metadata = {"Date": None} if form == "svg" else {}
        draw().savefig(buffer, format=form, dpi=150, metadata=metadata)
    return buffer.getvalue()


def draw_front(points: Sequence[FrontPoint], plan: Plan | None = None, *, over: str = "error") -> Any:
    """Return a figure of latency against the error, bytes, energy or period of plans.

    Raises:
        OptionError: There is no such cost.
    """
    if over not in _AXES:
        raise OptionError(f"over={over!r}: there is no such cost. {nearest(over, _AXES)}")
    figure, axes = _figure(6.4, 4.2)
    name, unit = _AXES[over]
    known = [(one.costs.latency_us / 1e3, getattr(one.costs, over)) for one in points]
    placed = sorted((us, value / unit) for us, value in known if value is not None)
    axes.plot(*zip(*placed, strict=True), "o", markersize=5, color=ACCENT)
    best: list[tuple[float, float]] = []
    for us, value in placed:
        if not best or value < best[-1][1]:
            best.append((us, value))
    axes.step(*zip(*best, strict=True), where="post", linewidth=1, linestyle="--", color=LINK)
    own = None if plan is None else getattr(plan.costs, over)
    if plan is not None and own is not None:
        ring = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": "black", "label": "this plan"}
        axes.plot([plan.costs.latency_us / 1e3], [own / unit], "o", **ring)
        axes.legend(frameon=False)
    axes.set_xlabel("latency in ms")
    axes.set_ylabel(name)
    axes.set_ylim(bottom=0)
    return figure


def draw_what_if(found: WhatIf) -> Any:
    """Return a figure of the best plan's latency over the bandwidth, with that of each device alone."""
    figure, axes = _figure(7.2, 4.2)
    bandwidths = [one.bandwidth_mbps for one in found.points]
    names = list(dict.fromkeys(name for one in found.points for name in one.alone_us))
    for name, colour in zip(names, DEVICES * len(names), strict=False):
        alone = [one.alone_us.get(name, float("nan")) / 1e3 for one in found.points]
        axes.plot(bandwidths, alone, "--", linewidth=1.3, color=colour, label=_plain(f"all on {name}"))
    best = [one.latency_us / 1e3 for one in found.points]
    axes.plot(bandwidths, best, linewidth=2, color=ACCENT, label="best plan")
    for number, regime in enumerate(found.regimes):
        axes.axvspan(regime.low, regime.high, color=ACCENT, alpha=0.05 + 0.07 * (number % 2), linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(min(best) / 1.2, max(best) * 20)  # a device alone over a slow link is far off
    axes.set_xlim(bandwidths[0], bandwidths[-1])
    axes.set_xlabel("bandwidth in Mbit/s")
    axes.set_ylabel("latency in ms")
    axes.legend(frameon=False)
    return figure


def draw_timeline(spans: Sequence[Span], devices: Sequence[str]) -> Any:
    """Return a figure of who works when: a lane for each device and link, a block for each stage and message."""
    stations = [*devices, *dict.fromkeys(span.station for span in spans if span.station not in devices)]
    stations = [name for name in stations if any(span.station == name for span in spans)]
    figure, axes = _figure(8.4, 0.9 + 0.5 * len(stations))
    for span in spans:
        lane = stations.index(span.station)
        colour = DEVICES[devices.index(span.station) % len(DEVICES)] if span.station in devices else LINK
        block = {"color": colour, "alpha": (1.0, 0.75, 0.55, 0.4)[span.number % 4], "edgecolor": "white"}
        axes.barh(lane, (span.to_us - span.from_us) / 1e3, left=span.from_us / 1e3, height=0.7, **block)
    axes.set_yticks(range(len(stations)), [_plain(name) for name in stations])
    axes.invert_yaxis()
    axes.set_xlabel("ms")
    return figure


def draw_simulation(found: Simulation) -> Any:
    """Return a figure of a simulation's latencies, and of how many waited when."""
    figure, latencies, queues = _figure(8.4, 3.4, columns=2)
    shares = list(range(len(found.quantiles_us)))[:100]
    latencies.plot(shares, [found.quantiles_us[share] / 1e3 for share in shares], color=ACCENT, linewidth=2)
    latencies.set_xlabel("share of inputs in %")
    latencies.set_ylabel("latency in ms")
    latencies.set_ylim(bottom=0)
    devices = [use.name for use in found.stations if use.kind == "device"]
    for use, waiting in zip(found.stations, found.queues, strict=True):
        colour = DEVICES[devices.index(use.name) % len(DEVICES)] if use.name in devices else LINK
        queues.plot(found.sampled_s, waiting, linewidth=1.1, color=colour, label=_plain(use.name))
    queues.set_xlabel("seconds")
    queues.set_ylabel("inputs waiting")
    queues.legend(frameon=False)
    return figure


def _figure(width: float, height: float, columns: int = 1) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return (figure, *(figure.add_subplot(1, columns, place + 1) for place in range(columns)))


def _plain(name: str) -> str:
    # matplotlib reads what stands between dollars as mathematics.
    return name.replace("$", r"\$")
