"""The process in which errors are taken: ``python -m litedelegates.layers.error_worker``, see `study.worker`."""

from __future__ import annotations

from litedelegates.study.worker import Desk, Tell, serve_telling


def _make_desk(tell: Tell) -> Desk:
    from litedelegates.layers.error_desk import ErrorDesk

    return ErrorDesk(tell)


if __name__ == "__main__":
    serve_telling(_make_desk)
