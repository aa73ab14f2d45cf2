"""Samples that show litert-quantizer the range of every activation: checked before they are used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.quantize.model_file import ModelSource, Tree, parse, read_bytes, repair, shape_of, text, type_name

Sample: TypeAlias = NDArray[Any] | tuple[NDArray[Any], ...] | list[NDArray[Any]] | Mapping[str, NDArray[Any]]


class CalibrationError(QuantizationError, ValueError):
    """The calibration samples are missing, do not fit the model, or say nothing about its activations."""


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


def read_input_specs(tree: Tree) -> list[InputSpec]:
    """Return the inputs of the one signature of ``tree``, in the order of the model's inputs.

    Raises:
        QuantizationError: The model has several signatures, or an input type numpy has no word for.
    """
    signatures = tree.signatureDefs
    if len(signatures) != 1:
        keys = [text(signature.signatureKey) for signature in signatures]
        raise QuantizationError(f"calibrating a model with several signatures is not supported; this one has {keys}")
    graph = tree.subgraphs[signatures[0].subgraphIndex]
    names = {entry.tensorIndex: text(entry.name) for entry in signatures[0].inputs or []}
    return [_read_spec(graph.tensors[index], names.get(index, "")) for index in graph.inputs]


def check_calibration(specs: list[InputSpec], calibration: Iterable[Sample] | None) -> list[dict[str, NDArray[Any]]]:
    """Return the samples by input name, each of them checked against ``specs``.

    Raises:
        CalibrationError: There are none, one does not fit the inputs or is not finite, or an input never changes.
    """
    takes = ", ".join(f"{spec.name!r} {spec.shape} {spec.dtype}" for spec in specs)
    if calibration is None:
        raise CalibrationError(
            "precision 'int8' needs calibration: an iterable of some 20 to 500 representative samples, each for "
            f"{takes}. Without data, litedelegates.quantize.random_calibration(model) is good for measuring speed only"
        )
    if isinstance(calibration, Mapping | str | bytes) or not isinstance(calibration, Iterable):
        raise CalibrationError(
            f"calibration is one {type(calibration).__name__}, not an iterable of samples: put it in a list"
        )
    samples = [_by_name(specs, sample, f"calibration sample {i}") for i, sample in enumerate(calibration)]
    if not samples:
        raise CalibrationError(
            f"calibration is empty: the iterable gave no sample for {takes}. A generator gives its samples only once"
        )
    for spec in specs:
        _check_varies(spec, [sample[spec.name] for sample in samples])
    return samples


def random_calibration(
    model: ModelSource, samples: int = 8, seed: int = 0, *, low: float = 0.0, high: float = 1.0
) -> list[dict[str, NDArray[Any]]]:
    """Return ``samples`` random samples that fit ``model``, for a model whose data is not at hand.

    Good for: measuring speed, memory and which delegate takes which op, none of which depend on the ranges found.
    Not good for: accuracy. The ranges come from noise, so the outputs of the quantized model on real data can be far
    off; never ship a model calibrated with it.

    Args:
        model: Path or bytes of a ``.tflite``; dimensions that may change are taken as stored (usually 1).
        samples: How many samples to make, at least 1.
        seed: The same seed gives the same samples.
        low: Lowest value of floating-point inputs.
        high: Highest value of floating-point inputs. Integer inputs get 0 or 1, uint8 and int8 their whole range.

    Raises:
        InvalidModelError: ``model`` is not a readable TFLite model.
        CalibrationError: ``samples`` is below 1, or ``low`` is not below ``high``.
    """
    if samples < 1 or not low < high:
        raise CalibrationError(f"samples={samples} must be at least 1, and low={low} below high={high}")
    tree = parse(read_bytes(model))
    repair(tree)
    specs = read_input_specs(tree)
    random = np.random.default_rng(seed)
    return [{spec.name: _random_values(random, spec, low, high) for spec in specs} for _ in range(samples)]


def _read_spec(tensor: Any, name: str) -> InputSpec:
    stored = shape_of(tensor)
    signature = tensor.shapeSignature
    shape = stored if signature is None else tuple(int(size) for size in signature)
    try:
        dtype = np.dtype(type_name(tensor).lower())
    except TypeError:
        raise QuantizationError(
            f"input {text(tensor.name)!r} has type {type_name(tensor)}, which cannot be calibrated"
        ) from None
    return InputSpec(name or text(tensor.name), shape, stored, dtype)


def _by_name(specs: list[InputSpec], sample: Any, where: str) -> dict[str, NDArray[Any]]:
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
    for spec in specs:
        _check_value(spec, values[spec.name], where)
    return {name: np.ascontiguousarray(value) for name, value in values.items()}


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
