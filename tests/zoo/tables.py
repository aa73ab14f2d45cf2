"""The tables of the second half of the zoo."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median
from typing import Any

from zoo.quantizing import PRECISIONS
from zoo.verdicts import contradictions

Rows = list[dict[str, Any]]
STATUSES = ("fine", "warned", "refused", "silent wrong number")


def markdown(rows: Rows) -> str:
    """Return all tables that there are rows for."""
    parts = [quantized(rows), refusals(rows), cuts(rows), studies(rows), plans(rows)]
    return "\n\n".join(part for part in parts if part)


def quantized(rows: Rows) -> str:
    """Return how many models of each group and precision were fine, warned of, refused, or wrong without a word."""
    chosen = [row for row in rows if row["step"] == "quantize"]
    lines = []
    for group in dict.fromkeys(row["group"] for row in chosen):
        for precision in PRECISIONS:
            own = [row for row in chosen if (row["group"], row["what"]) == (group, precision)]
            counts = Counter(row["status"] for row in own)
            others = ", ".join(f"{count} {status}" for status, count in counts.items() if status not in STATUSES)
            asked = sum(bool(row.get("allowed")) and "error" in row for row in own)
            errors = sorted(row["error"] for row in own if "error" in row and row["status"] == "fine")
            shown = f"{median(errors):.2g} | {errors[-1]:.2g}" if errors else "- | -"
            numbers = " | ".join(str(counts[status]) for status in STATUSES)
            lines.append(f"| {group} | {precision} | {len(own)} | {numbers} | {others or 0} | {asked} | {shown} |")
    if not lines:
        return ""
    head = (
        "| Models | precision | of | fine | warned | refused | silent wrong number | other | ops in float32 | "
        "error, median | largest |"
    )
    return "\n".join([head, "| --- | --- |" + " ---: |" * 9, *lines])


def refusals(rows: Rows) -> str:
    """Return why models were refused, warned of, or need ops left in float32, each reason with its number of models."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        if row["step"] != "quantize":
            continue
        if row["status"] == "refused":
            found.setdefault((row["what"], "refused"), Counter())[_gist(row["reason"])] += 1
        elif row.get("refused"):
            left = found.setdefault((row["what"], "left in float32"), Counter())
            left.update(_left_in_float32(row["refused"]))
        if row.get("warnings"):
            told = {_warned_of(warning) for warning in row["warnings"]}
            found.setdefault((row["what"], "warned"), Counter()).update(told)
    if not found:
        return ""
    lines = [
        f"| {precision} | {kind} | {', '.join(f'{reason} {count}' for reason, count in counts.most_common())} |"
        for (precision, kind), counts in sorted(found.items(), key=lambda entry: PRECISIONS.index(entry[0][0]))
    ]
    return "\n".join(["| Precision | what | reason and number of models |", "| --- | --- | --- |", *lines])


def _warned_of(warning: str) -> str:
    """Return what a warning is about."""
    phrases = {
        "stayed float32": "a mask left in float32",
        "columns": "columns of an output lost",
        "is off by": "off by more than rounding explains",
    }
    return next((about for phrase, about in phrases.items() if phrase in warning), _gist(warning))


def _left_in_float32(refusal: str) -> list[str]:
    """Return the types of the ops that stayed float32, or the gist of a refusal for another reason."""
    named = re.search(r"exclude=\[([^\]]*)\]", refusal)
    if named:
        return re.findall(r"'([^']*)'", named[1])
    return list(dict.fromkeys(re.findall(r"\d+ ([A-Z]\w*) '", refusal))) or [_gist(refusal)]


