"""What a reader of a study must keep in mind."""

from __future__ import annotations

from collections.abc import Sequence

from litedelegates.report.choice import is_explained, short_label
from litedelegates.study.figures import Figures
from litedelegates.study.store import Store

SOFTWARE_GPUS = ("swiftshader", "llvmpipe", "lavapipe")


def warnings(store: Store, figures: Sequence[Figures]) -> list[dict[str, str]]:
    """Return each warning as ``text`` and ``reach``: which configurations it concerns."""
    found = [*_conditions(figures), *_states(figures)]
    found += [{"text": text, "reach": ""} for text in _sessions(store)]
    return found


def _conditions(figures: Sequence[Figures]) -> list[dict[str, str]]:
    by_kind: dict[tuple[bool, str], tuple[list[str], list[Figures]]] = {}
    for entry in figures:
        for condition in entry.outcome.conditions if entry.outcome is not None else ():
            texts, where = by_kind.setdefault(
                (condition.get("severity") == "note", str(condition.get("kind", ""))), ([], [])
            )
            texts.append(str(condition.get("text", "")))
            if entry not in where:
                where.append(entry)
    return [
        {"text": _sentence(texts), "reach": _reach(where, figures)}
        for _, (texts, where) in sorted(by_kind.items(), key=lambda item: item[0][0])
    ]


def _sentence(texts: Sequence[str]) -> str:
    text = texts[0].strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}{' (and similar)' if len(set(texts)) > 1 else ''}."


def _states(figures: Sequence[Figures]) -> list[dict[str, str]]:
    found = []
    software = [
        entry
        for entry in figures
        if entry.outcome is not None and any(name in (entry.outcome.device or "").lower() for name in SOFTWARE_GPUS)
    ]
    if software:
        text = "The GPU is one in software: its times say nothing about a real one."
        found.append({"text": text, "reach": _reach(software, figures)})
    unexplained = [entry for entry in figures if entry.is_measured and not is_explained(entry, figures)]
    if unexplained:
        text = "The outputs are wrong: they differ by more than the precision explains."
        found.append({"text": text, "reach": _reach(unexplained, figures)})
    by_doubt: dict[str, list[Figures]] = {}
    for entry in figures:
        doubt = (entry.outcome.error or {}).get("doubt") if entry.outcome is not None else None
        if doubt:
            by_doubt.setdefault(str(doubt), []).append(entry)
    for doubt, where in by_doubt.items():
        found.append({"text": f"What the outputs should be is in doubt: {doubt}.", "reach": _reach(where, figures)})
    by_status: dict[str, list[Figures]] = {}
    for entry in figures:
        if entry.status != "ok":
            by_status.setdefault(entry.status, []).append(entry)
    for status, where in by_status.items():
        text = "Not finished: figures may still change." if status == "unfinished" else f"Not measured: {status}."
        found.append({"text": text, "reach": _reach(where, figures)})
    few = [entry for entry in figures if entry.is_measured and entry.median_interval_ns is None]
    if few:
        found.append({"text": "Too few rounds for an interval.", "reach": _reach(few, figures)})
    return found


def _sessions(store: Store) -> list[str]:
    sessions = store.sessions()
    said = []
    names = ("cpu_model", "board", "architecture", "cores")
    if len({tuple(str(session.machine.get(name)) for name in names) for session in sessions}) > 1:
        said.append("The study was continued on another machine: its figures cannot be compared with each other.")
    if len({tuple(sorted(session.versions.items())) for session in sessions}) > 1:
        said.append("The study was continued with other versions of the packages.")
    if sessions and sessions[-1].how == "interrupted":
        said.append("The study was interrupted; running it again completes it.")
    return said


def _reach(where: Sequence[Figures], figures: Sequence[Figures]) -> str:
    if len(where) == len(figures):
        return "All configurations."
    several = len({entry.cell.model_sha256 for entry in figures}) > 1
    names = [entry.cell.label if several else short_label(entry) for entry in where[:4]]
    more = f" and {len(where) - 4} more" if len(where) > 4 else ""
    return f"{len(where)} of {len(figures)}: {'; '.join(names)}{more}."
