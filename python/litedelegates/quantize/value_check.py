"""Judges the values of a quantized model against those of its source, on a few samples.

Structure tells what a model computes in, not what comes out: one range for boxes of 300 pixels and scores of 0 to 1
kills the scores, and every op is int8 as asked. So what a quantized model computes is compared with its source, as a
whole and along the axis on which an output holds values of different scales.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from litedelegates.measure.agreement import EPSILON, error_bound
from litedelegates.measure.error import ErrorSums

Array: TypeAlias = "np.ndarray[Any, Any]"
Sample = TypeVar("Sample")
Verdict: TypeAlias = Literal["fine", "warning", "error"]

# Samples are few: an error that matters shows in each of them, and they are run twice.
MOST_SAMPLES = 8
# An output that has nothing to do with the source, but its size, is sqrt(2) off: norm(y - x) of two vectors of one
# length at a right angle. Beyond it the result is worse than noise. (Zeros are 1 off: an output that is the same for
# every sample is an error already where rounding does not explain it.)
ERROR_LIMIT = math.sqrt(2)
# Weights and activations are both rounded: two roundings for each that `measure.agreement` counts.
_ROUNDINGS = 2.0
_SPACING = {"float16": EPSILON["float16"]}  # the others store weights in 8 bits, whatever the activations are
# A column is judged by itself where its values are this much smaller than those of the largest column...
_SMALLER = 10.0
# ...and said to be off where the error is half of its own norm: a few bits of its sign and size are left.
_COLUMN_LIMIT = 0.5
# ...unless these are so few of many columns that they are small on these samples only.
_BY_CHANCE = 0.1
# Errors within one quantization step are no news, such as those of a softmax of 1,000 classes in steps of 1/256, until
# they are half of what there is.
_WITHIN_STEP = 0.5
# Of values that are mostly the same, such as a ReLU that rarely fires, nothing but noise is lost: (sum|x|)^2 over
# n sum(x^2) is the share of values that count.
_DENSE = 0.25
# One value for all probabilities is no loss where these hardly differ, such as 0.9999 and 0.99995.
_ALL_DEAD = 0.02
_MOST_COLUMNS = 1 << 14
# An index or a mask falls the other way where values are near to each other; half of them do not.
_MOST_DIFFERENT = 0.5


@dataclass(frozen=True)
class ColumnError:
    """The error of one index along an axis of an output.

    Attributes:
        axis: Which axis, counted from 0.
        index: Which index along it.
        rms: Root mean square of the source's values.
        relative_error: ``norm(y - x) / norm(x)`` over the column, ``x`` being the source.
        is_dead: The source's values vary and the quantized model's are all the same.
    """

    axis: int
    index: int
    rms: float
    relative_error: float
    is_dead: bool


@dataclass(frozen=True)
class OutputError:
    """How one output of a quantized model differs from the source's.

    Attributes:
        name: Of the output.
        relative_error: ``norm(y - x) / norm(x)`` over all samples; of integers and booleans the share that differs;
            inf where the source is all zero, or the result is not finite where the source is.
        explained: What the precision explains.
        columns: Those that are off although the output may not be, in order.
        verdict: "fine", "warning" or "error".
        text: What is off; empty where nothing is.
    """

    name: str
    relative_error: float
    explained: float
    columns: tuple[ColumnError, ...] = ()
    verdict: Verdict = "fine"
    text: str = ""


@dataclass(frozen=True)
class ValueCheck:
    """The outputs of a quantized model beside those of its source.

    Attributes:
        outputs: In the order of the model.
        samples: How many samples were run.
    """

    outputs: tuple[OutputError, ...]
    samples: int

    @property
    def verdict(self) -> Verdict:
        """The worst of the outputs' verdicts."""
        found = {output.verdict for output in self.outputs}
        return "error" if "error" in found else "warning" if "warning" in found else "fine"

    @property
    def text(self) -> str:
        """What is off, errors first; empty where nothing is."""
        worst_first = sorted((output for output in self.outputs if output.text), key=lambda o: o.verdict != "error")
        return "; ".join(output.text for output in worst_first)


@dataclass(frozen=True)
class InnerError:
    """The error of what an op writes, and the largest of what it reads.

    Attributes:
        op: What to call it.
        before: Relative error of its inputs, the largest; 0 for inputs of the model and constants.
        after: Relative error of its output.
    """

    op: str
    before: float
    after: float


def explained_error(precisions: Iterable[str], ops: int) -> float:
    """Return the relative error that precisions explain in a model of so many ops.

    Twice ``eps sqrt(max(ops, 1/eps))``, see `measure.agreement`: 18 % with 8 bits, 6 % in float16, up to 128 ops.
    """
    spacing = max((_SPACING.get(name, EPSILON["int8"]) for name in precisions if name != "float32"), default=0.0)
    return _ROUNDINGS * error_bound(max(spacing, EPSILON["float32"]), ops)


