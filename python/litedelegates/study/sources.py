"""The files that a study reads, as they were when it began: numbers belong to a content, not to a path."""

from __future__ import annotations

from collections.abc import Iterable

from litedelegates.errors import FileChangedError
from litedelegates.files import HashedFile
from litedelegates.study.process import CellFailed


class Sources:
    """Hashes each file once, and tells later whether it is still what it was."""

    def __init__(self) -> None:
        """Know no file yet."""
        self._known: dict[str, HashedFile] = {}

    def sha256(self, path: str) -> str:
        """Return the digest of a file as it was when it was first asked for.

        Raises:
            OSError: It cannot be read.
        """
        if path not in self._known:
            self._known[path] = HashedFile.of(path)
        return self._known[path].sha256

    def check_untouched(self) -> None:
        """Raise where a file was touched since it was first asked for.

        Raises:
            FileChangedError: One was; says which.
        """
        for file in self._known.values():
            file.check_untouched()

    def check(self, paths: Iterable[str | None]) -> None:
        """End a cell that files belong to which were changed since.

        Raises:
            CellFailed: One was; says which, and what it was.
        """
        for path in paths:
            if path in self._known:
                try:
                    self._known[path].check_unchanged()
                except FileChangedError as error:
                    raise CellFailed("failed", str(error)) from error
