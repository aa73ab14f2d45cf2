"""How far values are from what they should be, summed up in float64 over any number of arrays.

Integers become real values before they are compared, piece by piece: a layer of 40 MB needs no copies of its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from litedelegates.border import Quantization, along, dequantize
from litedelegates.measure.statistics import SampleError

Array: TypeAlias = "np.ndarray[Any, Any]"

# In the order in which they are told.
FLAGS = ("nan", "inf", "all zero", "constant")
# Values compared at once. They fit into the caches, and OpenBLAS starts threads for products of 10,000 and more, which
# take longer than the product where other work runs beside it.
_AT_ONCE = 8192
# Squares of magnitudes within stay far from the ends of float64, sums of many of them too.
_SAFE = (1e-100, 1e100)


@dataclass(frozen=True)
class ErrorFigures:
    """How far some values ``y`` are from the reference ``x``, both real, with ``d = y - x``.

    Pairs that are the same and not finite (a mask of -inf) are left out of all figures; a value that is not finite and
    has no such twin makes ``rmse`` and ``max_abs`` inf, ``sqnr_db`` -inf and ``cosine`` None.

    Attributes:
        elements: Values compared.
        rmse: ``sqrt(mean(d^2))``; like all the others None where nothing was compared.
        rmse_over_scale: ``sqrt(mean((d / scale)^2))``. Rounding alone gives errors that are uniform over one step, so
            1/sqrt(12) = 0.29 (Bennett, "Spectra of Quantized Signals", 1948); None without a scale.
        sqnr_db: ``10 log10(sum(x^2) / sum(d^2))``, the signal-to-quantization-noise ratio; inf where nothing differs,
            -inf where all of ``x`` is zero and ``y`` is not.
        cosine: ``sum(x y) / sqrt(sum(x^2) sum(y^2))``; None where one of them is all zero.
        max_abs: Largest ``|d|``.
        saturated: Share of the quantized values that are at an end of the range of their integer type; None where they
            are no integers with a scale.
        flags: What makes the figures doubtful, in either of the two: "nan", "inf", "all zero", "constant" (several
            values, all the same).
    """

    elements: int
    rmse: float | None = None
    rmse_over_scale: float | None = None
    sqnr_db: float | None = None
    cosine: float | None = None
    max_abs: float | None = None
    saturated: float | None = None
    flags: tuple[str, ...] = ()


class ErrorSums:
    """Sums over pairs of arrays, from which `result` makes the figures."""

    def __init__(self) -> None:
        """Start with nothing compared."""
        self._elements = self._finite_pairs = self._with_scale = self._integers = self._at_ends = 0
        self._flags: set[str] = set()
        self._is_broken = False  # something is not finite and has no twin
        self._largest = 0.0
        self._low, self._high = [math.inf, math.inf], [-math.inf, -math.inf]  # of reference and other
        self._x, self._y, self._product, self._difference, self._steps = (_Sum() for _ in range(5))

    def add(
        self,
        reference: Array,
        other: Array,
        *,
        quantization: Quantization | None = None,
        reference_quantization: Quantization | None = None,
    ) -> None:
        """Compare two arrays of one shape.

        Args:
            reference: What the values should be.
            other: What they are.
            quantization: How integers of ``other`` stand for real values; None where they are what they say.
            reference_quantization: The same for ``reference``.

        Raises:
            SampleError: The shapes differ, or the arrays do not hold numbers.
        """
        _check(reference, other)
        self._elements += reference.size
        if quantization is not None:
            self._with_scale += other.size
            if other.dtype.kind in "iu":
                ends = np.iinfo(other.dtype)
                self._integers += other.size
                self._at_ends += int(np.count_nonzero(other == ends.min) + np.count_nonzero(other == ends.max))
        for x, y, scale in _pieces(reference, other, reference_quantization, quantization):
            self._add_piece(x, y, scale)

    def merge(self, more: ErrorSums) -> None:
        """Count in what another one has compared."""
        self._elements += more._elements
        self._finite_pairs += more._finite_pairs
        self._with_scale += more._with_scale
        self._integers += more._integers
        self._at_ends += more._at_ends
        self._flags |= more._flags
        self._is_broken |= more._is_broken
        self._largest = max(self._largest, more._largest)
        self._low = [min(pair) for pair in zip(self._low, more._low, strict=True)]
        self._high = [max(pair) for pair in zip(self._high, more._high, strict=True)]
        for own, its in zip(self._sums, more._sums, strict=True):
            own.add(its.total, its.exponent)

    def result(self) -> ErrorFigures:
        """Return the figures of everything that was compared."""
        count, has_scale = self._finite_pairs, self._with_scale == self._elements
        if self._is_broken:
            return ErrorFigures(
                elements=self._elements,
                rmse=math.inf,
                rmse_over_scale=math.inf if has_scale else None,
                sqnr_db=-math.inf,
                max_abs=math.inf,
                saturated=self._saturated,
                flags=self._all_flags(),
            )
        if not count:
            return ErrorFigures(self._elements, flags=self._all_flags())
        return ErrorFigures(
            elements=self._elements,
            rmse=self._difference.root_of_mean(count),
            rmse_over_scale=self._steps.root_of_mean(count) if has_scale else None,
            sqnr_db=10 * self._x.log10_over(self._difference),
            cosine=self._cosine(),
            max_abs=self._largest,
            saturated=self._saturated,
            flags=self._all_flags(),
        )

    @property
    def _saturated(self) -> float | None:
        return self._at_ends / self._integers if self._integers else None

    @property
    def _sums(self) -> tuple[_Sum, ...]:
        return self._x, self._y, self._product, self._difference, self._steps

    def _add_piece(self, x: Array, y: Array, scale: Array) -> None:
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            x, y, scale = self._finite(x, y, scale)
        if not x.size:
            return
        self._finite_pairs += x.size
        for index, values in enumerate((x, y)):
            self._low[index] = min(self._low[index], float(values.min()))
            self._high[index] = max(self._high[index], float(values.max()))
        with np.errstate(over="ignore"):
            d = y - x
        largest = float(np.abs(d).max())
        if not math.isfinite(largest):  # farther apart than float64 reaches
            self._is_broken = True
            return
        self._largest = max(self._largest, largest)
        x, x_exponent = _moderate(x)
        y, y_exponent = _moderate(y)
        d, d_exponent = _moderate(d)
        steps, exponent = _moderate(d / scale)
        self._x.add(np.dot(x, x), 2 * x_exponent)
        self._y.add(np.dot(y, y), 2 * y_exponent)
        self._product.add(np.dot(x, y), x_exponent + y_exponent)
        self._difference.add(np.dot(d, d), 2 * d_exponent)
        self._steps.add(np.dot(steps, steps), 2 * (d_exponent + exponent))

    def _finite(self, x: Array, y: Array, scale: Array) -> tuple[Array, Array, Array]:
        """Return the pairs that are finite, and note what the others are."""
        for name, has in (("nan", np.isnan), ("inf", np.isinf)):
            if has(x).any() or has(y).any():
                self._flags.add(name)
        finite = np.isfinite(x) & np.isfinite(y)
        twins = (x == y) | (np.isnan(x) & np.isnan(y))
        self._is_broken |= not (finite | twins).all()
        return x[finite], y[finite], scale[finite]

    def _cosine(self) -> float | None:
        if not self._x.total or not self._y.total:
            return None
        exponent = self._product.exponent - (self._x.exponent + self._y.exponent) // 2  # those of squares are even
        cosine = math.ldexp(self._product.total / math.sqrt(self._x.total) / math.sqrt(self._y.total), exponent)
        return max(-1.0, min(1.0, cosine))  # rounding may lead past the ends

    def _all_flags(self) -> tuple[str, ...]:
        flags = set(self._flags)
        for low, high in zip(self._low, self._high, strict=True):
            if low == high == 0:
                flags.add("all zero")
            elif low == high and self._finite_pairs > 1:
                flags.add("constant")
        return tuple(name for name in FLAGS if name in flags)


def real_values(array: Array, quantization: Quantization | None) -> Array:
    """Return the real values of an array in float64: ``scale * (integer - zero_point)``, see `border.dequantize`.

    Args:
        array: Numbers of any type.
        quantization: How its integers stand for real values; None where they are what they say.
    """
    if quantization is None:
        return array.astype(np.float64)
    return dequantize(array, quantization.scales, quantization.zero_points, quantization.axis)


class _Sum:
    """A sum as ``total * 2**exponent``: the square of what float64 can hold may be more than it can hold."""

    def __init__(self) -> None:
        self.total, self.exponent = 0.0, 0

    def add(self, total: float, exponent: int) -> None:
        if total:
            top = max(exponent, self.exponent) if self.total else exponent
            self.total = math.ldexp(self.total, self.exponent - top) + math.ldexp(float(total), exponent - top)
            self.exponent = top

    def root_of_mean(self, count: int) -> float:
        return math.ldexp(math.sqrt(self.total / count), self.exponent // 2)

    def log10_over(self, divisor: _Sum) -> float:
        if not divisor.total:
            return math.inf
        if not self.total:
            return -math.inf
        powers = (self.exponent - divisor.exponent) * math.log10(2)
        return math.log10(self.total) - math.log10(divisor.total) + powers


def _check(reference: Array, other: Array) -> None:
    if reference.shape != other.shape:
        raise SampleError(f"cannot compare arrays of shape {other.shape} with a reference of shape {reference.shape}")
    for array in (reference, other):
        if array.dtype.kind not in "fiub":
            raise SampleError(f"cannot compare arrays of {array.dtype}: they hold no real numbers")


def _pieces(x: Array, y: Array, of_x: Quantization | None, of_y: Quantization | None) -> Iterator[tuple[Array, ...]]:
    """Yield real values of ``x`` and ``y`` as float64, and the scales of ``y`` (1 where it has none)."""
    operands = [x, y, *_parameters(of_x, x.ndim), *_parameters(of_y, y.ndim)]
    pieces: Any = np.nditer(
        operands,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_dtypes=[np.float64] * len(operands),
        order="C",
        casting="unsafe",  # of integers of 64 bits; quantized ones have fewer
        buffersize=_AT_ONCE,
    )
    with pieces:
        for a, b, a_scale, a_zero, b_scale, b_zero in pieces:
            # The buffers are used again: what leaves here is made anew.
            yield (a - a_zero) * a_scale, (b - b_zero) * b_scale, b_scale.copy()


def _parameters(quantization: Quantization | None, rank: int) -> tuple[Array, Array]:
    if quantization is None:
        return np.array(1.0), np.array(0.0)
    return along(quantization.scales, rank, quantization.axis), along(quantization.zero_points, rank, quantization.axis)


def _moderate(values: Array) -> tuple[Array, int]:
    """Return values whose squares float64 holds, and the power of two that they have to be multiplied with."""
    largest = float(np.abs(values).max())
    if largest == 0 or _SAFE[0] < largest < _SAFE[1]:
        return values, 0
    exponent = math.frexp(largest)[1]
    return np.ldexp(values, -exponent), exponent
