"""A study and a pipeline over three Dask workers as stand-ins for boards, one of which is killed in the middle."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from deployed import DIGITS, deploy, expected, feeds, same
from litedelegates.cli import main
from litedelegates.study import Store, StudyConfig
from litedelegates.study.replica import add_rows, marks_of, rows_after, snapshot

pytest.importorskip("distributed")
from cluster import SECONDS, cluster
from litedelegates.deploy import Pipeline
from litedelegates.deploy.boards import choose_boards, run_on_boards, store_of
from litedelegates.deploy.dask_cluster import connect
from litedelegates.errors import OptionError


def test_of_three_boards_one_is_killed_and_the_study_and_the_pipeline_go_on(tmp_path: Path) -> None:
    config = StudyConfig(
        models=(str(DIGITS),),
        delegates=("none", "xnnpack"),
        seconds=0.8,
        rounds=6,
        block_seconds=0.02,
        warmup_seconds=0,
    )
    cells = [cell for cell, _ in config.cells()]
    path = tmp_path / "study.sqlite"
    folder = tmp_path / "out"
    manifest = deploy(folder, at=[3], devices=("a", "b"))
    inputs = feeds(manifest, 3)
    with cluster(tmp_path) as boards:
        for name in "abc":
            boards.add(name)
        is_measuring = threading.Event()

        def kill_when_blocks_have_come(board: str, told: object) -> None:
            if board != "b" or is_measuring.is_set():
                return
            with Store.open(store_of(path, "b")) as store:
                if len(store.blocks(cells[0])) >= 2:
                    is_measuring.set()
                    boards.kill("b")

        with connect(boards.address, SECONDS) as client:
            found = run_on_boards(
                config, path, client, choose_boards(client, None, None), progress=kill_when_blocks_have_come
            )
        assert is_measuring.is_set(), found
        assert [study.board for study in found] == ["a", "b", "c"]
        assert [study.failure is None for study in found] == [True, False, True]
        assert "b at tcp://" in str(found[1].failure) and "gone" in str(found[1].failure)
        for study in (found[0], found[2]):
            with Store.open(study.store) as store:
                outcomes = [store.outcome(cell) for cell in cells]
                assert [outcome.status for outcome in outcomes if outcome is not None] == ["ok", "ok"]
                assert len(store.blocks(cells[0])) >= 6 and store.sessions()[0].how == "finished"
        with Store.open(found[1].store) as store:
            kept = [block.started for block in store.blocks(cells[0])]
            assert len(kept) >= 2 and store.sessions()[0].how is None

        boards.add("spare", {"b": 1})
        with Pipeline(folder, workers=boards.address, timeout_s=SECONDS) as pipeline:
            assert same(list(pipeline.map(inputs)), expected(folder, manifest, inputs))

        # The board comes back, and the same command goes on with what was kept.
        boards.add("b", {"again": 1})
        arguments = ["bench", str(DIGITS), "--workers", boards.address, "--boards", "b", "--json", "--quiet"]
        measured = ["--rounds", "6", "--seconds", "0.5", "--block-seconds", "0.02", "--warmup-seconds", "0"]
        assert main([*arguments, "--store", str(path), *measured]) == 0
        with Store.open(found[1].store) as store:
            assert [block.started for block in store.blocks(cells[0])][: len(kept)] == kept
            assert [session.how for session in store.sessions()] == [None, "finished"]
            assert all(store.outcome(cell).status == "ok" for cell in cells)  # type: ignore[union-attr]
            assert store.cells()[0].model == str(DIGITS)

        with connect(boards.address, SECONDS) as client:
            with pytest.raises(OptionError, match="there is no worker 'd'"):
                choose_boards(client, ["d"], None)
            with pytest.raises(OptionError, match=r"no worker has gpu=1; there: a at tcp://"):
                choose_boards(client, None, {"gpu": 1})


def test_rows_of_a_store_are_added_to_a_copy_of_it(tmp_path: Path) -> None:
    config = StudyConfig(models=(str(DIGITS),))
    with Store.create(tmp_path / "home.sqlite", config.to_json()) as home:
        for cell, base in config.cells():
            home.add_cell(cell, base)
        (tmp_path / "board.sqlite").write_bytes(snapshot(home))
        with Store.create(tmp_path / "board.sqlite", {}) as board:
            before = marks_of(board)
            assert before == marks_of(home)
            assert rows_after(board, before) == {}
            session = board.add_session({"cpu_model": "x"}, {}).index
            board.add_event(session, "note", "one")
            first = rows_after(board, before)
            middle = marks_of(board)
            board.add_event(session, "note", "two")
            board.end_session(session, "finished")
            second = rows_after(board, middle)
            assert [len(first["event"]), len(second["event"])] == [1, 1]
            for rows in (first, second, second):
                add_rows(home, json.loads(json.dumps(rows)))
            assert marks_of(home) == marks_of(board)
            assert [event.text for event in home.events()] == ["one", "two"]
            assert home.sessions() == board.sessions()


def test_boards_are_chosen_only_among_workers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(DIGITS), "--boards", "a"]) == 2
    assert "give --workers" in capsys.readouterr().err
