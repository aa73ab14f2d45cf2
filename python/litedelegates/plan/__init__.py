"""Precision for each layer and a device for each part of a model, found from the records of layer studies."""

from litedelegates.errors import PlanError
from litedelegates.plan.costs import build_problem
from litedelegates.plan.device_texts import parse_devices
from litedelegates.plan.links import parse_link, read_link
from litedelegates.plan.outlook import how_sure, pareto_front, what_if_bandwidth
from litedelegates.plan.planning import OBJECTIVES, make_plan
from litedelegates.plan.reading import load_plan, relocated, save_plan
from litedelegates.plan.records import (
    HERE,
    Choice,
    Costs,
    Crossing,
    Device,
    Gain,
    LayerPlan,
    Link,
    Plan,
    Rival,
    StagePlan,
)
from litedelegates.plan.sources import Source

__all__ = [
    "Choice",
    "Costs",
    "Crossing",
    "Device",
    "Gain",
    "HERE",
    "LayerPlan",
    "Link",
    "OBJECTIVES",
    "Plan",
    "PlanError",
    "Rival",
    "Source",
    "StagePlan",
    "build_problem",
    "how_sure",
    "load_plan",
    "make_plan",
    "pareto_front",
    "parse_devices",
    "parse_link",
    "read_link",
    "relocated",
    "save_plan",
    "what_if_bandwidth",
]
