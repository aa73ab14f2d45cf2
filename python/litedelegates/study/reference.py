"""What the outputs of cells are held against: those of the file as it is, on the built-in kernels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from litedelegates.arrays import ArraysError
from litedelegates.files import remove_unfinished
from litedelegates.study.config import StudyConfig
from litedelegates.study.delegates import hash_file
from litedelegates.study.inputs import Arrays, error_of, load_arrays
from litedelegates.study.process import CellFailed, Worker
from litedelegates.study.records import Cell

RANDOM_SAMPLES = 4
GIVEN_SAMPLES = 32
NAME = "the file as it is on the built-in kernels"


class References:
    """Keeps the reference outputs of each model beside the store."""

    def __init__(self, folder: Path, config: StudyConfig, memory_limit: int | None) -> None:
        """Keep them in ``folder``."""
        self.folder, self._config, self._memory_limit = folder, config, memory_limit
        source = "random" if config.inputs is None else hash_file(config.inputs)
        self._tag = hashlib.sha256(f"{source} {config.seed}".encode()).hexdigest()[:12]
        self._known: dict[str, Arrays | str] = {}

    @property
    def count(self) -> int:
        """How many samples are compared."""
        return RANDOM_SAMPLES if self._config.inputs is None else GIVEN_SAMPLES

    def error_of(self, cell: Cell, worker: Worker) -> dict[str, Any]:
        """Return how far the outputs of a cell are from the reference's, or why that is not known.

        Raises:
            CellFailed: The cell failed while it ran the samples.
        """
        reference = self._of(cell)
        if isinstance(reference, str):
            return {"unavailable": reference}
        target = self.folder / f".{cell.key}-{worker.pid}.npz"
        try:
            done = self._ask(worker, target)
            error = error_of(load_arrays(target), reference)
        finally:
            remove_unfinished(self.folder)
        inputs = "random" if self._config.inputs is None else "given"
        return {**error, "reference": NAME, "inputs": inputs, "samples": done["samples"]}

    def _of(self, cell: Cell) -> Arrays | str:
        known = self._known.get(cell.model_sha256)
        if known is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            target = self.folder / f"{cell.model_sha256[:16]}-reference-{self._tag}.npz"
            try:
                known = _kept(target)
                if known is None:
                    self._make(cell, target)
                    known = load_arrays(target)
            except CellFailed as failure:
                known = f"the reference failed: {failure.reason}"
            self._known[cell.model_sha256] = known
        return known

    def _make(self, cell: Cell, target: Path) -> None:
        worker = Worker(self._memory_limit)
        try:
            worker.ask(
                "load",
                self._config.time_limit,
                model=cell.model,
                delegate="none",
                threads=1,
                options={},
                inputs=self._config.inputs,
                seed=self._config.seed,
            )
            self._ask(worker, target)
        finally:
            worker.close()
            remove_unfinished(self.folder)

    def _ask(self, worker: Worker, target: Path) -> dict[str, Any]:
        inputs, seed = self._config.inputs, self._config.seed
        return worker.ask(
            "outputs", self._config.time_limit, inputs=inputs, seed=seed, count=self.count, target=str(target)
        )


def _kept(target: Path) -> Arrays | None:
    """Return what an earlier run kept; None where there is nothing, or nothing that can be read."""
    try:
        return load_arrays(target)
    except (OSError, ArraysError):
        return None
