"""Samples that show a quantizer the range of every activation: checked before they are used."""

from __future__ import annotations

import difflib
import math
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError, QuantizationWarning
from litedelegates.quantize.calibration_files import load_samples
from litedelegates.quantize.images import Images
from litedelegates.quantize.progress import track

Sample: TypeAlias = NDArray[Any] | tuple[NDArray[Any], ...] | list[NDArray[Any]] | Mapping[str, NDArray[Any]]
Calibration: TypeAlias = Iterable[Sample] | Images | str | os.PathLike[str]

RANDOM = "random"
RANDOM_SAMPLES = 8


class CalibrationError(QuantizationError, ValueError):
    """The calibration samples are missing, do not fit the model, or say nothing about its activations."""


class CalibrationWarning(QuantizationWarning):
    """The calibration is good for measuring speed, not for accuracy."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a model: what the signature calls it, and what it takes."""

    name: str
    shape: tuple[int, ...]  # -1 where any size is accepted
    stored_shape: tuple[int, ...]  # the same with 1 for -1
    dtype: np.dtype[Any]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.shape) and all(
            have == want or want == -1 for have, want in zip(shape, self.shape, strict=True)
        )


def read_samples(
    specs: Sequence[InputSpec],
    calibration: Calibration | None,
    precision: str = "int8",
    *,
    progress: bool | None = False,
    stacklevel: int = 5,
) -> list[dict[str, NDArray[Any]]]:
    """Return the samples by input name, from whatever ``calibration`` is, each of them checked against ``specs``.

    Args:
        specs: The inputs of the model, in order.
        calibration: An iterable of samples (an array, a tuple or list in input order, or a dict by input name); one
            array stacked along its first axis; the path of a ``.npy`` or ``.npz``; ``Images``; or ``"random"``.
        precision: What needs them, for messages.
        progress: Whether to show a bar while they are read.
        stacklevel: Of the caller of ``quantize``, through dispatch and backend.

    Raises:
        CalibrationError: There are none, one does not fit the inputs or is not finite, or an input never changes.
        OSError: The path cannot be read.
    """
    takes = ", ".join(f"{spec.name!r} {spec.shape} {spec.dtype}" for spec in specs)
    if calibration is None:
        raise CalibrationError(
            f"precision {precision!r} needs calibration: an iterable of some 20 to 500 representative samples, each "
            f"for {takes}. Without data, calibration='random' is good for measuring speed only"
        )
    given: Any = calibration
    if isinstance(calibration, str) and calibration == RANDOM:
        warnings.warn(
            "calibration='random': the ranges come from noise. Speed and placement can be measured with the result, "
            "but its outputs on real data can be far off; do not ship it",
            CalibrationWarning,
            stacklevel=stacklevel,
        )
        given = random_samples(specs, RANDOM_SAMPLES)
    elif isinstance(calibration, str | os.PathLike):
        given = _load(calibration, specs)
    elif isinstance(calibration, Images):
        if len(specs) != 1:
            raise CalibrationError(f"images can calibrate a model of one input; this one takes {takes}")
        given = calibration.fit(specs[0].shape, specs[0].dtype)
    elif isinstance(calibration, np.ndarray):
        given = _unstack(calibration, specs, "the calibration array")
    if isinstance(given, Mapping | bytes) or not isinstance(given, Iterable):
        raise CalibrationError(
            f"calibration is one {type(given).__name__}, not an iterable of samples: put it in a list"
        )
    total = len(given) if isinstance(given, Sized) else None
    tracked = track(given, "reading calibration", progress, total)
    samples = [_by_name(specs, sample, f"calibration sample {i}") for i, sample in enumerate(tracked)]
    if not samples:
        raise CalibrationError(
            f"calibration is empty: the iterable gave no sample for {takes}. A generator gives its samples only once"
        )
    for spec in specs:
        _check_varies(spec, [sample[spec.name] for sample in samples])
    return samples


def random_samples(
    specs: Sequence[InputSpec], samples: int, seed: int = 0, *, low: float = 0.0, high: float = 1.0
) -> list[dict[str, NDArray[Any]]]:
    """Return ``samples`` random samples for ``specs``, the same for the same ``seed``.

    Raises:
        CalibrationError: ``samples`` is below 1, ``low`` is not below ``high``, or an input is larger than any array.
    """
    if samples < 1 or not low < high:
        raise CalibrationError(f"samples={samples} must be at least 1, and low={low} below high={high}")
    for spec in specs:
        if math.prod(spec.stored_shape) > sys.maxsize // 8:
            shape = list(spec.stored_shape)
            raise CalibrationError(f"input {spec.name!r} is of shape {shape}, which is larger than an array can be")
    random = np.random.default_rng(seed)
    return [{spec.name: _random_values(random, spec, low, high) for spec in specs} for _ in range(samples)]


