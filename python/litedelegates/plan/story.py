"""A plan in sentences: what it gains, where its time goes, what its cuts cost, what would have to change."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from litedelegates.layers.records import Record
from litedelegates.plan.records import Crossing, LayerPlan, Link, Plan, Rival, StagePlan
from litedelegates.plan.ways import networks
from litedelegates.words import counted, listed, say_nbytes, say_share, say_us

SLOWEST = 5
_NOUNS = {"throughput": "time between results", "bytes": "to send"}


@dataclass(frozen=True)
class Chapter(Record):
    """Sentences about one thing.

    Attributes:
        title: What they are about.
        sentences: In an order to read.
    """

    title: str
    sentences: tuple[str, ...]


def tell(plan: Plan) -> tuple[Chapter, ...]:
    """Return what there is to say about a plan; chapters that have nothing to say are left out."""
    chapters = (
        ("In short", _short(plan)),
        ("Against one choice for all layers", _rivals(plan)),
        ("Where the time goes", _time(plan)),
        ("Borders and cuts", _borders(plan)),
        ("What would have to change", _change(plan)),
        ("Before it is trusted", iter(plan.notes)),
    )
    told = ((title, tuple(sentences)) for title, sentences in chapters)
    return tuple(Chapter(title, sentences) for title, sentences in told if sentences)


def value_of(plan: Plan, rival: Rival | None = None) -> float | None:
    """Return the objective of a plan, or of one of its rivals; None where it is not known."""
    costs = plan.costs if rival is None else rival.costs
    values = {"throughput": costs.period_us, "energy": costs.energy_mj, "bytes": float(costs.nbytes)}
    return values.get(plan.objective, costs.latency_us)


def best_uniform(plan: Plan) -> Rival | None:
    """Return the rival that keeps the budgets and comes closest to the plan; None where none keeps them."""
    known = [rival for rival in plan.rivals if value_of(plan, rival) is not None and keeps(plan, rival)]
    return min(known, key=lambda rival: value_of(plan, rival) or 0.0, default=None)


def keeps(plan: Plan, rival: Rival) -> bool:
    """Return whether a rival keeps the budgets of a plan."""
    costs = rival.costs
    values = {"error": costs.error, "accuracy_drop": costs.accuracy_drop, "latency_us": costs.latency_us}
    values |= {"energy_mj": costs.energy_mj, "nbytes": float(costs.nbytes)}
    values |= {f"memory:{device}": float(used) for device, used in costs.memory_nbytes.items()}
    limits = ((values.get(name), bound) for name, bound in plan.budgets.items())
    return all(value is None or value <= bound * (1 + 1e-9) for value, bound in limits)


def _short(plan: Plan) -> Iterator[str]:
    costs = plan.costs
    if plan.gain is not None:
        said = plan.gain.describe(plan.objective)
        yield f"{said[0].upper()}{said[1:]}."
    between = ""
    if costs.latency_low_us is not None and costs.latency_high_us is not None:
        between = f" (between {say_us(costs.latency_low_us)} and {say_us(costs.latency_high_us)})"
    yield (
        f"One input takes {say_us(costs.latency_us)}{between}; with inputs that keep coming there is a result every "
        f"{say_us(costs.period_us)}."
    )
    for device in plan.devices:
        own = [layer for layer in plan.layers if layer.choice.device == device.name]
        if own:
            yield f"{device.name} has {counted(len(own), 'layer')}: {_precisions(own)}."
    for name, share in plan.exits.items():
        yield f"{say_share(share)} of the inputs are taken to leave at {name}; all costs are means over the inputs."
    quality = [f"the relative error of the result is {costs.error:.3g}"] if costs.error else []
    if costs.agreement is not None:
        quality.append(f"{costs.agreement:.2%} of the inputs keep their largest output")
    if costs.accuracy_drop is not None:
        quality.append(f"{costs.accuracy_drop:.2%} of accuracy is lost")
    if quality:
        yield f"By the model of errors {listed(quality)}."
    found = f"found by {plan.method}" if plan.method else "found"
    if plan.is_exact:
        yield f"No plan has less {_NOUNS.get(plan.objective, plan.objective)} under this model of costs; {found}."
    else:
        yield f"A better plan may exist, by {plan.gap:.2%} at most; {found}."


def _rivals(plan: Plan) -> Iterator[str]:
    own, best, noun = value_of(plan), best_uniform(plan), _NOUNS.get(plan.objective, plan.objective)
    if not plan.rivals or own is None:
        return
    if best is None:
        yield "No single choice for all layers keeps the bounds: only a mixture does."
    else:
        value = value_of(plan, best)
        if value and own < value * (1 - 1e-6):
            saved = say_share(1 - own / value)
            yield f"{best.name} is the best that keeps the bounds; the plan has {saved} less {noun}."
        else:
            yield f"{best.name} is as good: there is nothing to gain by mixing."
    quicker = [rival for rival in plan.rivals if (value_of(plan, rival) or own) < own and not keeps(plan, rival)]
    for rival in quicker[:3]:
        saved = say_share(1 - (value_of(plan, rival) or own) / own)
        yield f"{rival.name} would have {saved} less {noun}, but: {rival.objection or 'it exceeds a bound'}."


def _time(plan: Plan) -> Iterator[str]:
    whole = plan.costs.latency_us or 1.0
    stages, sent = plan.stages, _sent(plan)
    parts = [f"{say_share(stage.predicted_us / whole)} in {_stage(stage)}" for stage in stages[:6]]
    if sent:
        parts.append(f"{say_share(sum(crossing.predicted_us for crossing in sent) / whole)} on links")
    yield f"Of the latency of one input {listed(parts)}."
    slowest = sorted(plan.layers, key=lambda layer: -layer.predicted_us)[:SLOWEST]
    if len(plan.layers) > SLOWEST:
        share = sum(layer.predicted_us for layer in slowest) / whole
        names = listed([f"{layer.layer} {layer.type} ({say_us(layer.predicted_us)})" for layer in slowest])
        yield f"The slowest layers, {say_share(share)} of it: {names}."
    within = sum(stage.predicted_us for stage in stages) - sum(layer.predicted_us for layer in plan.layers)
    if within > 0.001 * whole:
        yield f"Conversions and hand-overs on the devices take {say_us(within)}, {say_share(within / whole)}."


def _borders(plan: Plan) -> Iterator[str]:
    links = {link.name: link for link in plan.links}
    for crossing in _sent(plan):
        link = links.get(crossing.link)
        if link is not None:
            yield _crossing(plan, crossing, link)
    for stage in plan.stages:
        own = sorted((layer for layer in plan.layers if layer.stage == stage.number), key=lambda layer: layer.layer)
        changes = [
            f"{right.layer} ({left.choice.precision} to {right.choice.precision})"
            for left, right in itertools.pairwise(own)
            if left.choice.precision != right.choice.precision
        ]
        if changes:
            shown = (
                listed(changes[:6]) if len(changes) <= 6 else f"{', '.join(changes[:6])} and {len(changes) - 6} more"
            )
            yield f"In stage {stage.number} the precision changes before layer {shown}."


def _crossing(plan: Plan, crossing: Crossing, link: Link) -> str:
    ends = {stage.number: f"stage {stage.number}" for stage in plan.stages}
    source, reader = ends.get(crossing.source, "the input"), ends.get(crossing.reader, "the result")
    bytes_us = 8 * crossing.nbytes / link.bandwidth_mbps
    fixed = max(0.0, crossing.predicted_us - bytes_us)
    return (
        f"{crossing.tensor} from {source} to {reader} over {link.name}: {say_nbytes(crossing.nbytes)} as "
        f"{crossing.dtype} in {say_us(crossing.predicted_us)}, of it {say_us(bytes_us)} for its bytes at "
        f"{link.bandwidth_mbps:g} Mbit/s and {say_us(fixed)} whatever its size."
    )


def _change(plan: Plan) -> Iterator[str]:
    busy = sorted(busy_us(plan).items(), key=lambda item: -item[1])
    if len(busy) > 1:
        (first, most), (second, next_most) = busy[:2]
        yield (
            f"When inputs keep coming, all wait for {first}: it works {say_us(most)} on each. "
            f"Next is {second} with {say_us(next_most)}: beyond that a quicker {first} gains nothing."
        )
    links = {link.name: link for link in networks(plan.links, plan.devices[0].name)}
    sent = [crossing for crossing in _sent(plan) if crossing.link in links]
    names = {crossing.link for crossing in sent}
    alone = [rival for rival in plan.rivals if not rival.costs.nbytes and keeps(plan, rival)]
    if len(names) == 1 and alone:
        link = links.get(names.pop())
        rival = min(alone, key=lambda one: one.costs.latency_us)
        bytes_us = 0.0 if link is None else sum(8 * crossing.nbytes / link.bandwidth_mbps for crossing in sent)
        room = rival.costs.latency_us - (plan.costs.latency_us - bytes_us)
        if link is not None and 0 < bytes_us < room:
            even = link.bandwidth_mbps * bytes_us / room
            yield (
                f"Below {even:.3g} Mbit/s on {link.name} this plan is slower than {rival.name} "
                f"({say_us(rival.costs.latency_us)}); it was made for {link.bandwidth_mbps:g} Mbit/s."
            )
    if not sent and len(plan.devices) > 1:
        idle = [device.name for device in plan.devices[1:]]
        yield f"Nothing is sent: by this model of costs nothing is gained by using {listed(idle)} over these links."


def busy_us(plan: Plan) -> dict[str, float]:
    """Return for how long each device and link works on one input."""
    links, found = {link.name: link for link in plan.links}, dict[str, float]()
    for stage in plan.stages:
        found[stage.device] = found.get(stage.device, 0.0) + stage.predicted_us
    for crossing in _sent(plan):
        link = links.get(crossing.link)
        busy = crossing.predicted_us - (link.latency_us if link is not None else 0.0)
        found[crossing.link] = found.get(crossing.link, 0.0) + max(0.0, busy)
    return found


def _sent(plan: Plan) -> list[Crossing]:
    return [crossing for crossing in plan.crossings if crossing.link]


def _stage(stage: StagePlan) -> str:
    return f"stage {stage.number} on {stage.device} ({counted(len(stage.layers), 'layer')})"


def _precisions(layers: Sequence[LayerPlan]) -> str:
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer.choice.precision] = counts.get(layer.choice.precision, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return listed([f"{count} in {precision}" for precision, count in ordered])
