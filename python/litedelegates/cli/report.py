"""``litedelegates report``: a study as a page to look at."""

from __future__ import annotations

import argparse
import json
from typing import Any

from litedelegates.cli.arguments import HelpFormatter
from litedelegates.report import REPORT_FORMATS, write_report
from litedelegates.report.choice import ACCURACY_LOSS, RELATIVE_ERROR
from litedelegates.study import Store

EXAMPLES = """examples:
  litedelegates report study.sqlite -o report/                       # report/index.html and report/summary.md
  litedelegates report study.sqlite -o report/ --format csv --format svg
  litedelegates report study.sqlite -o report/ --accuracy-loss 0.005 # choose only among what loses half a point
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="write a study as a page to look at",
        description="Write a study as one HTML page that needs no network, a Markdown summary, plots, or tables for "
        "other tools. A study that is still being written can be read.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("store", help="the file of a study")
    parser.add_argument("-o", "--output", default="report", metavar="FOLDER", help="where to write (default: report)")
    parser.add_argument(
        "--format",
        action="append",
        choices=REPORT_FORMATS,
        metavar="FORMAT",
        help=f"{', '.join(REPORT_FORMATS)}; may be repeated (default: html and markdown)",
    )
    parser.add_argument("--title", help="the heading (default: the names of the models)")
    parser.add_argument(
        "--accuracy-loss",
        type=_share,
        default=ACCURACY_LOSS,
        metavar="SHARE",
        help=f"how much accuracy the configuration to choose may lose (default: {ACCURACY_LOSS})",
    )
    parser.add_argument(
        "--relative-error",
        type=_share,
        default=RELATIVE_ERROR,
        metavar="SHARE",
        help=f"the error it may have where there are no labelled inputs (default: {RELATIVE_ERROR})",
    )
    parser.add_argument("--json", action="store_true", help="print the names of the files as JSON")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Write the report."""
    with Store.open(options.store) as store:
        files = write_report(
            store,
            options.output,
            options.format or ("html", "markdown"),
            title=options.title,
            accuracy_loss=options.accuracy_loss,
            relative_error=options.relative_error,
        )
    names = [str(file) for file in files]
    print(json.dumps({"files": names}) if options.json else "\n".join(names))
    return 0


def _share(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text} must not be negative, such as 0.01")
    return value
