"""Measure a link as the pipeline uses it: through Dask, from one worker to another or between a worker and here."""

from __future__ import annotations

import datetime
import math
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
    pause_s: float = 0.25,
    progress: Callable[[str], None] | None = None,
) -> Link:
    """Return the link between two workers, or between here and one.

    Messages of several sizes are sent in both directions. One to a worker counts until the worker has told that it has
    it, as a pipeline waits for a stage; one to here until it is here, as a pipeline fetches an output. Both begin when
    it is told that the bytes are made. What else runs can only delay a message, so the bandwidth is the slope of a line
    through the shortest time of each size, by least squares relative to the time. What the median message takes above
    that line through zero is latency and overhead: half of the shortest transfer of a small message, a round trip,
    counts as the latency; the rest are the scheduler, serializing and connections. Between here and a worker the
    overhead is told for each direction.

    Args:
        client: Of their scheduler.
        ends: Names of two workers; one may be "here" for this process.
        name: Of the link.
        rounds: Messages of each size and direction.
        sizes: Bytes, ascending; those behind one that takes longer than a second are left out.
        limit: Seconds that a message may take.
        pause_s: Seconds that making the bytes takes, as a stage would. TCP begins slowly again on a connection that was
            idle for longer than its time limit for answers, some 0.2 s (RFC 5681, 4.1).
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
    found: tuple[dict[int, list[float]], ...] = ({}, {})
    try:
        senders = [_sender(client, calls, *way, limit, pause_s) for way in ((first, second), (second, first))]
        shortest = float("inf")
        for nbytes in sizes:
            if progress is not None:
                progress(f"messages of {nbytes / 1e3:g} kB")
            for turn in range(_WARMUP + rounds):
                for send, samples in zip(senders, found, strict=True):
                    total_us, transfer_us = send(nbytes)
                    if turn >= _WARMUP:
                        samples.setdefault(nbytes, []).append(total_us)
                        shortest = min(shortest, transfer_us) if nbytes == sizes[0] else shortest
            longest = max(statistics.median(samples[nbytes]) for samples in found)
            if longest > _LONG_SECONDS * 1e6 and nbytes != sizes[0]:
                break
    finally:
        calls.close()
    name = name or "-".join(ends)
    if HERE not in ends:
        both = {nbytes: samples + found[1][nbytes] for nbytes, samples in found[0].items()}
        return fit_link(name, ends, both, shortest / 2)
    return fit_link(name, ends, found[0], shortest / 2, back=found[1])


def fit_link(
    name: str,
    ends: tuple[str, str],
    found: Mapping[int, Sequence[float]],
    latency_us: float,
    *,
    back: Mapping[int, Sequence[float]] | None = None,
) -> Link:
    """Return the link that messages tell of.

    Args:
        name: Of the link.
        ends: Of the link.
        found: Microseconds of each message, by its bytes.
        latency_us: What counts as the latency at most.
        back: The same of messages from the second end to the first, where ``found`` has only the others.

    Raises:
        MeasurementError: Larger messages were not slower.
    """
    ways = [found] if back is None else [found, back]
    slope = _us_per_byte(ways)
    if slope <= 0:
        least, most = min(found) / 1e3, max(found) / 1e3
        raise MeasurementError(f"messages of {most:g} kB took no longer than those of {least:g} kB: give larger sizes")
    above = [[statistics.median(samples) - slope * nbytes for nbytes, samples in way.items()] for way in ways]
    bases = [max(0.0, statistics.median(own)) for own in above]
    latency_us = min(latency_us, *bases)
    groups = [np.asarray(samples) for way in ways for samples in way.values()]
    count = sum(map(len, groups))
    squares = sum(float(np.sum((samples - samples.mean()) ** 2)) for samples in groups)
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return Link(
        name=name,
        ends=ends,
        bandwidth_mbps=8 / slope,
        latency_us=latency_us,
        overhead_us=bases[0] - latency_us,
        overhead_back_us=None if back is None else bases[1] - latency_us,
        jitter_us=math.sqrt(squares / max(1, count - len(groups))),
        measured=f"{count} messages of {min(found)} to {max(found)} bytes through Dask, {when}",
    )


def _us_per_byte(ways: Sequence[Mapping[int, Sequence[float]]]) -> float:
    """Return the slope of lines through the shortest time of each size, one for each way, all equally steep."""
    rows, shortest = [], []
    for number, way in enumerate(ways):
        for nbytes, samples in way.items():
            rows.append([nbytes, *(float(number == other) for other in range(len(ways)))])
            shortest.append(min(samples))
    weights = 1 / np.array(shortest)
    solution = np.linalg.lstsq(np.array(rows, np.float64) * weights[:, None], np.ones(len(weights)), rcond=None)[0]
    return float(solution[0])


def _find(end: str, offers: Mapping[str, Offer]) -> Offer | None:
    if end == HERE:
        return None
    if end not in offers:
        raise OptionError(
            f"there is no worker {end!r}. {nearest(end, [*offers, HERE])}; there: {describe_offers(offers.values())}"
        )
    return offers[end]


def _sender(
    client: Client, calls: Calls, source: Offer | None, target: Offer | None, limit: float, pause_s: float
) -> Callable[[int], tuple[float, float]]:
    """Return what sends bytes and returns the microseconds of the message and those of the transfer in it."""

    def make(nbytes: int, offer: Offer) -> Future:
        task: dict[str, Any] = {"nbytes": nbytes, "seconds": pause_s}
        return calls.ask(dask_tasks.hand_on, offer, limit + pause_s, about=None, sources={}, **task)[0]

    def from_here(nbytes: int) -> tuple[float, float]:
        assert target is not None
        content = dask_tasks.make_bytes(nbytes)
        time.sleep(pause_s)
        begin = time.perf_counter()
        future = client.scatter(content, workers=[target.address], hash=False, timeout=limit)
        transfer_us = (time.perf_counter() - begin) * 1e6
        receive(future, target)
        return (time.perf_counter() - begin) * 1e6, transfer_us

    def to_here(nbytes: int) -> tuple[float, float]:
        assert source is not None
        future = make(nbytes, source)
        begin = time.perf_counter()
        calls.result(future, source, limit, about=None)
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
