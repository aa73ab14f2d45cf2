"""Set the sum of the layers, each timed alone, against the whole model: does the gain of the whole come from them?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from litedelegates.layers.records import Alone, InPlace, Record, Setting
from litedelegates.study.config import FLOAT32

Explained: TypeAlias = Literal["explained", "faster than its layers", "slower than its layers", "cannot be told"]

# How far the whole may be from the sum and count as explained by it, and the share of its time that may be missing.
TOLERANCE = 0.05
MISSING_SHARE = 0.01


@dataclass(frozen=True)
class Figure(Record):
    """A value and its 95 % interval, whose ends are None where they are not known."""

    value: float
    low: float | None = None
    high: float | None = None

    def __truediv__(self, other: Figure) -> Figure:
        """Return the ratio of two independent figures above 0.

        Its interval is that of MOVER on logarithms: the squares of the distances from the values to their ends add up
        (G. Y. Zou and A. Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27,
        2008). Figures that were measured in turn move together, and then it is wider than it has to be.
        """
        ratio = self.value / other.value
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return Figure(ratio)
        down = math.hypot(math.log(self.value / self.low), math.log(other.high / other.value))
        up = math.hypot(math.log(self.high / self.value), math.log(other.value / other.low))
        return Figure(ratio, ratio * math.exp(-down), ratio * math.exp(up))

    def __str__(self) -> str:
        """Return such as "3.41 (3.37 to 3.46)"."""
        return self.text()

    def text(self, scale: float = 1.0) -> str:
        """Return the figure divided by ``scale`` to three digits, with its interval where it has one."""
        parts = (self.value, self.low, self.high)
        value, *ends = (None if part is None else _three_digits(part / scale) for part in parts)
        return f"{value} ({ends[0]} to {ends[1]})" if None not in ends else f"{value}"


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


@dataclass(frozen=True)
class SumOfLayers(Record):
    """The layers of a model, each timed alone, in sum, and the model as a whole.

    Attributes:
        setting: How both ran.
        layers: How many layers the sum holds.
        missing: Layers that the model runs and that have no time alone.
        missing_share: Their share of the time in place.
        sum_us: Of the medians of the layers, in microseconds.
        whole_us: Median latency of the model; None where it was not measured.
        in_place_us: Sum of the parts as the engine's profiler saw them; None where there is no profile.
        sum_speed_up: Sum in float32 on the same delegate over this one, over the layers that have times in both; None
            for float32 itself.
        whole_speed_up: The same of the whole.
    """

    setting: Setting
    layers: int
    missing: tuple[int, ...]
    missing_share: float | None
    sum_us: Figure
    whole_us: Figure | None = None
    in_place_us: float | None = None
    sum_speed_up: Figure | None = None
    whole_speed_up: Figure | None = None

    @property
    def difference_us(self) -> float | None:
        """The whole less the sum: below 0 where the layers cost more alone than together."""
        return None if self.whole_us is None else self.whole_us.value - self.sum_us.value

    @property
    def ratio(self) -> Figure | None:
        """The whole over the sum."""
        return None if self.whole_us is None else self.whole_us / self.sum_us

    @property
    def verdict(self) -> Explained:
        """Whether the whole takes what its layers take alone, within `TOLERANCE`.

        It "cannot be told" where the interval reaches beyond the tolerance and back, where more than `MISSING_SHARE` of
        the time in place is not in the sum, or where the whole has no time.
        """
        ratio = self.ratio
        if ratio is None or (self.missing if self.missing_share is None else self.missing_share > MISSING_SHARE):
            return "cannot be told"
        low, high = (ratio.value if end is None else end for end in (ratio.low, ratio.high))
        if high < 1 / (1 + TOLERANCE):
            return "faster than its layers"
        if low > 1 + TOLERANCE:
            return "slower than its layers"
        return "explained" if low >= 1 / (1 + TOLERANCE) and high <= 1 + TOLERANCE else "cannot be told"

    def describe(self) -> str:
        """Return the figures as one sentence."""
        said = f"{self.setting.label}: the {self.layers} layers take {self.sum_us.text(1e3)} ms alone"
        if self.missing:
            share = "" if self.missing_share is None else f", {self.missing_share:.1%} of the time in place"
            said += f" ({len(self.missing)} more have no time{share})"
        if self.whole_us is not None and self.difference_us is not None:
            difference = f"{self.difference_us / 1e3:+#.3g} ms"
            said += f" and the whole {self.whole_us.text(1e3)} ms, {difference}: it is {_WORDS[self.verdict]}"
        if self.sum_speed_up is not None:
            said += f"; over float32 the layers gain {self.sum_speed_up}"
            if self.whole_speed_up is not None:
                said += f" and the whole {self.whole_speed_up}"
        return f"{said}."

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name == "setting":
            return Setting.from_json(value)
        return Figure.from_json(value) if isinstance(value, Mapping) else super()._read(name, value)


_WORDS: Mapping[Explained, str] = {
    "explained": "explained by them",
    "faster than its layers": "faster than its layers",
    "slower than its layers": "slower than its layers",
    "cannot be told": "not to be told whether they explain it",
}


def sum_report(alone: Iterable[Alone], in_place: Iterable[InPlace] = ()) -> list[SumOfLayers]:
    """Add up the layers of each setting and set them against the whole model.

    The interval of a sum is that of MOVER (see `Figure`), the layers being independent: they were timed one after the
    other. It holds the noise of the rounds, and not what all layers have in common: alone a layer finds its weights and
    inputs in the caches, and each run of a model has its own overhead; in the whole there may be conversions besides
    the layers, and ops that the engine fused.

    Args:
        alone: Times of layers alone, in any number of settings.
        in_place: The whole models, for those settings that have one.
    """
    records: dict[Setting, list[Alone]] = {}
    for record in alone:
        records.setdefault(record.setting, []).append(record)
    wholes = {record.setting: record for record in in_place}
    return [_sum(setting, records, wholes.get(setting), wholes.get(_base(setting))) for setting in records]


def _sum(
    setting: Setting, records: Mapping[Setting, list[Alone]], whole: InPlace | None, base: InPlace | None
) -> SumOfLayers:
    timed = {_layers(record): record for record in records[setting] if record.median_us is not None}
    covered = {layer for layers in timed for layer in layers}
    known = {record.layer for record in records[setting]}
    missing_share = in_place_us = None
    if whole is not None and whole.parts:
        known |= {layer for part in whole.parts for layer in part.layers}
        in_place_us = whole.total_us
        if in_place_us > 0:
            left = [us for layer, us in whole.layer_us().items() if layer not in covered]
            missing_share = sum(left) / in_place_us
    sum_speed_up = whole_speed_up = None
    if setting.precision != FLOAT32:
        plain = {record.layer: record for record in records.get(_base(setting), ()) if record.median_us is not None}
        common = [layers for layers in timed if all(layer in plain for layer in layers)]
        if common:
            before = _total(plain[layer] for layers in common for layer in layers)
            sum_speed_up = before / _total(timed[layers] for layers in common)
        if (own := _whole(whole)) is not None and (theirs := _whole(base)) is not None:
            whole_speed_up = theirs / own
    return SumOfLayers(
        setting,
        len(covered),
        tuple(sorted(known - covered)),
        missing_share,
        _total(timed.values()),
        _whole(whole),
        in_place_us,
        sum_speed_up,
        whole_speed_up,
    )


def _total(records: Iterable[Alone]) -> Figure:
    """Return the sum of medians; without an interval where one of them has none."""
    value, down, up = 0.0, 0.0, 0.0
    for record in records:
        assert record.median_us is not None
        value += record.median_us
        down += math.inf if record.low_us is None else (record.median_us - record.low_us) ** 2
        up += math.inf if record.high_us is None else (record.high_us - record.median_us) ** 2
    if math.isinf(down) or math.isinf(up):
        return Figure(value)
    return Figure(value, value - math.sqrt(down), value + math.sqrt(up))


def _whole(record: InPlace | None) -> Figure | None:
    if record is None or record.whole_us is None:
        return None
    return Figure(record.whole_us, record.whole_low_us, record.whole_high_us)


def _layers(record: Alone) -> tuple[int, ...]:
    return record.together or (record.layer,)


def _base(setting: Setting) -> Setting:
    return Setting(FLOAT32, setting.delegate, setting.threads)
