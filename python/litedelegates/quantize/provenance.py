"""Where a quantized model came from: a record inside the file, without a time, so that the same work gives the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import InvalidModelError

RECORD_NAME = "litedelegates.recipe"
SCHEMA = 1


@dataclass(frozen=True)
class Record:
    """What a produced model was made from, and how.

    Attributes:
        source_sha256: Digest of the model that was quantized, in hex.
        recipe: Precision, border, method and what every op was asked to become.
        calibration_sha256: Digest of the samples (names, types, shapes and values); None without calibration.
        calibration_samples: How many there were.
        versions: Of the libraries that did the work.
        warnings: What was said of the result, such as values that are off.
        schema: Version of this record.
    """

    source_sha256: str
    recipe: Mapping[str, Any]
    calibration_sha256: str | None = None
    calibration_samples: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Return the record as JSON with sorted keys: equal records give equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, content: str | bytes) -> Record:
        """Return the record that ``to_json`` wrote.

        Raises:
            InvalidModelError: It is not such a record.
        """
        try:
            values = json.loads(content)
            names = cls.__dataclass_fields__
            known = {name: value for name, value in values.items() if name in names}
            return cls(**{**known, "warnings": tuple(known.get("warnings", ()))})
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidModelError(f"the record {RECORD_NAME!r} in the model cannot be read: {error!r}") from error


@dataclass(frozen=True)
class Quantized:
    """What a backend hands back: the finished model, but for its record.

    Attributes:
        seal: Returns the bytes of the model with the record in it.
        plan: The indices of the ops by what they were asked to become, as ``plan.describe`` gives it.
        libraries: Distributions that did the work, such as ``litert-quantizer``.
        samples: The calibration samples used.
        recipe: What else decides the result: the backend's own options.
        source_sha256: Digest of the source where the backend knows better than ``digest_source``; None otherwise.
        beside: Further files by name, for formats that keep data beside the model.
        warnings: What the caller should know of the result, such as values that are off.
    """

    seal: Callable[[Record], bytes]
    plan: Mapping[str, Sequence[int]]
    libraries: tuple[str, ...]
    samples: Sequence[Mapping[str, NDArray[Any]]] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    source_sha256: str | None = None
    beside: Mapping[str, bytes | memoryview] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def digest_samples(samples: Sequence[Mapping[str, NDArray[Any]]]) -> str | None:
    """Return the SHA-256 of ``samples`` in their order, or None where there are none."""
    if not samples:
        return None
    digest = hashlib.sha256()
    for sample in samples:
        for name, value in sorted(sample.items()):
            digest.update(f"{name}\0{value.dtype.str}\0{value.shape}\0".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def digest_source(model: Any) -> str:
    """Return the SHA-256 of ``model``: a file's content, a folder's files and names, bytes, or an object's values.

    An ``onnx.ModelProto`` counts as it would be written; a Keras model by its configuration and its weights.
    """
    if isinstance(model, bytes | bytearray | memoryview):
        return hashlib.sha256(model).hexdigest()
    digest = hashlib.sha256()
    if hasattr(model, "SerializeToString"):
        digest.update(model.SerializeToString(deterministic=True))
    elif hasattr(model, "get_weights"):
        digest.update(str(model.to_json()).encode())
        for value in model.get_weights():
            digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    else:
        root = Path(model)
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file():
                if path != root:
                    digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
                with path.open("rb") as file:
                    while block := file.read(1 << 22):
                        digest.update(block)
    return digest.hexdigest()


def versions_of(distributions: Sequence[str]) -> dict[str, str]:
    """Return the installed version of each of ``distributions``; those not installed are left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
