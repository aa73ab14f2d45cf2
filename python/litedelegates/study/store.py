"""The file of a study: one SQLite database, to which every block is added the moment it is measured.

SQLite and not JSON lines: a transaction is either in the file or not, whenever the process is killed; a report can read
while the study is being written; and outcomes can be replaced without writing the file anew. The write-ahead log makes
a commit cost well under a millisecond. After a loss of power the last blocks may be missing, and the file is whole.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.files import writable
from litedelegates.measure import RatioInterval, ratio_interval
from litedelegates.study.database import Connection, StoreError, reading
from litedelegates.study.records import BlockRecord, Cell, Event, Outcome, SessionRecord
from litedelegates.study.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES
from litedelegates.study.words import Samples

_BLOB = np.dtype("<i8")


class Store:
    """A study on disk; use it in a ``with`` block.

    ``with Store.open("study.sqlite") as store: print(store.ratio(*store.cells()[:2]))``

    Attributes:
        path: The file.
        created: Unix time in seconds when the study began.
        config: What was asked of the study, as plain values.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        """Wrap an open connection; use `open` or `create`."""
        self.path, self._connection, self._lock = path, connection, lock
        row = connection.execute("SELECT created, config FROM study").fetchone()
        with reading(path):
            self.created, self.config = float(row[0]), dict(json.loads(row[1]))

    @property
    def connection(self) -> sqlite3.Connection:
        """The open database, for records of other kinds that live in the same file."""
        return self._connection

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """Open a store for reading; also while a study writes to it.

        Raises:
            FileNotFoundError: There is no such file.
            StoreError: It is no store, or of a newer version.
        """
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(2, "there is no such study", str(path))
        return cls(file, _connect(file, write=False), None)

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: Mapping[str, Any]) -> Store:
        """Open a store for writing, a new one where there is none; ``config`` counts for a new one only.

        Raises:
            StoreError: The file is no store, of a newer version, or another process writes to it.
            OSError: The folder cannot be written to.
        """
        file = Path(path)
        lock = _lock(file)
        try:
            connection = _connect(file, write=True)
            try:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    _make_tables(connection, config)
            except BaseException:
                connection.close()
                raise
            return cls(file, connection, lock)
        except BaseException:
            os.close(lock)
            raise

    def add_session(
        self, machine: Mapping[str, Any], versions: Mapping[str, str], command: Sequence[str] = ()
    ) -> SessionRecord:
        """Begin a run of the study and return its record."""
        started = time.time()
        with self._connection as connection:
            cursor = connection.execute(
                "INSERT INTO session (started, machine, versions, command) VALUES (?, ?, ?, ?)",
                (started, json.dumps(dict(machine)), json.dumps(dict(versions)), json.dumps(list(command))),
            )
        return SessionRecord(int(cursor.lastrowid or 0), started, dict(machine), dict(versions), tuple(command))

    def end_session(self, index: int, how: str) -> None:
        """Write down that a run of the study came to its end."""
        with self._connection as connection:
            connection.execute('UPDATE session SET ended = ?, how = ? WHERE "index" = ?', (time.time(), how, index))

    def add_cell(self, cell: Cell, base: Cell | None = None) -> None:
        """Add a cell of the matrix; ``base`` is what it is compared with from now on, also where it is there."""
        with self._connection as connection:
            connection.execute(
                "INSERT INTO cell (key, base_key, record) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "base_key = coalesce(excluded.base_key, base_key), record = excluded.record",
                (cell.key, None if base is None else base.key, json.dumps(cell.to_json())),
            )

    def add_block(self, block: BlockRecord) -> None:
        """Add a block; it is in the file when this returns."""
        with self._connection as connection:
            connection.execute(
                "INSERT INTO block (cell_key, grouping, round, position, samples, discarded, started, monotonic_ns, "
                "session, load) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    block.cell_key,
                    block.group,
                    block.round_index,
                    block.position,
                    block.samples_ns.astype(_BLOB).tobytes(),
                    block.discarded_ns.astype(_BLOB).tobytes(),
                    block.started,
                    block.monotonic_ns,
                    block.session,
                    block.load,
                ),
            )

    def set_outcome(self, outcome: Outcome) -> None:
        """Write how a cell ended, in place of what was known before."""
        with self._connection as connection:
            connection.execute(
                "INSERT INTO outcome (cell_key, status, record) VALUES (?, ?, ?) ON CONFLICT (cell_key) "
                "DO UPDATE SET status = excluded.status, record = excluded.record",
                (outcome.cell_key, outcome.status, json.dumps(outcome.to_json())),
            )

    def add_event(self, session: int, kind: str, text: str, cell: Cell | None = None) -> None:
        """Write down that something happened."""
        with self._connection as connection:
            connection.execute(
                "INSERT INTO event (session, time, kind, text, cell_key) VALUES (?, ?, ?, ?, ?)",
                (session, time.time(), kind, writable(text), None if cell is None else cell.key),
            )

    def sessions(self) -> list[SessionRecord]:
        """Return the runs of the study, the first one first."""
        rows = self._connection.execute(
            'SELECT "index", started, machine, versions, command, ended, how FROM session ORDER BY "index"'
        )
        with reading(self.path):
            return [
                SessionRecord(
                    row[0], row[1], json.loads(row[2]), json.loads(row[3]), tuple(json.loads(row[4])), row[5], row[6]
                )
                for row in rows
            ]

    def cells(self) -> list[Cell]:
        """Return the cells in the order of the matrix."""
        rows = self._connection.execute("SELECT record FROM cell ORDER BY number")
        with reading(self.path):
            return [Cell.from_json(json.loads(record)) for (record,) in rows]

    def cell(self, key: str) -> Cell:
        """Return the cell with a key.

        Raises:
            KeyError: The study has none.
        """
        row = self._connection.execute("SELECT record FROM cell WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(f"{self.path} has no cell {key}")
        with reading(self.path):
            return Cell.from_json(json.loads(row[0]))

    def base_of(self, cell: Cell | str) -> Cell | None:
        """Return the cell that a cell is compared with, which may be itself; None when there is none."""
        row = self._connection.execute("SELECT base_key FROM cell WHERE key = ?", (_key(cell),)).fetchone()
        with reading(self.path):
            return None if row is None or row[0] is None else self.cell(row[0])

    def outcome(self, cell: Cell | str) -> Outcome | None:
        """Return how a cell ended; None when it was not begun."""
        row = self._connection.execute("SELECT record FROM outcome WHERE cell_key = ?", (_key(cell),)).fetchone()
        with reading(self.path):
            return None if row is None else Outcome.from_json(json.loads(row[0]))

    def blocks(self, cell: Cell | str, group: str | None = None) -> list[BlockRecord]:
        """Return the blocks of a cell in the order of their rounds; of one group where it is given."""
        rows = self._connection.execute(
            "SELECT cell_key, grouping, round, position, samples, discarded, started, monotonic_ns, session, "
            "load FROM block WHERE cell_key = ? AND (? IS NULL OR grouping = ?) ORDER BY number",
            (_key(cell), group, group),
        )
        with reading(self.path):
            return [
                BlockRecord(key, grouping, index, position, _samples(kept), _samples(discarded), *rest)
                for key, grouping, index, position, kept, discarded, *rest in rows
            ]

    def has_blocks(self, cell: Cell | str) -> bool:
        """Return whether there is a block of a cell."""
        row = self._connection.execute("SELECT 1 FROM block WHERE cell_key = ? LIMIT 1", (_key(cell),)).fetchone()
        return row is not None

    def shares_rounds(self, cell: Cell | str, base: Cell | str) -> bool:
        """Return whether there is a round that has a block of both, so that `ratio` has something to go by."""
        row = self._connection.execute(
            "SELECT 1 FROM block AS own JOIN block AS other USING (grouping, round) "
            "WHERE own.cell_key = ? AND other.cell_key = ? LIMIT 1",
            (_key(cell), _key(base)),
        ).fetchone()
        return row is not None

    def loads(self, group: str) -> int:
        """Return how many times the cells of a group were loaded and timed."""
        row = self._connection.execute("SELECT max(load) FROM block WHERE grouping = ?", (group,)).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def rounds(self, group: str) -> int:
        """Return how many rounds of a group were begun."""
        row = self._connection.execute("SELECT max(round) FROM block WHERE grouping = ?", (group,)).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def events(self) -> list[Event]:
        """Return what happened, in order."""
        rows = self._connection.execute("SELECT session, time, kind, text, cell_key FROM event ORDER BY number")
        return [Event(*row) for row in rows]

    def ratio(self, cell: Cell | str, base: Cell | str, confidence: float = 0.95) -> RatioInterval | None:
        """Return the time of ``cell`` over that of ``base`` in the rounds that have a block of both.

        None when there is no such round: the two were never interleaved.
        """
        pairs = self.pairs(cell, base)
        if not pairs:
            return None
        return ratio_interval([own for own, _ in pairs], [other for _, other in pairs], confidence=confidence)

    def pairs(self, cell: Cell | str, base: Cell | str) -> list[tuple[Samples, Samples]]:
        """Return the latencies in nanoseconds of both cells in each round that has a block of both."""
        other = {(block.group, block.round_index): block.latency_ns for block in self.blocks(base)}
        return [
            (block.latency_ns, other[block.group, block.round_index])
            for block in self.blocks(cell)
            if (block.group, block.round_index) in other
        ]

    def close(self) -> None:
        """Close the file; what was added is in it."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _key(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.key


def _samples(blob: bytes) -> Samples:
    return np.frombuffer(blob, _BLOB).astype(np.int64).reshape(-1, 3)


def _lock(path: Path) -> int:
    """Take the lock of a store, which the system lets go of however the process ends."""
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder that the store is to be in does not exist", str(path.parent))
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            raise StoreError(f"{path}: another study is writing to it; wait for it or name another --store") from None
        raise StoreError(f"{path} cannot be locked, so that no two studies write to it: {error.strerror}") from error
    return lock


def _connect(path: Path, *, write: bool) -> sqlite3.Connection:
    existed = path.is_file() and path.stat().st_size > 0
    # Not SQLite's read-only mode: a reader has to take part in the write-ahead log's shared memory, for which it makes
    # a file. Where it may not, nobody writes, unless the log is there.
    alone = not write and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}{'?immutable=1' if alone else ''}"
    connection = sqlite3.connect(
        uri, timeout=30, isolation_level=None if not write else "DEFERRED", uri=True, factory=Connection
    )
    try:
        connection.execute("PRAGMA trusted_schema = 0")  # the file may come from anybody
        if not write:
            connection.execute("PRAGMA query_only = 1")
        if existed:
            _check(path, connection)
        if not write and "study" not in _tables(connection):
            raise StoreError(f"{path} is empty: the study that was to fill it ended before it began")
        if write:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == 0 and version == 0 and not list(_tables(connection)):
        return  # killed before the tables were made
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is an SQLite file, but no store of a study")
    programs = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchall()
    if programs:  # they would run whenever the store is written or read
        raise StoreError(f"{path} holds {programs[0][0]!r}, a trigger or view: no study makes such")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer litedelegates (schema {version}; this one reads up to {SCHEMA_VERSION}): "
            "upgrade with pip install -U litedelegates"
        )


def _tables(connection: sqlite3.Connection) -> Iterator[str]:
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        yield name


def _make_tables(connection: sqlite3.Connection, config: Mapping[str, Any]) -> None:
    if "study" in _tables(connection):
        return
    for table in TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("INSERT INTO study (created, config) VALUES (?, ?)", (time.time(), json.dumps(dict(config))))
