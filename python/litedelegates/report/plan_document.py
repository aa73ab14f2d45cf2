"""A plan as the plain values that its page draws."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from litedelegates.errors import MissingExtraError
from litedelegates.plan.front import FrontPoint
from litedelegates.plan.records import Costs, Device, Link, Plan
from litedelegates.plan.sensitivity import Sensitivity
from litedelegates.plan.simulated import Simulation, Span
from litedelegates.plan.simulation import timeline
from litedelegates.plan.story import best_uniform, busy_us, keeps, tell, value_of
from litedelegates.plan.ways import networks
from litedelegates.plan.what_if import WhatIf

PIPELINED = 4  # inputs that a timeline of a full pipeline shows
RIVALS = 24
METHOD = (
    "Nothing here was run as this plan: every number is predicted from the layer studies of the devices, by a model of "
    "costs in which the layers, conversions and transfers of one input add up.",
    "The period is that of the busiest device or link, when inputs keep coming and each works on the next one as soon "
    "as it can.",
    "Errors of layers are added as squares; what they do to the result as a whole is an estimate until it is checked.",
    "A reason looks at one layer at a time, with all else as it is. What speaks against another choice for many layers "
    "at once is said where the plan is compared with one choice for all layers.",
)


def build_plan_document(
    plan: Plan,
    *,
    front: Sequence[FrontPoint] | None = None,
    what_if: WhatIf | None = None,
    simulation: Simulation | None = None,
    sensitivity: Sensitivity | None = None,
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Return everything that the page shows of a plan."""
    best = best_uniform(plan)
    chapters = [{"title": one.title, "sentences": list(one.sentences)} for one in tell(plan)]
    if sensitivity is not None:
        chapters.append({"title": "How sure it is", "sentences": sensitivity.describe()})
    if left_out:
        chapters.append({"title": "Left out for want of time", "sentences": [f"{one}." for one in left_out]})
    return {
        "title": PurePath(plan.model).stem,
        "lede": _lede(plan),
        "objective": plan.objective,
        "budgets": dict(plan.budgets),
        "chapters": chapters,
        "costs": _costs(plan.costs),
        "low_us": plan.costs.latency_low_us,
        "high_us": plan.costs.latency_high_us,
        "best": None if best is None else {"name": best.name, "value": value_of(plan, best), "own": value_of(plan)},
        "rivals": _rivals(plan),
        "devices": [device.name for device in plan.devices],
        "layers": _layers(plan),
        "stages": [
            {"number": s.number, "device": s.device, "us": s.predicted_us, "layers": len(s.layers)} for s in plan.stages
        ],
        "cuts": _cuts(plan),
        "busy": busy_us(plan),
        "timelines": _timelines(plan),
        "front": [{**_costs(one.costs), "label": one.label} for one in front or ()],
        "what_if": None if what_if is None else _what_if(plan, what_if),
        "simulation": None if simulation is None else _simulation(simulation),
        "provenance": _provenance(plan),
        "method": list(METHOD),
        "foot": f"Plan of {PurePath(plan.model).name}. Written by litedelegates; this page needs no network.",
    }


def _lede(plan: Plan) -> str:
    count, devices = len(plan.layers), [device.name for device in plan.devices]
    used = list(dict.fromkeys(stage.device for stage in plan.stages))
    words = {"latency": "the lowest latency", "throughput": "the highest throughput", "energy": "the least energy"}
    wanted = words.get(plan.objective, "the fewest bytes over links")
    limits = "".join(f", {name.replace('_', ' ')} at most {bound:.4g}" for name, bound in plan.budgets.items())
    where = f"all on {used[0]}" if len(used) == 1 else f"over {' and '.join(used)}"
    choice = "" if len(devices) == 1 or len(used) > 1 else f", of {' and '.join(devices)}"
    stages = "one stage" if len(plan.stages) == 1 else f"{len(plan.stages)} stages"
    kept = " Keep float32: it is not shown to be better." if plan.keeps_default else ""
    return f"{count} layers in {stages} {where}{choice}, for {wanted}{limits}.{kept}"


def _costs(costs: Costs) -> dict[str, Any]:
    return {
        "latency_us": costs.latency_us,
        "period_us": costs.period_us,
        "error": costs.error,
        "nbytes": costs.nbytes,
        "energy_mj": costs.energy_mj,
        "memory_nbytes": sum(costs.memory_nbytes.values()) or None,
        "agreement": costs.agreement,
    }


def _rivals(plan: Plan) -> list[dict[str, Any]]:
    ranked = sorted(plan.rivals, key=lambda one: (not keeps(plan, one), value_of(plan, one) or 0.0, one.name))
    return [
        {"name": one.name, **_costs(one.costs), "keeps": keeps(plan, one), "objection": one.objection}
        for one in ranked[:RIVALS]
    ]


def _layers(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "index": layer.layer,
            "type": layer.type,
            "name": layer.name,
            "device": layer.choice.device,
            "delegate": layer.choice.delegate,
            "threads": layer.choice.threads,
            "precision": layer.choice.precision,
            "stage": layer.stage,
            "us": layer.predicted_us,
            "error": max(0.0, layer.error) ** 0.5,
            "reason": layer.reason,
        }
        for layer in sorted(plan.layers, key=lambda layer: layer.layer)
    ]


