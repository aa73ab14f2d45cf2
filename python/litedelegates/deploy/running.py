"""One input's way through the stages: attempts, what is computed again when a worker is lost, and the fallback."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litedelegates.deploy.failures import PipelineError
from litedelegates.deploy.places import Places
from litedelegates.deploy.records import Manifest, StageFile, StageTiming
from litedelegates.engines import Array

_DOWN_SECONDS = 5.0  # for which the fallback takes all inputs before the stages are tried again


@dataclass
class Item:
    """An input on its way, alone or gathered with others.

    Attributes:
        feed: Its arrays by name.
        rows: How many rows each of the inputs in it has.
        values: What is there for the next stages, by name.
        timings: Of the stages so far.
        begin: When its first stage had it, by `time.perf_counter`.
        left_at: Number of the stage at which it left early; None where it did not.
        fell_back: Whether the fallback computed it.
        retries: Attempts that failed.
        error: Why there are no outputs.
        outputs: Of the whole, by name.
    """

    feed: dict[str, Array]
    rows: list[int]
    values: dict[str, Any]
    timings: list[StageTiming] = field(default_factory=list)
    begin: float | None = None
    left_at: int | None = None
    fell_back: bool = False
    retries: int = 0
    error: BaseException | None = None
    outputs: dict[str, Array] | None = None


class StageRunner:
    """Takes inputs through stages.

    Attributes:
        events: What went wrong and was made good, in words.
    """

    def __init__(self, manifest: Manifest, places: Places, *, limit: float, retries: int, fallback: bool) -> None:
        """Prepare.

        Args:
            manifest: Tells the stages.
            places: Where they run.
            limit: Seconds after which a run counts as hanging.
            retries: Further attempts where a worker is lost.
            fallback: Let the fallback, if there is one, compute what the stages cannot.
        """
        self._manifest, self._places, self._limit, self._retries = manifest, places, limit, retries
        self._fallback = manifest.fallback if fallback else ()
        self._kept = _kept(manifest)
        self._down_until = 0.0
        self.events: list[str] = []

    def load(self, folder: Path, limit: float) -> None:
        """Load all models.

        Raises:
            PipelineError: A stage cannot be loaded, and no fallback can take its place.
        """
        if self._fallback:
            self._places.load(folder, self._fallback, limit)
        try:
            self._places.load(folder, self._manifest.stages, limit)
        except PipelineError as error:
            if not self._can_fall_back(error):
                raise
            self._fall_back(error)

    def serve(self, stage: StageFile, item: Item) -> None:
        """Run a stage on an input, unless there is nothing left to do for it; an error is written on the input."""
        if item.begin is None:
            item.begin = time.perf_counter()
        if item.left_at is not None or item.fell_back or item.error is not None:
            return
        try:
            if self._fallback and time.monotonic() < self._down_until:
                self._run_fallback(item)
                return
            self._attempt(stage, item)
        except PipelineError as error:
            if not self._can_fall_back(error):
                item.error = error
                return
            try:
                self._fall_back(error)
                self._run_fallback(item)
            except BaseException as second:
                item.error = second
        except BaseException as error:
            item.error = error

    def _attempt(self, stage: StageFile, item: Item) -> None:
        for attempt in range(self._retries + 1):
            try:
                self._run_stage(stage, item)
                return
            except PipelineError as error:
                if not error.is_about_the_worker or attempt == self._retries:
                    raise
                item.retries += 1
                self.events.append(f"{error}; tried again")
                if error.kind == "inputs lost":
                    self._run_again([other for other in self._manifest.stages if other.number < stage.number], item)

    def _run_stage(self, stage: StageFile, item: Item) -> None:
        inputs = {port.name: item.values[port.name] for port in stage.inputs}
        begin = time.perf_counter()
        ran = self._places.run(stage, inputs, self._limit)
        total_us = (time.perf_counter() - begin) * 1e6
        item.timings = [timing for timing in item.timings if timing.stage != stage.number]
        item.timings.append(ran.timing(stage.number, total_us))
        values = {**item.values, **ran.values}
        item.values = {name: value for name, value in values.items() if name in self._kept[stage.number]}
        for rule in self._manifest.exits:
            if rule.stage == stage.number and ran.confidences[rule.tensor] >= rule.threshold:
                item.left_at = stage.number

    def _run_again(self, stages: Iterable[StageFile], item: Item) -> None:
        """Run stages from the beginning again, whose outputs were lost with their worker."""
        item.values, item.left_at = dict(item.feed), None
        for stage in stages:
            if item.left_at is None:
                self._attempt(stage, item)

    def _can_fall_back(self, error: PipelineError) -> bool:
        return bool(self._fallback) and error.is_about_the_worker

    def _fall_back(self, error: PipelineError) -> None:
        self.events.append(f"{error}; the fallback takes over for {_DOWN_SECONDS:g} s")
        self._down_until = time.monotonic() + _DOWN_SECONDS

    def _run_fallback(self, item: Item) -> None:
        item.values, item.fell_back = dict(item.feed), True
        for stage in self._fallback:
            inputs = {port.name: item.values[port.name] for port in stage.inputs}
            item.values.update(self._places.run(stage, inputs, self._limit).values)

    def fetch(self, item: Item) -> None:
        """Get the outputs of an input here, unless it has failed; an error is written on the input."""
        if item.error is not None:
            return
        try:
            try:
                item.outputs = self._attempt_fetch(item)
            except PipelineError as error:
                if item.fell_back or not self._can_fall_back(error):
                    raise
                self._fall_back(error)
                self._run_fallback(item)
                item.outputs = self._attempt_fetch(item)
        except BaseException as error:
            item.error = error
        item.values = {}

    def _attempt_fetch(self, item: Item) -> dict[str, Array]:
        names = [port.name for port in self._manifest.outputs]
        for attempt in range(self._retries + 1):
            try:
                return self._places.fetch(
                    {name: item.values[name] for name in names if name in item.values}, self._limit
                )
            except PipelineError as error:
                if attempt == self._retries or not error.is_about_the_worker or item.fell_back:
                    raise
                item.retries += 1
                self.events.append(f"{error}; tried again")
                self._run_again(self._manifest.stages, item)
        raise AssertionError("an attempt returns or raises")


def _kept(manifest: Manifest) -> dict[int, set[str]]:
    """Return the names that are still needed after each stage."""
    needed = {port.name for port in manifest.outputs}
    kept = {}
    for stage in reversed(manifest.stages):
        kept[stage.number] = set(needed)
        needed |= {port.name for port in stage.inputs}
    return kept
