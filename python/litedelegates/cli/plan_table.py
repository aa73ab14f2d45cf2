"""A plan in the terminal: what it costs beside its rivals, its stages, and what they hand each other."""

from __future__ import annotations

from collections.abc import Iterator

from litedelegates.cli.layers_table import end_of_name
from litedelegates.plan import Costs, LayerPlan, Plan, Rival
from litedelegates.words import say_us

_RIVALS = 6


def plan_lines(plan: Plan, *, with_layers: bool = False) -> Iterator[str]:
    """Yield the lines of a plan."""
    how = "the best there is under this model of costs" if plan.is_exact else f"at most {plan.gap:.2%} from the best"
    yield f"{plan.model}: {len(plan.layers)} layers, {plan.objective} minimized: {how}"
    yield f"found by {plan.method} in {plan.seconds:.2f} s"
    if plan.gain is not None:
        said = plan.gain.describe(plan.objective)
        yield said if plan.gain.is_shown else f"{said[:12].upper()}{said[12:]}"
    for output, share in plan.exits.items():
        yield f"{share:.0%} of the inputs are taken to leave at {output}: costs are means over the inputs"
    yield ""
    rows: list[tuple[str, ...]] = [("", "latency", "period", "error", "sent", "weights", "")]
    rows.append(("this plan", *_cells(plan.costs), _interval(plan.costs)))
    rows += [(rival.name, *_cells(rival.costs), rival.objection) for rival in _shown(plan.rivals)]
    yield from table(rows)
    yield ""
    rows = [("stage", "device", "delegate", "layers", "precisions", "predicted")]
    for stage in plan.stages:
        own = [layer for layer in plan.layers if layer.stage == stage.number]
        where = f"{stage.device}", f"{stage.delegate} {stage.threads}t"
        rows.append((str(stage.number), *where, _ranges(stage.layers), _precisions(own), say_us(stage.predicted_us)))
    yield from table(rows)
    if any(crossing.link for crossing in plan.crossings):
        yield ""
        rows = [("handed on", "from", "to", "as", "bytes", "over", "predicted")]
        for crossing in plan.crossings:
            ends = [str(end) if end >= 0 else "caller" for end in (crossing.source, crossing.reader)]
            if crossing.link:
                size, took = str(crossing.nbytes), say_us(crossing.predicted_us)
                rows.append((crossing.tensor, *ends, crossing.dtype, size, crossing.link, took))
        yield from table(rows)
    if with_layers:
        yield ""
        rows = [("layer", "type", "name", "stage", "precision", "predicted", "why")]
        for layer in plan.layers:
            name = (str(layer.layer), layer.type, end_of_name(layer.name), str(layer.stage), layer.choice.precision)
            rows.append((*name, say_us(layer.predicted_us), layer.reason))
        yield from table(rows)
    if plan.notes:
        yield ""
        yield from (f"note: {note}" for note in plan.notes)


def _shown(rivals: tuple[Rival, ...]) -> list[Rival]:
    """Return the quickest rivals, and of each device the plain float32 ones."""
    quick = rivals[:_RIVALS]
    return [*quick, *(rival for rival in rivals[_RIVALS:] if ": float32 " in rival.name)]


def _cells(costs: Costs) -> tuple[str, ...]:
    weights = sum(costs.memory_nbytes.values())
    return (
        say_us(costs.latency_us),
        say_us(costs.period_us),
        f"{costs.error:.3g}",
        str(costs.nbytes),
        f"{weights / 1e6:.2f} MB",
    )


def _interval(costs: Costs) -> str:
    if costs.latency_low_us is None or costs.latency_high_us is None:
        return ""
    return f"latency between {say_us(costs.latency_low_us)} and {say_us(costs.latency_high_us)}"


def _precisions(layers: list[LayerPlan]) -> str:
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer.choice.precision] = counts.get(layer.choice.precision, 0) + 1
    return ", ".join(f"{count} {precision}" for precision, count in sorted(counts.items(), key=lambda item: -item[1]))


def _ranges(numbers: tuple[int, ...]) -> str:
    """Return numbers in short, such as "0-5, 8"."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in found]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:5], f"... {shown[-1]}"])


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield lines with columns below each other; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
