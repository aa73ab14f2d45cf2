"""Finds circles among things that reach others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def circles(reached: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of names that all reach each other, each sorted."""
    edges = {name: set(targets) & set(reached) - {name} for name, targets in reached.items()}
    around = {name: closure(name, edges) for name in edges}
    groups = {tuple(sorted(other for other in found if name in around[other])) for name, found in around.items()}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def closure(start: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Return everything that is reached from a name, itself only where a path leads back to it."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(edges[waiting.pop()]) - found
        found |= new
        waiting.extend(new)
    return found
