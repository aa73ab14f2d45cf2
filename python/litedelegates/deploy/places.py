"""Where stages run: what threads, processes and workers of Dask have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from litedelegates.deploy.loaded import Ran
from litedelegates.deploy.records import StageFile
from litedelegates.engines import Array


class Places(Protocol):
    """Runs the stages of each device, one at a time on a device; may be asked from several threads.

    Attributes:
        lanes: For how many inputs at the same time it is worth asking for a stage: two where what the next one needs
            travels while one runs.
    """

    lanes: int

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of this machine, by device."""
        ...

    def load(self, folder: Path, stages: Sequence[StageFile], limit: float) -> None:
        """Load the models of some stages, before the first input comes.

        Raises:
            PipelineError: One cannot be loaded within ``limit`` seconds; says which, where and why.
        """
        ...

    def run(self, stage: StageFile, values: Mapping[str, Any], limit: float) -> Ran:
        """Run a stage.

        Args:
            stage: One of those that were loaded.
            values: Its inputs by name: arrays, or what `run` returned for an earlier stage.
            limit: Seconds after which it counts as hanging.

        Raises:
            PipelineError: It was not run; where the worker ended or hangs, the next call finds another or a new one.
        """
        ...

    def fetch(self, values: Mapping[str, Any], limit: float) -> dict[str, Array]:
        """Return the arrays that ``values`` stand for.

        Raises:
            PipelineError: They are lost, or did not come within ``limit`` seconds.
        """
        ...

    def close(self) -> None:
        """Free the models and end what was started."""
        ...
