"""The inputs of a ``.tflite`` as calibration sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.graph.tflite.tree import ModelSource, Tree, parse, read_bytes, repair, shape_of, text, type_name
from litedelegates.quantize.calibration import InputSpec, random_samples


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
    tree = parse(read_bytes(model))
    repair(tree)
    return random_samples(read_input_specs(tree), samples, seed, low=low, high=high)


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
