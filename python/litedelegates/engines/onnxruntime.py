"""Sessions of ONNX Runtime."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from litedelegates.engines import Array, Content, PortInfo, pick
from litedelegates.errors import DelegateUnavailableError, InvalidModelError, MissingExtraError, OptionError, RunError
from litedelegates.errors import nearest as nearest_of

# What the engine rewrites before it runs a model: nothing, what any engine could, what it has own ops for, and layouts.
Optimization = Literal["none", "basic", "extended", "all"]
_LEVELS = {"none": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}
_OPTIONS = ("num_threads", "optimization", "providers")
_WORDS = {"float": "float32", "double": "float64", "seq": "sequence", "float4e2m1": "float4_e2m1fn"}


class OnnxRuntimeSession:
    """An ``.onnx`` on ONNX Runtime (see `engines.Session`)."""

    def __init__(
        self,
        model: Content,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        num_threads: int | None = None,
        optimization: Optimization = "all",
        **unknown: Any,
    ) -> None:
        """Load a model.

        Args:
            model: Path or content; data beside the model is only found by a path.
            providers: Execution providers, the preferred first. All of them take part, or this raises.
            num_threads: Threads inside an op; by default one for each core.
            optimization: How much of the graph the engine may rewrite.
            **unknown: Refused, with the nearest of the names above.

        Raises:
            OptionError: An unknown provider or level, or a bad number of threads.
            DelegateUnavailableError: A provider could not be loaded.
            InvalidModelError: The engine refuses the model; carries its words.
            MissingExtraError: ONNX Runtime is not installed.
        """
        ort = require_onnxruntime()
        for name in unknown:
            raise OptionError(f"unknown option {name!r}. {nearest_of(name, _OPTIONS)}")
        known = list(ort.get_available_providers())
        names = [providers] if isinstance(providers, str) else list(providers)
        for name in names:
            if name not in known:
                raise OptionError(f"this ONNX Runtime has no provider {name!r}. {nearest_of(name, known)}")
        if optimization not in get_args(Optimization):
            raise OptionError(f"optimization={optimization!r}. {nearest_of(str(optimization), get_args(Optimization))}")
        if num_threads is not None and (type(num_threads) is not int or num_threads < 1):
            raise OptionError(f"num_threads={num_threads!r}: it must be an integer of at least 1")
        options = ort.SessionOptions()
        options.intra_op_num_threads = num_threads or 0
        options.graph_optimization_level = getattr(
            ort.GraphOptimizationLevel, _LEVELS.get(optimization, "ORT_ENABLE_ALL")
        )
        options.log_severity_level = 3  # errors are raised, and warnings are about what no caller can change
        source = os.fspath(model) if isinstance(model, (str, os.PathLike)) else bytes(model)
        try:
            self._session: Any = ort.InferenceSession(
                # Otherwise what a provider cannot do is done by others, with a line on the output.
                source,
                sess_options=options,
                providers=names,
                enable_fallback=0,
            )
        except Exception as error:  # the engine has classes of its own for each status
            raise InvalidModelError(f"ONNX Runtime refuses the model: {error}") from error
        missing = [name for name in names if name not in self._session.get_providers()]
        if missing:
            raise DelegateUnavailableError(f"ONNX Runtime left out {', '.join(missing)}, which cannot work here")

    @property
    def session(self) -> Any:
        """The engine's own session.

        Raises:
            ValueError: It was closed.
        """
        if self._session is None:
            raise ValueError("the session is closed")
        return self._session

    @property
    def inputs(self) -> tuple[PortInfo, ...]:
        """What a run takes."""
        return tuple(map(_info, self.session.get_inputs()))

    @property
    def outputs(self) -> tuple[PortInfo, ...]:
        """What a run gives."""
        return tuple(map(_info, self.session.get_outputs()))

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model on arrays by name and return its outputs by name; see `engines.Session.run`.

        Raises:
            OptionError: An input is missing.
            RunError: The engine failed, or an array does not fit; carries its words.
        """
        names = [info.name for info in self.inputs]
        values = dict(zip(names, pick(self.inputs, feed), strict=True))
        made = [info.name for info in self.outputs]
        try:
            return dict(zip(made, self.session.run(made, values), strict=True))
        except Exception as error:  # the engine has classes of its own for each status
            raise RunError(f"ONNX Runtime failed: {error}") from error

    def close(self) -> None:
        """Free the model now."""
        self._session = None


def require_onnxruntime() -> Any:
    """Return the module ``onnxruntime``.

    Raises:
        MissingExtraError: It is not installed; says what to install.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError(
            f"running ONNX models needs ONNX Runtime ({error}): pip install 'litedelegates[onnx]'"
        ) from error


def element_type_word(kind: str) -> str:
    """Return this package's word for a type as the engine writes it, such as ``tensor(float)``."""
    outer, _, inner = kind.partition("(")
    name = inner.rstrip(")") if outer == "tensor" else outer
    return _WORDS.get(name, name)


def _info(value: Any) -> PortInfo:
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in value.shape or ())
    return PortInfo(value.name, shape, element_type_word(value.type))
