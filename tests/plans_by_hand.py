"""Plans and problems with round numbers, made by hand."""

from __future__ import annotations

from typing import Any

from litedelegates.plan.records import Choice, Costs, Crossing, Device, LayerPlan, Link, Plan, StagePlan

WIFI = Link("wifi", ("pi", "server"), bandwidth_mbps=20.0, latency_us=2000.0, overhead_us=200.0)
PI, SERVER = Device("pi", watts=3.0), Device("server")


def stage(number: int, device: str, us: float, *layers: int) -> StagePlan:
    return StagePlan(number, device, "xnnpack", 1, layers, us)


def crossing(source: int, reader: int, nbytes: int, link: Link | None = WIFI, tensor: str = "") -> Crossing:
    us = 0.0 if link is None else link.transfer_us(nbytes)
    return Crossing(tensor or f"t{source}", source, reader, "float32", nbytes, "" if link is None else link.name, us)


def plan_of(stages: Any, crossings: Any, costs: Costs, links: Any = (WIFI,), **more: Any) -> Plan:
    layers = tuple(
        LayerPlan(layer, "CONV_2D", f"conv{layer}", Choice(s.device, "xnnpack", "int8"), s.number, s.predicted_us)
        for s in stages
        for layer in s.layers
    )
    names = {s.device for s in stages} | {"pi"}
    devices = tuple(device for device in (PI, SERVER) if device.name in names)
    more |= {"links": links, "crossings": tuple(crossings)}
    return Plan("model.tflite", "0" * 64, "latency", devices, layers, tuple(stages), costs, **more)


def one_stage(us: float) -> Plan:
    """Everything on the client."""
    return plan_of([stage(0, "pi", us, 0)], [], Costs(us, us), links=())


def chain(link: Link = WIFI, fallback: Plan | None = None) -> Plan:
    """10 ms on the client, 1.5 ms on the server, 20 kB to it and 1 kB back."""
    there, back = crossing(0, 1, 20_000, link), crossing(1, -1, 1_000, link)
    latency = 11_500 + there.predicted_us + back.predicted_us
    busy = max(10_000.0, there.predicted_us + back.predicted_us - 2 * link.latency_us)
    costs = Costs(latency, busy, nbytes=21_000)
    stages = [stage(0, "pi", 10_000.0, 0, 1), stage(1, "server", 1_500.0, 2)]
    return plan_of(stages, [there, back], costs, (link,), fallback=fallback)
