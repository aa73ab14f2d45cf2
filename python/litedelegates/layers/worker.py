"""The process in which layers and models are timed: ``python -m litedelegates.layers.worker``, see `study.worker`."""

from __future__ import annotations

from litedelegates.study.worker import Desk, serve


def _make_desk() -> Desk:
    from litedelegates.layers.bench_desk import BenchDesk

    return BenchDesk()


if __name__ == "__main__":
    serve(_make_desk)
