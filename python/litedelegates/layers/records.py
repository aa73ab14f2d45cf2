"""What a layer study is made of: layers, and what each precision on each delegate costs and changes there.

A *layer* is an op of the float32 model that the study was given (its index in `graph.Graph.ops`); ops that only make
constants are none. A *variant* is that model in another precision, whose ops are mapped back to the layers.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from litedelegates.errors import nearest
from litedelegates.study.records import RecordError, read_as

Role: TypeAlias = Literal["layer", "conversion", "unmapped"]
ErrorKind: TypeAlias = Literal["local", "propagated", "delegate", "output"]
AnyRecord = TypeVar("AnyRecord", bound="Record")


class Record:
    """A frozen dataclass that writes itself to plain values and reads itself back."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values, fields at their default left out; numbers that JSON has not as text."""
        entries = dataclasses.fields(self)  # type: ignore[arg-type]
        values = {entry.name: getattr(self, entry.name) for entry in entries}
        return {entry.name: _plain(values[entry.name]) for entry in entries if values[entry.name] != _default(entry)}

    @classmethod
    def from_json(cls: type[AnyRecord], data: Mapping[str, Any]) -> AnyRecord:
        """Return the record that `to_json` wrote.

        Raises:
            RecordError: A field is missing or unknown.
        """
        with read_as(cls, data):
            fields = {entry.name: entry for entry in dataclasses.fields(cls)}  # type: ignore[arg-type]
            for name in data:
                if name not in fields:
                    raise RecordError(f"a {cls.__name__} has no field {name!r}. {nearest(name, fields)}")
            return cls(**{name: cls._read(name, value) for name, value in data.items()})

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return _tuples(value)


@dataclass(frozen=True)
class Setting(Record):
    """How layers are run.

    Attributes:
        precision: What the model was made into, such as "int8" or "int8;format=qoperator"; "float32" is the file
            itself.
        delegate: Chain of delegates as in `study.parse_delegate`, such as "xnnpack" or "none"; for an ``.onnx`` the
            execution provider, "cpu" for CPUExecutionProvider.
        threads: Threads of the CPU kernels.
    """

    precision: str
    delegate: str
    threads: int = 1

    @property
    def label(self) -> str:
        """What people call it, such as "int8 xnnpack 1t"."""
        return f"{self.precision} {self.delegate} {self.threads}t"


@dataclass(frozen=True)
class LayerInfo(Record):
    """A layer, and what is known of it without running it.

    Attributes:
        index: Of the op in the float32 model.
        type: Such as "CONV_2D" or "Conv".
        name: The op's name in the file, or that of its first output.
        output: Name of its first output.
        shape: Of that output; -1 for sizes not known before the model runs, None where not even the rank is.
        nbytes: Bytes of its outputs as "float32" (as they are), "float16" and "int8"; None where not known.
        cut_nbytes: Bytes alive across the cut after it, skip connections included, in the same three; empty for the
            last layer and where no cut is legal.
        refusal: Why there is no cut after it; None where there is one, and for the last layer.
        computes_shape: Whether it only computes sizes from the shapes of tensors: the runtime folds such ops, or they
            take less than can be measured, so that it has no time of its own.
    """

    index: int
    type: str
    name: str
    output: str
    shape: tuple[int, ...] | None = None
    nbytes: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    cut_nbytes: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    refusal: str | None = None
    computes_shape: bool = False


@dataclass(frozen=True)
class VariantInfo(Record):
    """A model in another precision, and what its layers hand on.

    Attributes:
        precision: As in `Setting.precision`.
        sha256: Digest of the file.
        file_nbytes: Its size.
        nbytes: Bytes of a layer's outputs as this file holds them, by layer; None where that is not known.
        cut_nbytes: Bytes alive across the cut after a layer, as this file holds them; None as before.
        note: What has to be known about the file, such as a calibration with random values.
        refusal: Why there is none; None where there is.
    """

    precision: str
    sha256: str = ""
    file_nbytes: int = 0
    nbytes: Mapping[int, int | None] = field(default_factory=dict, hash=False)
    cut_nbytes: Mapping[int, int | None] = field(default_factory=dict, hash=False)
    note: str = ""
    refusal: str | None = None

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return {int(layer): size for layer, size in value.items()} if name in ("nbytes", "cut_nbytes") else value


