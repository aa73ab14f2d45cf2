"""What the study of ResNet152V2 measures besides the layers: records that are read back from its file, and words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from litedelegates.layers import LayerStudy
from litedelegates.measure import RatioInterval, ratio_interval, series_interval

FASTER, SLOWER, SAME = "faster", "slower", "no difference shown"
AnyRecord = TypeVar("AnyRecord", bound="Plain")


class Plain:
    """A dataclass that is read back from what `harness.save_json` wrote."""

    @classmethod
    def read(cls: type[AnyRecord], data: Mapping[str, Any]) -> AnyRecord:
        """Return the record of ``data``; what it does not know is passed over."""
        names = {entry.name for entry in fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: value for name, value in data.items() if name in names})


@dataclass(frozen=True)
class Timing(Plain):
    """A configuration of the whole network, timed in turn with all others.

    Attributes:
        engine: "LiteRT" or "ONNX Runtime".
        kernels: What computes, such as "XNNPACK".
        precision: Such as "int8" or "QDQ U8S8 per channel".
        blocks_ms: Latencies in milliseconds, a list for each round.
        file_nbytes: Size of the model file.
        load_s: Seconds until it could run.
        ran: Where the ops ran, as the engine tells.
        failure: Why there are no times; empty where there are.
    """

    engine: str
    kernels: str
    precision: str
    blocks_ms: Sequence[Sequence[float]] = ()
    file_nbytes: int = 0
    load_s: float = 0.0
    ran: str = ""
    failure: str = ""

    @property
    def name(self) -> str:
        """What it is called in text."""
        own = self.engine if self.kernels == "its CPU kernels" else f"{self.engine} on {self.kernels}"
        return f"{own}, {self.precision}"

    @property
    def runs(self) -> int:
        """Runs that count."""
        return sum(map(len, self.blocks_ms))

    @property
    def median_ms(self) -> float:
        """The median over the rounds of the medians of the blocks."""
        return statistics.median(map(statistics.median, self.blocks_ms))

    @property
    def interval_ms(self) -> tuple[float, float] | None:
        """The 95 % interval of `median_ms`; None with too few rounds."""
        found = series_interval([statistics.median(block) for block in self.blocks_ms])
        return None if found is None else (found.low, found.high)


@dataclass(frozen=True)
class GpuWait(Plain):
    """A small network on a GPU, timed with and without waiting for the result.

    Attributes:
        device: What the GPU is called; empty where there is none.
        is_software: Whether a program plays it, so that times mean nothing and only their shares do.
        model: The network.
        reason: Why there are no times; empty where there are.
        median_ms: By way of timing: "not waited for" and "until the result is read".
        parts_ms: Medians of "upload", "run" and "read-back" of the same runs.
        default_ran: Where the ops of ResNet152V2 ran when no delegate was named, as the execution plan tells.
    """

    device: str = ""
    is_software: bool = False
    model: str = ""
    reason: str = ""
    median_ms: Mapping[str, float] = field(default_factory=dict)
    parts_ms: Mapping[str, float] = field(default_factory=dict)
    default_ran: str = ""


@dataclass(frozen=True)
class Border(Plain):
    """The network cut at one place in one precision: what one part hands on and the other takes.

    Attributes:
        precision: Of both parts.
        after: The layer in front of the cut.
        tensors: "name: type, scale" of what travels.
        nbytes: Bytes of it.
        is_equal: Whether both parts one after the other give, bit for bit, what the whole gives.
        mixed: What the library says when the first part is this and the second float32.
    """

    precision: str
    after: str
    tensors: Sequence[str]
    nbytes: int | None
    is_equal: bool
    mixed: str = ""


@dataclass(frozen=True)
class Accuracy(Plain):
    """A precision of a trained network on real data.

    Attributes:
        network: What it is, on what data.
        precision: Such as "int8".
        samples: How many inputs.
        unit: What ``error`` is counted in.
        error: Mean distance from the outputs of the float32 model.
        spread: Standard deviation of the outputs of the float32 model, in the same unit.
        accuracy: Share of right answers; None without labels.
    """

    network: str
    precision: str
    samples: int
    unit: str
    error: float
    spread: float
    accuracy: float | None = None


@dataclass(frozen=True)
class Findings:
    """Everything that the answers are made of.

    Attributes:
        threads: Threads of every configuration.
        timings: The whole network, all configurations in one interleaved run.
        prepared_s: Seconds that making each file took, by its name; all on the CPU.
        gpu: The look at waiting.
        borders: Cuts of the network.
        accuracies: Trained networks.
        litert: The layers of the ``.tflite``; None where they were not measured.
        onnx: The layers of the ``.onnx``.
        matched: Layers of both models that were found to be the same, and layers of the ``.tflite``.
        input_nbytes: Bytes of the network's input.
        largest_difference: Of these layers' outputs, as in `LayerPair.difference`.
    """

    threads: int
    timings: Sequence[Timing] = ()
    prepared_s: Mapping[str, float] = field(default_factory=dict)
    gpu: GpuWait | None = None
    borders: Sequence[Border] = ()
    accuracies: Sequence[Accuracy] = ()
    litert: LayerStudy | None = None
    onnx: LayerStudy | None = None
    matched: tuple[int, int] | None = None
    input_nbytes: int = 0
    largest_difference: float = 0.0

    def timing(self, engine: str, kernels: str, precision: str) -> Timing | None:
        """Return a configuration that has times; None where it has none."""
        for one in self.timings:
            if (one.engine, one.kernels, one.precision) == (engine, kernels, precision) and one.blocks_ms:
                return one
        return None

    @property
    def kernels(self) -> list[tuple[str, str]]:
        """Engine and kernels of the configurations, in order."""
        return list(dict.fromkeys((one.engine, one.kernels) for one in self.timings))


def speed_up(one: Timing, base: Timing) -> RatioInterval:
    """Return how many times as fast as ``base`` a configuration is, from the rounds that both have."""
    common = min(len(one.blocks_ms), len(base.blocks_ms))
    return ratio_interval(one.blocks_ms[:common], base.blocks_ms[:common]).inverted()


def compare(one: Timing, base: Timing) -> tuple[str, str]:
    """Return the verdict on a configuration against another, and the sentence that says it."""
    found = speed_up(one, base)
    return verdict(found), f"{say(found, base.precision)} ({one.median_ms:.1f} against {base.median_ms:.1f} ms)"


def verdict(found: RatioInterval) -> str:
    """Return "faster", "slower" or "no difference shown" of a speed-up, which counts the other way than a ratio."""
    return {"faster": SLOWER, "slower": FASTER}.get(found.verdict, SAME)


def say(found: RatioInterval, base: str) -> str:
    """Return a speed-up in words."""
    if found.low is None or found.high is None:
        return f"{found.ratio:.2f} times as fast as {base} (too few rounds for an interval)"
    judged = verdict(found)
    if judged == FASTER:
        return f"{found.ratio:.2f} [{found.low:.2f}, {found.high:.2f}] times as fast as {base}"
    if judged == SLOWER:
        return f"{1 / found.ratio:.2f} [{1 / found.high:.2f}, {1 / found.low:.2f}] times as slow as {base}"
    return f"not shown to differ from {base}: {found.ratio:.3f} [{found.low:.3f}, {found.high:.3f}] times as fast"


def join(parts: Sequence[str]) -> str:
    """Return words as a list in a sentence."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
