"""Layer studies of the shipped model with times, conversions and errors that a test has chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from litedelegates.graph import Graph, load
from litedelegates.layers import InPlace, LayerError, LayerStudy, MixedTiming, PartTiming, Setting, VariantInfo
from litedelegates.layers.infos import layer_infos
from litedelegates.layers.mixed import draw_mixes, mix_name
from litedelegates.plan.flows import conversions, handed
from litedelegates.plan.held import Held

MODEL = Path(__file__).parent.parent / "models" / "digits.tflite"
GRAPH: Graph = load(str(MODEL))
LAYERS = layer_infos(GRAPH)
SPEED = {"float32": 1.0, "dynamic": 0.5, "int8": 0.25}


def layer_us(precision: str, slower: float = 1.0) -> dict[int, float]:
    """Return the time of each layer: no two are the same, and all are in the ratio of `SPEED`."""
    return {layer.index: slower * SPEED[precision] * (40.0 + 7.3 * (layer.index * 5 % 11)) for layer in LAYERS}


def in_place(setting: Setting, us: Mapping[int, float], factor: float = 1.0, more_us: float = 0.0) -> InPlace:
    """Return times in place whose whole model takes ``factor`` times their sum and ``more_us`` more."""
    parts = tuple(
        PartTiming(f"op {layer}", setting.delegate, "layer", (layer,), (own, own, own), "operator index")
        for layer, own in us.items()
    )
    return InPlace(setting, parts, whole_us=factor * sum(us.values()) + more_us)


def variants(precisions: Sequence[str]) -> tuple[VariantInfo, ...]:
    """Return files that hold int8 outputs where the precision is int8; that of int8 has a quarter of the bytes."""
    found = []
    for precision in precisions:
        share = 4 if precision == "int8" else 1
        nbytes = {layer.index: (layer.nbytes["float32"] or 0) // share for layer in LAYERS}
        found.append(VariantInfo(precision, "ab" * 32, 240_000 // (1 if precision == "float32" else 4), nbytes))
    return tuple(found)


def planted(
    delegate: str = "xnnpack",
    precisions: Sequence[str] = ("float32", "dynamic", "int8"),
    *,
    quantize: tuple[float, float] = (0.0, 0.0),
    dequantize: tuple[float, float] = (0.0, 0.0),
    factors: Mapping[str, float] | None = None,
    mixes: int = 0,
    noise: float = 0.0,
    slower: float = 1.0,
    drift: float = 1.0,
) -> LayerStudy:
    """Return a study of which everything is known.

    Args:
        delegate: On which.
        precisions: In which.
        quantize: Microseconds of each conversion to integers, and of each of its elements.
        dequantize: The same of going back.
        factors: Time of layers in whole models over that in place, by precision.
        mixes: Mixed models.
        noise: Standard deviation of their times, as a share of them.
        slower: Times of all layers.
        drift: How much slower the machine was when whole models were timed.
    """
    factor = {precision: (factors or {}).get(precision, 1.0) for precision in precisions}
    study = LayerStudy("planted", {"model": str(MODEL)}, tuple(LAYERS), variants(precisions))
    held, flows, rng = Held(GRAPH, study), handed(GRAPH), np.random.default_rng(1)
    us = {precision: layer_us(precision, slower) for precision in precisions}

    def borders_us(mix: Mapping[int, str]) -> float:
        total = 0.0
        for flow in flows:
            for conversion in conversions(held, flow, mix):
                fixed, each = quantize if conversion.is_quantize else dequantize
                total += fixed + each * conversion.elements
        return total

    def whole_us(mix: Mapping[int, str]) -> float:
        return borders_us(mix) + math.fsum(factor[name] * us[name][layer] for layer, name in mix.items())

    indices = [layer.index for layer in LAYERS]
    uniforms = {name: dict.fromkeys(indices, name) for name in precisions}
    drawn = [*uniforms.values(), *draw_mixes(indices, precisions, mixes, 3)] if mixes else []
    uniform_us = {name: drift * whole_us(mix) for name, mix in uniforms.items()}
    timings = tuple(
        MixedTiming(
            mix,
            Setting(mix_name(mix), delegate),
            drift * whole_us(mix) * float(np.exp(noise * rng.standard_normal() * (len(set(mix.values())) > 1))),
            uniform_us=uniform_us,
        )
        for mix in drawn
    )
    placed = tuple(
        in_place(Setting(name, delegate), us[name], factor[name], borders_us(uniforms[name])) for name in precisions
    )
    return LayerStudy(study.key, study.config, study.layers, study.variants, placed, mixed=timings)


def output_errors(precision: str, sqnr_db: float, agreement: float = 1.0) -> tuple[LayerError, ...]:
    """Return the same error of the output for each layer."""
    return tuple(
        LayerError(layer.index, precision, "output", "none", 8, 80, sqnr_db=sqnr_db, agreement=agreement)
        for layer in LAYERS
    )
