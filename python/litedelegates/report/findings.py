"""What stands out in a layer study: the slowest layers, the worst errors, the cuts that send least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litedelegates.layers.sums import SumOfLayers
from litedelegates.words import say_us

MOST = 5


def findings(document: Mapping[str, Any], sums: Mapping[str, SumOfLayers]) -> dict[str, Any]:
    """Return what stands out in a document of `layers_document`; layers are given by their position.

    Args:
        document: Without the findings.
        sums: The layers alone in sum, by label of the setting.

    Returns:
        ``slowest`` by label of the setting (position, microseconds, share of the whole sum), ``worst`` by kind and
        precision of the error (position, decibels), ``cuts`` (position, share of the time before it) and ``sums`` by
        label of the setting (the layers against the whole model).
    """
    settings = document["settings"]
    timed = [one for one in settings if one["in_place"] and any(map(is_number, one["in_place"]["us"]))]
    return {
        "slowest": {one["label"]: _slowest(one["in_place"]) for one in timed},
        "worst": [
            {"kind": one["kind"], "precision": one["precision"], "delegate": one["delegate"], "layers": worst}
            for one in document["errors"]
            if (worst := _worst(one.get("sqnr_db", [])))
        ],
        "cuts": _cheapest_cuts(document["cuts"]["float32"], timed),
        "cuts_setting": timed[0]["label"] if timed else None,
        "sums": {one["label"]: own for one in settings if (own := _sums(one, sums.get(one["label"])))},
    }


def is_number(value: object) -> bool:
    """Return whether a value of a column is a finite number."""
    return isinstance(value, int | float)


def _slowest(timing: Mapping[str, Any]) -> list[list[float]]:
    total = timing["total_us"] or 1.0
    found = [(us, position) for position, us in enumerate(timing["us"]) if is_number(us)]
    return [[position, us, round(us / total, 4)] for us, position in sorted(found, key=lambda one: -one[0])[:MOST]]


def _worst(decibels: Sequence[Any]) -> list[list[float]]:
    found = [(value, position) for position, value in enumerate(decibels) if is_number(value)]
    return [[position, value] for value, position in sorted(found)[:MOST]]


def _cheapest_cuts(cuts: Sequence[Any], timed: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Return the cuts that send less than every cut before them: the others are both later and dearer."""
    front: list[int] = []
    for position, nbytes in enumerate(cuts):
        if is_number(nbytes) and (not front or nbytes < cuts[front[-1]]):
            front.append(position)
    us = timed[0]["in_place"]["us"] if timed else []
    total = sum(filter(is_number, us))
    return [
        [position, round(sum(filter(is_number, us[: position + 1])) / total, 4) if total else None]
        for position in front[-MOST:]
    ]


def _sums(setting: Mapping[str, Any], alone: SumOfLayers | None) -> dict[str, Any] | None:
    """Set the sums of the layers against the time of the whole model, in numbers and in words."""
    timing = setting["in_place"] or {}
    whole, in_place, unmapped = timing.get("whole_us"), timing.get("total_us"), timing.get("unmapped_us")
    if in_place is None and alone is None:
        return None
    said = []
    if in_place is not None:
        estimate = "are estimated to take" if timing["is_estimate"] else "in place take"
        lost = f", of it {say_us(unmapped)} in parts that nothing tells the layer of" if unmapped else ""
        said.append(
            f"{setting['label']}: the layers {estimate} {say_us(in_place)} in sum{_against(in_place, whole)}{lost}."
        )
    if alone is not None:
        said.append(alone.describe())
    return {
        "whole_us": whole,
        "in_place_us": in_place,
        "is_estimate": bool(timing.get("is_estimate")),
        "conversion_us": sum(filter(is_number, timing.get("conversion_us", []))) if in_place is not None else None,
        "unmapped_us": unmapped,
        "alone_us": None if alone is None else float(f"{alone.sum_us.value:.6g}"),
        "missing": 0 if alone is None else len(alone.missing),
        "verdict": None if alone is None or alone.whole_us is None else alone.verdict,
        "text": " ".join(said),
    }


def _against(us: float, whole: float | None) -> str:
    if not whole:
        return ""
    percent = 100 * (us / whole - 1)
    return f", {abs(percent):.1f} % {'more' if percent > 0 else 'less'} than the {say_us(whole)} of the whole"
