"""The files of a report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from litedelegates.errors import OptionError, nearest
from litedelegates.files import writable, write_whole
from litedelegates.report.choice import ACCURACY_LOSS, RELATIVE_ERROR
from litedelegates.report.document import build_document
from litedelegates.report.page import render_page
from litedelegates.report.plots import draw_plots
from litedelegates.report.summary import render_summary
from litedelegates.study.export import FORMATS, export
from litedelegates.study.store import Store

PLOTS = ("svg", "png")
REPORT_FORMATS = ("html", "markdown", *PLOTS, *FORMATS)


def write_report(
    store: Store,
    folder: str | os.PathLike[str],
    forms: Sequence[str] = ("html", "markdown"),
    *,
    title: str | None = None,
    accuracy_loss: float = ACCURACY_LOSS,
    relative_error: float = RELATIVE_ERROR,
) -> list[Path]:
    """Write a study into a folder, made where it is missing, in each format of ``REPORT_FORMATS`` asked for.

    Returns:
        The files written: ``index.html``, ``summary.md`` and so on.

    Raises:
        OptionError: There is no such format.
        MissingExtraError: What a format needs is not installed; nothing is written then.
        OSError: A file cannot be written.
    """
    for form in forms:
        if form not in REPORT_FORMATS:
            raise OptionError(f"there is no format {form!r}. {nearest(form, REPORT_FORMATS)}")
    document = build_document(store, title, accuracy_loss, relative_error)
    contents = dict(entry for form in dict.fromkeys(forms) for entry in _contents(store, document, form))
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_whole(target / name, [content])
    return [target / name for name in contents]


def _contents(store: Store, document: Mapping[str, Any], form: str) -> Iterator[tuple[str, bytes]]:
    if form == "html":
        yield "index.html", writable(render_page(document)).encode()
    elif form == "markdown":
        yield "summary.md", writable(render_summary(document)).encode()
    elif form in PLOTS:
        for name, content in draw_plots(document, form):
            yield f"{name}.{form}", content
    else:
        yield export(store, form)
