"""The samples that cells run on, and how far the outputs of one are from those of another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from litedelegates.arrays import read_arrays
from litedelegates.border import quantize_array
from litedelegates.errors import InvalidModelError, OptionError
from litedelegates.files import write_whole
from litedelegates.interpreter import Interpreter
from litedelegates.model import Model
from litedelegates.tensor_info import TensorInfo, random_value

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = list[Array]


class InputsError(OptionError):
    """The samples or labels given do not fit the model."""


def check_samples(models: Iterable[str], inputs: str | None, labels: str | None) -> None:
    """Raise where samples or labels fit a model not, before anything is measured.

    Models that cannot be read are passed over: their cells say so.

    Raises:
        InputsError: They do not fit.
        ArraysError: A file holds no arrays.
        OSError: A file cannot be read.
    """
    if inputs is None:
        return
    wanted = None if labels is None else read_arrays(labels)
    if wanted is not None and not isinstance(wanted, np.ndarray):
        raise InputsError(f"{labels} holds several arrays: labels are one, a .npy")
    for path in models:
        try:
            model = Model.load(path)
        except InvalidModelError:
            continue
        graph, names = model.subgraphs[0], model.names(0)
        infos = [model.tensor_info(0, i, tuple(graph.tensors[i].shape), names.get(i)) for i in graph.inputs]
        stacks = _load(inputs, infos)
        held = min((len(stack) if stack.ndim else 0 for stack in stacks), default=0)
        if not held:
            raise InputsError(f"{inputs} holds no sample")
        for stack, info in zip(stacks, infos, strict=True):
            _fitted(stack[0], info, inputs)
        if wanted is not None and wanted.size != held:
            raise InputsError(f"{inputs} holds {held} samples and {labels} {wanted.size} labels")


def stacks_of(interpreter: Interpreter, path: str | None, seed: int, count: int | None) -> Iterator[Arrays]:
    """Yield up to ``count`` samples, each a list in the order of the inputs; random ones where there is no file.

    Raises:
        InputsError: The file does not fit the inputs of the model.
    """
    infos = interpreter.inputs
    if path is None:
        rng = np.random.default_rng(seed)
        for _ in range(count or 1):
            yield [_random(info, rng) for info in infos]
        return
    stacks = _load(path, infos)
    held = min(len(stack) for stack in stacks)
    for index in range(held if count is None else min(held, count)):
        yield [
            quantize_array(_fitted(stack[index], info, path), info) for stack, info in zip(stacks, infos, strict=True)
        ]


def output_arrays(interpreter: Interpreter, sample: Sequence[Array]) -> Arrays:
    """Return the outputs for a sample as real values."""
    results = interpreter.run(*sample, quantize=True)
    return [np.asarray(result) for result in (results if isinstance(results, tuple) else (results,))]


def save_arrays(path: str, arrays: Sequence[Array]) -> None:
    """Write arrays to a ``.npz`` as a whole."""
    import io

    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    write_whole(path, [buffer.getbuffer()])


def load_arrays(path: str | Path) -> Arrays:
    """Return the arrays of a ``.npz`` in order.

    Raises:
        OSError: It cannot be read.
        ArraysError: It is damaged.
    """
    loaded = read_arrays(path)
    return list(loaded.values()) if isinstance(loaded, dict) else [loaded]


def error_of(outputs: Sequence[Array], reference: Sequence[Array]) -> dict[str, Any]:
    """Return how far outputs are from the reference's: ``max_abs``, ``rmse``, ``relative`` and ``relative_norm``.

    ``relative`` is the rmse over the standard deviation of the reference, ``relative_norm`` over its root mean square:
    the norm of the difference over that of the reference, as in `measure.agreement`. Each is that of the worst output.
    Outputs that are not numbers are passed over; a value that is not finite where the reference's is makes all four
    infinite.
    """
    worst: dict[str, Any] = {"max_abs": 0.0, "rmse": 0.0, "relative": 0.0, "relative_norm": 0.0}
    if [array.shape for array in outputs] != [array.shape for array in reference]:
        return {"unavailable": "the outputs have other shapes than the reference's"}
    for got, wanted in zip(outputs, reference, strict=True):
        if wanted.dtype.kind not in "fiub" or wanted.size == 0:
            continue
        a, b = got.astype(np.float64), wanted.astype(np.float64)
        finite = np.isfinite(b)
        difference = (a - b)[finite]
        if not np.isfinite(difference).all():
            return dict.fromkeys(worst, math.inf)
        rmse = float(np.sqrt(np.mean(difference**2))) if difference.size else 0.0
        spread = float(np.std(b[finite])) if difference.size else 0.0
        size = float(np.sqrt(np.mean(b[finite] ** 2))) if difference.size else 0.0
        found = {
            "max_abs": float(np.abs(difference).max(initial=0.0)),
            "rmse": rmse,
            "relative": _over(rmse, spread),
            "relative_norm": _over(rmse, size),
        }
        worst = {name: max(value, found[name]) for name, value in worst.items()}
    return worst


def _over(error: float, size: float) -> float:
    return error / size if size else (0.0 if error == 0 else math.inf)


def _random(info: TensorInfo, rng: np.random.Generator) -> Array:
    # The same reals for a model and its quantized copy, whatever type its border has.
    if info.is_quantized and info.dtype.kind in "iu":
        return quantize_array(rng.random(info.shape, np.float32), info)
    return random_value(info, rng)


def _load(path: str, infos: Sequence[TensorInfo]) -> Arrays:
    loaded = read_arrays(path)
    if isinstance(loaded, np.ndarray):
        if len(infos) != 1:
            raise InputsError(f"{path} holds one array and the model takes {len(infos)} inputs: use a .npz file")
        return [loaded]
    arrays: Mapping[str, Array] = loaded
    if len(infos) == 1 and infos[0].name not in arrays and len(arrays) == 1:
        return list(arrays.values())
    missing = [info.name for info in infos if info.name not in arrays]
    if missing:
        raise InputsError(f"{path} has no array named {', '.join(missing)}; it has {', '.join(arrays)}")
    return [arrays[info.name] for info in infos]


def _fitted(value: Array, info: TensorInfo, path: str) -> Array:
    """Return a sample with the batch axis that its input has, in the type of the input where no value changes."""
    wanted = info.shape_signature or info.shape
    if value.ndim == len(wanted) - 1 and wanted[0] in (1, -1):
        value = value[np.newaxis]
    fits = value.ndim == len(wanted) and all(size in (-1, have) for size, have in zip(wanted, value.shape, strict=True))
    if not fits:
        raise InputsError(
            f"{path}: a sample has the shape {value.shape}; input {info.name!r} takes {tuple(wanted)}. The first axis "
            "of the file counts the samples"
        )
    if value.dtype != info.dtype and not (info.is_quantized and value.dtype.kind == "f"):
        if value.dtype.kind == info.dtype.kind == "f":
            return value.astype(info.dtype)
        raise InputsError(f"{path}: a sample is {value.dtype}; input {info.name!r} takes {info.dtype}")
    return value
