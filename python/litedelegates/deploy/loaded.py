"""A stage with its model loaded: what runs wherever the stage runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.deploy.records import ExitRule, Port, StageFile, StageTiming
from litedelegates.engines import Array
from litedelegates.errors import InvalidModelError
from litedelegates.files import hash_file
from litedelegates.layers.records import Setting
from litedelegates.layers.sessions import open_setting


@dataclass(frozen=True)
class Ran:
    """What running a stage gave.

    Attributes:
        values: Its outputs by name: arrays, or what stands for them where they stay on another machine.
        times_us: Microseconds of upload, run and read-back.
        worker: Who ran it.
        transfer_us: Of receiving its inputs.
        received_nbytes: Bytes of these.
        confidences: Largest probability in each output at which inputs may leave early.
    """

    values: dict[str, Any]
    times_us: tuple[float, float, float]
    worker: str
    transfer_us: float = 0.0
    received_nbytes: int = 0
    confidences: Mapping[str, float] = field(default_factory=dict)

    def timing(self, stage: int, total_us: float) -> StageTiming:
        """Return what the stage took, where ``total_us`` passed from having its inputs to having its outputs.

        What is in none of the parts that were measured is waiting: for the device, and for whoever hands work on.
        """
        upload, run, read = self.times_us
        wait = max(0.0, total_us - upload - run - read - self.transfer_us)
        return StageTiming(stage, self.worker, wait, upload, run, read, self.transfer_us, self.received_nbytes)


class LoadedStage:
    """The model of a stage in a session."""

    def __init__(self, path: Path, stage: StageFile, exits: Iterable[ExitRule] = ()) -> None:
        """Load it.

        Args:
            path: Its model.
            stage: What is known of it.
            exits: Where inputs may leave early; those of other stages are passed over.

        Raises:
            InvalidModelError: The file is not the one that was deployed, or cannot be loaded.
            LiteDelegatesError: It cannot be loaded on its delegate; says why.
        """
        found = hash_file(path)
        if found != stage.sha256:
            raise InvalidModelError(
                f"{path} is not the model that was deployed: its digest is {found[:16]}..., in the manifest it is "
                f"{stage.sha256[:16]}...; deploy the plan again"
            )
        # The precision is that of the file.
        self._session = open_setting(str(path), Setting("", stage.delegate, stage.threads))
        ports = {port.name: port for port in stage.outputs}
        self._exits = [ports[rule.tensor] for rule in exits if rule.stage == stage.number]
        self._lock = threading.Lock()

    def run(self, feed: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[float, float, float], dict[str, float]]:
        """Run it; return the outputs, the microseconds of upload, run and read-back, and how sure its exits are.

        May be called from several threads, which wait for each other.
        """
        with self._lock:
            made, (upload, run, read) = self._session.run_timed(feed)
        confidences = {port.name: confidence(made[port.name], port) for port in self._exits}
        return made, (upload / 1e3, run / 1e3, read / 1e3), confidences

    def close(self) -> None:
        """Free the model."""
        self._session.close()


def confidence(values: Array, port: Port) -> float:
    """Return the largest probability among scores; the softmax of scores that are no probabilities yet."""
    scores = np.asarray(values, np.float64).ravel()
    if port.scale:
        scores = (scores - port.zero_point[0]) * port.scale[0]
    # The values of a quantized softmax add up to 1 only within a step for each.
    slack = 1e-3 + (len(scores) * port.scale[0] / 2 if port.scale else 0.0)
    if scores.min() >= 0 and abs(scores.sum() - 1) <= slack:
        return float(scores.max())
    powers = np.exp(scores - scores.max())
    return float(1 / powers.sum())
