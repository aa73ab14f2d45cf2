"""Layer studies in the file of a study: tables of their own, beside those of the cells.

A store that was made before these tables existed is read as one without layer studies, and gets them when one is begun;
older readers pass them over, so the version of the schema stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from litedelegates.errors import OptionError
from litedelegates.layers.mixed import MixedTiming
from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo, Record, Setting, VariantInfo
from litedelegates.study import Store
from litedelegates.study.database import reading

TABLES = (
    """CREATE TABLE IF NOT EXISTS layer_study (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
        record TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS layer_record (number INTEGER PRIMARY KEY,
        study_key TEXT NOT NULL REFERENCES layer_study (key), kind TEXT NOT NULL, key TEXT NOT NULL,
        session INTEGER NOT NULL, seconds REAL NOT NULL, is_refusal INTEGER NOT NULL, record TEXT NOT NULL,
        UNIQUE (study_key, kind, key))""",
)
KINDS: Mapping[type[Record], str] = {
    LayerInfo: "layer",
    VariantInfo: "variant",
    InPlace: "in_place",
    Alone: "alone",
    LayerError: "error",
    MixedTiming: "mixed",
}
AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Known:
    """What a store knows of a record without reading it.

    Attributes:
        kind: As in `KINDS`.
        key: As `key_of` gives it.
        is_refusal: Whether it says why there is nothing.
        seconds: How long it took.
    """

    kind: str
    key: str
    is_refusal: bool
    seconds: float


class LayerStore:
    """The layer studies of a store."""

    def __init__(self, store: Store) -> None:
        """Look into a store that is open; nothing is written before `begin`."""
        self._connection = store.connection
        self.path = store.path

    def begin(self, key: str, record: Mapping[str, Any]) -> None:
        """Add a study, or replace what is known of what was asked of it; it is the last one now."""
        with self._connection as connection:
            for table in TABLES:
                connection.execute(table)
            connection.execute("DELETE FROM layer_study WHERE key = ?", (key,))  # which makes it the last one
            connection.execute("INSERT INTO layer_study (key, record) VALUES (?, ?)", (key, json.dumps(dict(record))))

    def add(self, study_key: str, record: Record, session: int, seconds: float = 0.0) -> None:
        """Add a record, or replace the one of the same key; it is in the file when this returns."""
        reasons = [getattr(record, name, None) for name in ("refusal", "error_refusal")]
        # A layer's refusal is of the cut after it, which no further try changes.
        is_refusal = not isinstance(record, LayerInfo) and any(reason is not None for reason in reasons)
        row = (study_key, KINDS[type(record)], key_of(record), session, seconds, is_refusal)
        with self._connection as connection:
            connection.execute(
                "INSERT INTO layer_record (study_key, kind, key, session, seconds, is_refusal, record) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (study_key, kind, key) DO UPDATE SET session = "
                "excluded.session, seconds = excluded.seconds, is_refusal = excluded.is_refusal, "
                "record = excluded.record",
                (*row, json.dumps(record.to_json())),
            )

    def studies(self) -> dict[str, dict[str, Any]]:
        """Return what was asked of each study, by key, the one that was asked for last as the last."""
        if not self._has_tables():
            return {}
        rows = self._connection.execute("SELECT key, record FROM layer_study ORDER BY number")
        with reading(self.path):
            return {key: dict(json.loads(record)) for key, record in rows}

    def study(self, key: str | None = None) -> tuple[str, dict[str, Any]]:
        """Return the key of a study and what was asked of it; without a key, of the last one.

        Raises:
            OptionError: There is none; says which there are.
        """
        studies = self.studies()
        if not studies:
            raise OptionError(f"{self.path} holds no layer study: litedelegates layers MODEL --store {self.path}")
        if key is None:
            key = next(reversed(studies))
        if key not in studies:
            known = ", ".join(f"{known} ({record.get('model')})" for known, record in studies.items())
            raise OptionError(f"{self.path} holds no layer study {key!r}; it holds {known}")
        return key, studies[key]

    def records(self, study_key: str, of: type[AnyRecord]) -> list[AnyRecord]:
        """Return the records of a class, in the order in which they were measured first."""
        with reading(self.path):
            return [of.from_json(data) for data in self._read(study_key, KINDS[of])]

    def known(self, study_key: str) -> list[Known]:
        """Return what there is, without reading it."""
        if not self._has_tables():
            return []
        rows = self._connection.execute(
            "SELECT kind, key, is_refusal, seconds FROM layer_record WHERE study_key = ? ORDER BY number", (study_key,)
        )
        return [Known(kind, key, bool(is_refusal), seconds) for kind, key, is_refusal, seconds in rows]

    def _read(self, study_key: str, kind: str) -> Iterator[dict[str, Any]]:
        if not self._has_tables():
            return
        rows = self._connection.execute(
            "SELECT record FROM layer_record WHERE study_key = ? AND kind = ? ORDER BY number", (study_key, kind)
        )
        for (record,) in rows:
            yield json.loads(record)

    def _has_tables(self) -> bool:
        found = self._connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'layer_record'")
        return found.fetchone() is not None


def key_of(record: Record) -> str:
    """Return what a record is called among those of its class."""
    if isinstance(record, LayerInfo):
        return str(record.index)
    if isinstance(record, VariantInfo):
        return record.precision
    if isinstance(record, InPlace | MixedTiming):
        return record.setting.label
    if isinstance(record, Alone):
        return alone_key(record.layer, record.setting)
    if isinstance(record, LayerError):
        return error_key(record.kind, record.layer, record.precision, record.delegate)
    raise TypeError(f"a {type(record).__name__} is no record of a layer study")


def alone_key(layer: int, setting: Setting) -> str:
    """Return what an `Alone` is called."""
    return f"{layer} {setting.label}"


def error_key(kind: str, layer: int, precision: str, delegate: str) -> str:
    """Return what a `LayerError` is called; the first word is its kind."""
    return f"{kind} {layer} {precision} {delegate}"