@dataclass(frozen=True)
class PartTiming(Record):
    """Something that the engine ran as one, in place.

    Attributes:
        name: What the engine calls it, such as "Convolution (NHWC, F32) IGEMM" or "Conv".
        ran: "builtin", the delegate or the execution provider.
        role: "layer" for what computes a layer (or several that the engine fused), "conversion" for QUANTIZE,
            DEQUANTIZE, layout changes and casts, "unmapped" for what nothing tells the layer of.
        layers: The layers it computes; for a conversion, the layer that caused it; empty where that is not known.
        samples_us: Microseconds of each profiled run.
        evidence: What the mapping was read from, such as "operator index", "output tensor" or "kind and order".
    """

    name: str
    ran: str
    role: Role
    layers: tuple[int, ...]
    samples_us: tuple[float, ...]
    evidence: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise RecordError(f"there is no role {self.role!r}. {nearest(str(self.role), get_args(Role))}")

    @property
    def median_us(self) -> float:
        """Median over the runs."""
        return statistics.median(self.samples_us)


@dataclass(frozen=True)
class InPlace(Record):
    """The times of the layers of a whole model, as the engine's profiler saw them.

    Attributes:
        setting: How it ran.
        parts: In the order they ran.
        whole_us: Median latency of the model without a profiler, in microseconds.
        whole_low_us: Lower end of the 95 % interval of ``whole_us``; None with too few rounds.
        whole_high_us: Upper end.
        profiled_us: Median of the model's run with the profiler on; None where the engine does not tell.
        is_estimate: Whether the times are not measured but derived (a GPU cannot be profiled per op).
        note: What has to be known about them; how an estimate was made.
        refusal: Why there are none; None where there are.
        conditions: What may have disturbed them, as in `study.Outcome.conditions`.
    """

    setting: Setting
    parts: tuple[PartTiming, ...] = ()
    whole_us: float | None = None
    whole_low_us: float | None = None
    whole_high_us: float | None = None
    profiled_us: float | None = None
    is_estimate: bool = False
    note: str = ""
    refusal: str | None = None
    conditions: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)

    @property
    def total_us(self) -> float:
        """Sum of `part_us` over all parts."""
        return sum(map(self.part_us, self.parts))

    def part_us(self, part: PartTiming) -> float:
        """Return the mean time of a part over the runs that nothing disturbed.

        The mean and not the median: profilers tell whole microseconds, and a part that takes 0.4 of one has the median
        0. Runs count whose sum over all parts is within three standard deviations of the median of these sums, the
        standard deviation estimated as 1.4826 times the median absolute deviation, or within 5 % of it.
        """
        return statistics.fmean(part.samples_us[run] for run in self.settled_runs)

    @cached_property
    def settled_runs(self) -> tuple[int, ...]:
        """Which of the profiled runs count, see `part_us`."""
        sums = [sum(samples) for samples in zip(*(part.samples_us for part in self.parts), strict=False)]
        middle = statistics.median(sums)
        # Sums of whole microseconds are often all the same, but for rounding.
        reach = max(3 * 1.4826 * statistics.median(abs(total - middle) for total in sums), 0.05 * middle)
        return tuple(run for run, total in enumerate(sums) if abs(total - middle) <= reach)

    def layer_us(self) -> dict[int, float]:
        """Return microseconds by layer; the time of a fused part goes to its first layer, the others get none.

        What converts for a layer is part of its time.
        """
        found: dict[int, float] = {}
        for part in self.parts:
            if part.layers:
                found[part.layers[0]] = found.get(part.layers[0], 0.0) + self.part_us(part)
        return found

    def conversion_us(self) -> dict[int, float]:
        """Return the microseconds of conversions by the layer that caused them."""
        found: dict[int, float] = {}
        for part in self.parts:
            if part.layers and part.role == "conversion":
                found[part.layers[0]] = found.get(part.layers[0], 0.0) + self.part_us(part)
        return found

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name == "setting":
            return Setting.from_json(value)
        if name == "parts":
            return tuple(PartTiming.from_json(part) for part in value)
        return tuple(value) if name == "conditions" else value


