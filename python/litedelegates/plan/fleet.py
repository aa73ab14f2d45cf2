"""Clients, devices and links that work, wait and fail in simulated time; with SimPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from litedelegates.plan.route import Message, Route, Routes, Step
from litedelegates.plan.simulated import Load, Span
from litedelegates.plan.stations import Copy, Level, Station, are_up

Process: TypeAlias = "Generator[Any, Any, None]"
Random: TypeAlias = np.random.Generator
RETRY_US = 1e5  # a client without a rate that lost its input tries the next one so much later
_BLOCK = 4096


@dataclass(eq=False)
class Job:
    """An input on its way."""

    client: int
    number: int
    came_us: float
    route: Route
    waits: list[int]
    is_fallback: bool = False
    processes: dict[Any, None] = field(default_factory=dict)


class Fleet:
    """Lets inputs come, run and fail; counts from the end of the warm-up."""

    def __init__(
        self,
        env: Any,
        routes: tuple[Routes, Routes | None],
        stations: Mapping[str, Station],
        load: Load,
        *,
        variation: float,
        notice_us: float,
        warmup_us: float,
        traced: int,
        rng: Random,
    ) -> None:
        """Take in what there is; nothing happens before `start` and a run of the environment."""
        self.env, self.stations, self.load, self.rng = env, stations, load, rng
        self._routes, self._fallbacks = routes
        self._notice_us, self._warmup_us, self._traced = notice_us, warmup_us, traced
        self._service = _gammas(rng, variation**-2) if variation else None
        self._numbers: dict[int, Iterator[int]] = {}
        self._under_way_of: dict[int, int] = {}
        self._delays: dict[Message, Callable[[], float]] = {}
        self.latencies_us: list[float] = []
        self.under_way = Level(warmup_us)
        self.offered = self.fell_back = self.left_early = self.lost = self.turned_away = 0
        self.spans: list[Span] = []

    def start(self, clients: int) -> None:
        """Let the inputs of so many clients come."""
        for client in range(clients):
            self._numbers[client], self._under_way_of[client] = itertools.count(), 0
            if self.load.rate_per_s is not None:
                self.env.process(self._arrivals(client, 1e6 / self.load.rate_per_s))
            else:
                for _ in range(self.load.depth or 1):
                    self._begin(client)

    def fail(self, station: Station, copies: list[Copy]) -> None:
        """Put copies of a station out of order: what is there is lost or starts again elsewhere."""
        for copy in copies:
            copy.failures += 1
            if copy.failures == 1:
                station.down.change(1, self.env.now)
            for job in list(copy.jobs):
                self._give_up(job)

    def repair(self, station: Station, copies: list[Copy]) -> None:
        """Undo a failure."""
        for copy in copies:
            copy.failures -= 1
            if copy.failures == 0:
                station.down.change(-1, self.env.now)

    def _arrivals(self, client: int, gap_us: float) -> Process:
        if self.load.pattern == "regular":
            yield self.env.timeout(gap_us * self.rng.random())  # clocks of clients do not tick together
            while True:
                self._arrive(client)
                yield self.env.timeout(gap_us)
        while True:
            yield self.env.timeout(self.rng.exponential(gap_us))
            self._arrive(client)

    def _arrive(self, client: int) -> None:
        if self.load.depth is not None and self._under_way_of[client] >= self.load.depth:
            self.offered += self._counts
            self.turned_away += self._counts
        else:
            self._begin(client)

    @property
    def _counts(self) -> bool:
        return bool(self.env.now >= self._warmup_us)

    def _begin(self, client: int) -> None:
        job = Job(client, next(self._numbers[client]), self.env.now, self._pick(self._routes), [])
        self.offered += self._counts
        self._under_way_of[client] += 1
        self.under_way.change(1, self.env.now)
        if self._are_up(job.route, client):
            self._enter(job, job.route)
        else:
            self._give_up(job)

    def _pick(self, routes: Routes) -> Route:
        return routes.pick(self.rng.random()) if len(routes.routes) > 1 else routes.whole

    def _are_up(self, route: Route, client: int) -> bool:
        return are_up([self.stations[name] for name in route.stations], client)

    def _enter(self, job: Job, route: Route) -> None:
        job.route, job.waits = route, [step.waits_for for step in route.steps]
        for message in route.starts:
            self._send(job, message)

    def _run(self, job: Job, step: Step) -> Process:
        us = step.us if self._service is None else step.us * next(self._service)
        goes_on = yield from self._use(job, self.stations[step.device], us, step.label)
        if goes_on:
            for message in step.sends:
                self._send(job, message)
        job.processes.pop(self.env.active_process, None)

    def _send(self, job: Job, message: Message) -> None:
        if message.link or message.delay_us:
            self._spawn(job, self._travel(job, message))
        else:
            self._deliver(job, message)

    def _travel(self, job: Job, message: Message) -> Process:
        began = self.env.now
        while True:
            if message.link:
                station = self.stations[message.link]
                if not (yield from self._use(job, station, message.busy_us, message.label)):
                    break
            yield self.env.timeout(self._delay(message))
            if not message.loss or self.rng.random() >= message.loss:
                self._note(job, message.link, message.label, began)
                self._deliver(job, message)
                break
        job.processes.pop(self.env.active_process, None)

    def _deliver(self, job: Job, message: Message) -> None:
        for reader in message.readers:
            job.waits[reader] -= 1
            if job.waits[reader] == 0:
                if reader == len(job.route.steps) - 1:
                    self._finish(job)
                else:
                    self._spawn(job, self._run(job, job.route.steps[reader]))

    def _use(self, job: Job, station: Station, us: float, label: str) -> Generator[Any, Any, bool]:
        """Wait for a station and keep it for a while; return whether the job goes on."""
        copy, env = station.of(job.client), self.env
        is_busy = copy.resource.count >= station.slots
        is_full = is_busy and station.queue_limit is not None and len(copy.resource.queue) >= station.queue_limit
        if copy.failures or is_full:
            self._give_up(job, was_turned_away=is_full)
            return False
        copy.jobs[job] = copy.jobs.get(job, 0) + 1
        level = station.waiting if is_busy else station.working
        level.change(1, env.now)
        try:
            with copy.resource.request() as turn:
                yield turn
                if is_busy:
                    level.change(-1, env.now)
                    level = station.working
                    level.change(1, env.now)
                began = env.now
                yield env.timeout(us)
                if station.kind == "device":
                    self._note(job, station.name, label, began)
        finally:
            level.change(-1, env.now)
            copy.jobs[job] -= 1
            if not copy.jobs[job]:
                del copy.jobs[job]
        return True

    def _note(self, job: Job, station: str, label: str, began: float) -> None:
        if job.client == 0 and job.number < self._traced and station:
            self.spans.append(Span(job.number, station, label, began, self.env.now))

    def _spawn(self, job: Job, process: Process) -> None:
        job.processes[self.env.process(_guarded(process))] = None

    def _delay(self, message: Message) -> float:
        if not message.jitter_us:
            return message.delay_us
        draw = self._delays.get(message)
        if draw is None:
            draw = self._delays[message] = _delays(self.rng, message)
        return draw()

    def _finish(self, job: Job) -> None:
        if self._counts:
            self.latencies_us.append(self.env.now - job.came_us)
            self.fell_back += job.is_fallback
            routes = self._fallbacks if job.is_fallback else self._routes
            self.left_early += routes is not None and job.route is not routes.whole
        self._leave(job)

    def _give_up(self, job: Job, *, was_turned_away: bool = False) -> None:
        for process in [one for one in job.processes if one is not self.env.active_process and one.is_alive]:
            process.interrupt()
        job.processes.clear()
        if self._fallbacks is not None and not job.is_fallback:
            job.is_fallback = True
            self.env.process(self._restart(job))
        else:
            self._drop(job, was_turned_away=was_turned_away)

    def _restart(self, job: Job) -> Process:
        yield self.env.timeout(self._notice_us)
        route = None if self._fallbacks is None else self._pick(self._fallbacks)
        if route is not None and self._are_up(route, job.client):
            self._enter(job, route)
        else:
            self._drop(job, was_turned_away=False)

    def _drop(self, job: Job, *, was_turned_away: bool) -> None:
        if was_turned_away:
            self.turned_away += self._counts
        else:
            self.lost += self._counts
        self._leave(job, after_us=RETRY_US)

    def _leave(self, job: Job, after_us: float = 0.0) -> None:
        self.under_way.change(-1, self.env.now)
        self._under_way_of[job.client] -= 1
        if self.load.rate_per_s is None:
            self.env.process(self._again(job.client, after_us))

    def _again(self, client: int, after_us: float) -> Process:
        yield self.env.timeout(after_us)
        self._begin(client)


def _guarded(process: Process) -> Process:
    """Run a process, and end it in silence where its job was given up."""
    from simpy import Interrupt

    try:
        yield from process
    except Interrupt:
        return


def _gammas(rng: Random, shape: float) -> Iterator[float]:
    """Yield draws of a gamma distribution with mean 1."""
    while True:
        yield from (rng.standard_gamma(shape, _BLOCK) / shape).tolist()


def _delays(rng: Random, message: Message) -> Callable[[], float]:
    """Return what draws the delay of a message: its smallest, and a gamma distribution on top.

    The mean stays what the link's record says, as far as it is not below the jitter's own.
    """
    mean = min(message.jitter_us, message.delay_us) or message.jitter_us
    smallest = max(0.0, message.delay_us - mean)
    draws = _gammas(rng, (mean / message.jitter_us) ** 2)
    return lambda: smallest + mean * next(draws)
