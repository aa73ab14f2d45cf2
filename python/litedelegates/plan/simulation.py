"""A plan over time: many clients of one server, queues, jitter, and devices that fail."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from litedelegates.errors import MissingExtraError, OptionError, install_extra, nearest
from litedelegates.plan.fleet import Fleet, Process, Random
from litedelegates.plan.records import Link, Plan
from litedelegates.plan.route import Routes, routes_of
from litedelegates.plan.simulated import Failure, Kind, Load, Simulation, Span
from litedelegates.plan.stations import Copy, Level, Station

__all__ = ["Failure", "Load", "Simulation", "simulate", "timeline"]

SAMPLES = 240
BATCHES = 20
STUDENT_95 = 2.093  # of Student's t distribution with 19 degrees of freedom, two-sided


def simulate(
    plan: Plan,
    load: Load | None = None,
    *,
    seconds: float = 60.0,
    warmup_s: float | None = None,
    clients: int = 1,
    slots: Mapping[str, int] | None = None,
    shared: Collection[str] | None = None,
    queue_limit: int | None = None,
    variation: float = 0.0,
    failures: Sequence[Failure] = (),
    notice_s: float = 0.0,
    traced: int = 0,
    seed: int = 0,
) -> Simulation:
    """Return what happens to the inputs of many clients over some time.

    Each client has a first device and links of its own, all share the other devices; first come, first served. A stage
    begins when all that it reads is there, so that stages which do not need each other run at the same time where they
    are on different devices. A message waits for its link, keeps it busy while its bytes go through, and arrives after
    the link's latency, in which the link carries others; a lost one is sent again. Whatever needs a device or a link
    that is out of order is started anew with the plan's fallback, or is lost where there is none. Where the plan has
    early exits, its shares of the inputs leave there, drawn for each.

    Args:
        plan: Its stages' predicted times and its messages are taken as they are.
        load: How inputs come; without it, each client begins an input when the one before is done.
        seconds: To simulate.
        warmup_s: Before that, not counted; a tenth of ``seconds`` by default.
        clients: How many.
        slots: By name of a device: how many inputs it works on at the same time, each as fast as one alone; 1 where not
            given.
        shared: Names of the devices and links that all clients share; by default the devices but the first.
        queue_limit: Inputs that may wait for a shared device, at most; one more uses the fallback or is turned away.
        variation: Standard deviation of a stage's time over its mean; times are gamma distributed, 1 makes them
            exponential.
        failures: Devices and links that stop and come back.
        notice_s: Which a client needs to notice that something is out of order.
        traced: For so many inputs of the first client the spans are kept.
        seed: Of everything that is drawn.

    Raises:
        OptionError: A name is not one of the plan's devices or links, or a number is out of range.
        MissingExtraError: SimPy is not installed.
    """
    simpy = _simpy()
    load = load or Load()
    _check(plan, load, seconds, clients, slots or {}, shared or (), variation, failures)
    warmup_us = 1e6 * (seconds / 10 if warmup_s is None else warmup_s)
    end_us = warmup_us + 1e6 * seconds
    env = simpy.Environment()
    rng = np.random.default_rng(seed)
    routes = (routes_of(plan), None if plan.fallback is None else routes_of(plan.fallback))
    names = _stations(plan, routes)
    common = {device.name for device in plan.devices[1:]} if shared is None else set(shared)
    stations = {
        name: _station(env, name, kind, 1 if name in common else clients, (slots or {}).get(name, 1), warmup_us)
        for name, kind in names.items()
    }
    for name in common & names.keys():
        stations[name].queue_limit = queue_limit if names[name] == "device" else None
    fleet = Fleet(
        *(env, routes, stations, load),
        variation=variation,
        notice_us=1e6 * notice_s,
        warmup_us=warmup_us,
        traced=traced,
        rng=rng,
    )
    for failure in failures:
        if failure.of in stations:
            _arrange(env, fleet, stations[failure.of], failure, rng)
    times: list[float] = []
    queues: list[tuple[int, ...]] = []
    env.process(_watch(env, stations.values(), end_us / SAMPLES, times, queues))
    fleet.start(clients)
    began = time.perf_counter()
    env.run(until=end_us)
    took = time.perf_counter() - began
    events = next(env._eid)  # SimPy counts them to keep their order
    return Simulation(
        clients=clients,
        load=load,
        seconds=seconds,
        seed=seed,
        offered=fleet.offered,
        finished=len(fleet.latencies_us),
        fell_back=fleet.fell_back,
        left_early=fleet.left_early,
        lost=fleet.lost,
        turned_away=fleet.turned_away,
        throughput_per_s=len(fleet.latencies_us) / seconds,
        under_way=fleet.under_way.mean(end_us),
        stations=tuple(station.use(end_us) for station in stations.values()),
        **_latencies(np.array(fleet.latencies_us)),
        sampled_s=tuple(times),
        queues=tuple(zip(*queues, strict=True)),
        spans=tuple(fleet.spans),
        events=events,
        events_per_s=events / took if took else 0.0,
    )


def timeline(plan: Plan, inputs: int = 1) -> tuple[Span, ...]:
    """Return who works when on the first inputs of a plan that are all there at the beginning, and leave at its end.

    Raises:
        MissingExtraError: SimPy is not installed.
    """
    seconds = 2e-6 * inputs * (plan.costs.latency_us + 1.0)
    steady = Load(depth=inputs)
    links, stages = tuple(map(_calm, plan.links)), tuple(replace(stage, share=1.0) for stage in plan.stages)
    calm = replace(plan, links=links, stages=stages, fallback=None)
    return simulate(calm, steady, seconds=seconds, warmup_s=0.0, traced=inputs).spans


def _calm(link: Link) -> Link:
    return replace(link, jitter_us=0.0, loss=0.0)


def _simpy() -> Any:
    try:
        import simpy
    except ImportError as error:
        raise MissingExtraError(f"a simulation needs SimPy: {install_extra('plan')}") from error
    return simpy


def _check(
    plan: Plan,
    load: Load,
    seconds: float,
    clients: int,
    slots: Mapping[str, int],
    shared: Collection[str],
    variation: float,
    failures: Sequence[Failure],
) -> None:
    devices = [device.name for device in plan.devices]
    known = [*devices, *(link.name for link in plan.links)]
    for name in [*shared, *(failure.of for failure in failures)]:
        if name not in known:
            raise OptionError(f"the plan has no device or link {name!r}. {nearest(name, known)}")
    for name, count in slots.items():
        if name not in devices:
            raise OptionError(f"the plan has no device {name!r}. {nearest(name, devices)}")
        if count < 1:
            raise OptionError(f"{count} slots of {name}: a device works on 1 input at least")
    for failure in failures:
        if (failure.at_s is None) == (failure.every_s is None):
            raise OptionError(f"a failure of {failure.of} is at a time (at_s) or has a rate (every_s), one of the two")
        if min(failure.at_s or 0.0, failure.for_s) < 0 or (failure.every_s is not None and failure.every_s <= 0):
            raise OptionError(f"a failure of {failure.of}: times are not negative, and every_s is above 0")
    if load.pattern not in ("poisson", "regular"):
        raise OptionError(f"there is no pattern {load.pattern!r}. {nearest(load.pattern, ('poisson', 'regular'))}")
    if load.rate_per_s is not None and not load.rate_per_s > 0:
        raise OptionError(f"{load.rate_per_s} inputs a second: a rate is above 0, or None for one after the other")
    if not seconds > 0 or clients < 1 or variation < 0 or (load.depth is not None and load.depth < 1):
        raise OptionError(
            f"{seconds} seconds, {clients} clients, variation {variation}, depth {load.depth}: "
            "seconds are above 0, clients and depth at least 1, the variation not negative"
        )


def _stations(plan: Plan, routes: tuple[Routes, Routes | None]) -> dict[str, Kind]:
    used = set().union(*(route.stations for route in routes if route is not None))
    kinds: dict[str, Kind] = {device.name: "device" for device in plan.devices}
    kinds.update({link.name: "link" for link in plan.links})
    return {name: kind for name, kind in kinds.items() if name in used}


def _station(env: Any, name: str, kind: Kind, copies: int, slots: int, since: float) -> Station:
    resource = _simpy().Resource
    own = [Copy(resource(env, slots)) for _ in range(copies)]
    return Station(name, kind, slots, own, Level(since), Level(since), Level(since))


def _arrange(env: Any, fleet: Fleet, station: Station, failure: Failure, rng: Random) -> None:
    if failure.at_s is not None:
        env.process(_fails_at(env, fleet, station, 1e6 * failure.at_s, 1e6 * failure.for_s))
    elif failure.every_s is not None:
        for copy in station.copies:
            env.process(_fails_often(env, fleet, station, copy, 1e6 * failure.every_s, 1e6 * failure.for_s, rng))


def _fails_at(env: Any, fleet: Fleet, station: Station, at_us: float, for_us: float) -> Process:
    yield env.timeout(at_us)
    fleet.fail(station, station.copies)
    yield env.timeout(for_us)
    fleet.repair(station, station.copies)


def _fails_often(
    env: Any, fleet: Fleet, station: Station, copy: Copy, every_us: float, for_us: float, rng: Random
) -> Process:
    while True:
        yield env.timeout(rng.exponential(every_us))
        fleet.fail(station, [copy])
        yield env.timeout(rng.exponential(for_us))
        fleet.repair(station, [copy])


def _watch(
    env: Any, stations: Iterable[Station], every_us: float, times: list[float], queues: list[tuple[int, ...]]
) -> Process:
    watched = tuple(stations)
    while True:
        times.append(env.now / 1e6)
        queues.append(tuple(station.waiting.now for station in watched))
        yield env.timeout(every_us)


def _latencies(values: Any) -> dict[str, Any]:
    """Return the fields of a `Simulation` that tell of latencies, in the order in which inputs were done."""
    if not len(values):
        return {}
    p50, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99]))
    found: dict[str, Any] = {
        **{"mean_us": float(values.mean()), "p50_us": p50, "p95_us": p95, "p99_us": p99},
        "worst_us": float(values.max()),
        "quantiles_us": tuple(float(value) for value in np.percentile(values, np.arange(101))),
    }
    if len(values) >= 10 * BATCHES:
        # Inputs that follow each other wait for the same queue: means of long batches are nearly independent.
        means = np.array([batch.mean() for batch in np.array_split(values, BATCHES)])
        reach = STUDENT_95 * float(means.std(ddof=1)) / BATCHES**0.5
        found |= {"low_us": found["mean_us"] - reach, "high_us": found["mean_us"] + reach}
    return found
