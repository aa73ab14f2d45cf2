"""What a layer study is asked to measure, and what tells one study from another in a store."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from litedelegates.errors import OptionError, nearest
from litedelegates.files import hash_file, path_from
from litedelegates.graph.model import Format
from litedelegates.layers.precisions import parse_precision
from litedelegates.layers.records import ErrorKind, Setting
from litedelegates.layers.sessions import check_delegate
from litedelegates.quantize import PRECISIONS
from litedelegates.quantize.dispatch import kind_of
from litedelegates.study.delegates import hash_libraries, parse_delegate

Part: TypeAlias = Literal["in_place", "alone", "error", "mixed"]

FLOAT32 = "float32"
PARTS: tuple[Part, ...] = get_args(Part)
# Mixed models have to be made first, which takes longer than all the rest of a large one.
DEFAULT_PARTS: tuple[Part, ...] = ("in_place", "alone", "error")
ERRORS: tuple[ErrorKind, ...] = get_args(ErrorKind)
DELEGATES: Mapping[Format, tuple[str, ...]] = {"tflite": ("none", "xnnpack"), "onnx": ("cpu",)}
_FILES = ("calibration", "inputs", "labels")
# Every field of `LayersConfig` is in one of these groups; a test holds them against each other.
# What results depend on: another value is another study, with records of its own.
SAME = ("model", "shapes", *_FILES, "samples", "allow_float32_ops", "seed", "runs", "seconds")
# What to measure: each record says which of them it is of, and more of them are added to a study.
WIDENED = ("precisions", "delegates", "threads", "parts", "errors", "variants", "mixes", "layers")
# They decide only whether something can be measured; what could not is tried again.
LIMITS = ("time_limit",)
_RANDOM = "random"


@dataclass(frozen=True)
class LayersConfig:
    """A model, the settings to run it in, and how long.

    Attributes:
        model: Path of a float32 ``.tflite`` or ``.onnx``.
        precisions: What `quantize` makes of it, options behind semicolons: "int8", "int8;format=qoperator"; "float32"
            for the file itself, which everything is compared with and which is added where it is missing.
        delegates: Chains as `study.parse_delegate` reads them; for an ``.onnx`` execution providers such as "cpu". None
            for the built-in kernels and XNNPACK, or for "cpu".
        threads: Numbers of threads of the CPU kernels.
        parts: What to find out: "in_place" and "alone" for times, "error" for differences, "mixed" for whole models
            whose layers have different precisions, which a planner fits its model of costs to and checks it with.
        errors: Which of these, as in `LayerError.kind`; that of the output takes the longest.
        shapes: Sizes of inputs that the model leaves open, by input name. Those that are not
            named are taken from the samples; of a ``.tflite`` those that it stores.
        variants: Files that are the model in another precision already, by the name that they have in the results.
        runs: Profiled runs of each setting in place.
        seconds: Time of runs measured of each whole model, and of each layer alone in each precision.
        calibration: For int8 and int16x8: what `quantize` takes; "random" is good for measuring speed only.
        inputs: A ``.npy`` (one input) or ``.npz`` (by name) with samples along the first axis; None for random values.
        labels: A ``.npy`` with the label of each sample: accuracy is the share whose largest output is the label.
        mixes: Mixed models, drawn at random.
        samples: Samples that errors are taken over, at most.
        layers: Layers to take out and to take errors of: indices, ranges, types or names as in `infos.choose_layers`;
            empty for all. Times in place are always of all.
        time_limit: Seconds after which a step (loading, a stretch of runs) counts as hanging.
        allow_float32_ops: Accept variants in which ops that cannot be quantized stay float32.
        seed: Of the orders and the random inputs.
    """

    model: str
    precisions: tuple[str, ...] = (FLOAT32, "float16", "dynamic", "int8")
    delegates: tuple[str, ...] | None = None
    threads: tuple[int, ...] = (1,)
    parts: tuple[str, ...] = DEFAULT_PARTS
    errors: tuple[str, ...] = ERRORS
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict, hash=False)
    variants: Mapping[str, str] = field(default_factory=dict, hash=False)
    runs: int = 20
    seconds: float = 0.2
    calibration: str = _RANDOM
    inputs: str | None = None
    labels: str | None = None
    samples: int = 8
    mixes: int = 12
    layers: tuple[str, ...] = ()
    time_limit: float = 60.0
    allow_float32_ops: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("precisions", "delegates", "threads", "parts", "errors", "layers"):
            value = getattr(self, name)
            if value is None:
                value = DELEGATES[self.format]
            if isinstance(value, str | int) or (not value and name != "layers"):
                raise OptionError(f"{name}={value!r}: it must be a list with at least one entry")
            object.__setattr__(self, name, tuple(dict.fromkeys(value)))
        own = (FLOAT32, *(name for name in self.precisions if name != FLOAT32))
        object.__setattr__(self, "precisions", own)
        object.__setattr__(self, "model", str(self.model))
        for name in self.variants:
            if name in self.precisions or name.partition(";")[0] in (FLOAT32, *PRECISIONS):
                raise OptionError(f"variants={name!r}: this is what a precision is called; give the file another name")
        for precision in self.precisions:
            parse_precision(precision, self.format)
        for part in self.parts:
            if part not in PARTS:
                raise OptionError(f"a layer study has no part {part!r}. {nearest(part, PARTS)}")
        for kind in self.errors:
            if kind not in ERRORS:
                raise OptionError(f"there is no error kind {kind!r}. {nearest(kind, ERRORS)}")
        for count in self.threads:
            _check_count("threads", count)
        for name in ("runs", "samples", "mixes"):
            _check_count(name, getattr(self, name))
        for name in ("seconds", "time_limit"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
                raise OptionError(f"{name}={value!r}: it must be a finite number above 0")
        for text in self.delegates or ():
            check_delegate(text, self.format)
        if self.labels is not None and self.inputs is None:
            raise OptionError("labels are given, but no inputs that they belong to")
        given = [getattr(self, name) for name in _FILES if getattr(self, name) not in (None, _RANDOM)]
        for path in (*given, *self.variants.values()):
            if not Path(path).exists():
                raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path))

    @property
    def format(self) -> Format:
        """The kind of the model: "tflite" or "onnx".

        Raises:
            OSError: It cannot be read.
            OptionError: It is neither.
        """
        kind = kind_of(self.model)
        if kind == "keras":
            raise OptionError(f"{self.model}: layers are measured of a .tflite or .onnx; convert it first")
        return "onnx" if kind == "onnx" else "tflite"

    @property
    def names(self) -> tuple[str, ...]:
        """All precisions: those that are made, and the files that were given."""
        return (*self.precisions, *self.variants)

    def without(self, names: Collection[str]) -> LayersConfig:
        """Return the same configuration without some precisions and variants; float32 stays."""
        precisions = tuple(name for name in self.precisions if name not in names)
        variants = {name: path for name, path in self.variants.items() if name not in names}
        return dataclasses.replace(self, precisions=precisions or (FLOAT32,), variants=variants)

    def settings(self) -> list[Setting]:
        """Return how the model is run, in order: float32 first on each delegate."""
        return [
            Setting(precision, delegate, threads)
            for threads in self.threads
            for delegate in self.delegates or ()
            for precision in self.names
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain values."""
        plain = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    def to_record(self, folder: str | os.PathLike[str]) -> dict[str, Any]:
        """Return the configuration for a store that lies in ``folder``: relative paths go from there."""
        return relocated(self.to_json(), lambda path: path_from(folder, path))

    def identity(self, sha256: Callable[[str], str] = hash_file) -> dict[str, Any]:
        """Return what the results depend on and what no result says of itself: `SAME`.

        Which settings and layers are measured is not in it: a study can be widened. Where a file lies is not either.

        Args:
            sha256: Returns the digest of a file.

        Raises:
            OSError: A file cannot be read.
        """
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        own = {name: getattr(self, name) for name in SAME if name not in ("model", "shapes", *_FILES)}
        digests = {name: _digest(getattr(self, name), sha256) for name in _FILES}
        return {"model_sha256": sha256(self.model), "shapes": shapes, **digests, **own}

    @property
    def key(self) -> str:
        """What the study is called in a store."""
        return self.key_by(hash_file)

    def key_by(self, sha256: Callable[[str], str]) -> str:
        """Return what the study is called in a store, the digests of files taken from ``sha256``."""
        text = json.dumps(self.identity(sha256), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def libraries(self) -> dict[str, str]:
        """Return the digest of each delegate's library that the settings name, by its path."""
        chains = (self.delegates or ()) if self.format == "tflite" else ()
        return {path: found for text in chains for path, found in hash_libraries(parse_delegate(text)[0]).items()}


def relocated(asked: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return a configuration as plain values with its paths changed."""
    found = dict(asked)
    for name in ("model", *_FILES):
        if isinstance(found.get(name), str) and found[name] != _RANDOM:
            found[name] = change(found[name])
    if isinstance(found.get("variants"), Mapping):
        found["variants"] = {name: change(path) for name, path in found["variants"].items()}
    return found


def _digest(source: str | None, sha256: Callable[[str], str]) -> str | None:
    return sha256(source) if source is not None and Path(source).is_file() else source


def _check_count(name: str, count: Any) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise OptionError(f"{name}={count!r}: it must be an integer of at least 1")
