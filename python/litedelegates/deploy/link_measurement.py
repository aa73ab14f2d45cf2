"""Measure a link as the pipeline uses it: through Dask, from one worker to another or between a worker and here."""

from __future__ import annotations

import datetime
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.deploy import dask_tasks
from litedelegates.deploy.dask_calls import Calls
from litedelegates.deploy.dask_cluster import Offer, describe_offers, read_offers
from litedelegates.errors import LiteDelegatesError, OptionError, nearest
from litedelegates.plan.records import HERE, Link

if TYPE_CHECKING:
    from distributed import Client, Future

SIZES = (1_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000, 16_000_000)
_LONG_SECONDS = 1.0  # no larger messages once one takes so long
_WARMUP = 2  # messages that open connections


class MeasurementError(LiteDelegatesError, RuntimeError):
    """What was measured is no link: larger messages were not slower."""


def measure_link(
    client: Client,
    ends: tuple[str, str],
    *,
    name: str = "",
    rounds: int = 10,
    sizes: Sequence[int] = SIZES,
    limit: float = 60.0,
    progress: Callable[[str], None] | None = None,
) -> Link:
    """Return the link between two workers, both directions together.

    Messages of several sizes are sent in both directions. One to a worker counts until the worker has told that it has
    it, as a pipeline waits for a stage. What else runs can only delay a message, so the bandwidth is the slope of a
    line through the shortest time of each size, by least squares relative to the time. What the median message takes
    above that line through zero is latency and overhead: half of the shortest transfer of a small message, a round
    trip, counts as the latency; the rest are the scheduler, serializing and connections.

    Args:
        client: Of their scheduler.
        ends: Names of two workers; one may be "here" for this process.
        name: Of the link.
        rounds: Messages of each size and direction.
        sizes: Bytes, ascending; those behind one that takes longer than a second are left out.
        limit: Seconds that a message may take.
        progress: Called with what is done.

    Raises:
        OptionError: There is no such worker, or both are the same; names those there are.
        PipelineError: A worker was lost, or a message did not arrive within the limit.
        MeasurementError: Larger messages were not slower.
    """
    if rounds < 2 or len(sizes) < 2:
        raise OptionError("a link needs at least 2 rounds and 2 sizes")
    offers = {offer.name: offer for offer in read_offers(client).values()}
    first, second = (_find(end, offers) for end in ends)
    if first == second:
        raise OptionError(f"a link is between two ends, not {ends[0]!r} and itself")
    calls = Calls(client)
    try:
        senders = [_sender(client, calls, first, second, limit), _sender(client, calls, second, first, limit)]
        found: dict[int, list[float]] = {}
        shortest = float("inf")
        for nbytes in sizes:
            if progress is not None:
                progress(f"messages of {nbytes / 1e3:g} kB")
            samples: list[float] = []
            for turn in range(_WARMUP + rounds):
                for send in senders:
                    total_us, transfer_us = send(nbytes)
                    if turn >= _WARMUP:
                        samples.append(total_us)
                        shortest = min(shortest, transfer_us) if nbytes == sizes[0] else shortest
            found[nbytes] = samples
            if statistics.median(samples) > _LONG_SECONDS * 1e6 and len(found) > 1:
                break
    finally:
        calls.close()
    return fit_link(name or "-".join(ends), ends, found, shortest / 2)


def fit_link(name: str, ends: tuple[str, str], found: Mapping[int, Sequence[float]], latency_us: float) -> Link:
    """Return the link that messages tell of.

    Args:
        name: Of the link.
        ends: Of the link.
        found: Microseconds of each message, by its bytes.
        latency_us: What counts as the latency at most.

    Raises:
        MeasurementError: Larger messages were not slower.
    """
    sizes = np.array(list(found), np.float64)
    shortest = np.array([min(samples) for samples in found.values()])
    slope, _ = np.polyfit(sizes, shortest, 1, w=1 / shortest)
    if slope <= 0:
        raise MeasurementError(
            f"messages of {sizes[-1] / 1e3:g} kB took no longer than those of {sizes[0] / 1e3:g} kB: give larger sizes"
        )
    medians = np.array([statistics.median(samples) for samples in found.values()])
    base = max(0.0, float(np.median(medians - slope * sizes)))
    latency_us = min(latency_us, base)
    residuals = np.concatenate([np.asarray(samples) - np.mean(samples) for samples in found.values()])
    count = sum(map(len, found.values()))
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return Link(
        name=name,
        ends=ends,
        bandwidth_mbps=float(8 / slope),
        latency_us=latency_us,
        overhead_us=base - latency_us,
        jitter_us=float(np.sqrt(np.sum(residuals**2) / max(1, count - len(found)))),
        measured=f"{count} messages of {int(sizes[0])} to {int(sizes[-1])} bytes through Dask, {when}",
    )


def _find(end: str, offers: Mapping[str, Offer]) -> Offer | None:
    if end == HERE:
        return None
    if end not in offers:
        raise OptionError(
            f"there is no worker {end!r}. {nearest(end, [*offers, HERE])}; there: {describe_offers(offers.values())}"
        )
    return offers[end]


def _sender(
    client: Client, calls: Calls, source: Offer | None, target: Offer | None, limit: float
) -> Callable[[int], tuple[float, float]]:
    """Return what sends bytes and returns the microseconds of the message and those of the transfer in it."""

    def make(nbytes: int, offer: Offer) -> Future:
        future = client.submit(dask_tasks.make_bytes, nbytes, workers=[offer.address], pure=False)
        calls.wait_done(future, offer, limit)
        return future

    def from_here(nbytes: int) -> tuple[float, float]:
        assert target is not None
        content = dask_tasks.make_bytes(nbytes)
        begin = time.perf_counter()
        future = client.scatter(content, workers=[target.address], hash=False, timeout=limit)
        transfer_us = (time.perf_counter() - begin) * 1e6
        receive(future, target)
        return (time.perf_counter() - begin) * 1e6, transfer_us

    def to_here(nbytes: int) -> tuple[float, float]:
        assert source is not None
        future = make(nbytes, source)
        begin = time.perf_counter()
        calls.gather(future, limit, None)
        passed = (time.perf_counter() - begin) * 1e6
        return passed, passed

    def across(nbytes: int) -> tuple[float, float]:
        assert source is not None and target is not None
        future = make(nbytes, source)
        begin = time.perf_counter()
        told = receive(future, source)
        return (time.perf_counter() - begin) * 1e6, float(told["transfer_us"])

    def receive(future: Future, holder: Offer) -> dict[str, Any]:
        assert target is not None
        sources = {holder.address: holder.name}
        arguments = {"data": future, "source_key": future.key}
        return calls.ask(dask_tasks.receive, target, limit, about=None, sources=sources, **arguments)[1]

    return from_here if source is None else to_here if target is None else across
