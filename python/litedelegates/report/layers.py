"""A layer study as the plain values that the page draws: columns by layer, in the order of the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo, Setting, VariantInfo
from litedelegates.layers.sums import sum_report
from litedelegates.report.findings import findings

FORMS = ("float32", "float16", "int8")
FIGURES = ("sqnr_db", "rmse_over_scale", "rmse", "cosine", "max_abs", "saturated", "accuracy", "agreement")
Entry = TypeVar("Entry")


def layers_document(
    name: str,
    infos: Sequence[LayerInfo],
    in_place: Sequence[InPlace] = (),
    alone: Sequence[Alone] = (),
    errors: Sequence[LayerError] = (),
    variants: Sequence[VariantInfo] = (),
) -> dict[str, Any]:
    """Return everything that the page shows of the layers of one model.

    A column has a value for each of ``infos``, None where there is none. As JSON has no other way, "inf", "-inf" and
    "nan" stand for the numbers that are not finite. Records of layers that ``infos`` has not are left out.
    """
    order = [info.index for info in infos]
    # What the files of the other precisions hold, which may keep some layers in float32.
    nbytes = {f"{one.precision} file": _column(order, one.nbytes, _same) for one in variants if one.nbytes}
    cut_nbytes = {f"{one.precision} file": _column(order, one.cut_nbytes, _same) for one in variants if one.nbytes}
    settings = list(dict.fromkeys([entry.setting for entry in in_place] + [entry.setting for entry in alone]))
    placed = {entry.setting: entry for entry in in_place}
    shown = [
        {
            "label": setting.label,
            "precision": setting.precision,
            "host": f"{setting.delegate} {setting.threads}t",
            "in_place": _in_place(order, placed, setting),
            "alone": _alone(order, [entry for entry in alone if entry.setting == setting]),
        }
        for setting in settings
    ]
    document: dict[str, Any] = {
        "name": name,
        "layers": [
            {
                "index": info.index,
                "type": info.type,
                "name": info.name,
                "output": info.output,
                "shape": None if info.shape is None else list(info.shape),
                "refusal": info.refusal,
            }
            for info in infos
        ],
        "bytes": {**{form: [info.nbytes.get(form) for info in infos] for form in FORMS}, **nbytes},
        "cuts": {**{form: [info.cut_nbytes.get(form) for info in infos] for form in FORMS}, **cut_nbytes},
        "variants": [
            {"precision": one.precision, "nbytes": one.file_nbytes, "note": one.note, "refusal": one.refusal}
            for one in variants
        ],
        "settings": shown,
        "errors": _errors(order, errors),
    }
    sums = {one.setting.label: one for one in sum_report(alone, in_place) if one.layers}
    document["findings"] = findings(document, sums)
    return document


def plain_number(value: float | None) -> float | str | None:
    """Return a number to six digits, or the word for one that JSON does not have."""
    if value is None or math.isfinite(value):
        return None if value is None else float(f"{value:.6g}")
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _in_place(order: Sequence[int], placed: Mapping[Setting, InPlace], setting: Setting) -> dict[str, Any] | None:
    entry = placed.get(setting)
    if entry is None:
        return None
    base = placed.get(Setting("float32", setting.delegate, setting.threads))
    faster = {} if base is None or setting.precision == "float32" else _speed_up(entry, base)
    position_of = {layer: position for position, layer in enumerate(order)}
    computed = {layer: part.layers[0] for part in entry.parts for layer in part.layers if part.role == "layer"}
    return {
        "us": _column(order, entry.layer_us(), plain_number),
        "conversion_us": _column(order, entry.conversion_us(), plain_number),
        "speed_up": _column(order, faster, plain_number),
        # By the position of a layer the position of the one whose time has its own.
        "fused": {
            str(position): position_of[first]
            for position, layer in enumerate(order)
            if (first := computed.get(layer, layer)) != layer and first in position_of
        },
        "total_us": plain_number(entry.total_us) if entry.parts else None,
        "unmapped_us": plain_number(sum(entry.part_us(part) for part in entry.parts if not part.layers)),
        "whole_us": plain_number(entry.whole_us),
        "whole_interval_us": _interval(entry.whole_low_us, entry.whole_high_us),
        "profiled_us": plain_number(entry.profiled_us),
        "is_estimate": entry.is_estimate,
        "note": entry.note,
        "refusal": entry.refusal,
        "warnings": [str(one.get("text", "")) for one in entry.conditions if one.get("severity") != "note"],
    }


def _speed_up(entry: InPlace, base: InPlace) -> dict[int, float]:
    """Divide the times in place; only where both ran the same layers as one, else the times are of different work."""
    groups, base_groups = _groups(entry), _groups(base)
    base_us = base.layer_us()
    return {
        layer: base_us[layer] / us
        for layer, us in entry.layer_us().items()
        if us > 0 and layer in base_us and groups.get(layer) == base_groups.get(layer)
    }


def _groups(entry: InPlace) -> dict[int, frozenset[int]]:
    found: dict[int, frozenset[int]] = {}
    for part in entry.parts:
        if part.role == "layer" and part.layers:
            found[part.layers[0]] = found.get(part.layers[0], frozenset()) | frozenset(part.layers)
    return found


def _alone(order: Sequence[int], entries: Sequence[Alone]) -> dict[str, Any] | None:
    if not entries:
        return None
    by_layer = {entry.layer: entry for entry in entries}
    position_of = {layer: position for position, layer in enumerate(order)}
    together = {layer: entry.layer for entry in entries for layer in entry.together if layer != entry.layer}

    def column(name: str) -> list[Any]:
        return _column(order, {layer: getattr(entry, name) for layer, entry in by_layer.items()}, plain_number)

    return {
        "us": column("median_us"),
        "low": column("low_us"),
        "high": column("high_us"),
        "speed_up": column("speed_up"),
        "speed_up_low": column("speed_up_low"),
        "speed_up_high": column("speed_up_high"),
        "verdict": _column(order, {layer: entry.verdict for layer, entry in by_layer.items()}, _same),
        "ran": _column(order, {layer: entry.ran or None for layer, entry in by_layer.items()}, _same),
        "fused": {
            str(position_of[layer]): position_of[first]
            for layer, first in together.items()
            if layer in position_of and first in position_of
        },
        "refusals": _sparse(order, {layer: entry.refusal for layer, entry in by_layer.items()}),
    }


def _errors(order: Sequence[int], entries: Sequence[LayerError]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str], dict[int, LayerError]] = {}
    for entry in entries:
        groups.setdefault((entry.kind, entry.precision, entry.delegate), {})[entry.layer] = entry
    return [
        {
            "kind": kind,
            "precision": precision,
            "delegate": delegate,
            **{
                name: _column(order, {layer: getattr(entry, name) for layer, entry in own.items()}, plain_number)
                for name in FIGURES
                if any(getattr(entry, name) is not None for entry in own.values())
            },
            "flags": _sparse(order, {layer: ", ".join(entry.flags) for layer, entry in own.items()}),
            "refusals": _sparse(order, {layer: entry.refusal for layer, entry in own.items()}),
        }
        for (kind, precision, delegate), own in groups.items()
    ]


def _column(order: Sequence[int], values: Mapping[int, Entry], show: Callable[[Entry], Any]) -> list[Any]:
    return [show(values[index]) if index in values else None for index in order]


def _same(value: Entry) -> Entry:
    return value


def _sparse(order: Sequence[int], values: Mapping[int, str | None]) -> dict[str, str]:
    return {str(position): said for position, index in enumerate(order) if (said := values.get(index))}


def _interval(low: float | None, high: float | None) -> list[Any] | None:
    return None if low is None or high is None else [plain_number(low), plain_number(high)]
