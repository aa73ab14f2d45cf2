"""What handing a tensor on costs: conversions, messages over links, and the border between two models."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from litedelegates.graph import Op, Tensor
from litedelegates.graph.cuts import untransportable
from litedelegates.plan.flows import bits, shrinks
from litedelegates.plan.held import Held
from litedelegates.plan.problem import BUSY, ENERGY, LATENCY, NBYTES, Array, Toll
from litedelegates.plan.records import Link
from litedelegates.plan.sources import Option
from litedelegates.plan.terms import Line
from litedelegates.plan.ways import networks, way_of


@dataclass(frozen=True, eq=False)
class _Straight:
    """A toll that grows with the number of elements: ``fixed + slope * elements``; arrays as in `Toll`."""

    form: Array
    fixed: Array
    slope: Array

    def at(self, elements: int) -> Toll | None:
        """Return the toll of a tensor; None where nothing is to be paid."""
        cost = self.fixed + self.slope * elements
        return Toll(self.form, cost) if cost.any() else None


@dataclass(frozen=True)
class _Kind:
    """What tells the tolls of tensors apart, but for their size.

    Attributes:
        made: Element type in which a maker of each choice hands it on.
        wanted: Element type that a reader of each choice wants.
        whole: That of the tensor in the float32 model.
        is_input: Whether a caller gives it.
        is_output: Whether a caller gets it.
        is_open: Whether its size is not known.
    """

    made: tuple[str, ...]
    wanted: tuple[str, ...]
    whole: str
    is_input: bool
    is_output: bool
    is_open: bool


class Tolls:
    """Makes the tolls of tensors.

    A conversion between precisions runs on the side where it makes what travels smaller, as in `graph.border`: a tensor
    that is quantized for its reader is quantized before it travels, one that is widened for its reader afterwards.
    Inputs and outputs of the model travel as they are, on the way that `way_of` says. A message is paid once for each
    device; where readers on a device want a tensor of floats in different types, it is charged in each of them, which
    is more than has to be sent.
    """

    def __init__(self, held: Held, options: Sequence[Option], links: Sequence[Link], at: Mapping[str, int]) -> None:
        """Take in the choices, the links, and the places of the quantities."""
        self._held, self._options, self._at = held, options, at
        self._precisions = [option.choice.precision for option in options]
        self._fused = [option.source.times[option.setting].fused for option in options]
        self._links = {frozenset(link.ends): link for link in links}
        self._networks = networks(links, options[0].choice.device)
        self._stations = stations = _numbers(option.station for option in options)
        cost = np.zeros((len(options), int(stations.max()) + 1, len(at)))
        cost[stations[:, None] != np.arange(cost.shape[1]), at[LATENCY]] = np.inf
        self.tie = Toll(stations, cost)
        self._known: dict[Hashable, list[_Straight]] = {}
        self._made: dict[Hashable, tuple[Toll, ...]] = {}

    def of(self, tensor: Tensor, maker: Op | None, readers: Sequence[Op]) -> tuple[Toll, ...]:
        """Return the tolls of a tensor; ``maker`` is None for an input, and no readers stand for the caller."""
        reader = readers[0] if readers else None  # all readers in one precision want the same
        made = {precision: self._held.made(tensor, precision) for precision in set(self._precisions)}
        wanted = {precision: self._held.wanted(tensor, reader, precision) for precision in made}
        kind = _Kind(
            tuple(made[precision] for precision in self._precisions),
            tuple(wanted[precision] for precision in self._precisions),
            tensor.element_type,
            maker is None,
            reader is None,
            tensor.elements is None,
        )
        key = (kind, tensor.elements)
        if key not in self._made:
            if kind not in self._known:
                self._known[kind] = [self._conversions(kind), *self._messages(kind)]
            paid = (straight.at(tensor.elements or 0) for straight in self._known[kind])
            self._made[key] = tuple(toll for toll in paid if toll is not None)
        own = (self.tie,) if untransportable(tensor) is not None and maker is not None and readers else ()
        return (*self._made[key], *own, *self._fusion(maker, readers))

    def border(self, tensor: Tensor) -> Toll:
        """Return what handing a tensor from one model to another costs where both have the same station."""
        fixed, slope = self._empty(self._stations)
        for place, option in enumerate(self._options):
            at = place, self._stations[place]
            nbytes = bits(self._held.made(tensor, option.choice.precision)) / 8
            self._charge((fixed[at], slope[at]), option, option.terms.handover, nbytes)
        return Toll(self._stations, fixed + slope * (tensor.elements or 0))

    def _conversions(self, kind: _Kind) -> _Straight:
        """Return what converting costs, and the border between two models on one device."""
        keys = [(option.station, wanted) for option, wanted in zip(self._options, kind.wanted, strict=True)]
        form = _numbers(keys)
        fixed, slope = self._empty(form)
        for place, (maker, made) in enumerate(zip(self._options, kind.made, strict=True)):
            for number in range(fixed.shape[1]):
                reader = self._options[int(np.argmax(form == number))]
                wanted = kind.wanted[int(np.argmax(form == number))]
                costs = fixed[place, number], slope[place, number]
                if made != wanted:
                    is_quantize = shrinks(made, wanted)
                    is_maker = not kind.is_input and (is_quantize or kind.is_output)
                    payer = maker if is_maker else reader
                    line = payer.terms.conversion(payer.choice.delegate, payer.choice.threads, is_quantize=is_quantize)
                    self._charge(costs, payer, line, 1.0)
                is_inside = not kind.is_input and not kind.is_output
                if is_inside and maker.choice.device == reader.choice.device and maker.station != reader.station:
                    nbytes = min(bits(made), bits(wanted)) / 8
                    self._charge(costs, maker, maker.terms.handover, nbytes)
        return _Straight(form, fixed, slope)

    def _messages(self, kind: _Kind) -> list[_Straight]:
        """Return what messages cost: of makers that send one type to a device, and of those that send what it wants."""
        devices = [option.choice.device for option in self._options]
        if len(set(devices)) < 2 and not self._links:
            return []
        least = min(map(bits, kind.wanted))
        is_border = kind.is_input or kind.is_output
        alike = np.array([is_border or bits(made) <= least for made in kind.made])
        found = []
        for keys, makers in ((devices, alike), (list(zip(devices, kind.wanted, strict=True)), ~alike)):
            form = _numbers(keys)
            fixed, slope = self._empty(form)
            for place in np.flatnonzero(makers):
                for number in range(fixed.shape[1]):
                    first = int(np.argmax(form == number))
                    sent = kind.whole if is_border else min(kind.made[place], kind.wanted[first], key=bits)
                    way = self._way(devices[place], devices[first], kind)
                    if way[0] != way[1]:
                        self._send((fixed[place, number], slope[place, number]), way, bits(sent) / 8, kind.is_open)
            found.append(_Straight(form, fixed, slope))
        return found

    def _way(self, maker: str, reader: str, kind: _Kind) -> tuple[str, str]:
        return way_of(maker, reader, self._links, is_input=kind.is_input, is_output=kind.is_output)

    def _send(self, costs: tuple[Array, Array], way: tuple[str, str], nbytes: float, is_open: bool) -> None:
        (fixed, slope), link = costs, self._links.get(frozenset(way))
        if link is None or is_open:
            fixed[self._at[LATENCY]] = np.inf
            return
        start = link.transfer_us(0, way[0])
        per_element = link.transfer_us(nbytes, way[0]) - start
        busy = self._at[BUSY + link.name]
        fixed[self._at[LATENCY]] += start
        fixed[busy] += start - link.latency_us / (1 - link.loss)
        slope[[self._at[LATENCY], busy]] += per_element
        if link in self._networks:
            slope[self._at[NBYTES]] += nbytes
        if link.nanojoules_per_byte is not None:
            slope[self._at[ENERGY]] += nbytes * link.nanojoules_per_byte / 1e6

    def _charge(self, costs: tuple[Array, Array], payer: Option, line: Line, units: float) -> None:
        device = payer.source.device
        for cost, us in zip(costs, (line.fixed_us, line.us_per_unit * units), strict=True):
            cost[[self._at[LATENCY], self._at[BUSY + device.name]]] += us
            if ENERGY in self._at:
                cost[self._at[ENERGY]] += us * (device.watts or 0.0) / 1e3

    def _fusion(self, maker: Op | None, readers: Sequence[Op]) -> list[Toll]:
        """Return what is lost where layers that an engine computes as one are parted: the time of the lesser alone."""
        found = []
        for reader in readers if maker is not None else ():
            assert maker is not None
            parted = [
                place
                for place, fused in enumerate(self._fused)
                if fused and len({fused.get(op.index, op.index) for op in (maker, reader)}) == 1
            ]
            if not parted:
                continue
            form = np.arange(len(self._options))
            cost = np.zeros((len(form), len(form), len(self._at)))
            for place in parted:
                option, others = self._options[place], form != place
                alone_us = option.source.times[option.setting].alone_us
                for op, where in ((maker, (place, others)), (reader, (others, place))):
                    if op.index in self._fused[place]:
                        paid = np.zeros(len(self._at))
                        self._charge((paid, paid.copy()), option, Line(alone_us.get(op.index, 0.0)), 1.0)
                        cost[where] += paid
            if cost.any():
                found.append(Toll(form, cost))
        return found

    def _empty(self, form: Array) -> tuple[Array, Array]:
        shape = (len(self._options), int(form.max()) + 1, len(self._at))
        return np.zeros(shape), np.zeros(shape)


def _numbers(keys: Iterable[Hashable]) -> Array:
    """Return a number for each key, the same for the same."""
    places: dict[Hashable, int] = {}
    return np.array([places.setdefault(key, len(places)) for key in keys])
