"""The tables of a store. A change that older readers cannot read raises `SCHEMA_VERSION`."""

from __future__ import annotations

APPLICATION_ID = 0x4C445354  # "LDST": what tells a store from any other SQLite file
SCHEMA_VERSION = 1

# Samples are blobs of little-endian int64, three a run: nanoseconds of upload, run and read-back.
TABLES = (
    "CREATE TABLE study (created REAL NOT NULL, config TEXT NOT NULL)",
    """CREATE TABLE session ("index" INTEGER PRIMARY KEY, started REAL NOT NULL, machine TEXT NOT NULL,
        versions TEXT NOT NULL, command TEXT NOT NULL, ended REAL, how TEXT)""",
    """CREATE TABLE cell (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, base_key TEXT, record TEXT NOT NULL)""",
    """CREATE TABLE block (number INTEGER PRIMARY KEY, cell_key TEXT NOT NULL REFERENCES cell (key),
        grouping TEXT NOT NULL, round INTEGER NOT NULL, position INTEGER NOT NULL, samples BLOB NOT NULL,
        discarded BLOB NOT NULL, started REAL NOT NULL, monotonic_ns INTEGER NOT NULL, session INTEGER NOT NULL,
        load INTEGER NOT NULL, UNIQUE (cell_key, grouping, round))""",
    """CREATE TABLE outcome (cell_key TEXT PRIMARY KEY REFERENCES cell (key), status TEXT NOT NULL,
        record TEXT NOT NULL)""",
    """CREATE TABLE event (number INTEGER PRIMARY KEY, session INTEGER NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL,
        text TEXT NOT NULL, cell_key TEXT)""",
)
