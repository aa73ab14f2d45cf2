"""Small models timed in turn, in a process that may fall: what brings it down is left out and the rest goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from litedelegates.layers.records import Setting
from litedelegates.measure import Interleaved, Plan, Timer, interleave
from litedelegates.study.process import CellFailed, Worker
from litedelegates.study.words import unpack

_MODULE = "litedelegates.layers.worker"
_PATIENCE = 3  # hangs of a setting in a row, after which it is not tried any more: each takes the whole time limit
_CLEAR_SECONDS = 10.0
# Of the time of a model: a block lets 16 rounds happen in it, a quarter of each block being discarded.
_BLOCK_SHARE, _WARMUP_SHARE = 1 / 20, 1 / 8


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
            seconds: Time of runs measured of each model.
            time_limit: Seconds that a load, or a stretch of runs, may take.
            memory_limit: Bytes of resident memory at which the process is ended.
            seed: Of the orders and the random inputs.
        """
        self._seconds, self._time_limit, self._memory_limit, self._seed = seconds, time_limit, memory_limit, seed
        self._worker: Worker | None = None
        self._hangs: Counter[Setting] = Counter()

    def time(self, pieces: Iterable[Piece]) -> SideBySide:
        """Load models side by side and time them in turn.

        When one fails meanwhile, the others are timed again without it: what was measured beside it is not used.
        """
        left = list(pieces)
        refusals = {piece: self._given_up for piece in left if self._hangs[piece.setting] >= _PATIENCE}
        while left := [piece for piece in left if piece not in refusals]:
            try:
                ran = self._load(left, refusals)
                if not ran:
                    break
                timed = interleave({piece.name: self._timer(piece) for piece in ran}, self._plan(len(ran)))
            except _Refused as refused:
                refusals[refused.piece] = refused.reason
            else:
                for piece in ran:
                    del self._hangs[piece.setting]
                return SideBySide(timed, ran, refusals)
        return SideBySide(None, {}, refusals)

    def _plan(self, count: int) -> Plan:
        return Plan(
            max_seconds=self._seconds * count,
            block_seconds=self._seconds * _BLOCK_SHARE,
            warmup_seconds=self._seconds * _WARMUP_SHARE,
            seed=self._seed,
        )

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

    @property
    def _given_up(self) -> str:
        return f"not tried: it gave no answer within {self._time_limit:g} s the last {_PATIENCE} times"

    def _load(self, pieces: list[Piece], refusals: dict[Piece, str]) -> dict[Piece, str]:
        """Load models and return where each runs; those that cannot be loaded go to ``refusals``."""
        self._clear()
        ran = {}
        for piece in pieces:
            try:
                answer = self._ask(piece, "load", model=piece.path, setting=piece.setting.to_json(), seed=self._seed)
            except _Refused as refused:
                if self._worker is None:  # and those before it are gone too
                    raise
                refusals[piece] = refused.reason
            else:
                ran[piece] = str(answer["ran"])
        return ran

    def _clear(self) -> None:
        """Free the models of before. They have their times: that one could not be freed is no failure of the next."""
        try:
            if self._worker is not None:
                self._worker.ask("clear", _CLEAR_SECONDS)
        except CellFailed:
            self.close()

    def _timer(self, piece: Piece) -> Timer:
        return lambda runs: unpack(self._ask(piece, "run", runs=runs)["samples"])

    def _ask(self, piece: Piece, order: str, **arguments: Any) -> dict[str, Any]:
        if self._worker is None:
            self._worker = Worker(self._memory_limit, _MODULE)
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
