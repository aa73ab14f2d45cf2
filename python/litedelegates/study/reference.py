"""What the outputs of cells are compared with: those of the file as it is, on kernels that others confirm."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from litedelegates.arrays import ArraysError
from litedelegates.files import remove_unfinished, write_whole
from litedelegates.study import cell_worker
from litedelegates.study.config import StudyConfig
from litedelegates.study.inputs import Arrays, error_of, load_arrays
from litedelegates.study.process import CellFailed, Worker
from litedelegates.study.records import Cell
from litedelegates.study.sources import Sources

RANDOM_SAMPLES = 4
GIVEN_SAMPLES = 32
_REFERENCE_SECONDS = 600.0  # the model runs on several kernels, some of them slow
NAME = "the file as it is on the built-in kernels"


class References:
    """Keeps the reference outputs of each model beside the store."""

    def __init__(self, folder: Path, config: StudyConfig, memory_limit: int | None, sources: Sources) -> None:
        """Keep them in ``folder``."""
        self.folder, self._config, self._memory_limit, self._sources = folder, config, memory_limit, sources
        source = "random" if config.inputs is None else sources.sha256(config.inputs)
        # The last word tells them from those that were taken where built-in kernels could overwrite a value.
        self._tag = hashlib.sha256(f"{source} {config.seed} kept".encode()).hexdigest()[:12]
        self._doubts: dict[str, str] = {}
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
        is_certain, _, doubt = self._doubts.get(cell.model_sha256, "").partition("\n")
        said = {"doubt": doubt} if doubt else {}
        if is_certain != "False":  # else nothing can be judged by it
            said["bound"] = done["bound"]
        return {**error, "reference": NAME, "inputs": inputs, "samples": done["samples"], **said}

    def _of(self, cell: Cell) -> Arrays | str:
        known = self._known.get(cell.model_sha256)
        if known is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            target = self.folder / f"{cell.model_sha256[:16]}-reference-{self._tag}.npz"
            try:
                known = _kept(target)
                if known is None:
                    self._make(cell, target)
                    self._check_kept(target)
                    known = load_arrays(target)
                self._doubts[cell.model_sha256] = _read(target.with_suffix(".doubt"))
            except CellFailed as failure:
                known = f"the reference failed: {failure.reason}"
            self._known[cell.model_sha256] = known
        return known

    def _check_kept(self, target: Path) -> None:
        """Remove outputs for other samples than their name says."""
        try:
            self._sources.check([self._config.inputs])
        except CellFailed:
            target.unlink(missing_ok=True)
            raise

    def _make(self, cell: Cell, target: Path) -> None:
        worker = Worker(self._memory_limit, cell_worker.MODULE)
        try:
            done = self._ask(
                worker,
                target,
                "reference",
                max(self._config.time_limit, _REFERENCE_SECONDS),
                model=cell.model,
                sha256=cell.model_sha256,
            )
            # Beside the outputs, for later runs that find them here.
            write_whole(target.with_suffix(".doubt"), [f"{done['is_certain']}\n{done['doubt']}".encode()])
        finally:
            worker.close()
            remove_unfinished(self.folder)

    def _ask(
        self, worker: Worker, target: Path, order: str = "outputs", time_limit: float | None = None, **more: str
    ) -> dict[str, Any]:
        inputs, seed = self._config.inputs, self._config.seed
        limit = self._config.time_limit if time_limit is None else time_limit
        return worker.ask(order, limit, inputs=inputs, seed=seed, count=self.count, target=str(target), **more)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _kept(target: Path) -> Arrays | None:
    """Return what an earlier run kept; None where there is nothing, or nothing that can be read."""
    try:
        return load_arrays(target)
    except (OSError, ArraysError):
        return None