def cuts(rows: Rows) -> str:
    """Return how many cuts gave the bits of the whole."""
    chosen = [row for row in rows if row["step"] == "cut"]
    lines = []
    for group in dict.fromkeys(row["group"] for row in chosen):
        own = [row for row in chosen if row["group"] == group]
        tried = [cut for row in own for cut in row.get("cuts", ())]
        single = [cut["status"] for cut in tried if len(cut["at"]) == 1]
        together = [cut["status"] for cut in tried if len(cut["at"]) > 1]
        cells = [f"{statuses.count('equal')} of {len(statuses)}" for statuses in (single, together)]
        lines.append(f"| {group} | {len(own)} | {cells[0]} | {cells[1]} | {together.count('refused')} |")
    if not lines:
        return ""
    head = "| Models | of | single cuts with the bits of the whole | five at once | of these refused |"
    return "\n".join([head, "| --- |" + " ---: |" * 4, *lines])


def studies(rows: Rows) -> str:
    """Return how far the studies came, and whether their errors are those of the engines that judge."""
    chosen = [row for row in rows if row["step"] == "study"]
    quantized_rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["step"] == "quantize":
            quantized_rows.setdefault((row["group"], row["model"]), {})[row["what"]] = row
    lines = []
    for group in dict.fromkeys(row["group"] for row in chosen):
        own = [row for row in chosen if row["group"] == group]
        statuses = Counter(row["status"] for row in own)
        settings = [setting for row in own for setting in row.get("settings", ())]
        mapped = sum(not setting["unmapped"] for setting in settings)
        compared = sum(len(row.get("errors", ())) for row in own)
        wrong = sum(len(contradictions(row, quantized_rows.get((group, row["model"]), {}))) for row in own)
        failed = len(own) - statuses["studied"] - statuses["studied in part"]
        lines.append(
            f"| {group} | {len(own)} | {statuses['studied']} | {statuses['studied in part']} | {failed} | "
            f"{mapped} of {len(settings)} | {compared - wrong} of {compared} |"
        )
    if not lines:
        return ""
    head = (
        "| Models | of | studied | cut off by the limit | failed | profiles without an unmapped kernel | "
        "errors of outputs as the engines have them |"
    )
    return "\n".join([head, "| --- |" + " ---: |" * 6, *lines])


def plans(rows: Rows) -> str:
    """Return what each plan promised and what was measured: times, errors, and how much faster than float32 it is."""
    lines = []
    for row in rows:
        if row["step"] != "plan":
            continue
        promised, found = row.get("promised"), row.get("verified")
        name = f"{row['group']} {row['model']}"
        if promised is None or found is None:
            lines.append(f"| {name} | {row['status']}: {_gist(str(row.get('reason')))} | | | | | | | |")
            continue
        whole = next((stage for stage in found.get("stages", ()) if stage["stage"] == -1), {})
        kinds = ", ".join(f"{count} {kind}" for kind, count in promised["precisions"].items())
        measured, gain = whole.get("median_us"), promised.get("gain") or {}
        off = f"{promised['latency_us'] / measured - 1:+.0%}" if measured else "-"
        advice = "keep float32" if gain and gain["low"] <= 1 else "take it"
        errors = f"{promised['error'] or 0.0:.2g} | {_number(found.get('error') or 0.0, 2)}"
        lines.append(
            f"| {name} | {kinds} | {advice} | {_interval(gain)} | {_interval(row.get('timed') or {})} | "
            f"{promised['latency_us']:.4g} | {_number(measured)} | {off} | {errors} |"
        )
    if not lines:
        return ""
    head = (
        "| Model | plan, layers | says | times as fast as float32, promised | as the engine has it | promised µs | "
        "measured µs | off | promised error | measured |"
    )
    return "\n".join([head, "| --- | --- | --- |" + " ---: |" * 7, *lines])


def _interval(ratio: dict[str, Any]) -> str:
    return f"{ratio['ratio']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]" if ratio else "-"


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _gist(reason: str) -> str:
    """Return a reason without the names and numbers of its model, so that equal ones count together."""
    short = re.sub(r"'[^']*'", "…", reason)
    short = re.sub(r"\b\d[\d.,e+-]*", "N", short)
    return short.replace("|", "/").replace("\n", " ")[:160]
