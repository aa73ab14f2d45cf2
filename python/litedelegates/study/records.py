"""What a study is made of: cells, the blocks of runs measured of each, and how each of them ended."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from litedelegates.errors import LiteDelegatesError, nearest
from litedelegates.files import writable
from litedelegates.study.words import Samples, Status

FINAL = tuple(status for status in get_args(Status) if status != "unfinished")
KEY_LENGTH = 16


class RecordError(LiteDelegatesError, ValueError):
    """A record cannot be read: a field is missing or unknown, or holds what it cannot."""


@contextlib.contextmanager
def read_as(cls: type[Any], data: Any) -> Iterator[None]:
    """Make whatever goes wrong in reading ``data`` as a ``cls`` a `RecordError`."""
    if not isinstance(data, Mapping):
        raise RecordError(f"a {cls.__name__} is made of fields by name, not of a {type(data).__name__}")
    try:
        yield
    except LiteDelegatesError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        raise RecordError(f"a {cls.__name__} cannot be read: {error}") from error


@dataclass(frozen=True)
class Cell:
    """One configuration of the matrix.

    Attributes:
        model: Path of the model file as it was given.
        model_sha256: Digest of that file's content.
        precision: What the model is made into, such as "int8"; "float32" and the file's own precision are the file
            itself.
        delegate: Chain of delegates, such as "gpu+xnnpack"; "none" for the built-in kernels; "external:" or "stable:"
            and a path for a library.
        threads: Threads of the CPU kernels.
        options: Options of the delegates by name; those of a library as "external.NAME" or "stable.NAME".
    """

    model: str
    model_sha256: str
    precision: str
    delegate: str
    threads: int
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """What the cell is called in a store: the same for the same content, wherever the file lies."""
        identity = [self.model_sha256, self.precision, self.delegate, self.threads, dict(self.options)]
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

    @property
    def model_name(self) -> str:
        """Name of the model file without folder and ending."""
        return writable(Path(self.model).stem)

    @property
    def label(self) -> str:
        """What people call it, such as "digits int8 xnnpack 2t"."""
        options = "".join(f" {name}={value}" for name, value in sorted(self.options.items()))
        delegate = "+".join(_short(part) for part in self.delegate.split("+"))
        return f"{self.model_name} {self.precision} {delegate} {self.threads}t{options}"

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {**_shallow(self), "options": dict(self.options)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cell:
        """Return the record that `to_json` wrote.

        Raises:
            RecordError: A field is missing or unknown.
        """
        with read_as(cls, data):
            return cls(**_fields_of(cls, data))


@dataclass(frozen=True)
class Outcome:
    """How a cell ended, and everything about it that is not a time of a block. None is what was not measured.

    Attributes:
        cell_key: The cell.
        status: "unfinished" while it is measured (and after the study was killed), "ok", or how it failed.
        reason: Why it failed: one sentence.
        session: The run of the study that it comes from.
        seconds: Time spent on it.
        run_sha256: Digest of the file that was run: of the quantized model where one was made.
        run_bytes: Size of that file.
        note: What is to be known about that file.
        load_ns: Time of loading and compiling.
        first_run_ns: Upload, run and read-back of the first run.
        warmup_ns: Time of each warm-up run, the first thousand of them.
        runs_per_block: Runs kept of each block.
        route: How the model ran: "compiled" or "classic".
        device: Name of the GPU, empty without one.
        placement: Number of ops by who ran them.
        ops: Where each op ran, in order: ``[subgraph, op_index, op_name, ran]``.
        options_in_effect: The options as the runtime holds them.
        libraries: SHA-256 of each delegate library by its path.
        memory: Bytes of the worker process: ``before`` loading, ``loaded``, ``first_run``, ``peak`` (resident set).
        cpu_ns: CPU time of the worker in the blocks of the last session.
        energy: What the energy meter says, or ``{"unavailable": why}``.
        error: Difference to the reference cell's outputs on the same inputs: ``max_abs``, ``rmse``, ``relative`` (rmse
            over the reference's standard deviation), ``relative_norm`` (over its root mean square), ``reference`` (what
            that is), ``inputs`` ("random" or "given"), ``samples`` (how many), ``bound`` (the ``relative_norm`` that
            the precision explains between two kernels, see `measure.agreement`; missing where no two kernels agree and
            nothing can be judged) and, where kernels disagree about what
            the reference's outputs are, ``doubt`` (which, and from which op on).
        accuracy: Share of the labelled inputs whose largest output is the label.
        conditions: What may have disturbed it: ``{"kind", "severity", "text"}`` each.
        asked: What it was asked, see `question.question_of`.
    """

    cell_key: str
    status: Status
    reason: str | None = None
    session: int | None = None
    seconds: float | None = None
    run_sha256: str | None = None
    run_bytes: int | None = None
    note: str | None = None
    load_ns: int | None = None
    first_run_ns: int | None = None
    warmup_ns: tuple[int, ...] = ()
    runs_per_block: int | None = None
    route: str | None = None
    device: str | None = None
    placement: Mapping[str, int] | None = field(default=None, hash=False)
    ops: tuple[tuple[int, int, str, str], ...] = ()
    options_in_effect: Mapping[str, Any] | None = field(default=None, hash=False)
    libraries: Mapping[str, str] | None = field(default=None, hash=False)
    memory: Mapping[str, int] | None = field(default=None, hash=False)
    cpu_ns: int | None = None
    energy: Mapping[str, Any] | None = field(default=None, hash=False)
    error: Mapping[str, Any] | None = field(default=None, hash=False)
    accuracy: float | None = None
    conditions: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    asked: Mapping[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise RecordError(f"there is no status {self.status!r}. {nearest(str(self.status), get_args(Status))}")

    @property
    def is_final(self) -> bool:
        """Whether a rerun leaves the cell as it is."""
        return self.status in FINAL

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values, fields that say nothing left out."""
        record = _shallow(self)
        for name in ("warmup_ns", "conditions"):
            record[name] = list(record[name])
        record["ops"] = [list(op) for op in self.ops]
        return {name: value for name, value in record.items() if value is not None and value != []}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Return the record that `to_json` wrote.

        Raises:
            RecordError: A field is missing or unknown.
        """
        with read_as(cls, data):
            fields = _fields_of(cls, data)
            for name in ("warmup_ns", "conditions"):
                fields[name] = tuple(fields.get(name, ()))
            fields["ops"] = tuple(tuple(op) for op in fields.get("ops", ()))
            return cls(**fields)


@dataclass(frozen=True, eq=False)
class BlockRecord:
    """Runs of one cell, back to back.

    Attributes:
        cell_key: The cell.
        group: The cells that were interleaved with it; rounds of one group can be compared.
        round_index: The round, from 0; counted on when a study is resumed.
        position: Its place in the order of that round, from 0.
        samples_ns: Nanoseconds of upload, run and read-back, shape (runs, 3), the discarded runs taken off.
        discarded_ns: The same of the runs before them, which still felt the pause.
        started: Unix time in seconds when the block was begun.
        monotonic_ns: Monotonic time then, to order the blocks of a session.
        session: The run of the study that it comes from.
        load: Which loading of the group's cells it was measured on, from 0. Two copies of one model can differ by 1 %
            for as long as they live.
    """

    cell_key: str
    group: str
    round_index: int
    position: int
    samples_ns: Samples
    discarded_ns: Samples
    started: float
    monotonic_ns: int
    session: int
    load: int = 0

    def __post_init__(self) -> None:
        for name in ("samples_ns", "discarded_ns"):
            samples = np.asarray(getattr(self, name), dtype=np.int64)
            if samples.ndim != 2 or samples.shape[1] != 3:
                raise RecordError(f"{name} has the shape {samples.shape}; it must be (runs, 3): upload, run, read-back")
            object.__setattr__(self, name, samples)

    @property
    def latency_ns(self) -> Samples:
        """Upload, run and read-back together, shape (runs,)."""
        return np.asarray(self.samples_ns.sum(axis=1), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {
            **_shallow(self),
            "samples_ns": self.samples_ns.tolist(),
            "discarded_ns": self.discarded_ns.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BlockRecord:
        """Return the record that `to_json` wrote.

        Raises:
            RecordError: A field is missing or unknown, or the samples are not three columns.
        """
        with read_as(cls, data):
            fields = _fields_of(cls, data)
            for name in ("samples_ns", "discarded_ns"):
                fields[name] = np.asarray(fields[name], dtype=np.int64).reshape(-1, 3)
            return cls(**fields)


@dataclass(frozen=True)
class SessionRecord:
    """One run of a study: a study that was interrupted and resumed has several.

    Attributes:
        index: From 1.
        started: Unix time in seconds.
        machine: The machine and its state when it began (`litedelegates.measure.Machine` as plain values).
        versions: Versions of packages and libraries.
        command: The command line, or what a program gave in its place.
        ended: Unix time in seconds; None when it was killed.
        how: "finished", "interrupted", or None when it was killed.
    """

    index: int
    started: float
    machine: Mapping[str, Any] = field(hash=False)
    versions: Mapping[str, str] = field(hash=False)
    command: tuple[str, ...] = ()
    ended: float | None = None
    how: str | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened during a study.

    Attributes:
        session: The run of the study.
        time: Unix time in seconds.
        kind: Such as "worker ended", "quantized", "resumed".
        text: What happened, in a sentence.
        cell_key: The cell that it concerns, if any.
    """

    session: int
    time: float
    kind: str
    text: str
    cell_key: str | None = None


def _short(delegate: str) -> str:
    kind, colon, path = delegate.partition(":")
    return writable(f"{kind}:{Path(path).name}" if colon else kind)


def _shallow(record: Any) -> dict[str, Any]:
    return {entry.name: getattr(record, entry.name) for entry in dataclasses.fields(record)}


def _fields_of(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    valid = [entry.name for entry in dataclasses.fields(cls)]
    needed = [
        entry.name
        for entry in dataclasses.fields(cls)
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    ]
    for name in data:
        if name not in valid:
            raise RecordError(f"a {cls.__name__} has no field {name!r}. {nearest(name, valid)}")
    if missing := [name for name in needed if name not in data]:
        raise RecordError(f"a {cls.__name__} needs the field {missing[0]!r}")
    return dict(data)
