"""Sessions of LiteRT."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.engines import Array, Content, pick
from litedelegates.engines.records import EngineOp, EngineProfile, PortInfo
from litedelegates.interpreter import Interpreter

if TYPE_CHECKING:
    from litedelegates.delegates import DelegateSpec
    from litedelegates.tensor_info import TensorInfo


class LiteRtSession:
    """A ``.tflite`` on LiteRT (see `engines.Session`).

    Attributes:
        interpreter: What runs it: its placement says what ran where.
    """

    def __init__(
        self, model: Content, *, delegate: DelegateSpec = "xnnpack", num_threads: int | None = None, **options: Any
    ) -> None:
        """Load a model.

        Args:
            model: Path or content.
            delegate: As in `litedelegates.Interpreter`; None for the built-in kernels.
            num_threads: Threads of the CPU kernels.
            **options: Options of a delegate that is given by name.

        Raises:
            InvalidModelError: The model cannot be read or is corrupt.
            OptionError: An unknown or ill-typed option; names the nearest valid one.
            DelegateError: A delegate cannot be created.
        """
        source = model if isinstance(model, (str, os.PathLike)) else bytes(model)
        self.interpreter = Interpreter(source, delegate, num_threads=num_threads, **options)

    @property
    def inputs(self) -> tuple[PortInfo, ...]:
        """What a run takes."""
        return tuple(map(_info, self.interpreter.inputs))

    @property
    def outputs(self) -> tuple[PortInfo, ...]:
        """What a run gives."""
        return tuple(map(_info, self.interpreter.outputs))

    def set_inputs(self, feed: Mapping[str, Array]) -> None:
        """Set the inputs that `time_runs` and `profile` run on.

        Raises:
            OptionError: An input is missing.
            ValueError: An array is of another dtype or shape than the input.
        """
        values = pick(self.inputs, feed)
        for info, value in zip(self.interpreter.inputs, values, strict=True):
            if np.shape(value) != info.shape:
                self.interpreter.resize_tensor_input(info.index, np.shape(value), strict=True)
        self.interpreter.allocate_tensors()
        for info, value in zip(self.interpreter.inputs, values, strict=True):
            self.interpreter.set_tensor(info.index, value)

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model on arrays by name and return its outputs by name; see `engines.Session.run`.

        Raises:
            OptionError: An input is missing.
            ValueError: An array is of another dtype or shape than the input.
            RunError: The runtime failed; carries its words.
        """
        results = self.interpreter.run(*pick(self.inputs, feed))
        names = [info.name for info in self.interpreter.outputs]
        return dict(zip(names, results if isinstance(results, tuple) else (results,), strict=True))

    def run_timed(self, feed: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[int, int, int]]:
        """Run the model on arrays by name and tell what that took; see `engines.Session.run_timed`.

        Raises:
            OptionError: An input is missing.
            ValueError: An array is of another dtype or shape than the input.
            RunError: The runtime failed; carries its words.
        """
        begin = perf_counter_ns()
        self.set_inputs(feed)
        set_ns = perf_counter_ns() - begin
        upload, run, read = map(int, self.interpreter.time_runs(max_runs=1)[0])
        begin = perf_counter_ns()
        made = {info.name: self.interpreter.get_tensor(info.index) for info in self.interpreter.outputs}
        return made, (set_ns + upload, run, read + perf_counter_ns() - begin)

    def time_runs(self, *, max_runs: int, min_runs: int = 1, max_seconds: float = 1e9) -> Array:
        """Run the model on the inputs that were set; see `Interpreter.time_runs`.

        Raises:
            RunError: The runtime failed; carries its words.
        """
        return self.interpreter.time_runs(max_runs=max_runs, min_runs=min_runs, max_seconds=max_seconds)

    def profile(self, runs: int = 50) -> EngineProfile:
        """Return the times of the ops; see `Interpreter.profile`.

        Raises:
            ValueError: ``runs`` is below 1.
            UnsupportedError: The model runs on the classic route, which has no profiler.
        """
        found = self.interpreter.profile(runs)
        ops = [
            EngineOp(
                name=op.name,
                type=op.name,
                ran=op.ran,
                samples_us=op.samples_us,
                op_index=op.op_index,
                op_indices=op.op_indices,
                partition=op.partition,
                subgraph=op.subgraph,
            )
            for op in found.ops
        ]
        return EngineProfile(tuple(ops), found.runs, found.whole_us, found.note)

    def close(self) -> None:
        """Free the model now."""
        self.interpreter.close()


def _info(info: TensorInfo) -> PortInfo:
    return PortInfo(info.name, info.shape_signature, info.element_type, info.shape)
