"""Sessions of LiteRT."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from litedelegates.engines import Array, Content, PortInfo, pick
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

    def close(self) -> None:
        """Free the model now."""
        self.interpreter.close()


def _info(info: TensorInfo) -> PortInfo:
    return PortInfo(info.name, info.shape_signature, info.element_type)
