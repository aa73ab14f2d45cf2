"""The constants of a file that is being written, each stored once."""

from __future__ import annotations

import hashlib


class Constants:
    """Contents by buffer index; the first is None, which stands for "no data". A constant without elements has data.

    Tensors that share a buffer in their file share one here. With ``by_content`` constants of the same content share
    one as well: the parts of a model that are joined again bring the same constants from several files.
    """

    def __init__(self, *, by_content: bool) -> None:
        self.contents: list[memoryview | None] = [None]
        self._by_content = by_content
        self._known: dict[object, int] = {}

    def index(self, content: memoryview, origin: object) -> int:
        """Return the index of the buffer for ``content``, which is the buffer ``origin`` of its file."""
        flat = content.cast("B") if content.nbytes else content
        if not flat.nbytes:
            origin = "empty"
        key = (flat.nbytes, hashlib.blake2b(flat, digest_size=16).digest()) if self._by_content else origin
        if key not in self._known:
            self._known[key] = self.add(flat)
        return self._known[key]

    def add(self, content: memoryview) -> int:
        """Return the index of a buffer that is not shared."""
        self.contents.append(content)
        return len(self.contents) - 1
