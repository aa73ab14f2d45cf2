"""One way to run a model, whichever engine it is for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from litedelegates.engines.records import EngineProfile, PortInfo
from litedelegates.errors import InvalidModelError, OptionError, nearest
from litedelegates.files import open_regular

Array: TypeAlias = "np.ndarray[Any, Any]"
Content: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"


class Session(Protocol):
    """A loaded model."""

    @property
    def inputs(self) -> Sequence[PortInfo]:
        """What a run takes."""
        ...

    @property
    def outputs(self) -> Sequence[PortInfo]:
        """What a run gives."""
        ...

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model on arrays by name and return its outputs by name.

        Names that are no inputs are passed over, so that the outputs of earlier parts can be given as they are.

        Raises:
            OptionError: An input is missing.
            RunError: The engine failed; carries its words.
        """
        ...

    def run_timed(self, feed: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[int, int, int]]:
        """Run the model as `run` does and tell what the run took as well.

        Returns:
            The outputs by name, and the nanoseconds of upload (what is done with the arrays until the run can begin),
            run (the wait for the device included) and read-back (until the outputs are there).

        Raises:
            OptionError: An input is missing.
            RunError: The engine failed; carries its words.
        """
        ...

    def set_inputs(self, feed: Mapping[str, Array]) -> None:
        """Keep the arrays that `time_runs` and `profile` run on; as for `run`.

        Raises:
            OptionError: An input is missing.
        """
        ...

    def time_runs(self, *, max_runs: int, min_runs: int = 1, max_seconds: float = 1e9) -> Array:
        """Run the model on the inputs that were set, back to back, and return every sample.

        Args:
            max_runs: Stop after this many runs.
            min_runs: Do not stop for time before this many.
            max_seconds: Stop after this time.

        Returns:
            int64 array of shape (runs, 3): nanoseconds of upload, run and read-back. Their sum is the latency: it
            includes waiting for the device.
        """
        ...

    def profile(self, runs: int = 50) -> EngineProfile:
        """Return the times of the ops as the engine runs them, on a second copy of the model with its profiler on.

        Args:
            runs: How many runs to record, on the inputs that were set.

        Raises:
            ValueError: ``runs`` is below 1.
            UnsupportedError: The engine cannot profile this model.
        """
        ...

    def close(self) -> None:
        """Free the model now."""
        ...


def open_session(
    model: Content, *, num_threads: int | None = None, same_kernels: bool = False, **options: Any
) -> Session:
    """Load a model on the engine that it is for: LiteRT for a ``.tflite``, ONNX Runtime for an ``.onnx``.

    Args:
        model: Path or content.
        num_threads: Threads of the CPU kernels; by default the engine's choice.
        same_kernels: Run each op on the kernel that it would have in any other model: no delegate, no fused ops. Parts
            of a model then compute bit for bit what the whole does.
        **options: Options of that engine's session, see `LiteRtSession` and `onnxruntime.OrtOptions`.

    Raises:
        InvalidModelError: The model cannot be read or loaded.
        OptionError: An unknown option, or one that contradicts ``same_kernels``.
        MissingExtraError: The engine is not installed.
    """
    if _is_tflite(model):
        from litedelegates.engines.litert import LiteRtSession

        if same_kernels:
            options = _with("delegate", None, options)
        return LiteRtSession(model, num_threads=num_threads, **options)
    from litedelegates.engines.onnxruntime import OnnxRuntimeSession

    if same_kernels:
        options = _with("optimization", "none", options)
    return OnnxRuntimeSession(model, num_threads=num_threads, **options)


def pick(infos: Sequence[PortInfo], feed: Mapping[str, Array]) -> list[Array]:
    """Return the arrays for some inputs, in their order.

    Raises:
        OptionError: One is missing; names the nearest that was given.
    """
    for info in infos:
        if info.name not in feed:
            raise OptionError(f"no array was given for the input {info.name!r}. {nearest(info.name, feed, limit=5)}")
    return [feed[info.name] for info in infos]


def _with(name: str, value: Any, options: dict[str, Any]) -> dict[str, Any]:
    if options.get(name, value) != value:
        raise OptionError(f"same_kernels=True means {name}={value!r}, not {options[name]!r}")
    return {**options, name: value}


def _is_tflite(model: Content) -> bool:
    if isinstance(model, (str, os.PathLike)):
        try:
            with open_regular(model) as file:
                start = file.read(8)
        except OSError as error:
            raise InvalidModelError(f"cannot read the model {os.fspath(model)!r}: {error.strerror}") from error
    else:
        start = bytes(memoryview(model)[:8])
    return start[4:8] == b"TFL3"
