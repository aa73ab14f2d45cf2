"""What a cell was asked: all that its numbers depend on besides the cell itself, so that no other question gets them.

Every field of `StudyConfig` is in one of the groups below; a test holds them against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from litedelegates.study.config import FLOAT32, StudyConfig
from litedelegates.study.database import StoreError
from litedelegates.study.delegates import hash_libraries
from litedelegates.study.records import Cell, Outcome
from litedelegates.study.sources import Sources
from litedelegates.study.store import Store

Question: TypeAlias = "Mapping[str, Any]"

# They make the cells, and are part of `Cell.key`.
MATRIX = ("models", "precisions", "delegates", "threads")
# How a cell is measured, and on what: blocks that differ in it do not belong together.
METHOD = (
    "inputs",
    "labels",
    "calibration",
    "allow_float32_ops",
    "seed",
    "block_seconds",
    "warmup_seconds",
    "warmup_runs",
)
# How much is measured of a cell: one that is not finished goes on with another amount.
AMOUNT = ("seconds", "rounds", "num_runs", "max_seconds", "within", "ratio_within", "loads")
# They decide only whether a cell fails; one that has failed is measured anew.
LIMITS = ("time_limit", "memory_limit_mb")
# Which cells are in memory beside a cell, whose figures are of its own process.
NO_MATTER = ("max_loaded",)

NEEDS_CALIBRATION = ("int8", "int16x8")
_OF_QUANTIZING = ("calibration", "allow_float32_ops")
LIBRARIES = "libraries"
_SHOWN_CELLS = 3


def question_of(config: StudyConfig, cell: Cell, sources: Sources) -> dict[str, Any]:
    """Return what is asked of a cell; files are named by the digest of their content.

    Raises:
        OSError: A file cannot be read.
    """
    asked = {name: getattr(config, name) for name in (*METHOD, *AMOUNT, *LIMITS)}
    for name in ("inputs", "labels", "calibration"):
        path = asked[name]
        if path is not None and (name != "calibration" or Path(path).is_file()):
            asked[name] = sources.sha256(path)
    if cell.precision == FLOAT32:
        for name in _OF_QUANTIZING:
            del asked[name]
    elif cell.precision not in NEEDS_CALIBRATION:
        del asked["calibration"]
    if libraries := hash_libraries(cell.delegate):
        asked[LIBRARIES] = libraries
    return asked


def is_answered(outcome: Outcome | None, asked: Question, *, retry: bool) -> bool:
    """Return whether a cell has ended, and would end so again."""
    if outcome is None or not outcome.is_final:
        return False
    if outcome.status == "ok":
        return True
    before = outcome.asked or {}
    return not retry and all(before.get(name) == asked.get(name) for name in LIMITS)


def check_asked(store: Store, questions: Iterable[tuple[Cell, Question]]) -> None:
    """Refuse to answer a question with the numbers of another.

    Raises:
        StoreError: Cells of the store were measured otherwise; says which, and in what that differs.
    """
    found: dict[str, list[Cell]] = {}
    for cell, asked in questions:
        outcome = store.outcome(cell)
        if outcome is None or (outcome.status != "ok" and not store.has_blocks(cell)):
            continue  # there is no number that could be mistaken
        names = (*METHOD, LIBRARIES, *(AMOUNT if outcome.status == "ok" else ()))
        if outcome.asked is None:
            found.setdefault("what was asked then is not written down", []).append(cell)
        elif differences := [
            _said(name, outcome.asked, asked) for name in names if _differs(name, outcome.asked, asked)
        ]:
            found.setdefault(f"measured with {', '.join(differences)}", []).append(cell)
    if found:
        raise StoreError(
            f"{store.path} holds the answer to another question: "
            + "; ".join(f"{_some(cells)}: {how}" for how, cells in found.items())
            + ". Name another --store"
        )


def _differs(name: str, before: Question, now: Question) -> bool:
    return bool(before.get(name) != now.get(name))


def _said(name: str, before: Question, now: Question) -> str:
    if name == LIBRARIES:
        return "another content of a delegate's library"
    return f"{name.replace('_', ' ')} {_value(name, before.get(name))} (now: {_value(name, now.get(name))})"


def _value(name: str, value: Any) -> str:
    if value is None:
        return {"inputs": "random", "labels": "none", "num_runs": "none"}.get(name, "not given")
    return f"SHA-256 {value[:12]}" if isinstance(value, str) and value != "random" else str(value)


def _some(cells: list[Cell]) -> str:
    shown = ", ".join(cell.label for cell in cells[:_SHOWN_CELLS])
    return shown + (f" and {len(cells) - _SHOWN_CELLS} more" if len(cells) > _SHOWN_CELLS else "")
