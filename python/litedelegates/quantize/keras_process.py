"""A model file that TensorFlow loads and converts in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates import errors
from litedelegates.errors import MissingExtraError, QuantizationError
from litedelegates.isolated import end_process, python_command
from litedelegates.quantize.calibration import InputSpec

PYTHON_VARIABLE = "LITEDELEGATES_TENSORFLOW_PYTHON"
LAST_WORDS = 1500
_PACKAGE = Path(__file__).resolve().parent.parent


class WorkerSource:
    """The model in ``path``, loaded by ``keras_worker`` in another process.

    Raises:
        OSError: The path cannot be read.
        QuantizationError: The process died.
        LiteDelegatesError: Whatever ``keras_models.load`` raises, carried over.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).resolve(strict=True)
        self._folder = tempfile.TemporaryDirectory(prefix="litedelegates-")
        try:
            self._process = self._start()
            answer = self._ask({"load": str(self._path)})
        except BaseException:
            self.close()
            raise
        self.specs = [
            InputSpec(spec["name"], tuple(spec["shape"]), tuple(spec["stored_shape"]), np.dtype(spec["dtype"]))
            for spec in answer["specs"]
        ]
        self.learned = str(answer["learned"])
        self.unlearned = [str(name) for name in answer["unlearned"]]

    def convert(
        self, precision: str, border: str, samples: list[dict[str, NDArray[Any]]], *, allow_float32_ops: bool
    ) -> tuple[bytes, list[str]]:
        """Return the bytes of a ``.tflite``, and what of the learned ranges could not be kept."""
        folder = Path(self._folder.name)
        np.savez(folder / "samples.npz", **_flat(samples))
        answer = self._ask(
            {
                "convert": precision,
                "border": border,
                "samples": len(samples),
                "allow_float32_ops": allow_float32_ops,
            }
        )
        return (folder / "model.tflite").read_bytes(), [str(sentence) for sentence in answer["lost"]]

    def close(self) -> None:
        """End the process and remove its files."""
        process = getattr(self, "_process", None)
        if process is not None:
            end_process(process)
        self._folder.cleanup()

    def __enter__(self) -> WorkerSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[str]:
        python = os.environ.get(PYTHON_VARIABLE) or sys.executable
        folder = Path(self._folder.name)
        # The other environment may lack litedelegates; its site-packages must not be mixed with ours either.
        (folder / "path").mkdir()
        (folder / "path" / _PACKAGE.name).symlink_to(_PACKAGE)
        search = [str(folder / "path")]
        if python == sys.executable and os.environ.get("PYTHONPATH"):
            search.append(os.environ["PYTHONPATH"])
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(search),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "CUDA_VISIBLE_DEVICES": "-1",  # converting computes next to nothing, and TensorFlow takes a whole GPU
        }
        module = f"{_PACKAGE.name}.quantize.keras_worker"
        command = python_command(module, str(folder), python=python, folder=search[0])
        try:
            with (folder / "stderr").open("wb") as chatter:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=chatter,
                    text=True,
                    env=environment,
                )
        except OSError as error:
            raise MissingExtraError(
                f"cannot start {python!r} to convert the model: {error}. {PYTHON_VARIABLE} must name a Python that has "
                "TensorFlow, or be unset"
            ) from error

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise QuantizationError(self._say_death(process.wait()))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"], QuantizationError)
            raise kind(answer["message"])
        return answer

    def _say_death(self, code: int) -> str:
        ended = f"ended with code {code}"
        if code < 0:
            ended = f"was killed by {signal.Signals(-code).name}"
            ended += " (out of memory, perhaps)" if -code == signal.SIGKILL else ""
        words = (Path(self._folder.name) / "stderr").read_bytes()[-LAST_WORDS:].decode(errors="replace").strip()
        return f"{self._path}: the process with TensorFlow that was to convert it {ended}" + (
            f". Its last words:\n{words}" if words else ""
        )


def _flat(samples: list[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    # Names of inputs may hold characters that a zip archive cannot: they go by number.
    names = list(samples[0]) if samples else []
    arrays: dict[str, Any] = {"names": np.array(names, dtype=np.str_)}
    for index, sample in enumerate(samples):
        arrays |= {f"{index}_{position}": sample[name] for position, name in enumerate(names)}
    return arrays
