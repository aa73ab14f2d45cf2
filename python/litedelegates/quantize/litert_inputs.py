"""The inputs of a ``.tflite`` as calibration sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.graph.tflite.tree import ModelSource, Tree, parse, read_bytes, repair, shape_of, text, type_name
from litedelegates.quantize.calibration import RANDOM, CalibrationError, InputSpec, random_samples, read_samples


@dataclass(frozen=True)
class Signature:
    """A way to run a model.

    Attributes:
        key: Its name.
        subgraph: The number of the subgraph that it runs.
        inputs: In the order of the subgraph.
    """

    key: str
    subgraph: int
    inputs: list[InputSpec]


def read_signatures(tree: Tree) -> list[Signature]:
    """Return the signatures of ``tree``; of several on one subgraph the first.

    Raises:
        QuantizationError: An input has a type numpy has no word for.
    """
    found: dict[int, Signature] = {}
    for signature in tree.signatureDefs:
        number = signature.subgraphIndex
        if number not in found:
            graph = tree.subgraphs[number]
            names = {entry.tensorIndex: text(entry.name) for entry in signature.inputs or []}
            specs = [_read_spec(graph.tensors[index], names.get(index, "")) for index in graph.inputs]
            found[number] = Signature(text(signature.signatureKey), number, specs)
    return list(found.values())


def read_calibration(
    tree: Tree, calibration: Any, precision: str, *, progress: bool | None
) -> dict[str, list[dict[str, NDArray[Any]]]]:
    """Return the calibration samples by key of the signature that they are for.

    A model with several signatures takes a dictionary with samples for each, or for some of them: the ops that only
    the others run stay float32.

    Raises:
        CalibrationError: They are missing or do not fit; see `read_samples`.
    """
    signatures = read_signatures(tree)
    given: Mapping[str, Any] = {signatures[0].key: calibration}
    if len(signatures) > 1:
        given = _by_signature([signature.key for signature in signatures], calibration)
    found = {}
    for signature in signatures:
        if signature.key in given:
            samples = given[signature.key]
            found[signature.key] = read_samples(signature.inputs, samples, precision, progress=progress, stacklevel=6)
    return found


def _by_signature(keys: Sequence[str], calibration: Any) -> Mapping[str, Any]:
    listed = ", ".join(map(repr, keys))
    if isinstance(calibration, str) and calibration == RANDOM:
        return dict.fromkeys(keys, RANDOM)
    if not isinstance(calibration, Mapping):
        raise CalibrationError(
            f"the model has several signatures, {listed}: give calibration={{signature: samples, ...}}, or 'random'"
        )
    unknown = [str(key) for key in calibration if key not in keys]
    if unknown or not calibration:
        raise CalibrationError(f"calibration is for {unknown or 'no signature'}; the model has {listed}")
    return calibration


def random_calibration(
    model: ModelSource, samples: int = 8, seed: int = 0, *, low: float = 0.0, high: float = 1.0
) -> list[dict[str, NDArray[Any]]]:
    """Return ``samples`` random samples that fit ``model``, for a model whose data is not at hand.

    Good for: measuring speed, memory and which delegate takes which op, none of which depend on the ranges found.
    Not good for: accuracy. The ranges come from noise, so the outputs of the quantized model on real data can be far
    off; never ship a model calibrated with it.

    Args:
        model: Path or bytes of a ``.tflite``; dimensions that may change are taken as stored (usually 1). Of one with
            several signatures, the samples are for the first.
        samples: How many samples to make, at least 1.
        seed: The same seed gives the same samples.
        low: Lowest value of floating-point inputs.
        high: Highest value of floating-point inputs. Integer inputs get 0 or 1, uint8 and int8 their whole range.

    Raises:
        InvalidModelError: ``model`` is not a readable TFLite model.
        CalibrationError: ``samples`` is below 1, or ``low`` is not below ``high``.
    """
    tree = parse(read_bytes(model))
    repair(tree)
    return random_samples(read_signatures(tree)[0].inputs, samples, seed, low=low, high=high)


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
