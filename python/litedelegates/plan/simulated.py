"""What is asked of a simulation, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from litedelegates.layers.records import Record

Pattern: TypeAlias = Literal["poisson", "regular"]
Kind: TypeAlias = Literal["device", "link"]


@dataclass(frozen=True)
class Load(Record):
    """How inputs come to each client.

    Attributes:
        rate_per_s: Inputs a second; None where a client begins its next input when one is done.
        pattern: Whether they come by chance or as a clock ticks.
        depth: Inputs of one client that may be under way at the same time. Without a rate so many always are; with one,
            an input that comes while there are so many is turned away. None: no limit, and 1 without a rate.
    """

    rate_per_s: float | None = None
    pattern: Pattern = "poisson"
    depth: int | None = None


@dataclass(frozen=True)
class Failure(Record):
    """A device or a link that stops working and comes back.

    Attributes:
        of: Its name. Of what every client has for itself, all fail at the given time, and each by itself with a rate.
        at_s: When, in seconds from the start; None where ``every_s`` is given.
        every_s: Mean of the exponentially distributed time that it works for; None where ``at_s`` is given.
        for_s: How long it takes until it works again; with a rate the mean, likewise distributed.
    """

    of: str
    at_s: float | None = None
    every_s: float | None = None
    for_s: float = 1.0


@dataclass(frozen=True)
class StationUse(Record):
    """A device or a link, and how much there was to do.

    Attributes:
        name: Of the device or link.
        kind: Which of the two.
        copies: How many there are: one for each client, or one for all.
        slots: Inputs that one of them works on at the same time.
        utilisation: Share of its time that it worked, the mean over slots and copies.
        waiting: Inputs that waited for it, the mean over time, of all copies together.
        most_waiting: The most that were seen waiting, of all copies together.
        down: Share of the time that it was out of order, the mean over copies.
    """

    name: str
    kind: Kind
    copies: int
    slots: int
    utilisation: float
    waiting: float
    most_waiting: int
    down: float = 0.0


@dataclass(frozen=True)
class Span(Record):
    """A piece of work on one input, for a timeline.

    Attributes:
        number: Of the input, counted from 0.
        station: Name of the device or link.
        label: Such as "stage 1" or the tensor that travels.
        from_us: When it began.
        to_us: When it ended; of a message when it arrived.
    """

    number: int
    station: str
    label: str
    from_us: float
    to_us: float


@dataclass(frozen=True)
class Simulation(Record):
    """What happened to inputs between the warm-up and the end.

    Attributes:
        clients: How many.
        load: How inputs came to each.
        seconds: Simulated, without the warm-up.
        seed: Of everything that is drawn.
        offered: Inputs that came in that time.
        finished: Inputs that were done in that time, those by the fallback included.
        fell_back: Of them done by the fallback.
        lost: Given up, because what they needed was out of order and there was no fallback.
        turned_away: Not begun, because too many were under way or waiting.
        throughput_per_s: Inputs done a second.
        under_way: Inputs in the system, the mean over time.
        mean_us: Of the latency: from coming to being done, the waiting included; None where nothing was done.
        low_us: Lower end of the 95 % interval of the mean, from the means of 20 batches one after the other; None for
            less than 200 inputs.
        high_us: Upper end.
        p50_us: Half of the inputs took less.
        p95_us: As many as 95 % took less.
        p99_us: As many as 99 % took less.
        worst_us: The longest.
        quantiles_us: Latency at 0, 1, 2 to 100 %.
        stations: The devices and links.
        sampled_s: Times, from the start of the warm-up, at which the queues were looked at.
        queues: How many waited at those times, of each of ``stations``.
        spans: The first inputs of the first client, for a timeline; as many as were asked for.
        events: Of the simulation, the warm-up included.
        events_per_s: In a second of real time.
        left_early: Of those that were done, the ones that left at an early exit.
    """

    clients: int
    load: Load
    seconds: float
    seed: int
    offered: int
    finished: int
    fell_back: int
    lost: int
    turned_away: int
    throughput_per_s: float
    under_way: float
    stations: tuple[StationUse, ...]
    mean_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    p50_us: float | None = None
    p95_us: float | None = None
    p99_us: float | None = None
    worst_us: float | None = None
    quantiles_us: tuple[float, ...] = ()
    sampled_s: tuple[float, ...] = ()
    queues: tuple[tuple[int, ...], ...] = ()
    spans: tuple[Span, ...] = ()
    events: int = 0
    events_per_s: float = 0.0
    left_early: int = 0

    def station(self, name: str) -> StationUse:
        """Return the use of a device or link.

        Raises:
            KeyError: There is none of that name.
        """
        for use in self.stations:
            if use.name == name:
                return use
        raise KeyError(name)

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name == "load":
            return Load.from_json(value)
        parts: Mapping[str, type[Record]] = {"stations": StationUse, "spans": Span}
        if name in parts:
            return tuple(parts[name].from_json(part) for part in value)
        return super()._read(name, value)