def _cuts(plan: Plan) -> list[dict[str, Any]]:
    """Return the places along the depth where the stage changes, with what travels from the one to the other.

    A tensor that skips stages belongs to the first change after the layer that makes it. ``at`` is the position of the
    layer after the cut; 0 stands for the way in, and the number of layers for the way out.
    """
    layers = sorted(plan.layers, key=lambda layer: layer.layer)
    found: list[tuple[int, int, bool]] = []
    if any(crossing.link for crossing in plan.crossings if crossing.source == -1):
        found.append((0, -1, False))
    for place, (left, right) in enumerate(itertools.pairwise(layers), 1):
        if left.stage != right.stage:
            found.append((place, left.stage, False))
    if any(crossing.link for crossing in plan.crossings if crossing.reader == -1):
        found.append((len(layers), -1, True))
    told: set[int] = set()
    cuts = []
    for place, source, is_way_out in found:
        own = [
            (number, crossing)
            for number, crossing in enumerate(plan.crossings)
            if number not in told
            and (crossing.reader == -1 if is_way_out else crossing.source == source and crossing.reader != -1)
        ]
        told.update(number for number, _ in own)
        tensors = [
            {"tensor": c.tensor, "dtype": c.dtype, "nbytes": c.nbytes, "link": c.link, "us": c.predicted_us}
            for _, c in own
        ]
        cuts.append(
            {"at": place, "tensors": tensors, "link": next((one["link"] for one in tensors if one["link"]), "")}
        )
    return cuts


def _timelines(plan: Plan) -> list[dict[str, Any]]:
    """Return who works when; nothing where what simulates is not installed."""
    try:
        spans = [("one input", timeline(plan, 1)), (f"{PIPELINED} inputs at once", timeline(plan, PIPELINED))]
    except MissingExtraError:
        return []
    return [{"name": name, "spans": [_span(span) for span in own]} for name, own in spans]


def _span(span: Span) -> list[Any]:
    return [span.number, span.station, span.label, round(span.from_us, 3), round(span.to_us, 3)]


def _what_if(plan: Plan, found: WhatIf) -> dict[str, Any]:
    between = networks(plan.links, plan.devices[0].name)
    over = [link for link in between if link.name in {crossing.link for crossing in plan.crossings}] or between
    return {
        "points": [[one.bandwidth_mbps, one.latency_us, dict(one.alone_us)] for one in found.points],
        "regimes": [{"low": one.low, "high": one.high, "label": one.label} for one in found.regimes],
        "now": over[0].bandwidth_mbps if over else None,
        "link": over[0].name if over else "",
    }


def _simulation(found: Simulation) -> dict[str, Any]:
    skipped = ("spans", "stations", "queues", "load")
    return {
        **{name: value for name, value in vars(found).items() if name not in skipped},
        "quantiles_us": list(found.quantiles_us),
        "sampled_s": list(found.sampled_s),
        "load": _load(found),
        "stations": [vars(use) for use in found.stations],
        "queues": [list(queue) for queue in found.queues],
    }


def _load(found: Simulation) -> str:
    clients = "1 client" if found.clients == 1 else f"{found.clients:,} clients"
    if found.load.rate_per_s is None:
        return f"{clients}, each with {found.load.depth or 1} inputs under way at all times"
    how = "by chance" if found.load.pattern == "poisson" else "evenly"
    return f"{clients}, {found.load.rate_per_s:g} inputs a second each, {how}"


def _provenance(plan: Plan) -> list[dict[str, Any]]:
    made = [["Model", plan.model], ["SHA-256", plan.sha256], ["Objective", plan.objective]]
    made += [[f"At most {name}", f"{bound:.6g}"] for name, bound in plan.budgets.items()]
    made += [["Found by", plan.method], ["In", f"{plan.seconds:.3g} s"]]
    made.append(["Gap to the best", "none" if plan.is_exact else f"{plan.gap:.2%} at most"])
    return [
        {"title": "Plan", "facts": made},
        *({"title": f"Device {device.name}", "facts": _device(device)} for device in plan.devices),
        *({"title": f"Link {link.name}", "facts": _link(link)} for link in plan.links),
    ]


def _device(device: Device) -> list[list[str]]:
    facts = [["Study", device.store or "given in memory"]]
    if device.predicted_from:
        facts.append(["Times predicted from", device.predicted_from])
    if device.prediction_error is not None:
        facts.append(["Median error of that", f"{device.prediction_error:.1%}"])
    if device.watts is not None:
        facts.append(["Power above idle", f"{device.watts:g} W"])
    if device.memory_nbytes is not None:
        facts.append(["Memory for weights", f"{device.memory_nbytes / 1e6:.3g} MB"])
    return facts


def _link(link: Link) -> list[list[str]]:
    facts = [["Between", " and ".join(link.ends)], ["Bandwidth", f"{link.bandwidth_mbps:g} Mbit/s"]]
    facts += [["Latency", f"{link.latency_us:g} µs"], ["Overhead of a message", f"{link.overhead_us:g} µs"]]
    if link.overhead_back_us is not None:
        facts.append([f"The same from {link.ends[1]} to {link.ends[0]}", f"{link.overhead_back_us:g} µs"])
    if link.jitter_us:
        facts.append(["Jitter", f"{link.jitter_us:g} µs"])
    if link.loss:
        facts.append(["Loss", f"{link.loss:.2%}"])
    return [*facts, ["Measured", link.measured or "no, given"]]


def plain(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document with numbers rounded to what can be seen."""
    return {name: _rounded(value) for name, value in document.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, (list, tuple)) else value
