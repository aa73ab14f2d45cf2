"""A plan as a page to look at, and as Markdown."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litedelegates.files import writable, write_whole
from litedelegates.plan.front import FrontPoint
from litedelegates.plan.records import Plan
from litedelegates.plan.sensitivity import Sensitivity
from litedelegates.plan.simulation import Simulation
from litedelegates.plan.story import tell
from litedelegates.plan.what_if import WhatIf
from litedelegates.report.page import compose
from litedelegates.report.plan_document import build_plan_document, plain
from litedelegates.report.summary import text

STYLES = ("style.css", "charts.css", "plan.css")
SCRIPTS = tuple(
    f"{name}.js"
    for name in (
        *("dom", "format", "scales", "frame", "theme"),
        *("plan", "plantips", "plancosts", "plandepth", "plantime", "planfront", "planwhatif", "plansimulation"),
        *("plantable", "planmain"),
    )
)


def write_plan_page(
    plan: Plan,
    path: str | os.PathLike[str],
    *,
    front: Sequence[FrontPoint] | None = None,
    what_if: WhatIf | None = None,
    simulation: Simulation | None = None,
    sensitivity: Sensitivity | None = None,
    left_out: Sequence[str] = (),
) -> Path:
    """Write a plan as one HTML file that needs no network.

    Args:
        plan: The plan.
        path: Where to write it; what is there is replaced.
        front: Other plans that nothing beats in all respects.
        what_if: The best plans over a range of bandwidths.
        simulation: What happens to many clients over time.
        sensitivity: How sure it is that the plan is the one to take.
        left_out: What is missing here because there was no time for it.

    Raises:
        OSError: It cannot be written.
    """
    document = plain(
        build_plan_document(
            plan, front=front, what_if=what_if, simulation=simulation, sensitivity=sensitivity, left_out=left_out
        )
    )
    write_whole(path, [writable(render_plan_page(document)).encode()])
    return Path(path)


def render_plan_page(document: Mapping[str, Any]) -> str:
    """Return the page of a document that `build_plan_document` made."""
    about = {"eyebrow": "Deployment plan", "skip": "#decisions", "plain": _plain(document)}
    return compose(document, STYLES, SCRIPTS, about)


def render_plan_summary(plan: Plan) -> str:
    """Return a plan in words as Markdown, for a pull request."""
    lines = [f"# Plan of {text(Path(plan.model).name)}"]
    for chapter in tell(plan):
        lines += ["", f"## {text(chapter.title)}", "", *(f"- {text(sentence)}" for sentence in chapter.sentences)]
    lines += [
        "",
        "## Decisions",
        "",
        "| Layer | Type | Choice | Stage | Predicted | Why |",
        "|---:|---|---|---:|---:|---|",
    ]
    for layer in plan.layers:
        cells = (layer.layer, layer.type, layer.choice.label, layer.stage, f"{layer.predicted_us:.4g} µs", layer.reason)
        lines.append(f"| {' | '.join(text(cell) for cell in cells)} |")
    return "\n".join([*lines, ""])


def _plain(document: Mapping[str, Any]) -> str:
    told = "".join(
        f"<h2>{html.escape(chapter['title'])}</h2><ul>"
        + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in chapter["sentences"])
        + "</ul>"
        for chapter in document["chapters"]
    )
    rows = "".join(
        f"<tr><th class='text'>{layer['index']} {html.escape(layer['type'])}</th>"
        f"<td class='text'>{html.escape(layer['precision'])} on {html.escape(layer['device'])}</td>"
        f"<td class='text wrap'>{html.escape(layer['reason'])}</td></tr>"
        for layer in document["layers"]
    )
    return f"<main>{told}<table><tbody>{rows}</tbody></table></main>"
