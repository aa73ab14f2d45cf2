"""Run a deployed plan: its stages on threads, processes or machines, one input after the other through all of them."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from litedelegates.deploy.batches import check_batch, gather, split
from litedelegates.deploy.conveyor import Conveyor
from litedelegates.deploy.opening import Workers, open_places
from litedelegates.deploy.reading import read_manifest
from litedelegates.deploy.records import StageTiming
from litedelegates.deploy.running import Item, StageRunner
from litedelegates.deploy.timings import InputTiming, Summary, Timings
from litedelegates.engines import Array
from litedelegates.errors import OptionError, nearest


class Pipeline:
    """Runs the stages of a deployed plan; use it in a ``with`` block.

    ``with Pipeline("out/", workers="processes") as pipeline: outputs = list(pipeline.map(feeds))``

    Attributes:
        folder: Where the models lie.
        manifest: What was deployed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        workers: Workers = "threads",
        depth: int = 2,
        timeout_s: float = 60.0,
        load_timeout_s: float = 300.0,
        retries: int = 1,
        batch: int = 1,
        fallback: bool = True,
        cpus: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        """Load every stage where it is to run.

        Args:
            folder: What `deploy` wrote.
            workers: "threads" of this process or "processes", one for each device of the plan; or the address of a
                Dask scheduler, or a ``distributed.Client``: stages run on workers that have their resources.
            depth: Inputs that wait before each stage at most.
            timeout_s: Seconds without an answer after which a run of a stage counts as hanging.
            load_timeout_s: The same for loading its model, which may have to travel first.
            retries: Further attempts at a stage whose worker ended or hangs, on a new or another one.
            batch: Inputs that `map` gathers into one run; needs models whose first dimension is open.
            fallback: Let the fallback of the plan, if it has one, compute inputs whose stages cannot be run.
            cpus: With "processes": cores for the process of a device, such as ``{"pi": {0}}``.

        Raises:
            DeployError: The folder is no deployed plan, or a file is missing.
            OptionError: An option makes no sense for what was deployed.
            PipelineError: A stage cannot be loaded, or no worker has what it needs; lists the workers.
            MissingExtraError: Dask is not installed.
        """
        self.folder = Path(folder)
        # Who loads a stage compares its digest.
        self.manifest = read_manifest(self.folder, check_files=False)
        check_batch(batch, self.manifest)
        for name, value, least in (("depth", depth, 1), ("retries", retries, 0)):
            if value < least:
                raise OptionError(f"{name}={value}: it must be at least {least}")
        for name, seconds in (("timeout_s", timeout_s), ("load_timeout_s", load_timeout_s)):
            if not seconds > 0:
                raise OptionError(f"{name}={seconds}: it must be above 0")
        self._depth, self._batch = depth, batch
        self._timings = Timings()
        self._places = open_places(workers, self.manifest, cpus, timeout_s)
        self._runner = StageRunner(self.manifest, self._places, limit=timeout_s, retries=retries, fallback=fallback)
        try:
            self._runner.load(self.folder, load_timeout_s)
        except BaseException:
            self._places.close()
            raise

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Run all stages on one input and return the outputs of the whole by name.

        An input that leaves early has only those outputs that there were by then.

        Raises:
            OptionError: An input is missing.
            PipelineError: A stage failed, or its worker ended or hangs and no other attempt is left.
        """
        item = self._item(feed, [1])
        for stage in self.manifest.stages:
            self._runner.serve(stage, item)
        self._finish(item)
        if item.error is not None:
            raise item.error
        assert item.outputs is not None
        return item.outputs

    def map(self, feeds: Iterable[Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
        """Yield the outputs of each input, in order, while the stages work on different inputs at the same time.

        ``feeds`` is read in a thread of its own, and only as fast as the slowest stage or the reader of the outputs.

        Raises:
            OptionError: An input is missing.
            PipelineError: As for `run`, after the outputs of all inputs before it.
        """
        stations: list[Callable[[Item], None]]
        stations = [functools.partial(self._runner.serve, stage) for stage in self.manifest.stages]
        lanes = [self._places.lanes] * len(stations)
        conveyor = Conveyor([*stations, self._finish], self._depth, [*lanes, 1])
        self._timings.begin_streak()
        with closing(conveyor.carry(self._item(*gathered) for gathered in gather(feeds, self._batch))) as items:
            for item in items:
                if item.error is not None:
                    raise item.error
                assert item.outputs is not None
                yield from split(item.outputs, item.rows)

    @property
    def events(self) -> list[str]:
        """What went wrong so far and was made good by another attempt or by the fallback, in words."""
        return list(self._runner.events)

    @property
    def timings(self) -> tuple[StageTiming, ...]:
        """What each run of a stage took, the latest hundred thousand; those of the fallback are not among them."""
        return self._timings.stages

    @property
    def input_timings(self) -> tuple[InputTiming, ...]:
        """What each input took, or each batch of them."""
        return self._timings.inputs

    def summary(self) -> Summary:
        """Return medians per stage, latency and period.

        Raises:
            ValueError: Nothing was run yet.
        """
        return self._timings.summary()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by device; empty unless the stages run in processes of this machine."""
        return self._places.pids

    def forget_timings(self) -> None:
        """Forget what was measured, as after a warm-up."""
        self._timings.clear()

    def close(self) -> None:
        """Free the models and end threads and processes; workers of Dask go on without them."""
        self._places.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _item(self, feed: Mapping[str, Array], rows: list[int]) -> Item:
        for port in self.manifest.inputs:
            if port.name not in feed:
                raise OptionError(f"no array was given for the input {port.name!r}. {nearest(port.name, feed, 5)}")
        taken = {port.name: feed[port.name] for port in self.manifest.inputs}
        return Item(taken, rows, dict(taken))

    def _finish(self, item: Item) -> None:
        """Get the outputs of an input here, and count what it took."""
        begin = time.perf_counter()
        self._runner.fetch(item)
        now = time.perf_counter()
        if item.error is None:
            assert item.begin is not None
            timing = InputTiming(
                (now - item.begin) * 1e6, (now - begin) * 1e6, now, item.left_at, item.fell_back, item.retries
            )
            self._timings.add(item.timings, timing)
