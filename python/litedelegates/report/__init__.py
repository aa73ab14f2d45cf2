"""Report: a study as a page to look at, as Markdown, as plots and as tables."""

from litedelegates.report.choice import Choice, choose
from litedelegates.report.document import build_document
from litedelegates.report.page import render_page

__all__ = ["Choice", "build_document", "choose", "render_page"]
