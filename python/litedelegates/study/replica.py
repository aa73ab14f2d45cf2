"""A store that is written on one machine and kept on another: what is new in it, as plain values."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from litedelegates.study.store import Store

Marks: TypeAlias = "dict[str, Any]"
Rows: TypeAlias = "dict[str, list[list[Any]]]"
# Rows of these are only ever added, in the order of this column; rows of the others change and are few.
_GROWING = {"block": "number", "event": "number"}
_CHANGING = ("session", "outcome")


def marks_of(store: Store) -> Marks:
    """Return how far a store is, for `rows_after`."""
    connection = store.connection
    marks: Marks = {}
    for table, column in _GROWING.items():
        (last,) = connection.execute(f"SELECT max({column}) FROM {table}").fetchone()
        marks[table] = last or 0
    for table in _CHANGING:
        marks[table] = _digest(_all(connection, table))
    return marks


def rows_after(store: Store, marks: Mapping[str, Any]) -> Rows:
    """Return the rows by table that a store at ``marks`` has not; tables with none are left out."""
    connection = store.connection
    found: Rows = {}
    for table in _CHANGING:
        rows = _all(connection, table)
        if _digest(rows) != marks[table]:
            found[table] = rows
    for table, column in _GROWING.items():
        rows = [
            list(row)
            for row in connection.execute(
                f"SELECT * FROM {table} WHERE {column} > ? ORDER BY {column}", (marks[table],)
            )
        ]
        if rows:
            found[table] = rows
    return found


def add_rows(store: Store, rows: Mapping[str, list[list[Any]]]) -> None:
    """Add what `rows_after` returned, all of it or nothing; rows that are there are replaced."""
    with store.connection as connection:
        for table in (*_CHANGING, *_GROWING):
            for row in rows.get(table, []):
                places = ", ".join("?" * len(row))
                connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", row)


def snapshot(store: Store) -> bytes:
    """Return the file of a store as it is now, while it is open."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.sqlite"
        copy = sqlite3.connect(path)
        try:
            store.connection.backup(copy)
        finally:
            copy.close()
        return path.read_bytes()


def _all(connection: sqlite3.Connection, table: str) -> list[list[Any]]:
    return [list(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]


def _digest(rows: list[list[Any]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
