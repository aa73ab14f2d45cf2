"""Models quantized in a process of their own: a kernel that crashes there is a model that cannot be made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from litedelegates.errors import QuantizationError, RunError
from litedelegates.files import remove_unfinished
from litedelegates.layers.helper import Helper

_MODULE = "litedelegates.layers.quantize_worker"
# Loads and runs that quantizing a model counts as: one for each sample, some of them on kernels that are slow.
_STEPS = 60


class Quantizer:
    """Quantizes files in a process that is started for the first of them and ends when this is closed."""

    def __init__(self, time_limit: float, memory_limit: int | None = None) -> None:
        """Start nothing yet.

        Args:
            time_limit: Seconds that a load, or a stretch of runs, may take; a model may take 60 times as long.
            memory_limit: Bytes of resident memory at which the process is ended; by default most of what is free.
        """
        self._time_limit = time_limit
        self._helper = Helper(_MODULE, memory_limit)

    def quantize_file(
        self,
        model: str | os.PathLike[str],
        output: str | os.PathLike[str],
        precision: str | None = None,
        calibration: str | os.PathLike[str] | None = None,
        **keywords: Any,
    ) -> None:
        """Do what `quantize.quantize_file` does with files, to a file in a folder in which nobody else writes.

        Args:
            model: Path of the model.
            output: Where to write it to.
            precision: As `quantize` takes it.
            calibration: "random" or a path.
            **keywords: Others of `quantize` that are plain values, and ``plan``.

        Raises:
            QuantizationError: It cannot be made, or brought the process down; says why.
            CellFailed: No process can be started.
        """
        plain = {**keywords, "plan": list(keywords["plan"].items())} if "plan" in keywords else keywords
        files = {"model": os.fspath(model), "output": os.fspath(output)}
        given = None if calibration is None else os.fspath(calibration)
        done = False
        try:
            answer = self._helper.ask(
                "quantize", _STEPS * self._time_limit, **files, precision=precision, calibration=given, keywords=plain
            )
            done = True
        except RunError as error:
            raise QuantizationError(str(error)) from error
        finally:
            if not done:  # killed while it wrote
                self._helper.close()
                remove_unfinished(Path(output).parent)
        if "refusal" in answer:
            raise QuantizationError(answer["refusal"])

    def close(self) -> None:
        """End the process."""
        self._helper.close()
