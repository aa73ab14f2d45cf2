"""The files that cells run: quantized copies, made once and kept beside the store."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litedelegates.errors import LiteDelegatesError
from litedelegates.files import hash_file, remove_unfinished
from litedelegates.study import cell_worker
from litedelegates.study.config import FLOAT32, StudyConfig
from litedelegates.study.process import CellFailed, Worker
from litedelegates.study.question import NEEDS_CALIBRATION
from litedelegates.study.records import Cell
from litedelegates.study.sources import Sources


@dataclass(frozen=True)
class RunFile:
    """The file that a cell runs.

    Attributes:
        path: Where it is.
        sha256: Digest of its content.
        nbytes: Its size.
        note: What is to be known about it; None for nothing.
    """

    path: str
    sha256: str
    nbytes: int
    note: str | None = None


class ModelFiles:
    """Makes the files of a study, each in a process of its own, and remembers what could not be made."""

    def __init__(self, store: Path, config: StudyConfig, memory_limit: int | None, sources: Sources) -> None:
        """Keep the files in ``NAME.models`` beside the store ``NAME``."""
        self.folder = store.with_name(f"{store.name}.models")
        self._config, self._memory_limit, self._sources = config, memory_limit, sources
        self._made: dict[tuple[str, str], RunFile | CellFailed] = {}

    def get(self, cell: Cell) -> RunFile:
        """Return the file that a cell runs.

        Raises:
            CellFailed: It cannot be made; says why.
        """
        made = self._made.get((cell.model_sha256, cell.precision))
        if made is None:
            try:
                made = self._make(cell)
            except CellFailed as failure:
                made = failure
            self._made[cell.model_sha256, cell.precision] = made
        if isinstance(made, CellFailed):
            raise made
        return made

    def _make(self, cell: Cell) -> RunFile:
        if cell.precision == FLOAT32:
            return RunFile(cell.model, cell.model_sha256, Path(cell.model).stat().st_size, _note_of(cell.model))
        calibration = self._config.calibration if cell.precision in NEEDS_CALIBRATION else None
        note = "calibrated with random values: good for measuring speed only" if calibration == "random" else None
        target = self.folder / f"{cell.model_sha256[:16]}-{cell.precision}-{self._recipe(calibration)}.tflite"
        if not _is_model(target):  # not made yet, or damaged since: it was written whole
            self._quantize(cell, target, calibration)
            self._check_kept(target, calibration)
        return RunFile(str(target), hash_file(target), target.stat().st_size, note)

    def _quantize(self, cell: Cell, target: Path, calibration: str | None) -> None:
        worker = Worker(self._memory_limit, cell_worker.MODULE)
        try:
            worker.ask(
                "quantize",
                max(self._config.time_limit, 600.0),
                model=cell.model,
                sha256=cell.model_sha256,
                target=str(target),
                precision=cell.precision,
                calibration=calibration,
                allow_float32_ops=self._config.allow_float32_ops,
            )
        finally:
            worker.close()
            remove_unfinished(self.folder)

    def _check_kept(self, target: Path, calibration: str | None) -> None:
        """Remove a file that was calibrated with other samples than its name says."""
        try:
            self._sources.check([calibration])
        except CellFailed:
            target.unlink(missing_ok=True)
            raise

    def _recipe(self, calibration: str | None) -> str:
        """Return what the result depends on besides the model, as a short digest."""
        is_file = calibration is not None and Path(calibration).is_file()
        source = self._sources.sha256(calibration) if calibration is not None and is_file else calibration
        recipe: list[Any] = [source, self._config.allow_float32_ops]
        for package in ("litedelegates", "litert-quantizer"):
            try:
                recipe.append(importlib.metadata.version(package))
            except importlib.metadata.PackageNotFoundError:
                recipe.append(None)
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


def _is_model(path: Path) -> bool:
    from litedelegates.model import Model

    try:
        Model.load(str(path))
    except LiteDelegatesError:
        return False
    return True


def _note_of(path: str) -> str | None:
    """Return what a file is that was given and not made, where it is not simply float32."""
    from litedelegates.model import Model

    try:
        tensors = [tensor for graph in Model.load(path).subgraphs for tensor in graph.tensors]
    except LiteDelegatesError:
        return None  # the cells that load it will say what is wrong
    if any(tensor.scales and tensor.element_type in ("int4", "int8", "uint8", "int16") for tensor in tensors):
        return "the file is quantized already and was run as it is"
    if any(tensor.element_type == "float16" for tensor in tensors):
        return "the file stores weights as float16 and was run as it is"
    return None
