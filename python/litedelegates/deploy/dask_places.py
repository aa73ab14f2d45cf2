"""Stages on other machines: on Dask workers that have the resources a stage needs."""

from __future__ import annotations

import operator
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.deploy.dask_calls import Calls
from litedelegates.deploy.dask_cluster import (
    Offer,
    connect,
    describe_offers,
    describe_resources,
    read_offers,
    require_distributed,
)
from litedelegates.deploy.failures import PipelineError
from litedelegates.deploy.loaded import Ran
from litedelegates.deploy.records import ExitRule, StageFile
from litedelegates.engines import Array

if TYPE_CHECKING:
    from distributed import Client, Future

_REJOIN_SECONDS = 5.0  # for which a worker that was lost is waited for, where there is no other


@dataclass(frozen=True)
class Remote:
    """An array that is on a worker.

    Attributes:
        future: What stands for it.
        worker: Where it is.
    """

    future: Future
    worker: Offer


class DaskPlaces:
    """Gives each device of the plan a worker that has its resources, and another one when that is lost."""

    # A worker fetches what a task needs as soon as it has the task.
    lanes = 2

    def __init__(self, workers: str | Client, exits: Sequence[ExitRule], limit: float) -> None:
        """Connect to a scheduler.

        Args:
            workers: Address of the scheduler, or a client, which stays open.
            exits: Where inputs may leave early.
            limit: Seconds that connecting may take.

        Raises:
            PipelineError: The scheduler does not answer.
            MissingExtraError: Dask is not installed.
        """
        require_distributed()
        self._is_mine = isinstance(workers, str)
        self._client: Client = connect(workers, limit) if isinstance(workers, str) else workers
        self._calls = Calls(self._client)
        self._exits = exits
        self._name = uuid.uuid4().hex[:8]
        self._folder, self._load_limit = Path(), limit
        self._chosen: dict[str, Offer] = {}  # by device
        self._hanging: set[str] = set()  # addresses
        self._loaded: set[tuple[str, str]] = set()  # address and key
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def pids(self) -> dict[str, int]:
        """None: they are on other machines."""
        return {}

    def load(self, folder: Path, stages: Sequence[StageFile], limit: float) -> None:
        """Send the models to the workers and load them there; see `places.Places.load`."""
        self._folder, self._load_limit = folder, limit
        for stage in stages:
            self._ready(stage, patience=0.0)

    def run(self, stage: StageFile, values: Mapping[str, Any], limit: float) -> Ran:
        """Run a stage on the worker of its device; see `places.Places.run`."""
        from litedelegates.deploy import dask_tasks

        offer = self._ready(stage, patience=_REJOIN_SECONDS)
        begin = time.perf_counter()
        inputs, received = self._send(stage, values, offer, limit)
        sent_us = (time.perf_counter() - begin) * 1e6 if received else 0.0
        try:
            future, told = self._calls.ask(
                dask_tasks.run,
                offer,
                limit,
                about=stage.number,
                sources={remote.worker.address: remote.worker.name for remote in inputs.values()},
                resources=_needs(stage),
                loaded=self._key(stage),
                inputs={name: remote.future for name, remote in inputs.items()},
                source_keys=[remote.future.key for remote in inputs.values()],
            )
        except PipelineError as error:
            self._give_up(offer, error)
            raise
        upload, run, read = told["times_us"]
        return Ran(
            {
                port.name: Remote(self._part(future, port.name, offer, len(stage.outputs)), offer)
                for port in stage.outputs
            },
            (upload, run, read),
            f"{offer.name} at {offer.address}",
            transfer_us=sent_us + told["transfer_us"],
            received_nbytes=received + told["received_nbytes"],
            confidences=told["confidences"],
        )

    def fetch(self, values: Mapping[str, Any], limit: float) -> dict[str, Array]:
        """Get arrays here; see `places.Places.fetch`."""
        remotes = {name: value for name, value in values.items() if isinstance(value, Remote)}
        found = {name: value for name, value in values.items() if name not in remotes}
        for name, remote in remotes.items():
            try:
                found[name] = self._calls.result(remote.future, remote.worker, limit, about=None)
            except PipelineError as error:
                self._give_up(remote.worker, error)
                raise
        return {name: found[name] for name in values}

    def close(self) -> None:
        """Free the models on the workers."""
        from litedelegates.deploy import dask_tasks

        try:
            there = set(read_offers(self._client)) - self._hanging
            keys = sorted({key for _, key in self._loaded})
            for address in sorted({address for address, _ in self._loaded} & there):
                self._client.run(dask_tasks.free, keys, workers=[address], on_error="ignore")
            self._calls.close()
        except (PipelineError, OSError, ValueError):
            pass  # the scheduler is gone, and with it whoever would have to be told
        finally:
            if self._is_mine:
                self._client.close()

    def _ready(self, stage: StageFile, patience: float) -> Offer:
        """Return the worker of a stage, with its model loaded there."""
        with self._lock:
            lock = self._locks.setdefault(stage.device, threading.Lock())
        with lock:
            offer = self._chosen.get(stage.device)
            if offer is None:
                offer = self._chosen[stage.device] = self._choose(stage, patience)
            try:
                if (offer.address, self._key(stage)) not in self._loaded:
                    self._load_on(offer, stage)
                    self._loaded.add((offer.address, self._key(stage)))
            except PipelineError as error:
                self._give_up(offer, error)
                raise
            return offer

    def _choose(self, stage: StageFile, patience: float) -> Offer:
        needed = _needs(stage)
        deadline = time.monotonic() + patience
        while True:
            offers = read_offers(self._client)
            able = [offer for offer in offers.values() if offer.covers(needed)]
            # Who hangs may have come back, but is the last to be asked; others are taken in the order of their names.
            able.sort(key=lambda offer: (offer.address in self._hanging, offer.name))
            if able:
                return able[0]
            if time.monotonic() >= deadline:
                raise PipelineError(
                    "no worker",
                    f"no worker has {describe_resources(needed)}; workers that are there: "
                    f"{describe_offers(offers.values())}. One joins with `litedelegates worker SCHEDULER --resources "
                    f"{describe_resources(needed).replace(' ', '')}`",
                    stage=stage.number,
                )
            time.sleep(0.1)

    def _load_on(self, offer: Offer, stage: StageFile) -> None:
        from litedelegates.deploy import dask_tasks

        exits = [rule.to_json() for rule in self._exits]

        def ask(content: Any) -> bool:
            future = self._client.submit(
                dask_tasks.load,
                self._key(stage),
                stage.to_json(),
                exits,
                content,
                workers=[offer.address],
                pure=False,
            )
            return bool(self._calls.result(future, offer, self._load_limit, about=stage.number))

        if not ask(None):
            content = (self._folder / stage.file).read_bytes()
            ask(self._scatter([content], offer, self._load_limit, stage)[0])

    def _send(
        self, stage: StageFile, values: Mapping[str, Any], offer: Offer, limit: float
    ) -> tuple[dict[str, Remote], int]:
        """Return the inputs, all on workers, and the bytes that were sent from here for that."""
        mine = {name: np.asarray(value) for name, value in values.items() if not isinstance(value, Remote)}
        if not mine:
            return dict(values), 0
        try:
            futures = self._scatter(list(mine.values()), offer, limit, stage)
        except PipelineError as error:
            self._give_up(offer, error)
            raise
        sent = {name: Remote(future, offer) for name, future in zip(mine, futures, strict=True)}
        return {name: sent.get(name, value) for name, value in values.items()}, sum(
            value.nbytes for value in mine.values()
        )

    def _scatter(self, content: list[Any], offer: Offer, limit: float, stage: StageFile) -> list[Future]:
        try:
            futures: list[Future] = self._client.scatter(content, workers=[offer.address], hash=False, timeout=limit)
            return futures
        except Exception as error:  # a time limit or a lost connection, of several classes
            is_there = offer.address in read_offers(self._client)
            reason = f"sending to it failed: {type(error).__name__}: {error}"
            raise PipelineError(
                "timeout" if is_there else "died", reason, stage=stage.number, worker=str(offer)
            ) from error

    def _part(self, future: Future, name: str, offer: Offer, count: int) -> Future:
        """Return what stands for one of ``count`` outputs alone, so that only that travels to who reads it."""
        if count == 1:
            return future
        part: Future = self._client.submit(
            operator.itemgetter(name), future, workers=[offer.address], pure=False, priority=10
        )
        return part

    def _give_up(self, offer: Offer, error: PipelineError) -> None:
        """Let the next calls find another worker, where it is the worker that is to blame."""
        if error.kind in ("failed", "inputs lost"):
            return
        with self._lock:
            self._chosen = {device: other for device, other in self._chosen.items() if other != offer}
            if error.kind == "timeout":
                self._hanging.add(offer.address)

    def _key(self, stage: StageFile) -> str:
        return f"{self._name}-{stage.file}"


def _needs(stage: StageFile) -> Mapping[str, float]:
    return stage.resources or {stage.device: 1.0}
