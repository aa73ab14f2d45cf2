"""Small models timed in turn, in a process that may fall: what brings it down is left out and the rest goes on."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from litedelegates.layers.helper import start
from litedelegates.layers.records import Setting
from litedelegates.measure import Interleaved, Plan, Timer, interleave_loads
from litedelegates.study.process import CellFailed, Worker
from litedelegates.study.words import unpack

_MODULE = "litedelegates.layers.worker"
_PATIENCE = 3  # hangs of a setting in a row, after which it is not tried any more: each takes the whole time limit
_ANSWER_SECONDS = 10.0  # of what takes no time
# Of pairs of copies of layers that take microseconds, a third were called different when each was loaded once, and one
# in thirty with four loads.
_LOADS = 4
# Of the time of a model. A quarter of a block more is discarded: this makes some 24 rounds beside the warm-up.
_WARMUP_SHARE, _BLOCK_SHARE = 1 / 8, 1 / 32


@dataclass(frozen=True)
class Piece:
    """Layers that were cut out as a model, and how to run it.

    Attributes:
        setting: How.
        layers: What it computes.
        path: The file.
    """

    setting: Setting
    layers: tuple[int, ...]
    path: str

    @property
    def name(self) -> str:
        """What sets it apart from others that are timed at the same time."""
        return f"{self.setting.label} {'+'.join(map(str, self.layers))}"


@dataclass(frozen=True)
class SideBySide:
    """What became of models that were timed in turn.

    Attributes:
        timed: By their names; None where no model was left.
        ran: Where the ops of each ran, such as "xnnpack 1".
        refusals: Why the others have no times.
    """

    timed: Interleaved | None
    ran: Mapping[Piece, str]
    refusals: Mapping[Piece, str]


class Bench:
    """A process that times one group of models after the other, and is started anew when it has fallen."""

    def __init__(self, seconds: float, time_limit: float, memory_limit: int | None, seed: int) -> None:
        """Start no process yet.

        Args:
            seconds: Time for each model, its warm-up included.
            time_limit: Seconds that a load, or a stretch of runs, may take.
            memory_limit: Bytes of resident memory at which the process is ended; by default most of what is free.
            seed: Of the orders and the random inputs.
        """
        self._seconds, self._time_limit, self._memory_limit, self._seed = seconds, time_limit, memory_limit, seed
        self._worker: Worker | None = None
        self._hangs: Counter[Setting] = Counter()

    def time(self, pieces: Iterable[Piece]) -> SideBySide:
        """Load models side by side, time them in turn, and do so again with other places in memory.

        When one fails meanwhile, the others are timed again without it: what was measured beside it is not used.

        Raises:
            CellFailed: No process can be started.
        """
        self._greet()
        ran, refusals = {}, {}
        for piece in pieces:
            try:
                if self._hangs[piece.setting] >= _PATIENCE:
                    raise _Refused(piece, f"not tried: it gave no answer the last {_PATIENCE} times")
                with self._loaded(piece) as answer:
                    ran[piece] = str(answer["ran"])
            except _Refused as refused:
                refusals[piece] = refused.reason
        while ran:
            loaders = {piece.name: functools.partial(self._timer, piece) for piece in ran}
            try:
                timed = interleave_loads(loaders, self._plan(len(ran)), loads=_LOADS)
            except _Refused as refused:
                del ran[refused.piece]
                refusals[refused.piece] = refused.reason
            else:
                for piece in ran:
                    del self._hangs[piece.setting]
                return SideBySide(timed, ran, refusals)
        return SideBySide(None, {}, refusals)

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _plan(self, count: int) -> Plan:
        return Plan(
            max_seconds=self._seconds * (1 - _WARMUP_SHARE) * count,
            block_seconds=self._seconds * _BLOCK_SHARE,
            warmup_seconds=self._seconds * _WARMUP_SHARE / _LOADS,
            seed=self._seed,
        )

    @contextlib.contextmanager
    def _loaded(self, piece: Piece) -> Iterator[dict[str, Any]]:
        """Hold a model loaded; gives what its loading was answered with."""
        try:
            yield self._ask(piece, "load", model=piece.path, setting=piece.setting.to_json(), seed=self._seed)
        finally:
            self._free(piece)

    @contextlib.contextmanager
    def _timer(self, piece: Piece) -> Iterator[Timer]:
        with self._loaded(piece):
            yield lambda runs: unpack(self._ask(piece, "run", runs=runs)["samples"])

    def _greet(self) -> None:
        """Make sure that the process is there: it may have fallen while nothing was loaded, by nobody's fault."""
        try:
            if self._worker is not None:
                self._worker.ask("greet", _ANSWER_SECONDS)
        except CellFailed:
            self.close()

    def _free(self, piece: Piece) -> None:
        """Free a model. It has its times: when that brings the process down, the next ones get a new one."""
        try:
            if self._worker is not None:
                self._worker.ask("free", _ANSWER_SECONDS, name=piece.name)
        except CellFailed:
            self.close()

    def _ask(self, piece: Piece, order: str, **arguments: Any) -> dict[str, Any]:
        if self._worker is None:
            self._worker = start(_MODULE, self._memory_limit)
        try:
            return self._worker.ask(order, self._time_limit, name=piece.name, **arguments)
        except CellFailed as failure:
            if not self._worker.is_alive:
                self.close()
            if failure.status == "timeout":
                self._hangs[piece.setting] += 1
            raise _Refused(piece, failure.reason) from failure


class _Refused(Exception):
    """A model failed."""

    def __init__(self, piece: Piece, reason: str) -> None:
        super().__init__(reason)
        self.piece, self.reason = piece, reason
