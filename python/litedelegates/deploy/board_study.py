"""A study on a board: what runs on its Dask worker, which sends home every block as soon as it is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litedelegates.errors import LiteDelegatesError
from litedelegates.files import write_whole
from litedelegates.study import Progress, Store, StudyConfig, run_study
from litedelegates.study.replica import Marks, marks_of, rows_after

_SEND_SECONDS = 0.5  # at most so often: a block may be much shorter


class Abandoned(LiteDelegatesError):
    """Nobody waits for this study any more."""


def put_file(sha256: str, name: str, content: bytes | None) -> str | None:
    """Keep a file on this worker and return its path here; without content None where it was not sent before."""
    path = _folder() / "files" / sha256[:16] / name
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, [content])
    return str(path) if path.is_file() else None


def study_here(
    topic: str, number: str, config: Mapping[str, Any], store: bytes, retry: bool, command: Sequence[str]
) -> Marks:
    """Go on with a study and send what is new in its store under ``topic``; return how far it came.

    Args:
        topic: Of the messages.
        number: That this run is called.
        config: Of the study, with paths of this machine.
        store: Its store as it is at home.
        retry: As for `run_study`.
        command: As for `run_study`.

    Raises:
        Abandoned: Whoever gave the task does not want it any more.
    """
    from distributed import get_worker

    worker = get_worker()
    task = worker.get_current_task()
    path = _folder() / f"study-{number}" / "study.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, [store])
    sender = _Sender(path, worker, topic)

    def watch(progress: Progress) -> None:
        state = worker.state.tasks.get(task)
        if state is None or state.state != "executing":
            raise Abandoned("the study was given up by who asked for it")
        sender.send(progress, at_once=progress.round_index is None)

    try:
        run_study(StudyConfig(**config), path, retry=retry, progress=watch, command=command)
    finally:
        sender.send(None, at_once=True)
    return sender.marks


class _Sender:
    """Sends what is new in a store."""

    def __init__(self, path: Path, worker: Any, topic: str) -> None:
        self._path, self._worker, self._topic = path, worker, topic
        with Store.open(path) as store:
            self.marks = marks_of(store)
        self._sent = 0.0

    def send(self, progress: Progress | None, *, at_once: bool) -> None:
        if not at_once and time.monotonic() - self._sent < _SEND_SECONDS:
            return
        with Store.open(self._path) as store:
            rows, self.marks = rows_after(store, self.marks), marks_of(store)
        told = None
        if progress is not None:
            told = {"done": progress.done, "total": progress.total, "doing": progress.doing, "cell": None}
            if progress.cell is not None:
                told["cell"] = progress.cell.label
        self._worker.log_event(self._topic, {"rows": rows, "progress": told})
        self._sent = time.monotonic()


def _folder() -> Path:
    from distributed import get_worker

    return Path(get_worker().local_directory) / "litedelegates-studies"
