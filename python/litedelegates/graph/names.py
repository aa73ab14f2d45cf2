"""Names that no two things have."""

from __future__ import annotations


class Names:
    """Gives each name once; who comes second to a name gets it with a number: ``conv``, ``conv#2``, ``conv#3``."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return ``name``, or the next free one like it."""
        candidate = name
        while candidate in self._taken:
            self._taken[name] += 1
            candidate = f"{name}#{self._taken[name]}"
        self._taken[candidate] = 1
        return candidate
