"""The way of an input through a plan: stages on devices, and messages over links between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from litedelegates.plan.records import Crossing, Link, Plan


@dataclass(frozen=True)
class Message:
    """A tensor on its way to one device.

    Attributes:
        label: Name of the tensor.
        link: Name of the link; empty where it stays on its device.
        busy_us: For which it keeps the link busy, each time it is sent.
        delay_us: Until it is there afterwards, in which the link carries others.
        loss: Share of messages that have to be sent again.
        jitter_us: Standard deviation of the delay.
        readers: Stages that wait for it; the number of stages stands for the result.
    """

    label: str
    link: str
    busy_us: float
    delay_us: float
    loss: float
    jitter_us: float
    readers: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """A stage, or at the end the result, which takes no time.

    Attributes:
        label: Such as "stage 0".
        device: Name of the device.
        us: Of one run.
        waits_for: Messages that have to be there before it begins.
        sends: Messages that it sends when it is done.
    """

    label: str
    device: str
    us: float
    waits_for: int
    sends: tuple[Message, ...]


@dataclass(frozen=True)
class Route:
    """What an input goes through.

    Attributes:
        starts: Messages that carry the input to stages.
        steps: The stages in the plan's order, and the result.
    """

    starts: tuple[Message, ...]
    steps: tuple[Step, ...]

    @cached_property
    def stations(self) -> set[str]:
        """Names of the devices and links that it needs."""
        messages = (*self.starts, *(message for step in self.steps for message in step.sends))
        return {step.device for step in self.steps} | {message.link for message in messages if message.link}


@dataclass(frozen=True)
class Routes:
    """The ways of inputs through a plan: the whole one, and for each early exit a shorter one.

    Attributes:
        routes: From the shortest to the whole one.
        until: Shares of the inputs that take the routes up to each; the last is 1.
    """

    routes: tuple[Route, ...]
    until: tuple[float, ...]

    @property
    def stations(self) -> set[str]:
        """Names of the devices and links that they need."""
        return set().union(*(route.stations for route in self.routes))

    def pick(self, draw: float) -> Route:
        """Return the route of an input, for a number from 0 to 1 that is drawn for it."""
        return next((route for route, until in zip(self.routes, self.until, strict=True) if draw < until), self.whole)

    @property
    def whole(self) -> Route:
        """The one through all stages."""
        return self.routes[-1]


def routes_of(plan: Plan) -> Routes:
    """Return the ways through a plan: an input that leaves early runs the stages with a larger share than its own."""
    shares = sorted({stage.share for stage in plan.stages})
    routes = []
    for share in reversed(shares):
        stages = tuple(stage for stage in plan.stages if stage.share >= share)
        there = {-1, *(stage.number for stage in stages)}
        crossings = tuple(crossing for crossing in plan.crossings if {crossing.source, crossing.reader} <= there)
        routes.append(route_of(replace(plan, stages=stages, crossings=crossings)))
    return Routes(tuple(routes), (*(1 - share for share in reversed(shares[:-1])), 1.0))


def route_of(plan: Plan) -> Route:
    """Return the way of an input through all stages of a plan.

    A tensor that several stages of a device read travels once. A stage that no other stage feeds gets the input without
    a message, and one that feeds no other ends the plan, where the plan says nothing of what it reads or makes.
    """
    home = plan.devices[0].name
    places = {stage.number: place for place, stage in enumerate(plan.stages)}
    end = len(plan.stages)
    links = {link.name: link for link in plan.links}
    devices = {-1: home, **{stage.number: stage.device for stage in plan.stages}}

    parcels: dict[tuple[int, str, str, str], list[Crossing]] = {}
    for crossing in plan.crossings:
        where = "" if crossing.reader == -1 else devices[crossing.reader]
        parcels.setdefault((crossing.source, crossing.tensor, where, crossing.dtype), []).append(crossing)
    sent: dict[int, list[Message]] = {}
    for (source, *_), own in parcels.items():
        readers = tuple(end if crossing.reader == -1 else places[crossing.reader] for crossing in own)
        first = max(own, key=lambda crossing: crossing.predicted_us)
        sent.setdefault(source, []).append(_message(first, links.get(first.link), tuple(dict.fromkeys(readers))))
    fed = {reader for messages in sent.values() for message in messages for reader in message.readers}
    for place, stage in enumerate(plan.stages):
        if place not in fed:
            sent.setdefault(-1, []).append(_handed(stage.number, place))
        if stage.number not in sent:
            sent[stage.number] = [_handed(stage.number, end)]

    waits = [0] * (end + 1)
    for messages in sent.values():
        for message in messages:
            for reader in message.readers:
                waits[reader] += 1
    steps = [
        Step(f"stage {stage.number}", stage.device, stage.predicted_us, waits[place], tuple(sent[stage.number]))
        for place, stage in enumerate(plan.stages)
    ]
    return Route(tuple(sent.get(-1, ())), (*steps, Step("result", home, 0.0, waits[end], ())))


def _message(crossing: Crossing, link: Link | None, readers: tuple[int, ...]) -> Message:
    if link is None:
        return Message(crossing.tensor, "", 0.0, crossing.predicted_us, 0.0, 0.0, readers)
    # What the plan predicts is the mean over the times it is sent.
    once = crossing.predicted_us * (1 - link.loss)
    delay = min(link.latency_us, once)
    return Message(crossing.tensor, link.name, once - delay, delay, link.loss, link.jitter_us, readers)


def _handed(number: int, reader: int) -> Message:
    return Message(f"of stage {number}", "", 0.0, 0.0, 0.0, 0.0, (reader,))
