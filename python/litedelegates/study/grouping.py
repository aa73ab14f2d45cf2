"""Which cells are measured together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from litedelegates.study.records import Cell


def group_cells(pairs: Iterable[tuple[Cell, Cell]], max_loaded: int) -> Iterator[tuple[str, list[Cell]]]:
    """Yield the name and the cells of each group: of one model and thread count, with their base as the first.

    Args:
        pairs: Cells with their bases.
        max_loaded: Cells of a group at most; a base with more cells than that is in several.
    """
    others: dict[str, list[Cell]] = {}
    bases: dict[str, Cell] = {}
    for cell, base in pairs:
        bases[base.key] = base
        others.setdefault(base.key, []).extend([] if cell.key == base.key else [cell])
    for key, base in bases.items():
        size = max_loaded - 1
        for part, start in enumerate(range(0, max(len(others[key]), 1), size), start=1):
            name = f"{base.model_name} {base.model_sha256[:8]} {base.threads}t {key}"
            yield (f"{name} part {part}" if part > 1 else name), [base, *others[key][start : start + size]]
