"""What a precision of a layer study is called, and the file that is kept of it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.errors import FileChangedError, OptionError, nearest
from litedelegates.files import hash_file, made_from
from litedelegates.quantize.request import FLOAT32, PRECISIONS, STATIC_PRECISIONS
from litedelegates.study.delegates import parse_value

# Of `quantize`: what may stand behind a precision, and which precisions it belongs to.
_SHARED = {"border": STATIC_PRECISIONS, "method": STATIC_PRECISIONS, "percentile": STATIC_PRECISIONS}
_OF_ONNX = {
    "format": ("int8",),
    "activation_type": ("int8",),
    "weight_type": ("dynamic",),
    "reduce_range": ("int8", "dynamic"),
}
_MAKERS = ("litedelegates", "litert-quantizer", "onnxruntime", "onnx")


def parse_precision(text: str, model_format: str) -> tuple[str, dict[str, Any]]:
    """Return the precision and the options of `quantize` that "int8;format=qoperator" stands for.

    Args:
        text: "float32" or one of `quantize.PRECISIONS`, and ``NAME=VALUE`` after semicolons.
        model_format: "tflite" or "onnx", which has options of its own.

    Raises:
        OptionError: An unknown precision or option, one that belongs to another precision, or an option without a
            value; names the nearest.
    """
    name, *given = (piece.strip() for piece in text.split(";"))
    if name not in (FLOAT32, *PRECISIONS):
        raise OptionError(f"there is no precision {name!r}. {nearest(name, (FLOAT32, *PRECISIONS))}")
    known: Mapping[str, tuple[str, ...]] = {**_SHARED, **(_OF_ONNX if model_format == "onnx" else {})}
    own = [option for option, users in known.items() if name in users]
    options: dict[str, Any] = {}
    for piece in given:
        option, equals, value = piece.partition("=")
        if option not in known:
            raise OptionError(f"{text}: a .{model_format} has no option {option!r}. {nearest(option, known)}")
        if option not in own:
            raise OptionError(f"{text}: {option!r} belongs to {' and '.join(known[option])}, not to {name!r}")
        if not equals:
            raise OptionError(f"{text}: {option!r} must be NAME=VALUE, such as {option}=...")
        options[option] = parse_value(value)
    return name, options


def cached_name(
    model: str | os.PathLike[str], precision: str, calibration: Any, keywords: Mapping[str, Any], model_format: str
) -> str:
    """Return the name of the file that is kept of a model in a precision: the same for the same model and recipe.

    Args:
        model: Path of the float32 model.
        precision: As in `parse_precision`.
        calibration: None, "random", a path, or a list of samples.
        keywords: What `quantize` is given besides.
        model_format: "tflite" or "onnx", which is how the name ends.
    """
    recipe = [_digest(calibration), sorted((key, repr(value)) for key, value in keywords.items()), *_versions()]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    return f"{hash_file(os.fspath(model))[:16]}-{precision.partition(';')[0]}-{digest}.{model_format}"


@contextlib.contextmanager
def keeping(
    target: Path, name: Callable[[], str], model: str | os.PathLike[str], calibration: Any = None
) -> Iterator[None]:
    """Make ``target`` of a model in the block.

    Args:
        target: The file to make.
        name: Returns what it has to be called, by `cached_name`.
        model: Path of the float32 model.
        calibration: As for `cached_name`.

    Raises:
        FileChangedError: The model or the samples were touched meanwhile, so that it is not what its name says; it is
            removed.
    """
    is_file = isinstance(calibration, str | os.PathLike) and Path(calibration).is_file()
    with made_from(target, model, *([calibration] if is_file else [])):
        yield
    if name() != target.name:  # touched before the block began
        target.unlink(missing_ok=True)
        raise FileChangedError(f"{os.fspath(model)}, or what it is calibrated with, was changed while it was quantized")


def _versions() -> list[str | None]:
    found = installed_versions(_MAKERS)
    return [found.get(package) for package in _MAKERS]


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of some packages that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _digest(calibration: Any) -> str | None:
    if calibration is None:
        return None
    if isinstance(calibration, str | os.PathLike):
        return hash_file(os.fspath(calibration)) if Path(calibration).is_file() else str(os.fspath(calibration))
    digest = hashlib.sha256()
    for sample in calibration:
        if isinstance(sample, Mapping):
            digest.update(repr(sorted(sample)).encode())
        values = [sample[name] for name in sorted(sample)] if isinstance(sample, Mapping) else sample
        for value in values if isinstance(values, tuple | list) else [values]:
            array = np.asarray(value)
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