@dataclass(frozen=True)
class Alone(Record):
    """The time of one layer that was cut out as a model of its own.

    Attributes:
        layer: Its index.
        setting: How it ran.
        median_us: Median latency in microseconds.
        low_us: Lower end of the 95 % interval; None with too few rounds.
        high_us: Upper end.
        speed_up: Time in float32 on the same delegate over this, measured in turn; None for float32 itself.
        speed_up_low: Lower end of its 95 % interval.
        speed_up_high: Upper end.
        verdict: "faster", "slower" or "no difference shown" than float32.
        samples: How many runs were kept.
        ran: Where its ops ran, such as "xnnpack 1".
        together: All the layers that were timed here, where the precision computes several at once; else empty.
        refusal: Why there is no time; None where there is.
    """

    layer: int
    setting: Setting
    median_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    speed_up: float | None = None
    speed_up_low: float | None = None
    speed_up_high: float | None = None
    verdict: str | None = None
    samples: int = 0
    ran: str = ""
    together: tuple[int, ...] = ()
    refusal: str | None = None

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return Setting.from_json(value) if name == "setting" else _tuples(value)


DEAD_COLUMNS = "dead columns"


@dataclass(frozen=True)
class LayerError(Record):
    """How far a layer's output, or the model's, is from what it should be.

    Attributes:
        layer: Its index.
        precision: As in `Setting.precision`.
        kind: "local": only this layer is quantized, its inputs are the true ones. "propagated": everything up to it is.
            "delegate": the same precision, this delegate against the reference kernels. "output": the output of the
            whole model, with only this layer quantized.
        delegate: What computed it; the reference kernels are "none" (LiteRT) and "cpu" without fusion (ONNX Runtime).
        samples: Inputs compared.
        elements: Values compared.
        rmse: Root mean square of the difference of the real values.
        rmse_over_scale: ``rmse`` over the output's scale (healthy is about 1/sqrt(12) = 0.29); None without a scale.
        sqnr_db: ``10 log10(mean(reference^2) / mean(difference^2))``; inf where nothing differs.
        cosine: Of the angle between the two, over all values.
        max_abs: Largest absolute difference.
        saturated: Share of the values that are at an end of the integer range; None where they are no integers.
        flags: What makes the figures doubtful: "nan", "inf", "all zero", "constant"; and "dead columns": values at some
            indices along an axis vary and are all the same in this precision, which the other figures do not show where
            other values are larger.
        accuracy: With labels, share of the samples whose largest output is the label (kind "output" only).
        agreement: Share of the samples whose largest output is that of the float32 model (kind "output" only).
        refusal: Why there are no figures; None where there are.
    """

    layer: int
    precision: str
    kind: ErrorKind
    delegate: str
    samples: int = 0
    elements: int = 0
    rmse: float | None = None
    rmse_over_scale: float | None = None
    sqnr_db: float | None = None
    cosine: float | None = None
    max_abs: float | None = None
    saturated: float | None = None
    flags: tuple[str, ...] = ()
    accuracy: float | None = None
    agreement: float | None = None
    refusal: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(ErrorKind):
            raise RecordError(f"there is no error kind {self.kind!r}. {nearest(str(self.kind), get_args(ErrorKind))}")

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        is_number = name in ("rmse", "rmse_over_scale", "sqnr_db", "cosine", "max_abs") and isinstance(value, str)
        return float(value) if is_number else _tuples(value)


def _default(entry: dataclasses.Field[Any]) -> Any:
    """Return the default of a field; where it has none, something that no value is equal to."""
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return entry.default


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # "inf", "-inf" or "nan"
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value
