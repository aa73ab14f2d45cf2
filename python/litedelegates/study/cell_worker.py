"""The worker process of a cell: loads the model and runs it on command, so that whatever goes wrong ends it alone."""

from __future__ import annotations

from litedelegates.study.worker import Desk, serve

MODULE = "litedelegates.study.cell_worker"


def _make_desk() -> Desk:
    from litedelegates.study import desk

    return desk.Desk()


if __name__ == "__main__":
    serve(_make_desk)
