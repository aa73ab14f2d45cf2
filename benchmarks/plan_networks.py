"""Planning problems of any size for `plan.py`: chains, ResNets and Inceptions on three devices in four precisions."""

from __future__ import annotations

import numpy as np
from litedelegates.plan.problem import BUSY, ERROR, LATENCY, Flow, Problem, Toll
from litedelegates.plan.records import Choice

DEVICES = ("pi", "jetson", "server")
SPEED = (1.0, 0.35, 0.12)  # microseconds of a layer, relative to the first device's
PRECISIONS = ("float32", "float16", "dynamic", "int8")
GAIN = (1.0, 1.0, 0.6, 0.4)  # microseconds, relative to float32's
DAMAGE = (0.0, 1e-7, 3e-6, 1e-5)  # squared relative error of a layer, in the middle
LINKS = {(0, 1): 20.0, (0, 2): 50.0, (1, 2): 100.0}  # megabits per second, between devices
MESSAGE_US = 500.0
SHAPES = ("chain", "ResNet", "Inception")
CHOICES = tuple(Choice(device, "xnnpack", precision) for device in DEVICES for precision in PRECISIONS)
DEVICE = np.arange(len(CHOICES)) // len(PRECISIONS)
INT8 = np.arange(len(CHOICES)) % len(PRECISIONS) == PRECISIONS.index("int8")
LINK_NAMES = tuple(f"{BUSY}{DEVICES[one]}-{DEVICES[other]}" for one, other in LINKS)
QUANTITIES = (LATENCY, ERROR, *(BUSY + device for device in DEVICES), *LINK_NAMES)


def make_problem(shape: str, nodes: int, seed: int) -> Problem:
    """Return a problem with random costs; its first and last node are the model's input and output on the first device.

    Times and sizes are log-normal; what a precision brings differs from layer to layer. Tensors travel as int8 where
    the source computes in it, otherwise as float32; the reader converts.
    """
    random = np.random.default_rng(seed)
    cost = np.zeros((nodes, len(CHOICES), len(QUANTITIES)))
    us = random.lognormal(6, 1, (nodes, 1)) * np.outer(SPEED, GAIN).ravel()
    cost[:, :, 0] = us * random.lognormal(0, 0.2, us.shape)
    cost[:, :, 1] = np.tile(DAMAGE, len(DEVICES)) * random.lognormal(0, 1.5, (nodes, len(CHOICES)))
    for place in range(len(DEVICES)):
        cost[:, :, 2 + place] = cost[:, :, 0] * (place == DEVICE)
    cost[[0, -1]] = 0.0
    allowed = np.ones((nodes, len(CHOICES)), dtype=bool)
    allowed[[0, -1], 1:] = False
    flows = tuple(
        Flow(f"t{source}", source, readers, (_make_toll(float(random.lognormal(10, 1))),))
        for source, readers in _readers(shape, nodes).items()
    )
    return Problem(CHOICES, (-1, *range(nodes - 2), -1), QUANTITIES, cost, allowed, flows)


def _make_toll(nbytes: float) -> Toll:
    """Return what a tensor of that many bytes in float32 costs; a form is a device and whether it is int8."""
    toll = np.zeros((len(CHOICES), 2 * len(DEVICES), len(QUANTITIES)))
    for form in range(toll.shape[1]):
        device, as_int8 = divmod(form, 2)
        toll[bool(as_int8) != INT8, form, 2 + device] = nbytes / 4000 * SPEED[device]
        for place, (ends, mbps) in enumerate(LINKS.items()):
            if device in ends:
                over = sum(ends) - device == DEVICE
                us = MESSAGE_US + 8 * nbytes / np.where(INT8, 4, 1) / mbps
                toll[over, form, 2 + len(DEVICES) + place] = us[over]
    toll[:, :, 0] = toll[:, :, 2:].sum(axis=2)
    return Toll(2 * DEVICE + INT8, toll)


def _readers(shape: str, nodes: int) -> dict[int, tuple[int, ...]]:
    readers = {node: [node + 1] for node in range(nodes - 1)}
    if shape == "ResNet":
        for first in range(0, nodes - 4, 4):
            readers[first].append(first + 4)
    if shape == "Inception":  # four branches of one, two, three and two nodes, joined in one
        for first in range(0, nodes - 9, 9):
            readers[first] = [first + 1, first + 2, first + 4, first + 7]
            for last in (1, 3, 6, 8):
                readers[first + last] = [first + 9]
    return {node: tuple(own) for node, own in readers.items()}