def spread(samples: Sequence[Sample]) -> list[Sample]:
    """Return at most `MOST_SAMPLES` of the samples, from all over them: they may be sorted by class."""
    places = np.unique(np.linspace(0, len(samples) - 1, MOST_SAMPLES).round().astype(int))
    return [samples[int(place)] for place in places] if samples else []


def check_outputs(
    names: Sequence[str],
    source: Iterable[Sequence[Array]],
    quantized: Iterable[Sequence[Array]],
    explained: float,
    steps: Sequence[float | None] | None = None,
) -> ValueCheck:
    """Return how the outputs of a quantized model compare with its source's.

    Args:
        names: Of the outputs.
        source: For each sample the source's outputs. Both may be generators: no more than one sample is held.
        quantized: For each sample the quantized model's, as real values.
        explained: See `explained_error`.
        steps: For each output its quantization step; None where it has none. An error within one step is never
            "error", and "warning" where half of the values' norm is lost: a softmax of 1,000 classes whose values
            never reach 1/256 is all zero.
    """
    sums = [OutputSums() for _ in names]
    samples = 0
    for wanted, found in zip(source, quantized, strict=True):
        samples += 1
        for one, x, y in zip(sums, wanted, found, strict=True):
            one.add(np.asarray(x), np.asarray(y))
    of_outputs = steps or [None] * len(names)
    return ValueCheck(
        tuple(one.result(name, explained, step) for one, name, step in zip(sums, names, of_outputs, strict=True)),
        samples,
    )


def where_error_begins(inner: Sequence[InnerError], explained: float) -> InnerError | None:
    """Return the first op, in the order of execution, that turns right values into wrong ones.

    That is the first with an error above ``explained`` that reads nothing above it; where none is, the one whose error
    grows the most, if that is by half of ``explained``.
    """
    first = next((one for one in inner if one.before <= explained < one.after), None)
    if first is None and inner:
        first = max(inner, key=lambda one: one.after - one.before)
        if not first.after - first.before > explained / 2:
            return None
    return first


class OutputSums:
    """Sums over the values of one output, from which `result` makes the judgement."""

    def __init__(self) -> None:
        """Start with nothing compared."""
        self._whole = ErrorSums()
        self._columns: dict[int, _Columns] = {}
        self._elements = self._different = self._not_finite = 0
        self._is_real = True
        self._other_shape: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._within_one = True  # all of the source lies in 0 to 1

    def add(self, source: Array, quantized: Array) -> None:
        """Compare the values of one sample."""
        if source.shape != quantized.shape:
            self._other_shape = (source.shape, quantized.shape)
            return
        self._elements += source.size
        if source.dtype.kind not in "fV":  # V: bfloat16
            self._is_real = False
            self._different += int(np.count_nonzero(source != quantized))
            return
        x, y = source.astype(np.float64), quantized.astype(np.float64)
        finite = np.isfinite(x)
        broken = finite & ~np.isfinite(y)
        self._not_finite += int(np.count_nonzero(broken))
        both = finite & ~broken
        if not both.all():
            x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
        self._whole.add(x, y)
        self._within_one &= bool(x.size == 0 or (x.min() >= -1e-3 and x.max() <= 1 + 1e-3))
        for axis in _column_axes(x.shape):
            columns = self._columns.setdefault(axis, _Columns(axis, x.shape[axis]))
            columns.add(x, y)

    def result(self, name: str, explained: float, step: float | None = None) -> OutputError:
        """Return the judgement of everything that was compared; see `check_outputs`."""
        called = f"output {name!r}"
        if self._other_shape is not None:
            was, found = map(list, self._other_shape)
            verdict: Verdict = "warning" if len(was) == len(found) else "error"  # a count of hits may be another one
            return OutputError(name, math.inf, explained, (), verdict, f"{called} is of shape {found} instead of {was}")
        if not self._is_real:
            share = self._different / self._elements if self._elements else 0.0
            off = share > max(explained, _MOST_DIFFERENT)
            told = f"{share:.0%} of the values of {called} differ"
            return OutputError(name, share, explained, (), "warning" if off else "fine", told if off else "")
        if self._not_finite:
            told = f"{self._not_finite} of {self._elements} values of {called} are NaN or infinite, and finite before"
            return OutputError(name, math.inf, explained, (), "error", told)
        return self._judge(name, explained, step)

    def _judge(self, name: str, explained: float, step: float | None) -> OutputError:
        figures = self._whole.result()
        if figures.sqnr_db is None or figures.rmse is None:  # without elements
            return OutputError(name, 0.0, explained)
        relative = 10.0 ** (-figures.sqnr_db / 20)
        within_step = step is not None and figures.rmse <= step
        columns = self._columns_off(relative)
        texts = []
        if relative > (max(explained, _WITHIN_STEP) if within_step else explained):
            texts.append(_describe_error(relative, figures.max_abs or 0.0, explained))
        if columns:
            texts.append(_describe_columns(columns, self._columns[columns[0].axis].size))
        is_dead = bool(columns) and sum(c.is_dead for c in columns) == self._columns[columns[0].axis].size
        too_far = (
            (relative > ERROR_LIMIT or (is_dead and relative > explained))
            and not within_step
            and figures.sqnr_db > -math.inf
        )
        verdict: Verdict = "error" if too_far else "warning" if texts else "fine"
        told = f"output {name!r} {', and '.join(texts)}" if texts else ""
        return OutputError(name, relative, explained, columns, verdict, told)

    def _columns_off(self, relative: float) -> tuple[ColumnError, ...]:
        found = [(columns.off(), columns.size) for columns in self._columns.values()]
        if self._within_one:
            # Small probabilities are those of classes that no sample shows: nothing is lost with them. All are.
            found = [(off, size) for off, size in found if relative > _ALL_DEAD and sum(c.is_dead for c in off) == size]
        return min((off for off, _ in found if off), key=len, default=())


