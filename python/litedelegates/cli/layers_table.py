"""What `litedelegates layers` prints of a layer study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from litedelegates.cli.python_words import on_the_command_line
from litedelegates.layers import LayerError, LayerInfo, LayerStudy, Setting
from litedelegates.layers.records import DEAD_COLUMNS
from litedelegates.words import counted

_NAME = 32


def study_lines(study: LayerStudy, top: int) -> Iterator[str]:
    """Yield the slowest layers on each delegate, the worst errors and the largest transfers, ``top`` of each."""
    yield from _refusals(study)
    for line in _lists(study, top):
        yield line.rstrip()


def _lists(study: LayerStudy, top: int) -> Iterator[str]:
    pairs = dict.fromkeys((setting.delegate, setting.threads) for setting in study.settings)
    for delegate, threads in pairs:
        settings = [s for s in study.settings if (s.delegate, s.threads) == (delegate, threads)]
        yield from _slowest(study, settings, f"{delegate}, {counted(threads, 'thread')}", top)
    yield from _errors(study, top)
    yield from _mixed(study)
    yield from _transfers(study, top)


def _slowest(study: LayerStudy, settings: Sequence[Setting], where: str, top: int) -> Iterator[str]:
    slowest = next((found for setting in settings if (found := study.slowest(top, setting))), [])
    measured = [setting for setting in settings if study.slowest(1, setting)]
    if not slowest:
        return
    yield ""
    yield f"slowest layers on {where}: us in place, us alone, and how many times as fast as float32 alone"
    yield " " * (_NAME + 24) + "".join(f"{setting.precision:>28}" for setting in measured)
    for layer in slowest:
        yield _name(layer) + "".join(_times(study, layer.index, setting) for setting in measured)
    if any(record.whole_us for record in map(study.in_place_of, measured) if record is not None):
        yield "whole model".ljust(_NAME + 24) + "".join(_whole(study, setting) for setting in measured)
    for setting in measured:
        record = study.in_place_of(setting)
        if record is not None and record.parts and record.whole_us:
            share = record.total_us / record.whole_us
            yield f"{setting.label}: its parts in place take {record.total_us / 1e3:.3g} ms, {share:.1%} of the whole."
        yield from (found.describe() for found in study.sums if found.setting == setting)


def _times(study: LayerStudy, layer: int, setting: Setting) -> str:
    in_place, alone = study.layer_us(layer, setting), study.alone_of(layer, setting)
    alone_us = None if alone is None else alone.median_us
    speed_up = None if alone is None else alone.speed_up
    factor = "" if speed_up is None else f"x{speed_up:.2f}"
    return f"{_us(in_place):>10}{_us(alone_us):>10}{factor:>8}"


def _whole(study: LayerStudy, setting: Setting) -> str:
    record = study.in_place_of(setting)
    base = study.in_place_of(study.base_of(setting))
    own = None if record is None else record.whole_us
    of_base = None if base is None or base is record else base.whole_us
    factor = f"x{of_base / own:.2f}" if own and of_base else ""
    return f"{_us(own):>10}{'':10}{factor:>8}"


def _errors(study: LayerStudy, top: int) -> Iterator[str]:
    for precision in dict.fromkeys(error.precision for error in study.errors):
        worst = study.worst_error(top, "local", precision)
        if not worst:
            continue
        yield ""
        if worst[0].sqnr_db == math.inf:
            yield f"errors of {precision}: no layer alone differs from float32"
            continue
        yield f"worst errors of {precision}: dB local, propagated, and of the model's output if only this layer has it"
        for error in worst:
            shown = [_db(study.error_of(error.layer, precision, kind)) for kind in ("local", "propagated", "output")]
            flags = f"  {', '.join(error.flags)}" if error.flags else ""
            yield _name(study.layer(error.layer)) + "".join(f"{text:>10}" for text in shown) + flags


def _mixed(study: LayerStudy) -> Iterator[str]:
    """Yield each mixed model with how many layers it has in each precision, those of a delegate by their time."""
    timed = [record for record in study.mixed if record.whole_us is not None]
    for delegate, threads in dict.fromkeys((record.setting.delegate, record.setting.threads) for record in timed):
        own = [r for r in timed if (r.setting.delegate, r.setting.threads) == (delegate, threads)]
        yield ""
        yield f"whole models on {delegate}, {counted(threads, 'thread')}: us, dB of the output, agreement"
        for record in sorted(own, key=lambda record: record.whole_us or 0.0):
            counts = Counter(record.precisions.values())
            shown = ", ".join(f"{name} {count}" for name, count in counts.most_common())
            ratio = -10 * math.log10(record.error) if record.error else None
            agreement = "-" if record.agreement is None else f"{record.agreement:.1%}"
            yield f"  {shown:<{_NAME + 22}}{_us(record.whole_us):>10}{_us(ratio):>10}{agreement:>10}"


def _transfers(study: LayerStudy, top: int) -> Iterator[str]:
    for words, layers in (("most", study.largest_transfer(top)), ("fewest", study.smallest_transfer(top))):
        if not layers:
            continue
        yield ""
        yield f"{words} bytes across the cut after a layer: float32, float16, int8"
        for layer in layers:
            yield _name(layer) + "".join(f"{_bytes(layer, p):>12}" for p in ("float32", "float16", "int8"))


def _refusals(study: LayerStudy) -> Iterator[str]:
    """Yield why something could not be measured, each reason once."""
    sizes = sum(layer.computes_shape for layer in study.layers)
    if sizes:
        yield f"note: {counted(sizes, 'layer')} only compute shapes: they have no time of their own and no error"
    reasons: dict[str, list[str]] = {}
    for variant in study.variants:
        if variant.refusal:
            reasons.setdefault(variant.refusal, []).append(variant.precision)
        if variant.note:
            reasons.setdefault(variant.note, []).append(variant.precision)
    for record in study.in_place:
        for text in (record.refusal, record.note):
            if text:
                reasons.setdefault(text, []).append(record.setting.label)
    for reason, where in reasons.items():
        said = on_the_command_line(reason)
        yield f"note: {said} ({', '.join(where[:3])}{f' and {len(where) - 3} more' if len(where) > 3 else ''})"
    for what, records in (("alone", study.alone), ("errors", study.errors)):
        refused = [record for record in records if record.refusal]
        if refused:
            first = refused[0]
            yield (
                f"note: {len(refused)} of {len(records)} records of {what} are refusals, the first of layer "
                f"{first.layer}: {first.refusal}"
            )

    for error in study.errors:
        if error.kind == "local" and DEAD_COLUMNS in error.flags:
            layer = study.layer(error.layer)
            yield (
                f"note: columns of layer {layer.index} {layer.type} {layer.name} are dead in {error.precision}: their "
                "values vary and become one; leave this layer in float32"
            )
    refused_mixes = [record for record in study.mixed if record.refusal]
    if refused_mixes:
        first_mix = refused_mixes[0]
        yield (
            f"note: {len(refused_mixes)} of {len(study.mixed)} mixed models are refusals, the first "
            f"{first_mix.setting.label}: {first_mix.refusal}"
        )
    without = [record for record in study.mixed if record.error_refusal]
    if without:
        yield (
            f"note: {len(without)} of {len(study.mixed)} mixed models have no error of their outputs, the first "
            f"{without[0].setting.label}: {without[0].error_refusal}"
        )


def _name(layer: LayerInfo) -> str:
    return f"{layer.index:>4} {layer.type[:18]:<18} {end_of_name(layer.name):<{_NAME}}"


def end_of_name(name: str) -> str:
    """Return the end of a layer's name, in which names that a converter put together differ."""
    return name if len(name) <= _NAME else f"...{name[3 - _NAME :]}"


def _us(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _db(error: LayerError | None) -> str:
    return "-" if error is None or error.sqnr_db is None else f"{error.sqnr_db:.1f}"


def _bytes(layer: LayerInfo, precision: str) -> str:
    size = layer.cut_nbytes.get(precision)
    return "-" if size is None else f"{size:,}"
