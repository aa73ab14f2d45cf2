"""Which configurations of two studies are the same, and in what the studies differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litedelegates.study.figures import Figures
from litedelegates.study.records import Cell
from litedelegates.study.store import Store

ALLOWANCES = {
    "machine": "another machine",
    "governor": "another governor of the clock",
    "threads": "another number of threads",
    "model": "another content of the model file of the same name",
    "options": "other options of the delegates",
}
_MACHINE_FIELDS = ("cpu_model", "board", "architecture", "cores", "memory_mb")


def machine_differences(old: Store, new: Store) -> list[tuple[str, str]]:
    """Return the allowance and the words for each respect in which the machines differ."""
    before, now = _machine(old), _machine(new)
    found = []
    for name in (*_MACHINE_FIELDS, "governor"):
        a, b = before.get(name), now.get(name)
        # The kernel takes a varying share of the memory for itself.
        same = a == b or (name == "memory_mb" and a and b and abs(a - b) < 0.02 * max(a, b))
        if not same:
            kind = "governor" if name == "governor" else "machine"
            found.append((kind, f"{name.replace('_', ' ')} {_known(a)} before, {_known(b)} now"))
    return found


def version_differences(old: Store, new: Store) -> list[str]:
    """Return the packages whose version changed, which is often what is to be judged."""
    before, now = ({} if not s.sessions() else dict(s.sessions()[-1].versions) for s in (old, new))
    names = dict.fromkeys([*before, *now])
    return [
        f"{name} {_known(before.get(name))} before, {_known(now.get(name))} now"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _machine(store: Store) -> dict[str, Any]:
    sessions = store.sessions()
    return dict(sessions[-1].machine) if sessions else {}


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def pair(old: Sequence[Figures], new: Sequence[Figures]) -> tuple[list[tuple[Figures, Figures]], list[tuple[str, str]]]:
    """Return the pairs, and the allowance and the words for each respect in which the two of a pair differ.

    Equal cells are paired first. What then has one counterpart that is nearer than all others is paired with it; where
    the same configuration has an equal pair already, it is one more of its kind and has no counterpart.
    """
    by_key = {figures.cell.key: figures for figures in old}
    pairs = [(by_key[f.cell.key], f) for f in new if f.cell.key in by_key]
    settled = {f.cell.key for _, f in pairs}
    kinds_settled = {_kind(f.cell) for _, f in pairs}
    left = [f for f in old if f.cell.key not in settled and _kind(f.cell) not in kinds_settled]
    found = []
    for figures in new:
        of_its_kind = [other for other in left if _kind(other.cell) == _kind(figures.cell)]
        likely = sorted(
            ((_differing(other.cell, figures.cell), other) for other in of_its_kind), key=lambda entry: len(entry[0])
        )
        if figures.cell.key in settled or not likely:
            continue
        if len(likely) > 1 and len(likely[0][0]) == len(likely[1][0]):
            continue  # which one is not for us to say
        names, other = likely[0]
        left.remove(other)
        pairs.append((other, figures))
        found += [(name, f"{other.cell.label} and {figures.cell.label} are with {ALLOWANCES[name]}") for name in names]
    order = {figures.cell.key: index for index, figures in enumerate(new)}
    return sorted(pairs, key=lambda entry: order[entry[1].cell.key]), found


def _kind(cell: Cell) -> tuple[str, str, str]:
    return cell.model_name, cell.precision, cell.delegate


def _differing(old: Cell, new: Cell) -> list[str]:
    """Return in what two cells of a kind differ."""
    checks = {
        "threads": old.threads != new.threads,
        "model": old.model_sha256 != new.model_sha256,
        "options": dict(old.options) != dict(new.options),
    }
    return [name for name, differs in checks.items() if differs]
