"""Records of a layer study written by a script: known times, errors, refusals and odd numbers, without a model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo, PartTiming, Setting, VariantInfo
from litedelegates.layers.store import LayerStore
from litedelegates.study import Store
from synthetic_study import MACHINE, VERSIONS

# Microseconds a million multiplications take, and what quantizing does to the error of a layer.
SPEEDS = {
    ("float32", "xnnpack"): 14.0,
    ("float16", "xnnpack"): 14.1,
    ("int8", "xnnpack"): 4.1,
    ("float32", "none"): 95.0,
    ("float16", "none"): 95.2,
    ("int8", "none"): 30.0,
}
NOISE_DB = {"float16": 66.0, "int8": 34.0}
NO_CUT = "the state of the network is alive here and cannot cross a cut"
NO_INT16 = "the converter has no int16 form of DEPTHWISE_CONV_2D"


class LayerRecords(NamedTuple):
    """What `report.layers.layers_document` takes."""

    infos: list[LayerInfo]
    in_place: list[InPlace]
    alone: list[Alone]
    errors: list[LayerError]


def layer_records(count: int = 40, *, name: str = "block", gpu: bool = True, seed: int = 0) -> LayerRecords:
    """Return the records of a residual network of ``count`` layers: every fourth adds what came three layers before."""
    random = np.random.default_rng(seed)
    infos = [_info(index, count, name) for index in range(count)]
    work = [_work(info) for info in infos]
    in_place, alone = [], []
    for precision, delegate in SPEEDS:
        setting = Setting(precision, delegate, 2)
        us = [w * SPEEDS[precision, delegate] * random.lognormal(0, 0.12) + 2 for w in work]
        in_place.append(_in_place(setting, infos, us, random))
        alone += [_alone(setting, info, t, random) for info, t in zip(infos, us, strict=True)]
    if gpu:
        no_device = InPlace(Setting("int8", "gpu", 2), refusal="the delegate runs no int8 convolutions")
        derived = [PartTiming("prefix", "gpu", "layer", (i.index,), (3.0 + i.index % 5,), "prefix") for i in infos]
        note = "differences between prefixes of the model, as a GPU cannot be profiled by op"
        in_place += [
            InPlace(Setting("float32", "gpu", 2), tuple(derived), 320.0, 300.0, 350.0, None, True, note),
            no_device,
        ]
    return LayerRecords(infos, in_place, alone, _errors(infos, random))


def _info(index: int, count: int, name: str) -> LayerInfo:
    stage = min(4, index * 5 // count)
    side, channels = 56 >> stage, 32 << stage
    kind = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD")[index % 4]
    last = index == count - 1
    if last:
        kind, side, channels = "SOFTMAX", 1, 1000
    values = side * side * channels
    skipped = index % 4 in (0, 1) and not last
    refusal = NO_CUT if index % 10 == 6 else None
    forms = {"float32": 4, "float16": 2, "int8": 1}
    return LayerInfo(
        index,
        kind,
        f"{name}_{index // 4}/{kind.lower()}",
        f"{name}_{index // 4}/{kind.lower()}:0",
        (1, side, side, channels),
        {form: values * size for form, size in forms.items()},
        {} if refusal or last else {form: values * size * (2 if skipped else 1) for form, size in forms.items()},
        refusal,
    )


def _work(info: LayerInfo) -> float:
    """Return millions of multiplications."""
    _, side, _, channels = info.shape or (1, 1, 1, 1)
    each = {"CONV_2D": channels, "DEPTHWISE_CONV_2D": 9 * 4, "ADD": 1, "SOFTMAX": 3}[info.type]
    return side * side * channels * each / 1e6


def _in_place(setting: Setting, infos: list[LayerInfo], us: list[float], random: Any) -> InPlace:
    parts = []
    for info, median in zip(infos, us, strict=True):
        fused = setting.delegate == "xnnpack" and info.index % 8 == 3
        before = setting.delegate == "xnnpack" and info.index % 8 == 2 and info.index + 1 < len(infos)
        if setting.precision == "int8" and info.index % 13 in (0, 5):
            samples = tuple(0.28 * median * random.lognormal(0, 0.02, 9))
            parts.append(
                PartTiming("Convert (F32, QS8)", setting.delegate, "conversion", (info.index,), samples, "kind")
            )
        if not fused:
            layers = (info.index, info.index + 1) if before else (info.index,)
            samples = tuple(median * random.lognormal(0, 0.02, 9))
            parts.append(PartTiming(info.type, setting.delegate, "layer", layers, samples, "operator index"))
    parts.append(PartTiming("Copy", setting.delegate, "unmapped", (), (4.0, 4.1, 4.2) * 3, ""))
    whole = sum(part.median_us for part in parts) * 1.021
    busy = {"kind": "busy", "severity": "warning", "text": "Other processes took 31 % of the CPU time."}
    conditions = (busy,) if setting.label == "int8 none 2t" else ()
    return InPlace(setting, tuple(parts), whole, whole * 0.99, whole * 1.012, whole * 1.004, conditions=conditions)


def _alone(setting: Setting, info: LayerInfo, us: float, random: Any) -> Alone:
    if info.type == "SOFTMAX" and setting.precision != "float32":
        return Alone(info.index, setting, refusal="the converter leaves this op in float32")
    median, wide = us * 1.08, float(random.uniform(0.01, 0.09))
    if setting.precision == "float32":
        return Alone(info.index, setting, median, median * 0.98, median * 1.03, samples=600, ran=setting.delegate)
    expected = SPEEDS["float32", setting.delegate] / SPEEDS[setting.precision, setting.delegate]
    ratio = expected * random.lognormal(0, 0.15)
    if info.type == "ADD":
        ratio = random.lognormal(-0.1, 0.12)
    low, high = ratio * (1 - wide), ratio * (1 + wide)
    verdict = "faster" if low > 1 else "slower" if high < 1 else "no difference shown"
    return Alone(info.index, setting, median, median * 0.98, median * 1.03, ratio, low, high, verdict, 600, "xnnpack 1")


def _errors(infos: list[LayerInfo], random: Any) -> list[LayerError]:
    found = []
    for precision, level in NOISE_DB.items():
        for info in infos:
            local = level + random.normal(0, 2.5) - (14 if info.index % 17 == 9 else 0)
            through = level - 4.5 * math.log2(1 + info.index) + random.normal(0, 0.8)
            out = level + 10 + random.normal(0, 4) - (12 if info.index % 17 == 9 else 0)
            for kind, db in (("local", local), ("propagated", through), ("output", out)):
                found.append(_error(info, precision, kind, db))
    found.append(
        LayerError(infos[2].index, "int8", "delegate", "xnnpack", 4, 4096, 0.01, 0.5, 41.0, 0.9999, 0.02, 0.001)
    )
    return found


def _error(info: LayerInfo, precision: str, kind: Any, db: float) -> LayerError:
    compared = (info.index, precision, kind, "none", 4, 4096)
    if info.index % 10 == 4 and kind == "local":  # nothing is computed, so nothing differs
        return LayerError(*compared, 0.0, 0.0, math.inf, 1.0, 0.0, 0.0)
    if info.index == 7 and precision == "float16":
        return LayerError(*compared, math.nan, None, math.nan, None, math.inf, flags=("inf",))
    if info.index == 11 and precision == "int8":
        return LayerError(*compared[:4], refusal="the layer has no quantized output to compare")
    rmse = 10 ** (-db / 20)
    scaled = rmse * 16 if precision == "int8" else None
    clipped = 0.002 if precision == "int8" else None
    agreed = 0.99 if kind == "output" else None
    return LayerError(*compared, rmse, scaled, db, 1 - rmse**2 / 2, rmse * 6, clipped, agreement=agreed)


def write_layers(path: Path, count: int = 40, *, model: str = "models/mobilenet.tflite", **options: Any) -> Path:
    """Add the layer study of a synthetic network to a store, made where there is none."""
    with Store.create(path, {}) as store:
        session = store.add_session(MACHINE, VERSIONS, ["litedelegates", "layers", model])
        layers = LayerStore(store)
        asked = {"model": model, "precisions": ["float32", "float16", "int8"], "delegates": ["xnnpack", "none", "gpu"]}
        layers.begin(model, asked)
        records = layer_records(count, **options)
        note = "calibrated with random values: its errors say little about real inputs"
        sizes = {info.index: info.nbytes["int8"] for info in records.infos}
        variants = [
            VariantInfo("int8", "ab" * 32, 900_000, sizes, sizes, note),
            VariantInfo("int16x8", refusal=NO_INT16),
        ]
        for record in (*records.infos, *variants, *records.in_place, *records.alone, *records.errors):
            layers.add(model, record, session.index)
        store.end_session(session.index, "finished")
    return path
