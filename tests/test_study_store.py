"""The file of a study: what goes in comes out, also while it is written, and what is no store is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from litedelegates.study import BlockRecord, Cell, Outcome, RecordError, Store, StoreError

BASE = Cell("models/net.tflite", "ab" * 32, "float32", "none", 1)
CELL = Cell("models/net.tflite", "ab" * 32, "int8", "gpu+xnnpack", 2, {"precision_loss_allowed": True})


def block(cell: Cell, session: int, round_index: int, nanoseconds: int, group: str = "g") -> BlockRecord:
    samples = np.array([[1, nanoseconds, 2], [3, nanoseconds, 4]])
    return BlockRecord(cell.key, group, round_index, 0, samples, samples[:1], 12.5, 77, session)


def test_a_cell_is_called_by_its_content_and_not_by_its_place() -> None:
    elsewhere = Cell("/other/place.tflite", CELL.model_sha256, "int8", "gpu+xnnpack", 2, dict(CELL.options))
    assert elsewhere.key == CELL.key != BASE.key
    assert len({CELL.key, Cell(CELL.model, CELL.model_sha256, "int8", "gpu+xnnpack", 2).key}) == 2
    assert CELL.label == "net int8 gpu+xnnpack 2t precision_loss_allowed=True"
    assert Cell("a.tflite", "0", "float32", "external:/long/way/libx.so", 1).label == "a float32 external:libx.so 1t"


def test_records_come_back_from_json() -> None:
    outcome = Outcome(
        CELL.key, "crashed", "why", 1, warmup_ns=(3, 4), ops=((0, 1, "ADD", "gpu"),), conditions=({"kind": "busy"},)
    )
    assert Cell.from_json(CELL.to_json()) == CELL
    assert Outcome.from_json(outcome.to_json()) == outcome
    back = BlockRecord.from_json(block(CELL, 1, 2, 5).to_json())
    assert back.latency_ns.tolist() == [8, 12] and back.discarded_ns.tolist() == [[1, 5, 2]]
    with pytest.raises(RecordError, match="Did you mean 'threads'"):
        Cell.from_json({**CELL.to_json(), "thread": 1})
    with pytest.raises(RecordError, match="needs the field 'precision'"):
        Cell.from_json({"model": "a", "model_sha256": "b"})
    with pytest.raises(RecordError, match="no status 'crash'"):
        Outcome(CELL.key, "crash")  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="upload, run, read-back"):
        BlockRecord(CELL.key, "g", 0, 0, np.zeros(3), np.zeros((0, 3)), 0.0, 0, 1)


def test_a_reader_sees_each_block_as_soon_as_it_is_added(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store.create(path, {"seconds": 1}) as store:
        session = store.add_session({"cores": 2}, {"numpy": "2"}, ["bench"]).index
        store.add_cell(BASE, BASE)
        store.add_cell(CELL, BASE)
        with Store.open(path) as reader:
            assert reader.cells() == [BASE, CELL] and reader.base_of(CELL) == BASE
            assert reader.outcome(CELL) is None and reader.ratio(CELL, BASE) is None
            for index in range(8):
                store.add_block(block(BASE, session, index, 1000 + index))
                store.add_block(block(CELL, session, index, 500 + index))
                assert [len(reader.blocks(cell)) for cell in (BASE, CELL)] == [index + 1] * 2
            ratio = reader.ratio(CELL, BASE)
            assert ratio is not None and ratio.verdict == "faster" and ratio.rounds == 8
            store.set_outcome(Outcome(CELL.key, "unfinished"))
            store.set_outcome(Outcome(CELL.key, "ok", load_ns=5))
            assert reader.outcome(CELL) == Outcome(CELL.key, "ok", load_ns=5)
            assert reader.config == {"seconds": 1} and reader.rounds("g") == 8 and reader.rounds("h") == 0
            with pytest.raises(StoreError, match="readonly"):
                reader.set_outcome(Outcome(CELL.key, "failed"))
            assert reader.sessions()[0].how is None
        store.end_session(session, "finished")
        assert store.sessions()[0].how == "finished"


def test_only_rounds_of_one_group_are_compared(tmp_path: Path) -> None:
    with Store.create(tmp_path / "s.sqlite", {}) as store:
        session = store.add_session({}, {}).index
        store.add_cell(BASE)
        store.add_cell(CELL)
        for index in range(3):
            store.add_block(block(BASE, session, index, 1000, "one"))
            store.add_block(block(CELL, session, index, 500, "two"))
        assert store.ratio(CELL, BASE) is None
        store.add_block(block(BASE, session, 2, 1000, "two"))
        assert len(store.pairs(CELL, BASE)) == 1
        with pytest.raises(sqlite3.IntegrityError):
            store.add_block(block(BASE, session, 2, 1000, "two"))


def test_what_is_no_store_or_a_newer_one_is_refused(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "a.txt", tmp_path / "b.sqlite", tmp_path / "c.sqlite"
    text.write_text("no database, but long enough to be looked at as one" * 20)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE cat (name)")
    Store.create(newer, {}).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    for path, says in ((text, "is no store"), (other, "no store of a study"), (newer, "newer litedelegates")):
        content = path.read_bytes()
        with pytest.raises(StoreError, match=says):
            Store.open(path)
        with pytest.raises(StoreError, match=says):
            Store.create(path, {})
        assert path.read_bytes() == content
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(StoreError, match="ended before it began"):
        Store.open(tmp_path / "empty.sqlite")
    with pytest.raises(FileNotFoundError):
        Store.open(tmp_path / "none.sqlite")
