"""From layer studies to numbers: what each layer costs with each choice, and what each tensor costs to hand on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from litedelegates.errors import OptionError, nearest
from litedelegates.graph import Graph, Op, Tensor
from litedelegates.plan.errors import error_model
from litedelegates.plan.exits import Exits
from litedelegates.plan.flows import Handed, handed, own_us
from litedelegates.plan.held import Held
from litedelegates.plan.problem import BUSY, ENERGY, ERROR, LATENCY, MEMORY, NBYTES, Flow, Problem
from litedelegates.plan.records import HERE, Device, Link
from litedelegates.plan.sources import Option, Source, check_sources, options_of
from litedelegates.plan.tolls import Tolls
from litedelegates.quantize.request import FLOAT32

__all__ = ["Source", "build_problem"]


def build_problem(
    graph: Graph,
    sources: Sequence[Source],
    links: Sequence[Link] = (),
    *,
    precisions: Collection[str] | None = None,
    delegates: Mapping[str, Collection[str]] | None = None,
    exits: Mapping[str, float] | None = None,
) -> Problem:
    """Return the numbers that a planner needs.

    A node for the model's inputs, one a layer in the order they run, and one for its outputs. The quantities are the
    latency, bytes over links, the squared relative error where a study has errors, energy where a device or link has
    one, bytes of weights on each device, and for how long each device and link is busy with one input. A link is not
    busy for its latency, in which it can carry other messages.

    A flow without a tensor's name ties two layers that cannot be in different models, because a cut between them is
    refused: state on both sides, or a handle.

    Args:
        graph: The float32 model.
        sources: Devices with their studies; the first has the inputs and wants the outputs.
        links: Between devices; two devices without a link hand nothing to each other. Some may be between `HERE`, the
            calling program, and a device; see `ways.way_of`.
        precisions: Use these precisions only.
        delegates: By name of a device: use these delegates only.
        exits: By name of an output of the model, the share of the inputs that leave early there.

    Raises:
        OptionError: A study is of another model or has no times, a link ends at no device, a layer has no choice, or an
            exit makes no sense.
    """
    ops = check_sources(graph, sources)
    sources = [source.fitted(graph) for source in sources]
    options = options_of(sources, precisions, delegates)
    _check_links(links, [source.device for source in sources])
    errors = error_model([source.study for source in sources], [option.choice.precision for option in options])
    quantities = _quantities(sources, links, has_errors=errors is not None)
    at = {name: place for place, name in enumerate(quantities)}
    held = {source.device.name: Held(graph, source.study) for source in sources}
    tolls = Tolls(held[sources[0].device.name], options, links, at)

    cost = np.zeros((len(ops) + 2, len(options), len(quantities)))
    allowed = np.ones((len(ops) + 2, len(options)), bool)
    for node in (0, -1):
        allowed[node] = np.arange(len(options)) == 0
    weights = np.array([_stored_nbytes(graph, op) for op in ops])
    for place, option in enumerate(options):
        own = own_us(graph, held[option.choice.device], option.source.times[option.setting])
        us = np.array([own.get(op.index, np.nan) for op in ops])
        allowed[1:-1, place] = ~np.isnan(us)
        us = np.nan_to_num(us) * option.terms.factors.get(option.setting.label, 1.0)
        device = option.source.device
        cost[1:-1, place, at[LATENCY]] = cost[1:-1, place, at[BUSY + device.name]] = us
        if ENERGY in at:
            cost[1:-1, place, at[ENERGY]] = us * (device.watts or 0.0) / 1e3
        if errors is not None:
            cost[1:-1, place, at[ERROR]] = [errors.layers[option.choice.precision].get(op.index, 0.0) for op in ops]
        cost[1:-1, place, at[MEMORY + device.name]] = weights * _share_stored(option)
    for node, op in enumerate(ops, 1):
        if not allowed[node].any():
            raise OptionError(f"layer {op.index} ({op.type} {op.name!r}) has no time in any setting: measure it")

    nodes = {op.index: node for node, op in enumerate(ops, 1)}
    entries = handed(graph)
    flows = [_flow(entry, nodes, tolls) for entry in entries]
    flows += _ties(sources[0], nodes, tolls)
    problem = Problem(
        tuple(option.choice for option in options),
        (-1, *(op.index for op in ops), -1),
        quantities,
        cost,
        allowed,
        tuple(flows),
    )
    return problem if not exits else _with_exits(problem, Exits.of(graph, ops, exits), entries, tolls)


def _with_exits(problem: Problem, exits: Exits, entries: Sequence[Handed], tolls: Tolls) -> Problem:
    borders = [None if entry.maker is None else tolls.border(entry.tensor) for entry in entries]
    borders += [None] * (len(problem.flows) - len(entries))
    parted = [
        part
        for flow, border in zip(problem.flows, borders, strict=True)
        for part in exits.parted(flow, problem.quantities, border)
    ]
    return replace(
        problem,
        cost=exits.scaled(problem.cost, problem.quantities),
        flows=tuple(parted),
        shares=exits.shares,
        ranks=exits.ranks,
    )


def _flow(entry: Handed, nodes: Mapping[int, int], tolls: Tolls) -> Flow:
    source = 0 if entry.maker is None else nodes[entry.maker.index]
    readers = tuple(nodes[op.index] for op in entry.readers) or (len(nodes) + 1,)
    return Flow(entry.tensor.name, source, readers, tolls.of(entry.tensor, entry.maker, entry.readers))


def _ties(origin: Source, nodes: Mapping[int, int], tolls: Tolls) -> list[Flow]:
    """Return a flow for each pair of neighbours that no cut may part."""
    return [
        Flow("", nodes[layer.index], (nodes[layer.index] + 1,), (tolls.tie,))
        for layer in origin.study.layers
        if layer.refusal is not None and nodes[layer.index] < len(nodes)
    ]


def _stored_nbytes(graph: Graph, op: Op) -> float:
    return sum(tensor.nbytes or 0 for tensor in dict.fromkeys(op.reads) if _is_stored(graph, tensor))


def _share_stored(option: Option) -> float:
    """Return the size of the file in a precision over that in float32, which is taken to be that of each layer."""
    infos = {info.precision: info for info in option.source.study.variants if info.refusal is None}
    own, whole = infos.get(option.choice.precision), infos.get(FLOAT32)
    return own.file_nbytes / whole.file_nbytes if own is not None and whole is not None and whole.file_nbytes else 1.0


def _is_stored(graph: Graph, tensor: Tensor) -> bool:
    maker = graph.producer(tensor)
    return tensor.is_constant or (maker is not None and maker.is_fixed)


def _quantities(sources: Sequence[Source], links: Sequence[Link], *, has_errors: bool) -> tuple[str, ...]:
    devices = [source.device for source in sources]
    has_energy = any(device.watts is not None for device in devices) or any(
        link.nanojoules_per_byte is not None for link in links
    )
    return (
        LATENCY,
        *([ENERGY] if has_energy else []),
        NBYTES,
        *([ERROR] if has_errors else []),
        *(MEMORY + device.name for device in devices),
        *(BUSY + device.name for device in devices),
        *(BUSY + link.name for link in links),
    )


def _check_links(links: Sequence[Link], devices: Sequence[Device]) -> None:
    names, pairs, known = set[str](), set[frozenset[str]](), [device.name for device in devices]
    if HERE in known:
        raise OptionError(f"a device cannot be called {HERE!r}: that stands for the calling program")
    for link in links:
        for end in link.ends:
            if end not in (*known, HERE):
                raise OptionError(f"link {link.name!r} ends at {end!r}, which is no device. {nearest(end, known)}")
        if link.name in names or link.name in known:
            raise OptionError(f"two links or devices are called {link.name!r}: give each a name of its own")
        if frozenset(link.ends) in pairs or len(set(link.ends)) < 2:
            raise OptionError(f"link {link.name!r}: there must be one link between two devices, and not more")
        names.add(link.name)
        pairs.add(frozenset(link.ends))
