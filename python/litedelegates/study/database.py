"""SQLite as a store uses it: what goes wrong with the file is an error that names it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Any, cast

from litedelegates.errors import LiteDelegatesError

# Mistakes in the use of the database and not troubles of the file.
_OWN_MISTAKES = (sqlite3.IntegrityError, sqlite3.ProgrammingError)


class StoreError(LiteDelegatesError, ValueError):
    """A store cannot be used.

    It is none, is of a newer version, is damaged, is being written by another study, or cannot be written, as when the
    disk is full; what was added before is in it.
    """


@contextlib.contextmanager
def reading(path: object) -> Iterator[None]:
    """Make a record that cannot be read, which only damage can have done, a `StoreError` that names the file."""
    try:
        yield
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{path} is damaged: a record in it cannot be read: {error}") from error


class Connection(sqlite3.Connection):
    """A connection whose troubles are a `StoreError` that names the file."""

    def __init__(self, database: str, *arguments: Any, **keywords: Any) -> None:
        """Open the database that a ``file:`` URI names."""
        self.name = database.removeprefix("file://").partition("?")[0]
        with _told(self.name):
            super().__init__(database, *arguments, **keywords)

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor with the same errors."""
        return super().cursor(_Cursor)

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """Run a statement."""
        with _told(self.name):
            # Not super().execute, which from Python 3.11 on makes a plain cursor.
            return cast(sqlite3.Cursor, self.cursor().execute(*arguments))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        """Commit, or roll back after an error."""
        with _told(self.name):
            return super().__exit__(kind, error, trace)


class _Cursor(sqlite3.Cursor):
    def fetchone(self) -> Any:
        with _told(self.connection):
            return super().fetchone()

    def __next__(self) -> Any:
        with _told(self.connection):
            return super().__next__()


@contextlib.contextmanager
def _told(of: object) -> Iterator[None]:
    try:
        yield
    except _OWN_MISTAKES:
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter where a message quotes damaged names
        what = "is no store of a study" if "not a database" in str(error) else "cannot be read or written"
        raise StoreError(f"{of.name if isinstance(of, Connection) else of} {what}: {error}") from error
