"""Turns of tests that run side by side."""

from __future__ import annotations

import threading
from pathlib import Path

import beside
import pytest
from beside import turn

SECONDS = 20  # what ends in no time takes so long on a loaded machine at most


@pytest.fixture(autouse=True)
def a_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take locks that the run, which these tests are part of, does not hold."""
    for name in ("_WAITING", "_RUNNING"):
        path = tmp_path / name
        path.touch()
        monkeypatch.setattr(beside, name, path)
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")


def start(*, measures: bool) -> tuple[threading.Thread, threading.Event]:
    """Take a turn in a thread, and give it back at once."""
    ran = threading.Event()

    def take() -> None:
        with turn(measures=measures):
            ran.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread, ran


def test_tests_run_side_by_side() -> None:
    with turn(measures=False):
        _, ran = start(measures=False)
        assert ran.wait(SECONDS)


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_one_that_measures_runs_alone(first: bool, second: bool) -> None:
    with turn(measures=first):
        thread, ran = start(measures=second)
        assert not ran.wait(0.3)
    thread.join(SECONDS)
    assert ran.is_set()


def test_one_that_waits_to_run_alone_is_not_overtaken() -> None:
    with turn(measures=False):
        _, measured = start(measures=True)
        assert not measured.wait(0.3)  # it waits
        _, later = start(measures=False)
        assert not later.wait(0.3)
    assert measured.wait(SECONDS) and later.wait(SECONDS)


def test_in_one_process_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    with turn(measures=True), turn(measures=True):
        pass