def _load(path: str | os.PathLike[str], specs: Sequence[InputSpec]) -> list[Any]:
    loaded = load_samples(path)
    if isinstance(loaded, str):
        hint = f" Did you mean {RANDOM!r}?" if difflib.get_close_matches(str(path), [RANDOM]) else ""
        raise CalibrationError(f"calibration {str(path)!r} {loaded}.{hint}")
    if isinstance(loaded, np.ndarray):
        return _unstack(loaded, specs, str(path))
    names = [spec.name for spec in specs]
    by_order = [f"arr_{index}" for index in range(len(specs))]  # what numpy calls arrays saved without names
    stacks = dict(zip(names, loaded.values(), strict=True)) if list(loaded) == by_order else loaded
    if set(stacks) != set(names):
        raise CalibrationError(f"{path} has arrays called {list(loaded)}; the inputs are called {names}")
    lists = {spec.name: _unstack(stacks[spec.name], [spec], f"{path}[{spec.name!r}]") for spec in specs}
    counts = {name: len(values) for name, values in lists.items()}
    if len(set(counts.values())) != 1:
        raise CalibrationError(f"{path}: its arrays hold different numbers of samples: {counts}")
    return [{name: lists[name][index] for name in names} for index in range(min(counts.values()))]


def _unstack(stacked: NDArray[Any], specs: Sequence[InputSpec], where: str) -> list[NDArray[Any]]:
    """Return the samples of an array that holds them along its first axis, each with the batch axis of its input."""
    if len(specs) != 1:
        raise CalibrationError(f"{where} is one array; the model has {len(specs)} inputs: give a dict for each sample")
    spec = specs[0]
    if stacked.ndim != len(spec.shape) or stacked.ndim == 0:  # each element has its batch axis, or is wrong
        return list(stacked) if stacked.ndim else [stacked]
    batch = max(spec.shape[0], 1)
    if len(stacked) % batch:
        raise CalibrationError(f"{where} holds {len(stacked)} samples, not a multiple of the model's batch of {batch}")
    return [stacked[start : start + batch] for start in range(0, len(stacked), batch)]


def _by_name(specs: Sequence[InputSpec], sample: Any, where: str) -> dict[str, NDArray[Any]]:
    names = [spec.name for spec in specs]
    if isinstance(sample, Mapping):
        if set(sample) != set(names):
            raise CalibrationError(f"{where} has the keys {sorted(map(str, sample))}; the inputs are called {names}")
        values = dict(sample)
    else:
        listed = sample if isinstance(sample, tuple | list) else [sample]
        if len(listed) != len(specs):
            raise CalibrationError(f"{where} has {len(listed)} arrays; the model has {len(specs)} inputs: {names}")
        values = dict(zip(names, listed, strict=True))
    values = {name: np.asarray(value) if isinstance(value, np.generic) else value for name, value in values.items()}
    for spec in specs:
        _check_value(spec, values[spec.name], where)
    return {name: np.asarray(value, order="C") for name, value in values.items()}  # keeps rank 0


def _check_value(spec: InputSpec, value: Any, where: str) -> None:
    if not isinstance(value, np.ndarray):
        raise CalibrationError(f"{where} gives input {spec.name!r} a {type(value).__name__}; it takes a numpy array")
    if not spec.accepts(value.shape):
        hint = ": add the batch axis, sample[np.newaxis]" if spec.accepts((1, *value.shape)) else ""
        raise CalibrationError(f"{where} has shape {value.shape}; input {spec.name!r} takes {spec.shape}{hint}")
    if value.dtype != spec.dtype:
        raise CalibrationError(
            f"{where} is {value.dtype}; input {spec.name!r} takes {spec.dtype}: scale it as the model was trained, "
            f"then sample.astype(np.{spec.dtype})"
        )
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        found = "NaN" if np.isnan(value).any() else "infinity"
        bad = int(np.count_nonzero(~np.isfinite(value)))
        raise CalibrationError(f"{where} holds {found}: {bad} of {value.size} values of input {spec.name!r} not finite")


def _check_varies(spec: InputSpec, values: list[NDArray[Any]]) -> None:
    # A single number (a threshold, a scale) may well be the same each time; an image or a signal may not.
    if spec.dtype.kind != "f" or math.prod(spec.stored_shape) <= 1:
        return
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    if low == high:
        raise CalibrationError(
            f"every value of input {spec.name!r} is {low:g} in all {len(values)} calibration samples: constant data "
            "says nothing about the ranges of the activations"
        )


def _random_values(random: np.random.Generator, spec: InputSpec, low: float, high: float) -> NDArray[Any]:
    if spec.dtype.kind == "f":
        return random.uniform(low, high, spec.stored_shape).astype(spec.dtype)
    if spec.dtype.itemsize == 1 and spec.dtype.kind in "iu":
        limits = np.iinfo(spec.dtype)
        return random.integers(limits.min, limits.max, spec.stored_shape, spec.dtype, endpoint=True)
    return random.integers(0, 2, spec.stored_shape).astype(spec.dtype)
