"""What layers cost each other: conversions where precisions meet, and what passes between two models on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from litedelegates.layers.records import Record


@dataclass(frozen=True)
class Line(Record):
    """Microseconds that grow with a size.

    Attributes:
        fixed_us: At size 0.
        us_per_unit: For each element or byte.
    """

    fixed_us: float = 0.0
    us_per_unit: float = 0.0

    def at(self, size: float) -> float:
        """Return the microseconds at a size."""
        return self.fixed_us + self.us_per_unit * size


# What is assumed where nothing was measured: half a nanosecond an element is what one core of a small processor needs
# to read and write it once; the rest is dispatching an op.
ASSUMED_CONVERSION = Line(0.3, 0.0005)
# Between two models on one device, by bytes: two calls of the runtime, a thread that is woken, and a copy at 10 GB/s.
ASSUMED_HANDOVER = Line(20.0, 0.0001)


@dataclass(frozen=True)
class Fit(Record):
    """How far predictions of whole models were off, for models that the terms had not been fitted to.

    Attributes:
        plans: How many mixed models were predicted, each with terms fitted to the others.
        median: Median of the relative errors; None where nothing was checked.
        p90: Their 90th percentile.
        worst: The largest.
    """

    plans: int = 0
    median: float | None = None
    p90: float | None = None
    worst: float | None = None

    def __str__(self) -> str:
        """Say it as a sentence."""
        if self.median is None or self.p90 is None or self.worst is None:
            return "predictions of whole models were not checked: no mixed models were timed"
        return (
            f"predictions of {self.plans} mixed models, each with terms fitted to the others, were off by "
            f"{self.median:.1%} in the median, {self.p90:.1%} at the 90th percentile, {self.worst:.1%} at worst"
        )


@dataclass(frozen=True)
class Terms(Record):
    """The interaction terms of a device.

    Attributes:
        quantize: Microseconds by elements of going from floats to integers, by delegate and threads as in `terms_key`.
        dequantize: The same of going back.
        factors: Time of a layer in a plan over its time in the study, by `Setting.label`; 1 where there is none.
        handover: Microseconds by bytes between two models on this device.
        fit: How well all this predicts.
        notes: What has to be known of it.
    """

    quantize: Mapping[str, Line] = field(default_factory=dict, hash=False)
    dequantize: Mapping[str, Line] = field(default_factory=dict, hash=False)
    factors: Mapping[str, float] = field(default_factory=dict, hash=False)
    handover: Line = ASSUMED_HANDOVER
    fit: Fit = Fit()
    notes: tuple[str, ...] = ()

    def conversion(self, delegate: str, threads: int, *, is_quantize: bool) -> Line:
        """Return what a conversion costs in models that a delegate runs."""
        known = self.quantize if is_quantize else self.dequantize
        return known.get(terms_key(delegate, threads), ASSUMED_CONVERSION)

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name in ("quantize", "dequantize"):
            return {key: Line.from_json(line) for key, line in value.items()}
        readers: Mapping[str, type[Record]] = {"handover": Line, "fit": Fit}
        return readers[name].from_json(value) if name in readers else super()._read(name, value)


def terms_key(delegate: str, threads: int) -> str:
    """Return what a delegate with some threads is called among the terms."""
    return f"{delegate} {threads}t"
