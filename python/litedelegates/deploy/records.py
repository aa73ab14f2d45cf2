"""What lies in the folder of a deployed plan: the manifest that names its models, and what running them has shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from litedelegates.layers.records import Record

MANIFEST = "manifest.json"
MANIFEST_SCHEMA = 1


@dataclass(frozen=True)
class Port(Record):
    """A tensor that goes into a stage or comes out of it.

    Attributes:
        name: By which stages find each other's outputs; also that of the model's input or output in the stage's file.
        shape: Sizes, -1 where open.
        dtype: Name of NumPy's type, such as "float32" or "int8".
        nbytes: Of one tensor; None with open sizes.
        scale: Scales of a quantized tensor: real value = scale * (stored - zero point); empty where it has none.
        zero_point: As many as scales.
        axis: Which dimension the scales belong to, where there are several.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int | None = None
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int | None = None


@dataclass(frozen=True)
class StageFile(Record):
    """A stage: a model that one device runs.

    Attributes:
        number: Stages run in this order; each reads from the inputs of the whole and from earlier stages.
        file: Name of its model, beside the manifest.
        sha256: Digest of that file.
        device: Name of the plan's device.
        delegate: As in `layers.Setting.delegate`; for an ``.onnx`` the execution provider.
        threads: Threads of the CPU kernels.
        inputs: What it reads.
        outputs: What it makes for later stages or as the result.
        layers: Layers of the float32 model that it computes.
        precisions: Precision by layer; "float32" left out.
        resources: What a Dask worker must offer to run it.
        predicted_us: Of a run, without transfers; None where there was no prediction.
    """

    number: int
    file: str
    sha256: str
    device: str
    delegate: str
    threads: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[int, ...] = ()
    precisions: Mapping[int, str] = field(default_factory=dict, hash=False)
    resources: Mapping[str, float] = field(default_factory=dict, hash=False)
    predicted_us: float | None = None

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name in ("inputs", "outputs"):
            return tuple(Port.from_json(port) for port in value)
        if name == "precisions":
            return {int(layer): precision for layer, precision in value.items()}
        return super()._read(name, value)


@dataclass(frozen=True)
class ExitRule(Record):
    """Where inputs may leave early.

    Attributes:
        tensor: An output of the model.
        stage: Number of the stage that makes it.
        threshold: An input leaves when the largest value of the tensor (as probabilities) is at least this.
    """

    tensor: str
    stage: int
    threshold: float


@dataclass(frozen=True)
class Manifest(Record):
    """The stages of a deployed plan and everything that is needed to run and to check them.

    Attributes:
        model: Name of the float32 model's file.
        model_sha256: Its digest.
        whole: Name of the file with the whole model in the same precisions, beside the manifest.
        whole_sha256: Its digest.
        stages: In the order they run.
        inputs: Of the whole.
        outputs: Of the whole.
        fallback: Stages to run on the first device alone when a link is down; empty where that was not asked for.
        exits: Where inputs may leave early.
        plan: The plan as `plan.Plan.to_json` writes it.
        versions: Of the packages that made the files.
    """

    model: str
    model_sha256: str
    whole: str
    whole_sha256: str
    stages: tuple[StageFile, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    fallback: tuple[StageFile, ...] = ()
    exits: tuple[ExitRule, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict, hash=False)
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    schema_version: int = MANIFEST_SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as plain values; the version of the schema is always in it."""
        return {"schema_version": self.schema_version, **super().to_json()}

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        parts: Mapping[str, type[Record]] = {
            "stages": StageFile,
            "fallback": StageFile,
            "inputs": Port,
            "outputs": Port,
            "exits": ExitRule,
        }
        if name in parts:
            return tuple(parts[name].from_json(part) for part in value)
        return value if name == "plan" else super()._read(name, value)


@dataclass(frozen=True)
class StageTiming(Record):
    """What a stage took for one input.

    Attributes:
        stage: Its number.
        worker: Who ran it, such as "thread 1", "process 4711" or the address of a Dask worker.
        wait_us: From having its inputs to beginning: queueing.
        upload_us: Of handing arrays to the runtime.
        run_us: Of the run, the wait for the device included.
        read_us: Of reading the outputs back.
        transfer_us: Of receiving its inputs from where they were made.
        received_nbytes: Bytes of these inputs.
    """

    stage: int
    worker: str
    wait_us: float
    upload_us: float
    run_us: float
    read_us: float
    transfer_us: float = 0.0
    received_nbytes: int = 0
