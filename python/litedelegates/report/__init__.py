"""Report: a study as a page to look at, as Markdown, as plots and as tables."""

from litedelegates.report.choice import Choice, choose
from litedelegates.report.document import build_document
from litedelegates.report.page import render_page
from litedelegates.report.plan_page import render_plan_summary, write_plan_page
from litedelegates.report.summary import render_summary
from litedelegates.report.write import REPORT_FORMATS, write_report

__all__ = [
    "REPORT_FORMATS",
    "Choice",
    "build_document",
    "choose",
    "render_page",
    "render_plan_summary",
    "render_summary",
    "write_plan_page",
    "write_report",
]
