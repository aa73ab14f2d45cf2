"""What running a pipeline took, stage by stage and as a whole."""

from __future__ import annotations

import dataclasses
import statistics
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from litedelegates.deploy.records import StageTiming
from litedelegates.layers.records import Record

KEPT = 100_000  # timings: the latest ones
_MEASURED = tuple(entry.name for entry in dataclasses.fields(StageTiming) if entry.name not in ("stage", "worker"))


@dataclass(frozen=True)
class InputTiming(Record):
    """What one input took.

    Attributes:
        latency_us: From the moment that its first stage had it until its outputs were here, queues included.
        fetch_us: Of that: getting the outputs here.
        finished_s: When that was, on a clock of its own.
        left_at: Number of the stage at which it left early; None where it did not.
        fell_back: Whether the fallback computed it.
        retries: Attempts at its stages that failed.
    """

    latency_us: float
    fetch_us: float
    finished_s: float
    left_at: int | None = None
    fell_back: bool = False
    retries: int = 0


@dataclass(frozen=True)
class Summary(Record):
    """What running a pipeline took: medians over the inputs.

    Attributes:
        stages: Of each stage that ran, in order; the worker is the last one that ran it.
        inputs: How many went through.
        latency_us: Of an input. While others were in the pipeline, their queues are in it.
        period_us: Between two outputs, the mean over the inputs of the latest `Pipeline.map`; None for fewer than two.
        fetch_us: Of getting the outputs of the last stage here.
        left_early: Inputs that left early.
        fell_back: Inputs that the fallback computed.
        retries: Attempts that failed and were made again.
    """

    stages: tuple[StageTiming, ...]
    inputs: int
    latency_us: float
    period_us: float | None = None
    fetch_us: float = 0.0
    left_early: int = 0
    fell_back: int = 0
    retries: int = 0

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return tuple(StageTiming.from_json(stage) for stage in value) if name == "stages" else value


class Timings:
    """Collects timings; may be added to from several threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._stages: deque[StageTiming] = deque(maxlen=KEPT)
        self._inputs: deque[InputTiming] = deque(maxlen=KEPT)
        self._streak: deque[float] = deque(maxlen=KEPT)

    def add(self, stages: Iterable[StageTiming], timing: InputTiming) -> None:
        """Count an input; of one that the fallback computed, its stages do not count."""
        with self._lock:
            self._inputs.append(timing)
            self._streak.append(timing.finished_s)
            if not timing.fell_back:
                self._stages.extend(stages)

    def begin_streak(self) -> None:
        """Count the time between outputs from here on."""
        with self._lock:
            self._streak.clear()

    def clear(self) -> None:
        """Forget all, as after a warm-up."""
        with self._lock:
            self._stages.clear()
            self._inputs.clear()
            self._streak.clear()

    @property
    def stages(self) -> tuple[StageTiming, ...]:
        """Of each run of a stage, in the order that the inputs were finished."""
        with self._lock:
            return tuple(self._stages)

    @property
    def inputs(self) -> tuple[InputTiming, ...]:
        """Of each input."""
        with self._lock:
            return tuple(self._inputs)

    def summary(self) -> Summary:
        """Return the medians.

        Raises:
            ValueError: Nothing was run yet.
        """
        stages, inputs = self.stages, self.inputs
        if not inputs:
            raise ValueError("nothing was run yet: there is nothing to sum up")
        with self._lock:
            streak = tuple(self._streak)
        numbers = sorted({timing.stage for timing in stages})
        return Summary(
            stages=tuple(_median([timing for timing in stages if timing.stage == number]) for number in numbers),
            inputs=len(inputs),
            latency_us=statistics.median(timing.latency_us for timing in inputs),
            period_us=1e6 * (streak[-1] - streak[0]) / (len(streak) - 1) if len(streak) > 1 else None,
            fetch_us=statistics.median(timing.fetch_us for timing in inputs),
            left_early=sum(timing.left_at is not None for timing in inputs),
            fell_back=sum(timing.fell_back for timing in inputs),
            retries=sum(timing.retries for timing in inputs),
        )


def _median(timings: list[StageTiming]) -> StageTiming:
    medians = {name: statistics.median(getattr(timing, name) for timing in timings) for name in _MEASURED}
    return dataclasses.replace(timings[-1], **{**medians, "received_nbytes": int(medians["received_nbytes"])})
