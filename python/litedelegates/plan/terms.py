"""What layers cost each other: conversions where precisions meet, and what passes between two models on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
        errors: Predicted over measured time, less 1, of each mixed model, with terms fitted to all the others; by
            `Setting.label`.
        half_width: How uncertain the measured times are themselves: median half width of their 95 % intervals, as a
            share of them.
    """

    errors: Mapping[str, float] = field(default_factory=dict, hash=False)
    half_width: float = 0.0

    def quantile(self, share: float) -> float | None:
        """Return what this share of the relative errors is at most; None where nothing was checked."""
        return float(np.quantile(np.abs(list(self.errors.values())), share)) if self.errors else None

    @property
    def median(self) -> float | None:
        """Median of the relative errors."""
        return self.quantile(0.5)

    def __str__(self) -> str:
        """Say it as a sentence."""
        if not self.errors:
            return "predictions of whole models were not checked: no mixed models were timed"
        return (
            f"predictions of {len(self.errors)} mixed models, each with terms fitted to the others, were off by "
            f"{self.quantile(0.5):.1%} in the median, {self.quantile(0.9):.1%} at the 90th percentile and "
            f"{self.quantile(1):.1%} at worst; their measured times are known within {self.half_width:.1%}"
        )


@dataclass(frozen=True)
class Terms(Record):
    """The interaction terms of a device.

    Attributes:
        quantize: Microseconds by elements of going from floats to integers, by delegate and threads as in `terms_key`.
        dequantize: The same of going back.
        factors: Time of a layer in a plan over its time in the study, by `Setting.label`; 1 where there is none.
        handover: Microseconds by bytes between two models on this device.
        fits: How well all this predicts, by delegate and threads.
        notes: What has to be known of it.
    """

    quantize: Mapping[str, Line] = field(default_factory=dict, hash=False)
    dequantize: Mapping[str, Line] = field(default_factory=dict, hash=False)
    factors: Mapping[str, float] = field(default_factory=dict, hash=False)
    handover: Line = ASSUMED_HANDOVER
    fits: Mapping[str, Fit] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()

    def conversion(self, delegate: str, threads: int, *, is_quantize: bool) -> Line:
        """Return what a conversion costs in models that a delegate runs."""
        known = self.quantize if is_quantize else self.dequantize
        return known.get(terms_key(delegate, threads), ASSUMED_CONVERSION)

    @property
    def fit(self) -> Fit:
        """Of all delegates together."""
        errors = {label: error for fit in self.fits.values() for label, error in fit.errors.items()}
        return Fit(errors, max((fit.half_width for fit in self.fits.values()), default=0.0))

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name in ("quantize", "dequantize"):
            return {key: Line.from_json(line) for key, line in value.items()}
        if name == "fits":
            return {key: Fit.from_json(fit) for key, fit in value.items()}
        return Line.from_json(value) if name == "handover" else super()._read(name, value)


def terms_key(delegate: str, threads: int) -> str:
    """Return what a delegate with some threads is called among the terms."""
    return f"{delegate} {threads}t"
