"""A model loaded on ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.engines import Array, Content, pick
from litedelegates.engines.onnxruntime.extras import require_onnxruntime
from litedelegates.engines.onnxruntime.options import OrtOptions
from litedelegates.engines.onnxruntime.providers import Provider, check_in_effect, check_providers, short_name
from litedelegates.engines.onnxruntime.saturation import warn_of_saturation
from litedelegates.engines.records import PortInfo
from litedelegates.errors import InvalidModelError, OptionError, RunError, nearest

if TYPE_CHECKING:
    from litedelegates.engines.records import EngineProfile

# Runs during which the clock was set back, after which it is given up.
_MOST_TIMELESS = 100
_WORDS = {"float": "float32", "double": "float64", "seq": "sequence", "float4e2m1": "float4_e2m1fn"}


class OnnxRuntimeSession:
    """An ``.onnx`` on ONNX Runtime (see `engines.Session`).

    ``OnnxRuntimeSession("model.onnx", providers=["openvino", "cpu"], num_threads=2).run({"x": image})``

    Attributes:
        options: What was asked for.
        providers: The execution providers asked for, by the engine's names.
        source: Path or content of the model.
    """

    def __init__(self, model: Content, **options: Any) -> None:
        """Load a model.

        Args:
            model: Path or content; data beside the model is only found by a path.
            **options: The fields of `OrtOptions`, such as ``providers`` and ``num_threads``.

        Raises:
            OptionError: An unknown provider, option or key, which the engine would pass over; names the nearest.
            DelegateUnavailableError: A provider is not built in or cannot work here.
            InvalidModelError: The engine refuses the model; carries its words.
            MissingExtraError: ONNX Runtime is not installed.

        Warns:
            SaturationWarning: Its 8-bit weights overflow on this CPU.
        """
        ort = require_onnxruntime()
        self.options = OrtOptions.of(options)
        self.providers: tuple[Provider, ...] = check_providers(
            self.options.providers, ort.get_available_providers(), ort.get_all_providers()
        )
        self.source: str | bytes = os.fspath(model) if isinstance(model, str | os.PathLike) else bytes(model)
        if self.options.free_dimensions:
            _check_dimensions(self.source, self.options.free_dimensions)
        self._session: Any = self.load(self.source, self.options.to_engine(ort))
        warn_of_saturation(self.source, self.options, self.providers)
        self._feed: dict[str, Array] | None = None

    def load(self, source: str | bytes, engine_options: Any) -> Any:
        """Return a session of the engine's own on the same providers.

        Args:
            source: Path or content.
            engine_options: The engine's ``SessionOptions``, such as `OrtOptions.to_engine` makes.

        Raises:
            InvalidModelError: The engine refuses the model; carries its words.
            OptionError: It refuses an option, or did not take it over.
            DelegateUnavailableError: A provider could not be loaded.
        """
        try:
            session = require_onnxruntime().InferenceSession(
                source,
                sess_options=engine_options,
                providers=[provider.name for provider in self.providers],
                provider_options=[provider.texts for provider in self.providers],
                # Otherwise what a provider cannot do is done by others, with a line on the output.
                enable_fallback=0,
            )
        except Exception as error:  # the engine has classes of its own for each status
            # It raises plain RuntimeErrors from the making of providers, which comes before that of the model.
            if isinstance(error, RuntimeError) and any(provider.options for provider in self.providers):
                raise OptionError(f"ONNX Runtime refuses the options of a provider: {error}") from error
            raise InvalidModelError(f"ONNX Runtime refuses the model: {error}") from error
        check_in_effect(self.providers, session.get_providers(), session.get_provider_options())
        return session

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

    @property
    def options_in_effect(self) -> dict[str, dict[str, str]]:
        """The options of each provider in use, read back from the engine, by its short name; some tell none."""
        told = self.session.get_provider_options()
        return {short_name(name): dict(told.get(name, {})) for name in self.session.get_providers()}

    @property
    def feed(self) -> dict[str, Array]:
        """The arrays of the last `set_inputs` or `run`, by name.

        Raises:
            OptionError: There were none.
        """
        if self._feed is None:
            needed = ", ".join(repr(info.name) for info in self.inputs)
            raise OptionError(f"nothing to run on: give arrays for {needed} with set_inputs, such as random_feed makes")
        return self._feed

    def set_inputs(self, feed: Mapping[str, Array]) -> None:
        """Keep the arrays that `time_runs` and `profile` run on.

        Raises:
            OptionError: An input is missing.
        """
        values = (np.asarray(value, order="C") for value in pick(self.inputs, feed))  # keeps rank 0
        self._feed = {info.name: value for info, value in zip(self.inputs, values, strict=True)}

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model on arrays by name and return its outputs by name; see `engines.Session.run`.

        Raises:
            OptionError: An input is missing.
            RunError: The engine failed, or an array does not fit; carries its words.
        """
        names = [info.name for info in self.inputs]
        self._feed = dict(zip(names, pick(self.inputs, feed), strict=True))
        made = [info.name for info in self.outputs]
        return dict(zip(made, self._attempt(self.session.run, made, self._feed), strict=True))

    def run_timed(self, feed: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[int, int, int]]:
        """Run the model and tell what that took, as `time_runs` counts it; see `engines.Session.run_timed`.

        Raises:
            OptionError: An input is missing.
            RunError: The engine failed, or an array does not fit; carries its words.
        """
        self.set_inputs(feed)
        values, times = self._attempt(self._timer(), self.feed)
        return dict(zip((info.name for info in self.outputs), values, strict=True)), times

    def time_runs(self, *, max_runs: int, min_runs: int = 1, max_seconds: float = 1e9) -> Array:
        """Run the model on the inputs that were set; see `engines.Session.time_runs`.

        Upload is the binding of the arrays, which copies them where a provider has a memory of its own; read-back is
        the copy of the outputs into new arrays. Models with strings or sequences at their border cannot be bound: there
        the run has it all, and the other columns are zero.

        Raises:
            OptionError: No inputs were set.
            RunError: The engine failed, or an array does not fit; carries its words.
        """
        time_one, feed = self._timer(), self.feed
        samples: list[tuple[int, int, int]] = []
        begin, timeless = perf_counter_ns(), 0
        while len(samples) < max_runs:
            if len(samples) >= min_runs and perf_counter_ns() - begin >= max_seconds * 1e9:
                break
            _, sample = self._attempt(time_one, feed)
            if min(sample) >= 0:
                samples.append(sample)
                continue
            timeless += 1  # the clock was set back meanwhile
            if timeless > _MOST_TIMELESS:
                raise RunError("the clock of this machine goes backwards: runs cannot be timed")
        return np.array(samples, np.int64).reshape(-1, 3)

    def _timer(self) -> Callable[[Mapping[str, Array]], tuple[list[Array], tuple[int, int, int]]]:
        session = self.session
        names = [value.name for value in session.get_outputs()]
        border = {value.type for value in (*session.get_inputs(), *session.get_outputs())}
        if not all(kind.startswith("tensor(") for kind in border) or "tensor(string)" in border:

            def run(feed: Mapping[str, Array]) -> tuple[list[Array], tuple[int, int, int]]:
                start = perf_counter_ns()
                values = session.run(names, feed)
                return values, (0, perf_counter_ns() - start, 0)

            return run
        binding = session.io_binding()
        for name in names:
            binding.bind_output(name, "cpu")

        def run_bound(feed: Mapping[str, Array]) -> tuple[list[Array], tuple[int, int, int]]:
            start = perf_counter_ns()
            for name, value in feed.items():
                binding.bind_cpu_input(name, value)
            binding.synchronize_inputs()
            uploaded = perf_counter_ns()
            session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            ran = perf_counter_ns()
            values = binding.copy_outputs_to_cpu()
            return values, (uploaded - start, ran - uploaded, perf_counter_ns() - ran)

        return run_bound

    def profile(self, runs: int = 50) -> EngineProfile:
        """Return the times of the nodes of the optimized graph; see `engines.Session.profile`.

        Raises:
            ValueError: ``runs`` is below 1.
            OptionError: No inputs were set.
            RunError: The engine failed; carries its words.
            MissingExtraError: The package onnx, which reads that graph, is not installed.
        """
        from litedelegates.engines.onnxruntime.profile import profile

        return profile(self, runs)

    def close(self) -> None:
        """Free the model now."""
        self._session = self._feed = None
        self.source = b""

    @staticmethod
    def _attempt(call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except Exception as error:  # the engine has classes of its own for each status
            raise RunError(f"ONNX Runtime failed: {error}") from error


def element_type_word(kind: str) -> str:
    """Return this package's word for a type as the engine writes it, such as ``tensor(float)``."""
    outer, _, inner = kind.partition("(")
    name = inner.rstrip(")") if outer == "tensor" else outer
    return _WORDS.get(name, name)


def _info(value: Any) -> PortInfo:
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in value.shape or ())
    return PortInfo(value.name, shape, element_type_word(value.type))


def _check_dimensions(source: str | bytes, sizes: Mapping[str, int]) -> None:
    # The engine passes over names that the model does not have.
    from litedelegates.engines.onnxruntime.naming import read_without_data

    inputs = read_without_data(source).graph.input
    known = {dim.dim_param for value in inputs for dim in value.type.tensor_type.shape.dim if dim.dim_param}
    for name in sizes:
        if name not in known:
            hint = nearest(name, known) if known else "All its sizes are fixed or nameless"
            raise OptionError(f"the model has no open dimension {name!r}. {hint}")
