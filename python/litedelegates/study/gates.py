"""Conditions on a comparison, such as ``median_ratio>1.05``: what makes a regression test fail."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litedelegates.errors import OptionError, nearest

if TYPE_CHECKING:
    from litedelegates.study.compare import Change, Comparison

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
# Of one configuration; ratios are new over old.
METRICS: Mapping[str, tuple[str, Callable[[Change], float | None]]] = {
    "median_ratio": ("median latency", lambda change: change.ratio.ratio if change.ratio else None),
    "median_ratio_low": ("lower bound of median_ratio", lambda change: change.ratio.low if change.ratio else None),
    "median_ratio_high": ("upper bound of median_ratio", lambda change: change.ratio.high if change.ratio else None),
    "reference_ratio": (
        "median latency over that of the reference in the same rounds",
        lambda change: change.against_reference.ratio if change.against_reference else None,
    ),
    "reference_ratio_low": (
        "lower bound of reference_ratio",
        lambda change: change.against_reference.low if change.against_reference else None,
    ),
    "mean_ratio": ("mean latency", lambda change: change.quotient("mean_us")),
    "p95_ratio": ("95th percentile, from 130 runs on", lambda change: change.quotient("p95_us")),
    "load_ratio": ("load time", lambda change: change.quotient("load_ns")),
    "first_run_ratio": ("first run", lambda change: change.quotient("first_run_ns")),
    "peak_memory_ratio": ("peak memory", lambda change: change.quotient("peak_memory")),
    "size_ratio": ("size of the model file", lambda change: change.quotient("run_bytes")),
    "relative_error": ("relative error, new", lambda change: change.new_value("relative_error")),
    "accuracy_loss": ("accuracy, old minus new", lambda change: change.loss("accuracy")),
    "median_us": ("median latency in microseconds, new", lambda change: change.new_value("median_us")),
}
# Of the comparison as a whole.
COUNTS: Mapping[str, tuple[str, Callable[[Comparison], int]]] = {
    "slower": ("configurations shown to be slower", lambda found: sum(c.is_slower for c in found.changes)),
    "missing": ("configurations that are only in the old study", lambda found: len(found.only_old)),
    "too_fast": ("configurations that are suspiciously fast", lambda found: sum(c.is_too_fast for c in found.changes)),
}


@dataclass(frozen=True)
class Gate:
    """A condition under which a comparison fails.

    Attributes:
        metric: A name of `METRICS` or `COUNTS`.
        sign: ">", ">=", "<" or "<=".
        limit: What the metric is compared with.
    """

    metric: str
    sign: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Read ``METRIC>NUMBER``, or ``METRIC>NUMBER%``: the change of a ratio (5% is 1.05), a share of others (0.05).

        Raises:
            OptionError: It is not of that form, or there is no such metric.
        """
        match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|>|<)\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s*(%?)\s*", text, re.IGNORECASE)
        try:
            limit = float(match[3]) if match else 0.0
        except ValueError:
            match = None
        if match is None:
            raise OptionError(f"the condition {text!r} cannot be read; write it as METRIC>NUMBER: median_ratio>1.05")
        if match[1] not in METRICS and match[1] not in COUNTS:
            raise OptionError(f"there is no metric {match[1]!r}. {nearest(match[1], [*METRICS, *COUNTS])}")
        return cls(match[1], match[2], _from_percentage(match[1], limit) if match[4] else limit)

    def failures(self, found: Comparison) -> list[str]:
        """Return a sentence for each place where the condition holds.

        Raises:
            OptionError: No configuration has the metric: a condition that can never hold guards nothing.
        """
        if self.metric in COUNTS:
            count = COUNTS[self.metric][1](found)
            return [f"{self}: it is {count}"] if self._holds(count) else []
        values = [(change, METRICS[self.metric][1](change)) for change in found.changes]
        if all(value is None for _, value in values):
            raise OptionError(f"{self}: no configuration of both studies has {self.metric}, so this can never fail")
        return [
            f"{self}: {change.label} has {value:.4g}"
            for change, value in values
            if value is not None and self._holds(value)
        ]

    def _holds(self, value: float) -> bool:
        return _OPERATORS[self.sign](value, self.limit)

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.limit:g}"


def _from_percentage(metric: str, number: float) -> float:
    if metric in COUNTS or metric.endswith("_us"):
        raise OptionError(f"{metric} is no share: write the number without %")
    if "_ratio" not in metric:
        return number / 100
    if abs(number) > 100:
        raise OptionError(
            f"{metric} with {number:g}%: a percentage is the change of a ratio, such as 5% for 1.05; write {metric} "
            f"with {number / 100:g} if the ratio itself is meant"
        )
    return 1 + number / 100
