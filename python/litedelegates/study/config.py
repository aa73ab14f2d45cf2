"""What a study is asked to measure: models x precisions x delegates x threads, and how long."""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litedelegates.errors import MissingExtraError, OptionError, nearest
from litedelegates.files import hash_file, open_regular, read_text
from litedelegates.quantize import PRECISIONS
from litedelegates.study.delegates import parse_delegate
from litedelegates.study.records import Cell

FLOAT32 = "float32"
_NAMED = {
    "models": "no path",
    "precisions": "no name of a precision",
    "delegates": "no text such as 'gpu+xnnpack'",
    "threads": "no integer of at least 1",
}


@dataclass(frozen=True)
class StudyConfig:
    """A matrix and how to measure it.

    Attributes:
        models: Paths of ``.tflite`` files.
        precisions: "float32" for the file as it is, or what it is quantized to. A file that is quantized already is
            measured as it is, as "float32" only.
        delegates: Chains as `parse_delegate` reads them.
        threads: Numbers of threads of the CPU kernels.
        seconds: Time of runs measured of each cell.
        rounds: Rounds at least; 6 is the least for an interval at 95 %.
        block_seconds: Time of a block of back-to-back runs.
        warmup_seconds: Time that each cell is warmed up for, at least; up to three times that until its times have
            settled.
        num_runs: Runs at least of each cell; None for what the time allows.
        max_seconds: Stop here even if there are not so many runs or rounds; per cell.
        within: Measure until the 95 % interval of every median is within this share of it (0.01 is 1 %), or
            ``max_seconds`` are over, 30 where they are not given.
        ratio_within: The same for every ratio to the base; with both, both must hold.
        warmup_runs: Runs at least to warm each cell up.
        loads: How often the cells are loaded anew, each time for a share of the rounds: two copies of one model differ
            by up to 1.5 % for as long as they live, and only this shows it.
        max_loaded: Cells that are loaded and interleaved at a time; the base is one of them.
        time_limit: Seconds after which a step (loading, a first run, a block) counts as hanging.
        memory_limit_mb: Resident memory, in units of 10^6 bytes, at which a cell is ended; None for 80 % of what is
            free when the study begins.
        seed: Of the orders and the random inputs.
        calibration: For int8 and int16x8: what `quantize` takes; "random" is good for measuring speed only.
        allow_float32_ops: Accept models in which ops that cannot be quantized stay float32.
        inputs: A ``.npy`` (one input) or ``.npz`` (by name) with samples along the first axis; None for random values.
        labels: A ``.npy`` with the label of each sample: accuracy is the share whose largest output is the label.
    """

    models: tuple[str, ...]
    precisions: tuple[str, ...] = (FLOAT32,)
    delegates: tuple[str, ...] = ("none", "xnnpack")
    threads: tuple[int, ...] = (1,)
    seconds: float = 1.0
    rounds: int = 10
    block_seconds: float = 0.05
    warmup_seconds: float = 0.2
    num_runs: int | None = None
    max_seconds: float | None = None
    within: float | None = None
    ratio_within: float | None = None
    warmup_runs: int = 1
    loads: int = 1
    max_loaded: int = 8
    time_limit: float = 60.0
    memory_limit_mb: int | None = None
    seed: int = 0
    calibration: str = "random"
    allow_float32_ops: bool = False
    inputs: str | None = None
    labels: str | None = None

    def __post_init__(self) -> None:
        for name in ("models", "precisions", "delegates", "threads"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Iterable) or not value:
                raise OptionError(f"{name}={value!r}: it must be a list with at least one entry")
            for item in value:
                if not isinstance(item, int if name == "threads" else str | os.PathLike):
                    raise OptionError(f"{name}={value!r}: {item!r} is {_NAMED[name]}")
            object.__setattr__(self, name, tuple(dict.fromkeys(value)))
        for precision in self.precisions:
            if precision not in (FLOAT32, *PRECISIONS):
                raise OptionError(f"there is no precision {precision!r}. {nearest(precision, (FLOAT32, *PRECISIONS))}")
        for count in self.threads:
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise OptionError(f"threads={count!r}: it must be an integer of at least 1")
        for name, least in (
            ("seconds", 0),
            ("block_seconds", 0),
            ("warmup_seconds", 0),
            ("time_limit", 0),
            ("max_seconds", 0),
        ):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= least):
                raise OptionError(f"{name}={value!r}: it must be a finite number and not be negative")
        for name, least in (
            ("rounds", 1),
            ("loads", 1),
            ("max_loaded", 2),
            ("num_runs", 1),
            ("warmup_runs", 0),
            ("memory_limit_mb", 1),
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise OptionError(f"{name}={value!r}: it must be an integer of at least {least}")
        for name in ("within", "ratio_within"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < 1):
                raise OptionError(f"{name}={value!r}: it must be between 0 and 1, such as 0.01 for 1 %")
        for text in self.delegates:
            parse_delegate(text)
        if self.labels is not None and self.inputs is None:
            raise OptionError("labels are given, but no inputs that they belong to")

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain values."""
        return dataclasses.asdict(self)

    def cells(self, sha256: Callable[[str], str] = hash_file) -> list[tuple[Cell, Cell]]:
        """Return the cells in order, each with its base: first precision, first delegate, same model and threads.

        Args:
            sha256: Returns the digest of a model.

        Raises:
            OSError: A model cannot be read.
            OptionError: A file is no ``.tflite``.
        """
        parsed = [parse_delegate(text) for text in self.delegates]
        found: dict[str, tuple[Cell, Cell]] = {}
        for model in self.models:
            _check_model(model)
            digest = sha256(model)
            for threads in self.threads:
                cells = [
                    Cell(model, digest, precision, delegate, threads, options)
                    for precision in self.precisions
                    for delegate, options in parsed
                ]
                for cell in cells:  # a second file of the same content would be measured twice
                    found.setdefault(cell.key, (cell, cells[0]))
        return list(found.values())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the fields of a study file, ``.toml``, ``.yaml`` or ``.json``; models, inputs and labels lie beside it.

    Raises:
        OSError: It cannot be read.
        OptionError: It is not of its format, or has a field that a study has not.
        MissingExtraError: Its format needs a package that is not installed.
    """
    file = Path(path)
    readers = {".toml": _read_toml, ".yaml": _read_yaml, ".yml": _read_yaml, ".json": _read_json}
    if file.suffix not in readers:
        raise OptionError(f"{file}: a study file ends in {', '.join(readers)}")
    try:
        data = readers[file.suffix](read_text(file))
    except RecursionError as error:
        raise OptionError(f"{file}: not {file.suffix[1:].upper()}: it is nested too deeply to be read") from error
    except ValueError as error:
        raise OptionError(f"{file}: not {file.suffix[1:].upper()}: {error}") from error
    if not isinstance(data, Mapping):
        raise OptionError(f"{file}: holds a {type(data).__name__}, not fields such as models = [...]")
    valid = [field.name for field in dataclasses.fields(StudyConfig)]
    for name in data:
        if name not in [*valid, "store"]:
            raise OptionError(f"{file}: a study has no field {name!r}. {nearest(name, [*valid, 'store'])}")
    fields = dict(data)
    if "models" in fields:
        fields["models"] = [_beside(file, "models", model) for model in _listed(fields["models"])]
    for name in ("inputs", "labels", "store"):
        if fields.get(name) is not None:
            fields[name] = _beside(file, name, fields[name])
    if fields.get("calibration", "random") != "random":
        fields["calibration"] = _beside(file, "calibration", fields["calibration"])
    for name in ("precisions", "delegates", "threads"):
        if name in fields:
            fields[name] = _listed(fields[name])
    return fields


def _beside(file: Path, field: str, name: Any) -> str:
    if not isinstance(name, str):
        raise OptionError(f"{file}: {field}={name!r}: it must be the path of a file")
    return str(file.parent / name)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _read_toml(text: str) -> Any:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("reading TOML on Python 3.10 needs tomli: pip install tomli") from error
    return module.loads(text)


def _read_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("reading YAML needs PyYAML: pip install pyyaml (TOML needs nothing)") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _read_json(text: str) -> Any:
    import json

    return json.loads(text)


def _check_model(model: str) -> None:
    with open_regular(model) as file:
        start = file.read(8)
    if start[4:8] != b"TFL3" and Path(model).suffix != ".tflite":
        raise OptionError(f"{model} is no .tflite: a study measures LiteRT models")
