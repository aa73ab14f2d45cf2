"""The process beside the caller's in which TensorFlow loads and converts a model file.

Started by ``keras_process``: one question a line on stdin, one answer a line on stdout, both JSON. It uses nothing but
numpy and TensorFlow, so that it runs in an environment without litedelegates.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import LiteDelegatesError
from litedelegates.quantize.keras_models import ObjectSource, SavedModelSource, load


def main(folder: Path) -> None:
    """Answer the questions on stdin until it closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever TensorFlow prints is no answer
    source: ObjectSource | SavedModelSource | None = None
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if "load" in question:
                source = load(Path(question["load"]))
                answer = _describe(source)
            else:
                assert source is not None
                content, lost = source.convert(
                    question["convert"],
                    question["border"],
                    _read_samples(folder / "samples.npz", question["samples"]),
                    allow_float32_ops=question["allow_float32_ops"],
                )
                (folder / "model.tflite").write_bytes(content)
                answer = {"lost": lost}
        except LiteDelegatesError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


def _describe(source: ObjectSource | SavedModelSource) -> dict[str, Any]:
    specs = [
        {"name": spec.name, "shape": spec.shape, "stored_shape": spec.stored_shape, "dtype": spec.dtype.str}
        for spec in source.specs
    ]
    return {"specs": specs, "learned": source.learned, "unlearned": source.unlearned}


def _read_samples(path: Path, count: int) -> list[dict[str, NDArray[Any]]]:
    with np.load(path, allow_pickle=False) as arrays:
        names = [str(name) for name in arrays["names"]]
        return [{name: arrays[f"{index}_{position}"] for position, name in enumerate(names)} for index in range(count)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
