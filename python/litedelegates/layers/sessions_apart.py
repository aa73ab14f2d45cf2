"""Models loaded in a process of their own: when one brings it down, that is an error here and nothing more."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from litedelegates.engines import Array
from litedelegates.engines.records import EngineProfile
from litedelegates.errors import RunError
from litedelegates.layers.helper import start
from litedelegates.layers.profile_words import unpack_profile
from litedelegates.layers.records import Setting
from litedelegates.study.inputs import save_arrays
from litedelegates.study.process import CellFailed
from litedelegates.study.words import Samples, unpack

_MODULE = "litedelegates.layers.worker"
# Runs that take so many times what those before took count as hanging, if the time limit is over too. A profiler may
# slow them down.
_PATIENCE = 20


class Apart:
    """A process in which models are loaded, and which ends when it is left.

    Attributes:
        pid: Its process id.
    """

    def __init__(self, time_limit: float, memory_limit: int | None = None) -> None:
        """Start it.

        Args:
            time_limit: Seconds that a load, or a stretch of runs, may take.
            memory_limit: Bytes of resident memory at which the process is ended; by default most of what is free now.

        Raises:
            CellFailed: No process can be started.
        """
        self._time_limit = time_limit
        self._worker = start(_MODULE, memory_limit)
        self.pid = self._worker.pid
        self._folder = tempfile.TemporaryDirectory(prefix="litedelegates.")
        self._count = 0

    def load(self, path: str, setting: Setting, seed: int, inputs: Mapping[str, Array] | None = None) -> ApartSession:
        """Load a model, beside those that are loaded already.

        Args:
            path: The file.
            setting: How to run it.
            seed: Of the inputs that are made up.
            inputs: The arrays to run on, by input name; by default random ones.

        Raises:
            RunError: It cannot be loaded so, or brought the process down; says why.
        """
        self._count += 1
        given: dict[str, Any] = {}
        if inputs is not None:
            file = str(Path(self._folder.name) / f"{self._count}.npz")
            save_arrays(file, list(inputs.values()))
            given = {"inputs": file, "input_names": list(inputs)}
        name = str(self._count)
        self.ask("load", 0.0, name=name, model=path, setting=setting.to_json(), seed=seed, **given)
        return ApartSession(self, name)

    def ask(self, order: str, seconds: float, **arguments: Any) -> dict[str, Any]:
        """Give an order that may take so long, or the time limit if that is longer, and return the answer.

        Raises:
            RunError: It failed, or brought the process down; says why.
        """
        try:
            return self._worker.ask(order, max(self._time_limit, seconds), **arguments)
        except CellFailed as failure:
            raise RunError(failure.reason) from failure

    def close(self) -> None:
        """Free the models and end the process."""
        self._worker.close()
        with contextlib.suppress(OSError):
            self._folder.cleanup()

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ApartSession:
    """A model that is loaded in a process of its own; the methods are those of `engines.Session`."""

    def __init__(self, apart: Apart, name: str) -> None:
        """Name a model that was loaded."""
        self._apart, self._name = apart, name
        self._run_s = 0.0  # what a run took last

    def time_runs(self, *, max_runs: int) -> Samples:
        """Run the model back to back and return every sample.

        Raises:
            RunError: It failed, or brought the process down; says why.
        """
        samples = unpack(self._ask("run", max_runs)["samples"])
        self._run_s = float(np.median(samples.sum(axis=1))) / 1e9
        return samples

    def profile(self, runs: int) -> EngineProfile:
        """Return the times of the ops as the engine runs them.

        Raises:
            RunError: It failed, or brought the process down; says why.
        """
        return unpack_profile(self._ask("profile", runs))

    def _ask(self, order: str, runs: int) -> dict[str, Any]:
        return self._apart.ask(order, _PATIENCE * runs * self._run_s, name=self._name, runs=runs)
