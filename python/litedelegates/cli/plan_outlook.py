"""What `litedelegates plan` shows beside a plan: other plans, links and measured times; as records and plots."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from litedelegates.errors import OptionError
from litedelegates.files import write_whole
from litedelegates.plan import Link, Plan, Source, how_sure, pareto_front, what_if_bandwidth
from litedelegates.plan.deadline import Deadline
from litedelegates.plan.front import FrontPoint
from litedelegates.plan.sensitivity import Sensitivity
from litedelegates.plan.simulation import timeline
from litedelegates.plan.ways import networks
from litedelegates.plan.what_if import WhatIf

# Of the time that is left: for how sure the plan is, then for the front where other links are to come.
_SURENESS, _FRONT = 0.3, 0.5


@dataclass(frozen=True)
class Outlook:
    """What there is beside a plan.

    Attributes:
        front: Plans that nothing beats in all respects; None where nothing but latency is known.
        what_if: The best plans over other bandwidths of the first link between devices; None without one.
        sensitivity: How sure it is that the plan is the one to take; None where there was no time to tell.
        left_out: What was left out for want of time.
    """

    front: tuple[FrontPoint, ...] | None
    what_if: WhatIf | None
    sensitivity: Sensitivity | None
    left_out: tuple[str, ...] = ()


def look_out(
    plan: Plan, sources: Sequence[Source], links: Sequence[Link], precisions: Sequence[str] | None, until: Deadline
) -> Outlook:
    """Return what there is beside a plan, as far as the studies have it and the time allows."""
    front, what_if, sensitivity = None, None, None
    between = networks(links, sources[0].device.name)
    if not until.is_over:
        sensitivity = how_sure(plan, sources, links, precisions=precisions, deadline=until.part(_SURENESS))
    else:
        until.leave_out("how sure the plan is")
    if not until.is_over:
        with contextlib.suppress(OptionError):  # nothing but latency is known
            front = pareto_front(
                sources,
                links,
                model=plan.model,
                precisions=precisions,
                budgets=plan.budgets,
                exits=plan.exits,
                deadline=until.part(_FRONT if between else 1.0),
            )
    else:
        until.leave_out("the front of other plans")
    if between and not until.is_over:
        what_if = what_if_bandwidth(plan, sources, links, between[0].name, precisions=precisions, deadline=until)
    elif between:
        until.leave_out("other bandwidths of the link")
    return Outlook(front, what_if, sensitivity, tuple(until.left_out))


def write_outlook(plan: Plan, outlook: Outlook, folder: Path) -> list[str]:
    """Write records and plots into a folder, and return the paths.

    Raises:
        MissingExtraError: matplotlib or SimPy is not installed.
        OSError: A file cannot be written.
    """
    from litedelegates.report.plan_plots import draw_front, draw_timeline, draw_what_if, save_plot

    records = {
        "front": [point.to_json() for point in outlook.front or ()],
        "what_if": None if outlook.what_if is None else outlook.what_if.to_json(),
        "sensitivity": None if outlook.sensitivity is None else outlook.sensitivity.to_json(),
        "left_out": list(outlook.left_out),
    }
    files = {"outlook.json": json.dumps(records, indent=1).encode()}
    front = outlook.front or ()
    for name in ("error", "energy_mj", "nbytes"):
        if len({getattr(point.costs, name) for point in front}) > 1:
            draw = functools.partial(draw_front, front, plan, over=name)
            files[f"front_{name}.svg"] = save_plot(draw, "front.svg")
    if outlook.what_if is not None:
        files["what_if.svg"] = save_plot(functools.partial(draw_what_if, outlook.what_if), "what_if.svg")
    devices = [device.name for device in plan.devices]
    files["timeline.svg"] = save_plot(lambda: draw_timeline(timeline(plan), devices), "timeline.svg")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, [content])
    return [str(folder / name) for name in files]
