"""What a plan is made of: devices and links, who computes each layer and how, and what that is predicted to cost.

A plan needs no device: it is made from the records of layer studies, and everything in it is plain values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from litedelegates.layers.records import Record

Objective: TypeAlias = Literal["latency", "throughput", "energy", "bytes"]
PLAN_SCHEMA = 1
# The end of a link that is no device: the program that hands in the inputs and gets the outputs.
HERE = "here"


@dataclass(frozen=True)
class Choice(Record):
    """Who computes a layer, and how.

    Attributes:
        device: Name of a `Device`.
        delegate: Chain of delegates as in `layers.Setting.delegate`; for an ``.onnx`` the execution provider.
        precision: As in `layers.Setting.precision`.
        threads: Threads of the CPU kernels.
    """

    device: str
    delegate: str
    precision: str
    threads: int = 1

    @property
    def label(self) -> str:
        """What people call it, such as "pi: int8 xnnpack 1t"."""
        return f"{self.device}: {self.precision} {self.delegate} {self.threads}t"


@dataclass(frozen=True)
class Device(Record):
    """A machine that layers can run on.

    Attributes:
        name: Such as "pi".
        store: Path of the study that its times come from; empty where it was given in memory.
        key: Which layer study of that store.
        predicted_from: Name of the device whose times these are predicted from; empty where they were measured.
        prediction_error: Median relative error of such predictions, cross-validated; None where they were measured.
        watts: Power above idle while it computes: millijoules are watts times milliseconds. None where not known.
        memory_nbytes: Memory for weights; None where it does not matter.
        resources: What a Dask worker must offer to stand for it, such as {"pi": 1}; its name by default.
    """

    name: str
    store: str = ""
    key: str = ""
    predicted_from: str = ""
    prediction_error: float | None = None
    watts: float | None = None
    memory_nbytes: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Link(Record):
    """What carries tensors between two devices, or between the calling program and a device, both ways.

    A message of B bytes takes ``overhead_us + latency_us + 8 B / bandwidth_mbps`` microseconds, over one less the loss.

    Attributes:
        name: Such as "wifi".
        ends: Names of the two devices; `HERE` stands for the calling program.
        bandwidth_mbps: Megabits (1e6 bits) per second, which is bits per microsecond.
        latency_us: One way, in microseconds.
        overhead_us: For each message: serializing, system calls, scheduling.
        jitter_us: Standard deviation of the time of a message; its distribution is taken to be a gamma distribution on
            top of the smallest time.
        loss: Share of messages that are lost and sent again.
        nanojoules_per_byte: Energy that the two ends spend on a byte; None where not known.
        measured: How it was measured, and when; empty where it was given.
        overhead_back_us: ``overhead_us`` of messages from the second end to the first; None where they do not differ. A
            device is asked to work on an input and answers, an output is fetched.
    """

    name: str
    ends: tuple[str, str]
    bandwidth_mbps: float
    latency_us: float = 0.0
    overhead_us: float = 0.0
    jitter_us: float = 0.0
    loss: float = 0.0
    nanojoules_per_byte: float | None = None
    measured: str = ""
    overhead_back_us: float | None = None

    def transfer_us(self, nbytes: float, sender: str = "") -> float:
        """Return the expected microseconds of a message of some bytes; ``sender`` is the end that sends it."""
        overhead_us = self.overhead_back_us if sender == self.ends[1] else None
        if overhead_us is None:
            overhead_us = self.overhead_us
        return (overhead_us + self.latency_us + 8 * nbytes / self.bandwidth_mbps) / (1 - self.loss)


@dataclass(frozen=True)
class LayerPlan(Record):
    """What was decided for one layer.

    Attributes:
        layer: Index of the op in the float32 model.
        type: Such as "CONV_2D".
        name: Of the op.
        choice: Who computes it, and how.
        stage: Number of its stage.
        predicted_us: Of the layer, without conversions at its borders.
        error: What it adds to the squared relative error of the output.
        reason: Why this and not the next best, in words, from the numbers.
    """

    layer: int
    type: str
    name: str
    choice: Choice
    stage: int
    predicted_us: float
    error: float = 0.0
    reason: str = ""

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return Choice.from_json(value) if name == "choice" else value


@dataclass(frozen=True)
class StagePlan(Record):
    """Layers that become one model on one device with one chain of delegates; their precisions may differ.

    Attributes:
        number: Stages run in this order; a stage reads from earlier ones only.
        device: Name of a `Device`.
        delegate: As in `Choice.delegate`.
        threads: Threads of the CPU kernels.
        layers: Indices of its layers.
        predicted_us: Of one run, conversions inside and at its borders included, transfers not.
        low_us: Lower end of the interval that the measured intervals of the layers give; None where they have none.
        high_us: Upper end.
        share: Of the inputs that come to it; below 1 where some leave early.
    """

    number: int
    device: str
    delegate: str
    threads: int
    layers: tuple[int, ...]
    predicted_us: float
    low_us: float | None = None
    high_us: float | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Crossing(Record):
    """A tensor that is handed from one stage to another.

    Attributes:
        tensor: Its name in the float32 model.
        source: Number of the stage that makes it; -1 for an input of the model.
        reader: Number of the stage that reads it; -1 for an output of the model.
        dtype: Element type that travels, such as "float32" or "int8".
        nbytes: Bytes that travel.
        link: Name of the `Link`; empty on one device.
        predicted_us: Of the transfer.
    """

    tensor: str
    source: int
    reader: int
    dtype: str
    nbytes: int
    link: str = ""
    predicted_us: float = 0.0


@dataclass(frozen=True)
class Costs(Record):
    """What a plan is predicted to cost; where inputs may leave early, in the mean over the inputs.

    Attributes:
        latency_us: From input to output of one input with nothing else going on: all layers, conversions and transfers
            one after the other.
        period_us: Time between two outputs when inputs keep coming: that of the busiest device or link.
        energy_mj: Millijoules for one input; None where no device has a power.
        nbytes: Bytes over links for one input.
        error: Relative error of the output: root of the mean squared difference over the mean square of float32's.
        agreement: Share of inputs that keep their largest output; None where the studies do not tell.
        accuracy_drop: Accuracy lost against float32; None where the studies have no labels.
        memory_nbytes: Bytes of weights by device.
        latency_low_us: Lower end of the interval of ``latency_us`` from the measured intervals and the model's error.
        latency_high_us: Upper end.
    """

    latency_us: float
    period_us: float
    nbytes: int = 0
    error: float = 0.0
    energy_mj: float | None = None
    agreement: float | None = None
    accuracy_drop: float | None = None
    memory_nbytes: Mapping[str, int] = field(default_factory=dict, hash=False)
    latency_low_us: float | None = None
    latency_high_us: float | None = None


@dataclass(frozen=True)
class Gain(Record):
    """How much better a plan is than the default, which is float32 for all layers where that is best.

    Attributes:
        default: Who computes all layers by default, and how.
        ratio: Objective of the default over that of the plan, as expected: 2 is twice as good.
        low: Lower end of its interval, with which 95 % of plans are not called better that are not; see `plan.gain`.
        high: Upper end.
    """

    default: Choice
    ratio: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """Name of the default among the rivals, such as "pi: float32 xnnpack 1t everywhere"."""
        return f"{self.default.label} everywhere"

    @property
    def is_shown(self) -> bool:
        """Whether the plan is better by more than its own uncertainty."""
        return self.low > 1.0

    def describe(self, objective: str = "latency") -> str:
        """Return it as a sentence, which begins with what to do where the plan is not shown to be better."""
        noun = {"latency": "as fast", "throughput": "the throughput", "energy": "as frugal"}.get(objective, "as good")
        known = f"{self.ratio:.2f} times {noun} {'of' if objective == 'throughput' else 'as'} {self.name}"
        interval = f"95 % interval {self.low:.2f} to {self.high:.2f}"
        if self.is_shown:
            return f"{known}, {interval}"
        if self.low == self.ratio == self.high:
            return f"keep float32: nothing is expected to be better than {self.name}"
        return f"keep float32: the plan is not shown to be better; predicted {known}, {interval}"

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return Choice.from_json(value) if name == "default" else value


@dataclass(frozen=True)
class Rival(Record):
    """A plan that was not taken, to compare with.

    Attributes:
        name: Such as "int8 xnnpack everywhere on pi".
        costs: What it is predicted to cost.
        objection: Why it was not taken: "slower", "error 0.031 above 0.01".
        loses: Share of draws of the measured times in which the plan's objective is better; None where this one does
            not keep the bounds. From 0.025 to 0.975 the difference is within the noise.
    """

    name: str
    costs: Costs
    objection: str = ""
    loses: float | None = None

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        return Costs.from_json(value) if name == "costs" else value


@dataclass(frozen=True)
class Plan(Record):
    """Precision, delegate and device of each layer of a model, and what that is predicted to cost.

    Attributes:
        model: Path of the float32 ``.tflite`` or ``.onnx``.
        sha256: Digest of that file.
        objective: What was minimized (for "throughput" the period).
        budgets: What was not to be exceeded, by name: "error", "accuracy_drop", "latency_us", "energy_mj", "nbytes",
            "memory:DEVICE".
        devices: The devices, the first of which has the inputs and wants the outputs.
        links: The links between them.
        layers: One entry a layer.
        stages: In the order they run.
        crossings: What is handed on.
        costs: Predicted.
        is_exact: Whether no better plan exists under the model of costs.
        gap: Otherwise how much better one could be at most, relative to the objective's value.
        method: How it was found, such as "elimination" or "elimination, then mixed-integer program".
        seconds: That finding it took.
        rivals: Plans that were not taken, the uniform ones among them.
        gain: How much better it is than the default; None where float32 is no choice or exceeds the bounds, or where
            the objective is 0.
        fallback: What the first device does alone when a link is down; None where that was not asked for.
        exits: Outputs of the model at which inputs may leave early, by tensor name: the share that is taken to do so.
        notes: What has to be known before it is trusted, in sentences.
        shapes: Of the inputs whose sizes the model leaves open, as they were measured.
    """

    model: str
    sha256: str
    objective: str
    devices: tuple[Device, ...]
    layers: tuple[LayerPlan, ...]
    stages: tuple[StagePlan, ...]
    costs: Costs
    budgets: Mapping[str, float] = field(default_factory=dict, hash=False)
    links: tuple[Link, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    is_exact: bool = True
    gap: float = 0.0
    method: str = ""
    seconds: float = 0.0
    rivals: tuple[Rival, ...] = ()
    gain: Gain | None = None
    fallback: Plan | None = None
    exits: Mapping[str, float] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict, hash=False)
    schema_version: int = PLAN_SCHEMA

    @property
    def precisions(self) -> dict[int, str]:
        """Precision by layer, as `quantize(plan=...)` takes it."""
        return {layer.layer: layer.choice.precision for layer in self.layers}

    @property
    def keeps_default(self) -> bool:
        """Whether the plan is not shown to be better than the default: then keep that."""
        return self.gain is not None and not self.gain.is_shown

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values; the version of the schema is always in it."""
        return {"schema_version": self.schema_version, **super().to_json()}

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name in _PARTS:
            return tuple(_PARTS[name].from_json(part) for part in value)
        if name == "costs":
            return Costs.from_json(value)
        if name == "gain":
            return None if value is None else Gain.from_json(value)
        if name == "fallback":
            return None if value is None else cls.from_json(value)
        return super()._read(name, value)


_PARTS: Mapping[str, type[Record]] = {
    "devices": Device,
    "links": Link,
    "layers": LayerPlan,
    "stages": StagePlan,
    "crossings": Crossing,
    "rivals": Rival,
}
