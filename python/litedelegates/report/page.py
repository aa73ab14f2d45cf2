"""The page: one file with its style, its program and its data inside, which asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import litedelegates.report
from litedelegates.files import writable

STYLES = ("style.css", "charts.css", "layers.css")
# In the order they are run: each uses what stands before it, `main.js` starts.
SCRIPTS = tuple(
    f"{name}.js"
    for name in (
        *("dom", "format", "scales", "study", "marks", "frame", "speedup", "pareto", "distribution", "placement"),
        *("results", "detail", "overview"),
        *("errortrack", "layers", "zoom", "tracks", "layertip", "layertable", "findings", "tracknotes", "depth"),
        "theme",
        "main",
    )
)


def render_page(document: Mapping[str, Any]) -> str:
    """Return the page of a document that `build_document` made."""
    about = {"eyebrow": "Inference study", "skip": "#results", "plain": _plain_table(document)}
    return compose(document, STYLES, SCRIPTS, about)


def compose(
    document: Mapping[str, Any], styles: Sequence[str], scripts: Sequence[str], about: Mapping[str, str]
) -> str:
    """Return a page that draws a document.

    Names from models reach it as text only: inside the data every ``<``, ``>`` and ``&`` is written as an escape, the
    program makes text nodes of them, and the policy of the page runs no script but the one whose digest it carries.

    Args:
        document: What it draws, with its ``title``; plain values.
        styles: Names of the assets that make its style.
        scripts: Those that make its program, in the order they are run.
        about: ``eyebrow`` above the title, ``skip`` (where the first link leads), and ``plain``: what is shown
            without the program. They are HTML.
    """
    style = "".join(_asset(name) for name in styles)
    script = '"use strict";\n' + "".join(_asset(name) for name in scripts)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    values = {
        **about,
        "title": html.escape(str(document["title"])),
        "generator": "litedelegates",
        "policy": html.escape(policy, quote=True),
        "style": style,
        "script": script,
        "data": embed(document),
    }
    # One pass, so that nothing in a value is taken for a place to fill.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _asset("page.html"))


def embed(document: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the script element it stands in.

    Raises:
        ValueError: A number is NaN or infinite, which JSON does not have.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _plain_table(document: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th class='text'>{html.escape(cell['model'])}: {html.escape(cell['label'])}</th>"
        f"<td>{_number(cell['median_us'])} µs</td><td>{_number((cell['speed_up'] or {}).get('ratio'))}×</td>"
        f"<td class='text'>{html.escape(cell['status'])} {html.escape(cell['reason'] or '')}</td></tr>"
        for cell in document["cells"]
    )
    head = "<tr><th class='text'>Configuration</th><th>Median</th><th>Speed-up</th><th class='text'>Status</th></tr>"
    layers = "".join(
        f"<h2>Layers of {html.escape(study['name'])}</h2><ul>"
        + "".join(f"<li>{html.escape(sums['text'])}</li>" for sums in study["findings"]["sums"].values())
        + "</ul>"
        for study in document["layers"]
    )
    return (f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows or not layers else "") + layers


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(writable(text).encode()).digest()).decode()}"


def _asset(name: str) -> str:
    return (resources.files(litedelegates.report) / "assets" / name).read_text(encoding="utf-8")
