"""``litedelegates compare``: two studies, for a pipeline that should fail when something got slower or wrong."""

from __future__ import annotations

import argparse
import json
from typing import Any

from litedelegates.cli.arguments import HelpFormatter
from litedelegates.cli.outcome import complain
from litedelegates.errors import LiteDelegatesError, OptionError
from litedelegates.measure import RatioInterval
from litedelegates.study import Store
from litedelegates.study.compare import TOO_FAST, Change, Comparison, NotComparableError, compare
from litedelegates.study.counterparts import ALLOWANCES
from litedelegates.study.gates import COUNTS, METRICS, Gate

FAILED, USAGE, NOT_COMPARABLE = 1, 2, 3
SHOWN = 6


def _epilog() -> str:
    metrics = {name: what for table in (METRICS, COUNTS) for name, (what, _) in table.items()}
    return "\n".join(
        [
            "metrics (ratios are new over old; a percentage is the change of a ratio, and a share elsewhere):",
            *(f"  {name:18} {what}" for name, what in metrics.items()),
            "",
            "exit codes: 0 no condition holds, 1 one does, 2 wrong arguments or files, 3 not comparable",
            "",
            "examples:",
            "  litedelegates compare old.sqlite new.sqlite --fail-on 'median_ratio>1.05' --fail-on 'missing>0'",
            "  litedelegates compare --allow machine,governor pi4.sqlite pi5.sqlite",
        ]
    )


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="compare two studies, and fail where one is worse",
        description="Compare two studies. Studies of other machines, threads, models or options are refused. The two "
        "were not measured in turn: a machine that was busier in one of them shows in median_ratio, and not in "
        "reference_ratio, which goes by the reference of each study.",
        epilog=_epilog(),
        formatter_class=HelpFormatter,
    )
    parser.add_argument("old", help="the study that came first")
    parser.add_argument("new", help="the study to judge")
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        type=_gate,
        metavar="CONDITION",
        help="METRIC>NUMBER, such as 'median_ratio>1.05' or 'median_ratio>5%%', which is the same; may be repeated; a "
        "configuration that worked in the old study and does not in the new one fails too",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="A,A",
        help=f"compare despite another {', '.join(ALLOWANCES)}; may be repeated",
    )
    parser.add_argument(
        "--too-fast",
        type=float,
        default=TOO_FAST,
        metavar="RATIO",
        help=f"flag a median_ratio below this as suspicious (default: {TOO_FAST})",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Print the comparison and return the exit code."""
    allow = [name.strip() for names in options.allow for name in names.split(",") if name.strip()]
    try:
        with Store.open(options.old) as old, Store.open(options.new) as new:
            found = compare(old, new, allow, options.too_fast)
        failures = [failure for gate in options.fail_on for failure in gate.failures(found)]
    except NotComparableError as error:
        complain("compare", str(error))
        return NOT_COMPARABLE
    except (LiteDelegatesError, OSError) as error:
        complain("compare", str(error))
        return USAGE
    if options.fail_on:  # else a configuration that crashes would pass every condition on its times
        failures += [f"{change.label} worked before" for change in found.changes if change.is_broken]
    if options.json:
        print(json.dumps(_record(found, failures), indent=1))
    else:
        _print(found, failures)
    return FAILED if failures else 0


def _gate(text: str) -> Gate:
    try:
        return Gate.parse(text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _print(found: Comparison, failures: list[str]) -> None:
    rows: list[tuple[str, ...]] = [("", "old us", "new us", "new / old", "against reference", "verdict")]
    rows += [_row(change) for change in found.changes]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            text.ljust(width) if i in (0, 5) else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    for change in found.changes:
        for note in change.notes:
            print(f"note: {change.label}: {note}")
        if change.is_too_fast:
            print(f"note: {change.label} is suspiciously fast: check that it still computes what it did")
    for difference in found.differences:
        print(f"differs: {difference}")
    for what, labels in (("old", found.only_old), ("new", found.only_new)):
        if labels:
            more = f"; and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
            print(f"only in the {what} study: {'; '.join(labels[:SHOWN])}{more}")
    for failure in failures:
        print(f"FAILED {failure}")


def _row(change: Change) -> tuple[str, ...]:
    medians = [_number(study.median_ns and study.median_ns / 1000) for study in (change.old, change.new)]
    return (change.label, *medians, _ratio(change.ratio), _ratio(change.against_reference), change.verdict)


def _ratio(ratio: RatioInterval | None) -> str:
    if ratio is None:
        return ""
    bounds = "" if ratio.low is None else f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    return f"{ratio.ratio:.3f}{bounds}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:#.4g}"


def _record(found: Comparison, failures: list[str]) -> dict[str, Any]:
    changes = [
        {
            "key": change.new.cell.key,
            "label": change.label,
            "old_status": change.old.status,
            "new_status": change.new.status,
            **{name: metric(change) for name, (_, metric) in METRICS.items()},
            "verdict": change.verdict,
            "too_fast": change.is_too_fast,
            "notes": list(change.notes),
        }
        for change in found.changes
    ]
    return {
        "changes": changes,
        "only_old": list(found.only_old),
        "only_new": list(found.only_new),
        "differences": list(found.differences),
        "failures": failures,
    }
