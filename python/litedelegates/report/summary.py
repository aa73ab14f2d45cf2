"""The report in Markdown, for a pull request or a README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litedelegates.words import digits, say_us

HEAD = ("Configuration", "Median", "Speed-up", "Accuracy", "Relative error", "Ran on")


def render_summary(document: Mapping[str, Any]) -> str:
    """Return a document that `build_document` made as Markdown."""
    lines = [f"# {text(document['title'])}", "", text(document["lede"])]
    lines += ["", text(document["rule"]), ""] if document["cells"] or not document["layers"] else []
    by_key = {cell["key"]: cell for cell in document["cells"]}
    for model in document["models"]:
        best = by_key.get(model["best"])
        chosen = f"**{text(best['label'])}**, {say_time(best)}. " if best else ""
        lines += [f"- {text(model['name'])}: {chosen}{text(model['why'])}"]
    if document["warnings"]:
        lines += ["", "## Keep in mind", ""]
        lines += [f"- {text(' '.join(filter(None, (w['text'], w['reach']))))}" for w in document["warnings"]]
    for model in document["models"]:
        lines += ["", f"## {text(model['name'])}", "", _row(HEAD), _row(["---", *["---:"] * 4, "---"])]
        lines += [_row(_cells(c, model)) for c in document["cells"] if c["model_key"] == model["key"]]
    for study in document["layers"]:
        lines += ["", f"## Layers of {text(study['name'])}", "", *layer_lines(study)]
    for group in document["provenance"]:
        lines += ["", f"## {text(group['title'])}", ""]
        lines += [f"- {text(name)}: {text(value)}" for name, value in group["facts"]]
    return "\n".join([*lines, "", text(document["foot"]), ""])


def layer_lines(study: Mapping[str, Any]) -> list[str]:
    """Return what stands out in a document of `layers_document`, as lines of Markdown."""
    found, layers, lines = study["findings"], study["layers"], []

    def named(position: int) -> str:
        return f"{layers[position]['index']} {layers[position]['type']}"

    if found["sums"]:
        head = ("Setting", "Whole model", "Layers in place, sum", "Layers alone, sum", "Slowest layers in place")
        lines += [_row(head), _row(["---", *["---:"] * 3, "---"])]
        for label, sums in found["sums"].items():
            times = [sums["whole_us"], sums["in_place_us"], sums["alone_us"]]
            slowest = (f"{named(at)} {share * 100:.1f} %" for at, _, share in found["slowest"].get(label, [])[:3])
            cells = [label, *("–" if us is None else say_us(us) for us in times), ", ".join(slowest)]
            cells[2] += " (estimate)" if sums["is_estimate"] else ""
            cells[3] += f" ({sums['missing']} missing)" if sums["missing"] else ""
            lines.append(_row([text(cell) for cell in cells]))
        lines.append("")
    for one in found["worst"]:
        worst = (f"{named(at)} {decibels:.1f} dB" for at, decibels in one["layers"][:3])
        lines.append(f"- Largest error, {one['kind']}, {text(one['precision'])}: {text(', '.join(worst))}.")
    if found["cuts"]:
        cuts = (
            f"{named(at)} {study['cuts']['float32'][at] / 1000:.3g} kB"
            + ("" if share is None else f" ({share * 100:.0f} % of the time before it)")
            for at, share in found["cuts"]
        )
        lines.append(f"- Cuts that send less than every earlier one, in float32, after: {text(', '.join(cuts))}.")
    lines += [f"- {text(one['precision'])}: {text(one['refusal'])}" for one in study["variants"] if one["refusal"]]
    for one in study["settings"]:
        if one["in_place"] and one["in_place"]["refusal"]:
            lines.append(f"- {text(one['label'])}: {text(one['in_place']['refusal'])}")
    return lines


def say_time(cell: Mapping[str, Any]) -> str:
    """Return the median latency with its interval, in the unit that suits it."""
    us = cell["median_us"]
    if us is None:
        return "–"
    units = ((1e6, "s"), (1e3, "ms"), (1.0, "µs"))
    size, unit = next((entry for entry in units if us >= entry[0]), (1e-3, "ns"))
    low_high = cell["interval_us"]
    interval = "" if low_high is None else f" [{digits(low_high[0] / size)}, {digits(low_high[1] / size)}]"
    return f"{digits(us / size)}{interval} {unit}"


def text(value: object) -> str:
    """Return text that Markdown and the HTML in it leave as it is, on one line."""
    escaped = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*[]|":
        escaped = escaped.replace(character, f"\\{character}")
    return " ".join(escaped.split())


def _cells(cell: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    name = f"**{text(cell['label'])}**" if cell["key"] == model["best"] else text(cell["label"])
    if cell["status"] != "ok":
        return [name, "", "", "", "", text(f"{cell['status']}: {cell['reason']}" if cell["reason"] else cell["status"])]
    speed_up, error = cell["speed_up"], cell["error"] or {}
    faster = "–"
    if speed_up:
        bounds = "" if speed_up["low"] is None else f" [{digits(speed_up['low'])}, {digits(speed_up['high'])}]"
        faster = "reference" if cell["is_base"] else f"{digits(speed_up['ratio'])}×{bounds}"
    accuracy = "–" if cell["accuracy"] is None else f"{cell['accuracy'] * 100:.1f} %"
    relative = "–" if error.get("relative") is None else f"{error['relative']:.2g}"
    placed = ", ".join(f"{host} {count}" for host, count in cell["placement"])
    flag = " ⚠" if any(condition.get("severity") != "note" for condition in cell["conditions"]) else ""
    return [name + flag, text(say_time(cell)), text(faster), accuracy, relative, text(placed)]


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