class _Columns:
    """Sums for each index along one axis."""

    def __init__(self, axis: int, size: int) -> None:
        self.axis, self.size = axis, size
        self._count = 0
        self._x2, self._d2, self._e1, self._e2 = (np.zeros(size) for _ in range(4))
        self._first: Array | None = None  # of the quantized values; the e are distances of the source from them
        self._x_low, self._x_high = np.full(size, np.inf), np.full(size, -np.inf)
        self._is_constant = np.ones(size, bool)

    def add(self, x: Array, y: Array) -> None:
        if not x.size or x.shape[self.axis] != self.size:
            return
        x, y = (np.moveaxis(values, self.axis, -1).reshape(-1, self.size) for values in (x, y))
        if self._first is None:
            self._first = y[0].copy()
        self._count += len(x)
        self._x2 += np.square(x).sum(0)
        self._d2 += np.square(y - x).sum(0)
        self._e1 += np.abs(x - self._first).sum(0)
        self._e2 += np.square(x - self._first).sum(0)
        self._x_low, self._x_high = np.minimum(self._x_low, x.min(0)), np.maximum(self._x_high, x.max(0))
        self._is_constant &= (y == self._first).all(0)

    def off(self) -> tuple[ColumnError, ...]:
        """Return the columns that are dead, or far off beside much larger ones."""
        if self._count < 2:
            return ()
        rms = np.sqrt(self._x2 / self._count)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.sqrt(self._d2 / self._x2)
            density = np.square(self._e1) / (self._count * self._e2)
        largest = np.maximum(np.abs(self._x_low), np.abs(self._x_high))
        varies = self._x_high - self._x_low > 1e-4 * largest
        dead = varies & self._is_constant & (density > _DENSE)
        far = (rms > 0) & (rms * _SMALLER < rms.max()) & (relative > _COLUMN_LIMIT) & (density > _DENSE)
        if np.count_nonzero(far) <= _BY_CHANCE * self.size:
            far[:] = False
        return tuple(
            ColumnError(self.axis, int(index), float(rms[index]), float(relative[index]), bool(dead[index]))
            for index in np.flatnonzero(dead | far)
        )


def _column_axes(shape: Sequence[int]) -> list[int]:
    """Return the axes that may hold values of different kinds: the last, and that of the channels of NCHW."""
    axes = {len(shape) - 1, 1} if len(shape) > 2 else {len(shape) - 1}
    return [axis for axis in sorted(axes) if axis >= 0 and 1 <= shape[axis] <= _MOST_COLUMNS]


def _describe_error(relative: float, largest: float, explained: float) -> str:
    if math.isinf(relative):
        return f"is all zero in the source, and up to {largest:.3g} in the result"
    off = f"{relative:.3g} times" if relative > 1 else f"{relative:.0%} of"
    return f"is off by {off} its norm, of which rounding explains {explained:.0%}"


def _describe_columns(columns: Sequence[ColumnError], size: int) -> str:
    """Return what is wrong with columns, as the end of a sentence about their output."""
    dead = [column.index for column in columns if column.is_dead]
    far = [column for column in columns if not column.is_dead]
    along = f" (along axis {columns[0].axis})"
    texts = []
    if len(dead) == size:
        texts.append("is the same for every sample, where the source's values vary")
    elif dead:
        verb = "holds" if len(dead) == 1 else "hold"
        texts.append(f"has dead columns: {_ranges(dead)}{along} {verb} one value, where the source's values vary")
    if far:
        worst = max(column.relative_error for column in far)
        lost = f"{_ranges([column.index for column in far])}{along} {'is' if len(far) == 1 else 'are'} off"
        texts.append(f"has columns lost beside larger ones: {lost} by up to {worst:.0%}")
    return ", and ".join(texts)


def _ranges(indices: Sequence[int]) -> str:
    """Return indices as "columns 4 to 6 and 9"."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    shown = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:3]]
    more = sum(len(run) for run in runs[3:])
    if more:
        shown.append(f"{more} more")
    listed = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    return f"column {listed}" if len(indices) == 1 else f"columns {listed}"
