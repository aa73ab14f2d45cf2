"""The answers about single layers: their speed-ups, their sum, their errors, and what a cut after them transmits."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from litedelegates.layers import LayerStudy
from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo
from resnet152v2_findings import FASTER, SAME, SLOWER, Accuracy, Findings, join
from tables import format_markdown, say_number

LOGITS = "predictions"  # the layer in front of the softmax, whose 1,000 outputs are nearly all 0 in 8 bits
TOLERANCE = 0.05  # of the whole, up to which the sum of the layers explains it
NOTHING = "Not measured in this run."


def answer_layers(findings: Findings) -> Iterator[str]:
    alone = _alone(findings.litert)
    for (delegate, precision), records in alone.items():
        known = [one for one in records if one.speed_up is not None]
        if precision == "float32" or not known:
            continue
        counts = Counter(one.verdict for one in known)
        factors = sorted(known, key=lambda one: one.speed_up or 0)
        yield (
            f"- {precision} on {delegate}, each layer alone: {counts[FASTER]} of {len(known)} layers faster than in "
            f"float32, {counts[SLOWER]} slower, {counts[SAME]} without a difference shown; median speed-up "
            f"{statistics.median(one.speed_up or 0 for one in known):.2f}, from {_say_alone(findings, factors[0])} to "
            f"{_say_alone(findings, factors[-1])}."
        )
    for study in (findings.litert, findings.onnx):
        yield from _in_place_factors(study)
    if alone:
        yield "\n" + _by_type(findings.litert, alone)
    if findings.matched is not None:
        found, total = findings.matched
        yield f"\nOf the {total} layers of the .tflite, {found} have the same one in the .onnx, by their values."
    slower = {name: sum(one.verdict == SLOWER for one in records) for (_, name), records in alone.items()}
    if any(slower.values()):
        named = join([f"{count} in {name}" for name, count in slower.items() if count])
        yield f"\nNot every layer gains: slower than float32 are {named}."
    elif alone:
        yield "\nNo layer was shown to be slower than in float32."
    else:
        yield NOTHING


def answer_sum(findings: Findings) -> Iterator[str]:
    concluded = False
    for engine, study in (("LiteRT", findings.litert), ("ONNX Runtime", findings.onnx)):
        shares: dict[str, float] = {}
        for record in () if study is None else study.in_place:
            if record.refusal is not None or not record.whole_us:
                yield f"- {engine}, {record.setting.label}: no times ({record.refusal})."
                continue
            shares[record.setting.label] = share = record.total_us / record.whole_us
            text = f"in place {record.total_us / 1e3:.1f} ms, {share:.1%} of the whole {_whole(record)}"
            times = _all_alone(study, record)
            if times:
                text += (
                    f"; all {len(times)} layers alone {sum(times) / 1e3:.1f} ms ({sum(times) / record.whole_us:.1%})"
                )
            yield f"- {engine}, {record.setting.label}: {text}."
        if shares:
            concluded = True
            worst = max(shares, key=lambda label: abs(shares[label] - 1))
            explains = abs(shares[worst] - 1) <= TOLERANCE
            yield (
                f"\nIn place the layers {'explain' if explains else 'do not explain'} the whole to within "
                f"{TOLERANCE:.0%} on {engine}: furthest from it is {worst} with {shares[worst]:.1%}.\n"
            )
    if concluded:
        yield from _interplay(findings.litert)
    else:
        yield NOTHING


def answer_error(findings: Findings) -> Iterator[str]:
    rows = [
        row
        for name, study in (("LiteRT", findings.litert), ("ONNX Runtime", findings.onnx))
        for row in _error_rows(name, study)
    ]
    if rows:
        header = ["engine", "precision", f"SQNR of {LOGITS}, dB", "median local, dB", "worst local", "largest growth"]
        yield format_markdown(header, rows)
        yield (
            "\nLocal: only this layer is in the precision. Growth: where the error that has come down from the layers "
            "in front rises most, from one layer to the next. With random weights these errors are "
            "those of the arithmetic and not of a trained network.\n"
        )
    if findings.matched is not None:
        yield (
            f"\nThe float32 .onnx differs from the .tflite by no more than {findings.largest_difference:.1e} (root "
            "mean square over that of the values) at any layer that both have: what the change of format costs.\n"
        )
    if findings.accuracies:
        header = ["network", "precision", "samples", "mean error", "unit", "spread of the outputs", "right"]
        yield format_markdown(header, [_accuracy_row(one) for one in findings.accuracies])
    if not rows and not findings.accuracies and findings.matched is None:
        yield NOTHING


def _accuracy_row(one: Accuracy) -> list[str]:
    right = "-" if one.accuracy is None else f"{one.accuracy:.2%}"
    error, spread = say_number(one.error, 2), say_number(one.spread)
    return [one.network, one.precision, str(one.samples), error, one.unit, spread, right]


def answer_cuts(findings: Findings) -> Iterator[str]:
    study = findings.litert
    legal = [] if study is None else [layer for layer in study.layers if layer.cut_nbytes.get("float32") is not None]
    if study is None or not legal:
        yield NOTHING
        return
    yield (
        f"- {len(legal)} of {len(study.layers) - 1} places between layers can be cut. The input has "
        f"{findings.input_nbytes:,} bytes; {sum(_sent(layer) < findings.input_nbytes for layer in legal)} cuts send "
        "fewer in float32."
    )
    rows = [[text, layer.name, *_sizes(layer)] for text, layer in _good_cuts(study, legal)]
    yield "\n" + format_markdown(["first part has", "cheapest cut after", "float32", "float16", "int8"], rows)
    yield ""
    for variant in study.variants:
        both = [(held, _sent(layer)) for layer in legal if (held := variant.cut_nbytes.get(layer.index)) is not None]
        if both:
            share = sum(held for held, _ in both) / sum(sent for _, sent in both)
            says = "as much as float32" if share > 0.99 else f"{share:.0%} of float32"
            yield (
                f"- The {variant.precision} file, cut as it is, sends {says} over all {len(both)} cuts "
                f"({variant.file_nbytes / 1e6:.0f} MB on disk)."
            )


def answer_borders(findings: Findings) -> Iterator[str]:
    for one in findings.borders:
        yield (
            f"- {one.precision}, cut after {one.after}: {'; '.join(one.tensors)} travels ({one.nbytes:,} bytes); the "
            f"two parts give {'bit for bit' if one.is_equal else 'NOT'} what the whole gives."
            + (f" With a float32 part behind it: {one.mixed}" if one.mixed else "")
        )
    if not findings.borders:
        yield NOTHING


def kernels_in_place(study: LayerStudy | None, delegate: str, one: str, other: str) -> tuple[int, int] | None:
    """Return how many kernels of a precision have the names of those of another, and how many it runs."""
    names = {
        record.setting.precision: Counter(part.name for part in record.parts)
        for record in (() if study is None else study.in_place)
        if record.setting.delegate == delegate and record.parts
    }
    if one not in names or other not in names:
        return None
    return (names[one] & names[other]).total(), names[other].total()


def share_in_place(study: LayerStudy | None, precision: str, kind: str) -> str:
    """Return the share of a kind of op in the time of each precision that begins so; "" where there is none."""
    found = []
    for record in () if study is None else study.in_place:
        own = sum(record.part_us(part) for part in record.parts if kind in part.name)
        if record.setting.precision.startswith(precision) and own:
            found.append(f"{own / record.total_us:.1%} ({record.setting.precision})")
    return join(found) if found else ""


def _alone(study: LayerStudy | None) -> dict[tuple[str, str], list[Alone]]:
    found: dict[tuple[str, str], list[Alone]] = {}
    for record in () if study is None else study.alone:
        if record.median_us is not None:
            found.setdefault((record.setting.delegate, record.setting.precision), []).append(record)
    return found


def _by_type(study: LayerStudy | None, alone: Mapping[tuple[str, str], Sequence[Alone]]) -> str:
    assert study is not None
    kinds = {layer.index: layer.type for layer in study.layers}
    settings = [key for key in alone if key[1] != "float32"]
    base = [record for (_, precision), records in alone.items() if precision == "float32" for record in records]
    rows = []
    for kind in dict.fromkeys(kinds[record.layer] for record in base):
        own = [record.median_us or 0 for record in base if kinds[record.layer] == kind]
        cells = [kind, str(len(own)), f"{sum(own) / 1e3:.2f}"]
        for key in settings:
            factors = [one.speed_up for one in alone[key] if kinds[one.layer] == kind and one.speed_up is not None]
            cells.append(f"{statistics.median(factors):.2f}" if factors else "-")
        rows.append(cells)
    header = ["type", "layers", "float32 alone, ms", *(f"{name}, {delegate}" for delegate, name in settings)]
    return "Median speed-up alone by type of layer:\n\n" + format_markdown(header, rows)


def _all_alone(study: LayerStudy | None, record: InPlace) -> list[float]:
    """Return the times alone of all layers in the setting of a record; nothing where some are missing."""
    found = _alone(study).get((record.setting.delegate, record.setting.precision), [])
    return [one.median_us or 0.0 for one in found] if study is not None and len(found) == len(study.layers) else []


def _interplay(study: LayerStudy | None) -> Iterator[str]:
    """Compare the gain that the layers alone would give with that of the whole."""
    for record in () if study is None else study.in_place:
        base = study.in_place_of(study.base_of(record.setting)) if study is not None else None
        if record.setting.precision == "float32" or base is None or not base.whole_us or not record.whole_us:
            continue
        own, before = _all_alone(study, record), _all_alone(study, base)
        if not own or not before:
            continue
        alone_gain, whole_gain = sum(before) / sum(own), base.whole_us / record.whole_us
        if abs(whole_gain / alone_gain - 1) <= 2 * TOLERANCE:
            says = "the gain of the whole is that of its layers"
        elif whole_gain > alone_gain:
            says = "the layers gain more together than alone: the rest comes from between them"
        else:
            says = "the layers gain less together than alone: something between them costs"
        yield f"- {record.setting.label}: {whole_gain:.2f} times as fast, its layers alone {alone_gain:.2f}: {says}."


def _in_place_factors(study: LayerStudy | None) -> Iterator[str]:
    """Say how the times in place compare of what a precision and float32 both run as one."""
    for record in () if study is None else study.in_place:
        base = study.in_place_of(study.base_of(record.setting)) if study is not None else None
        if record.setting.precision == "float32" or base is None:
            continue
        before = {part.layers: base.part_us(part) for part in base.parts if part.role == "layer" and part.layers}
        own = {part.layers: record.part_us(part) for part in record.parts if part.role == "layer" and part.layers}
        factors = [before[layers] / own[layers] for layers in own if before.get(layers) and own[layers] > 0]
        if factors:
            yield (
                f"- {record.setting.label}, in place: median speed-up {statistics.median(factors):.2f} over "
                f"{len(factors)} layers, {sum(factor < 1 for factor in factors)} of them below 1 (without intervals)."
            )


def _error_rows(name: str, study: LayerStudy | None) -> Iterator[list[str]]:
    if study is None:
        return
    names = {layer.index: layer.name for layer in study.layers}
    of: dict[tuple[str, str], list[LayerError]] = {}
    for error in study.errors:
        if error.sqnr_db is not None and error.layer in names:
            of.setdefault((error.precision, error.kind), []).append(error)
    for precision in dict.fromkeys(precision for precision, _ in of):
        local = sorted(of.get((precision, "local"), []), key=lambda error: error.sqnr_db or 0)
        carried = sorted(of.get((precision, "propagated"), []), key=lambda error: error.layer)
        logits = [error.sqnr_db for error in carried if names[error.layer] == LOGITS]
        drops = [(a.sqnr_db - b.sqnr_db, b.layer) for a, b in pairwise(carried) if math.isfinite(a.sqnr_db)]  # type: ignore[operator]
        drop = max(drops, default=None)
        yield [
            name,
            precision,
            f"{logits[0]:.1f}" if logits else "-",
            f"{statistics.median(error.sqnr_db or 0 for error in local):.1f}" if local else "-",
            ", ".join(f"{names[error.layer]} {error.sqnr_db:.1f}" for error in local[:3]) or "-",
            "-" if drop is None else f"{drop[0]:.1f} dB at {names[drop[1]]}",
        ]


def _good_cuts(study: LayerStudy, legal: Sequence[LayerInfo]) -> Iterator[tuple[str, LayerInfo]]:
    """Yield the cheapest cut in each quarter of the time in float32, or of the layers where no times are known."""
    times = next((record.layer_us() for record in study.in_place if record.setting.precision == "float32"), {})
    weights = {layer.index: times.get(layer.index, 0.0) if times else 1.0 for layer in study.layers}
    total, passed, done = sum(weights.values()), {}, 0.0
    for layer in study.layers:
        done += weights[layer.index]
        passed[layer.index] = done / total
    what = "of the time" if times else "of the layers"
    for share in (0.0, 0.25, 0.5, 0.75):
        late = [layer for layer in legal if share <= passed[layer.index] < share + 0.25 + (share == 0.75)]
        if late:
            yield f"{share:.0%} to {share + 0.25:.0%} {what}", min(late, key=_sent)


def _sent(layer: LayerInfo) -> int:
    return layer.cut_nbytes.get("float32") or 0


def _sizes(layer: LayerInfo) -> list[str]:
    return [f"{layer.cut_nbytes.get(name) or 0:,}" for name in ("float32", "float16", "int8")]


def _say_alone(findings: Findings, one: Alone) -> str:
    assert findings.litert is not None
    return f"{one.speed_up:.2f} ({findings.litert.layer(one.layer).name})"


def _whole(record: InPlace) -> str:
    ends = (record.whole_low_us, record.whole_high_us)
    interval = "" if None in ends else f" [{(ends[0] or 0) / 1e3:.1f}, {(ends[1] or 0) / 1e3:.1f}]"
    return f"{(record.whole_us or 0) / 1e3:.1f}{interval} ms"
