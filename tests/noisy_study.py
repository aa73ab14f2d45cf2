"""Layer studies of the shipped model as a noisy machine would measure it, beside what is true of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from litedelegates.layers import LayerStudy, MixedTiming, PartTiming, Setting
from litedelegates.layers.mixed import draw_mixes, mix_name
from litedelegates.layers.records import InPlace
from litedelegates.plan import Device, Gain, Source
from litedelegates.plan.costs import build_problem
from litedelegates.plan.gain import gain_of
from litedelegates.plan.problem import LATENCY, Goal
from litedelegates.plan.solve import solve
from litedelegates.plan.uncertainty import uncertainty
from planted_study import GRAPH, LAYERS, MODEL, variants

RUNS = 20
FLOATS = ("float32", "float16", "dynamic")  # hand each other floats: nothing is converted
FLOAT32_US = {layer.index: 40.0 + 7.3 * (layer.index * 5 % 11) for layer in LAYERS}
Truth = Mapping[str, Mapping[int, float]]


def truth(rng: np.random.Generator, gains: Mapping[str, float], differing: float = 0.0) -> Truth:
    """Return true times: each precision's gain over float32, by which layers differ with a standard deviation."""
    found = {"float32": dict(FLOAT32_US)}
    for precision, gain in gains.items():
        off = np.exp(differing * rng.standard_normal(len(LAYERS)))
        found[precision] = {
            layer: us / gain * float(own) for (layer, us), own in zip(FLOAT32_US.items(), off, strict=True)
        }
    return found


def measured(
    true: Truth, rng: np.random.Generator, *, noise: float = 0.05, whole_noise: float = 0.01, mixes: int = 0
) -> LayerStudy:
    """Return a study of what is true.

    Args:
        true: Microseconds by precision and layer.
        rng: Of the noise.
        noise: Standard deviation of a layer's mean over the runs, as a share of it.
        whole_noise: The same of the median of a whole model; its interval says so.
        mixes: Whole models in drawn precisions.
    """
    placed = tuple(_in_place(Setting(name, "xnnpack"), us, rng, noise, whole_noise) for name, us in true.items())
    study = LayerStudy("noisy", {"model": str(MODEL)}, tuple(LAYERS), variants(tuple(true)), placed)
    if not mixes:
        return study
    indices = [layer.index for layer in LAYERS]
    drawn = [dict.fromkeys(indices, name) for name in true] + draw_mixes(indices, tuple(true), mixes, 3)
    timings = []
    for mix in drawn:
        us = sum(true[name][layer] for layer, name in mix.items()) * float(np.exp(whole_noise * rng.standard_normal()))
        half = 1.96 * whole_noise * us
        timings.append(MixedTiming(mix, Setting(mix_name(mix), "xnnpack"), us, us - half, us + half))
    return dataclasses.replace(study, mixed=tuple(timings), _by_index={})


def _in_place(
    setting: Setting, us: Mapping[int, float], rng: np.random.Generator, noise: float, whole_noise: float
) -> InPlace:
    parts = []
    for layer, own in us.items():
        runs = own * (1 + noise * RUNS**0.5 * rng.standard_normal(RUNS))
        parts.append(
            PartTiming(
                f"op {layer}", setting.delegate, "layer", (layer,), tuple(map(float, abs(runs))), "operator index"
            )
        )
    whole = sum(us.values()) * float(np.exp(whole_noise * rng.standard_normal()))
    half = 1.96 * whole_noise * whole
    return InPlace(setting, tuple(parts), whole_us=whole, whole_low_us=whole - half, whole_high_us=whole + half)


@dataclass(frozen=True)
class Promise:
    """A plan's gain over the default, and what is true of it: the default's true time over the plan's."""

    gain: Gain
    true: float
    precisions: Sequence[str]

    @property
    def off(self) -> float:
        """Logarithm of what was promised over what is true."""
        return float(np.log(self.gain.ratio / self.true))


def promise(study: LayerStudy, true: Truth) -> Promise:
    """Plan for the latency, and hold the plan against the truth."""
    source = Source(Device("pi"), study).fitted(GRAPH)
    problem, goal = build_problem(GRAPH, [source]), Goal({LATENCY: 1.0})
    chosen = solve(problem, goal).assignment
    gain = gain_of(uncertainty(problem, [source]), goal, chosen)
    assert gain is not None
    names = [problem.choices[place].precision for place in chosen]
    took = sum(true[name][layer] for layer, name in zip(problem.layers, names, strict=True) if layer >= 0)
    return Promise(gain, sum(true["float32"].values()) / took, names[1:-1])
