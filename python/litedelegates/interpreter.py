"""The public Interpreter: loads a model on the delegates asked for, runs it, and tells what ran where."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from litedelegates import _core
from litedelegates.delegates import DelegateSpec, Xnnpack, chain
from litedelegates.delegates.base import Payloads
from litedelegates.drop_in import DropIn, SignatureRunner, Unallocated
from litedelegates.errors import CompileError, DelegateError, OptionError, RunError
from litedelegates.interop import LibraryDelegate as Delegate
from litedelegates.interop import load_delegate
from litedelegates.loading import Skipped, load_classic, load_session, load_without_failing
from litedelegates.model import Model
from litedelegates.official_arguments import OpResolverType, checked_threads, in_either_order, only_source, resolved
from litedelegates.routes import Array, Route
from litedelegates.run_lock import RunLock

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from litedelegates.auto import Choice
    from litedelegates.delegates import Hosted
    from litedelegates.model import ModelSource
    from litedelegates.placement import Placement
    from litedelegates.profile import Profile
    from litedelegates.routes.session import Session
    from litedelegates.tensor_info import TensorInfo

__all__ = [
    "Delegate",
    "Interpreter",
    "InterpreterWithCustomOps",
    "OpResolverType",
    "SignatureRunner",
    "close_all",
    "load_delegate",
]

# Closed in order at exit: the GPU library crashes when its objects outlive the interpreter of Python.
_on_devices: weakref.WeakSet[Interpreter] = weakref.WeakSet()
# Told when the process was forked: locks and threads are not what they were.
_all: weakref.WeakSet[Interpreter] = weakref.WeakSet()

_SECONDS_AT_EXIT = 2.0  # for runs of other threads, which end before the runtime does


class Interpreter(DropIn):
    """Run a model on the delegates of your choice.

    ``Interpreter("model.tflite", delegate="gpu", precision_loss_allowed=True).run(image)``

    It also has every method of the official Interpreter (see `DropIn`) and takes its arguments.

    Threads may share one: its runs (`run`, `run_async`, signature runners, `time_runs`) follow each other, each with
    its own inputs and outputs. To run in parallel, make one Interpreter for each thread; the native core works without
    Python's lock. The steps of the official Interpreter (`set_tensor`, `invoke`, `get_tensor`) are not kept together:
    use them from one thread.

    Attributes:
        delegates: The delegates in use, in order, with their options.
        skipped: With ``fallback=True``: the delegates that were left out, each with the reason.
        choice: With ``delegate="auto"``: what was tried, what was measured, and why this one was taken; else None.
    """

    _custom_op_registerers: Sequence[Any] = ()
    _left: Session | None = None  # on the compiled route, while an empty input has the model run on the classic one
    _for_empty: Session | None = None  # on the classic route, for signatures that are run on empty inputs

    @in_either_order
    def __init__(
        self,
        model: ModelSource | None = None,
        delegate: DelegateSpec = "xnnpack",
        *,
        num_threads: int | None = None,
        require_full_delegation: bool = False,
        fallback: bool = False,
        isolated: bool = False,
        model_path: ModelSource | None = None,
        model_content: bytes | None = None,
        experimental_delegates: Sequence[Any] | None = None,
        experimental_op_resolver_type: Any = OpResolverType.AUTO,
        experimental_preserve_all_tensors: bool = False,
        experimental_disable_delegate_clustering: bool = False,
        experimental_default_delegate_latest_features: bool = False,
        experimental_compress_quantization_zero_points: bool = False,
        experimental_disable_delegate_node_fusion: bool = False,
        experimental_force_delegate_node_profiling: bool = False,
        **options: Any,
    ) -> None:
        """Verify, load and compile a model.

        By position it takes ``(model, delegate)``, or as the official Interpreter ``(model_path, model_content,
        experimental_delegates, num_threads, ...)``: that is meant where the second argument is the content of a model
        and where there are more than two.

        Args:
            model: Path of a ``.tflite`` file, or its content.
            delegate: None for the built-in kernels, "xnnpack", "gpu", "openvino", "edgetpu", "auto", an options object
                such as ``Gpu(priority="high")``, or a sequence of those: the first takes what it can, the next of the
                rest, and what nobody takes runs on the built-in kernels. "auto" measures what is available here and
                keeps XNNPACK unless another, whose outputs are right, is shown faster; see `auto.choose`.
            num_threads: Threads of the CPU kernels; the runtime's default is 1.
            require_full_delegation: Raise when an op stays on the built-in kernels.
            fallback: Leave out a delegate that cannot be created or cannot prepare the model; `skipped` says which and
                why. By default it raises.
            isolated: Load and run the model in a worker process: a crash there is a `WorkerCrashedError` here, and
                ``run(..., time_limit_s=...)`` stops any model, by ending the worker where the run does not stop by
                itself. The next call starts another worker, in which variables have their first values. A run takes
                some tenths of a millisecond longer, for messages, and inputs and outputs are copied once more, through
                shared memory.
            model_path: As in the official Interpreter; the same as ``model``.
            model_content: As in the official Interpreter; the same as ``model``.
            experimental_delegates: Delegates from the official ``load_delegate``, applied before ``delegate``.
            experimental_op_resolver_type: As in the official Interpreter: BUILTIN_REF and
                BUILTIN_WITHOUT_DEFAULT_DELEGATES switch XNNPACK off. Its `OpResolverType` or ours.
            experimental_preserve_all_tensors: Keep the values of inner tensors for `get_tensor`; takes the classic
                route, and splits what delegates take: good for values, useless for timing.
            experimental_disable_delegate_clustering: As in the official Interpreter.
            experimental_default_delegate_latest_features: As in the official Interpreter.
            experimental_compress_quantization_zero_points: As in the official Interpreter.
            experimental_disable_delegate_node_fusion: As in the official Interpreter; takes the classic route.
            experimental_force_delegate_node_profiling: As in the official Interpreter; takes the classic route.
            **options: Options of delegates given by name, such as ``precision_loss_allowed=True``.

        Raises:
            InvalidModelError: The model cannot be read or is corrupt; says where.
            OptionError: An unknown or ill-typed option; names the nearest valid one.
            DelegateUnavailableError: A delegate cannot work on this machine; says why.
            CompileError: The runtime refused the model; carries its words.
            UnsupportedError: The model needs the classic route, which cannot take one of the delegates.
            DelegateError: A delegate cannot be created; or ``require_full_delegation``, and ops stayed behind.
        """
        start = time.perf_counter_ns()
        self._run_lock = RunLock()
        self._executor: ThreadPoolExecutor | None = None
        self._inputs: tuple[TensorInfo, ...] | None = None  # as long as no input is resized
        num_threads = checked_threads(num_threads)
        self._model = Model.load(only_source(model, model_path, model_content))
        self.choice: Choice | None = None
        if isinstance(delegate, str) and delegate == "auto":
            from litedelegates.auto import choose

            self.choice = choose(self._model, num_threads=num_threads, options=options)
            delegate, options = self.choice.delegates, {}
        self.delegates = (
            *_hosted(experimental_delegates or ()),
            *resolved(chain(delegate, options), experimental_op_resolver_type),
        )
        self._delegates = experimental_delegates or []
        self.experimental_compress_quantization_zero_points = experimental_compress_quantization_zero_points
        self._num_threads = num_threads
        self._is_isolated = isolated
        official_options = {
            "experimental_preserve_all_tensors": experimental_preserve_all_tensors,
            "experimental_disable_delegate_clustering": experimental_disable_delegate_clustering,
            "experimental_default_delegate_latest_features": experimental_default_delegate_latest_features,
            "experimental_compress_quantization_zero_points": experimental_compress_quantization_zero_points,
            "experimental_disable_delegate_node_fusion": experimental_disable_delegate_node_fusion,
            "experimental_force_delegate_node_profiling": experimental_force_delegate_node_profiling,
            "custom_op_registerers": self._custom_op_registerers,
        }
        how: dict[str, Any] = {"num_threads": num_threads, "official_options": official_options}
        self._how = how
        self.skipped: tuple[Skipped, ...] = ()
        self._asked = "+".join(part.name for part in self.delegates) or "none"
        self._session: Session
        if isolated:
            from litedelegates.isolated_session import IsolatedSession

            isolated_session = IsolatedSession(self._model, self.delegates, fallback=fallback, **how)
            self._session, self.skipped = isolated_session, isolated_session.skipped
        elif fallback:
            self._session, self.skipped = load_without_failing(self._model, self.delegates, **how)
        else:
            self._session = load_session(self._model, self.delegates, waits=True, **how)
        left_out = [id(skipped.delegate) for skipped in self.skipped]
        self.delegates = tuple(part for part in self.delegates if id(part) not in left_out)
        self._session = cast("Session", Unallocated(self._session))
        self._route = self._session.route
        self._load_ns, self._waited_ns = time.perf_counter_ns() - start, 0
        if not all(isinstance(part, Xnnpack) for part in self.delegates):
            _on_devices.add(self)
        _all.add(self)
        if require_full_delegation:
            self._require_full_delegation()

    @property
    def load_ns(self) -> int:
        """Nanoseconds that verifying, loading and compiling took; what waits for its compilation is compiled."""
        if not isinstance(self._session, _Unusable):
            compile_waiting = getattr(self._session, "compile_waiting", None)
            if compile_waiting is not None:
                self._waited_ns = compile_waiting()
        return self._load_ns + self._waited_ns

    @property
    def route(self) -> Route:
        """How the model runs for its current shapes, and why that way."""
        if not isinstance(self._session, _Closed):
            self._route = self._session.route
        return self._route

    def run(
        self,
        *arrays: Any,
        quantize: bool = False,
        out: Any = None,
        time_limit_s: float | None = None,
        **named: Any,
    ) -> Any:
        """Run the model: arrays in, arrays out.

        Args:
            *arrays: The inputs by position, in the model's order.
            quantize: Take and give real values at the border of integer models: scale and zero point are applied.
            out: Array or arrays that receive the outputs, in place of new ones.
            time_limit_s: Seconds after which the run is stopped, waiting for runs of other threads included; by
                default it may take any time. It is stopped between two ops, in loops and branches too. What a delegate
                took as one (the ops of an XNNPACK partition, what a GPU has queued) is not stopped inside, and a run
                that has nothing left to do by then gives its outputs.
            **named: The inputs by name.

        Returns:
            The output, or a tuple of them when the model has several.

        Raises:
            ValueError: Inputs are missing, or of another dtype or shape than the model's.
            RunError: The runtime failed; carries its message. Or this thread is in the middle of a run of this
                Interpreter already.
            RunTimeoutError: The time limit was over; the Interpreter can be used further.
            UnsupportedError: A time limit on the classic route, which cannot stop a run; ``isolated=True`` can.
            WorkerCrashedError: With ``isolated=True``: the worker process ended in the middle of the run.
        """
        if named:
            arrays = _by_name(arrays, named, self.inputs)
        # Before the lock is taken, because a conversion may run code of the caller's.
        values = [value if type(value) is np.ndarray else np.asarray(value) for value in arrays]
        run_lock = self._run_lock
        if time_limit_s is not None:
            deadline = time.monotonic() + _checked_limit(time_limit_s)
            with run_lock.within(time_limit_s):
                return self._run(values, quantize, out, deadline)
        if run_lock.is_owned():
            run_lock.refuse()
        with run_lock.lock:
            return self._run(values, quantize, out, None)

    def _run(self, values: list[Array], quantize: bool, out: Any, deadline: float | None) -> Any:
        infos = self.inputs
        if len(values) != len(infos):
            names = ", ".join(info.name for info in infos)
            raise ValueError(f"the model takes {len(infos)} inputs ({names}); got {len(values)}")
        self._fit_shapes(values, infos)
        if not self._is_ready:
            self._allocate()
        session = self._session
        if quantize:
            from litedelegates.border import quantize_array

            values = [quantize_array(value, info) for info, value in zip(infos, values, strict=True)]
        for info, value in zip(infos, values, strict=True):
            session.set_tensor(info.index, value)
        if deadline is None:
            session.invoke()
        else:
            session.invoke_within(max(0.0, deadline - time.monotonic()))
        return self._collect(quantize, out)

    def _collect(self, quantize: bool, out: Any) -> Any:
        indices = self._model.subgraphs[0].outputs
        if out is None and not quantize:
            outputs = [self._session.get_tensor(index) for index in indices]
            return outputs[0] if len(outputs) == 1 else tuple(outputs)
        outputs = []
        targets = [out] if isinstance(out, np.ndarray) else list(out) if out is not None else None
        for position, info in enumerate(self.outputs):
            value = self._session.view(info.index) if targets is not None else self._session.get_tensor(info.index)
            if quantize:
                from litedelegates.border import dequantize_array

                value = dequantize_array(value, info)
            if targets is not None:
                if targets[position].shape != value.shape:
                    raise ValueError(
                        f"out has the shape {targets[position].shape} for output {info.name!r}, which has {value.shape}"
                    )
                np.copyto(targets[position], value, casting="no")
                value = targets[position]
            outputs.append(value)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def run_async(self, *arrays: Any, **named: Any) -> Future[Any]:
        """Start `run` and return at once; ``.result()`` waits for the outputs.

        Runs of one Interpreter follow each other in the order they were started. In a child process it works as in
        its parent; what the parent had started and not finished is not there.
        """
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(1, thread_name_prefix="litedelegates")
        return self._executor.submit(self.run, *arrays, **named)

    def view(self, tensor: str | int) -> Array:
        """Return an input or output, by name or tensor index, without copying it.

        The array may be written to. On the compiled route it may be kept and shows each run's values; on the classic
        one it has to be let go of before the next run, which raises a RuntimeError otherwise.
        """
        index = tensor if isinstance(tensor, int) else _index_of(tensor, (*self.inputs, *self.outputs))
        if not self._is_ready:
            self._allocate()
        return self._session.view(index)

    def resize_tensor_input(self, input_index: int, tensor_size: Any, strict: bool = False) -> None:
        """Give an input another shape; see `DropIn.resize_tensor_input`."""
        with self._run_lock:
            self._inputs = None
            super().resize_tensor_input(input_index, tensor_size, strict)

    def allocate_tensors(self) -> None:
        """Prepare memory for the current input shapes; see `DropIn.allocate_tensors`."""
        with self._run_lock:
            super().allocate_tensors()

    def _resize(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        self._inputs = None
        if self._is_left_to_classic(shape):
            self._go_classic(f"an input has the shape {shape}")
        super()._resize(index, shape, strict)
        if self._left is not None:
            self._leave_classic(self._left)

    def _is_left_to_classic(self, shape: tuple[int, ...]) -> bool:
        """Return whether the compiled route refuses a shape, where the file has another."""
        if self._official is not None or self._is_isolated or getattr(self._session, "takes_any_shape", False):
            return False
        return not shape or 0 in shape

    def _go_classic(self, reason: str) -> None:
        """Load the model on the classic route, with its inputs in their current shapes."""
        graph = self._model.subgraphs[0]
        shapes = {index: self._shape(index) for index in graph.inputs}
        session = load_classic(self._model, self.delegates, reason=reason, **self._how)
        for index, shape in shapes.items():
            if shape != tuple(graph.tensor(index).shape):
                session.resize_input(index, shape, strict=False)
        self._left, self._session = self._session, session
        self._is_ready = False

    def _leave_classic(self, left: Session) -> None:
        """Go back to what was compiled where it takes the current shapes: one empty batch is not for ever."""
        shapes = {index: self._shape(index) for index in self._model.subgraphs[0].inputs}
        if any(not shape or 0 in shape for shape in shapes.values()):
            return
        try:
            for index, shape in shapes.items():
                if left.shape(index) != shape:
                    left.resize_input(index, shape, False)
        except CompileError:
            return  # of another rank, which only the classic route takes
        self._session, self._left = left, None

    def _signature_session(self, shapes: Sequence[tuple[int, ...]]) -> Session:
        refused = next((shape for shape in shapes if 0 in shape and self._is_left_to_classic(shape)), None)
        if refused is None:
            return self._session
        if self._for_empty is None:
            reason = f"an input has the shape {refused}"
            self._for_empty = load_classic(self._model, self.delegates, reason=reason, **self._how)
        return self._for_empty

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs in the model's order."""
        if self._inputs is None:
            self._inputs = self._infos(self._model.subgraphs[0].inputs)
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The outputs in the model's order."""
        return self._infos(self._model.subgraphs[0].outputs)

    def _infos(self, indices: Sequence[int]) -> tuple[TensorInfo, ...]:
        names = self._model.names(0)
        return tuple(self._model.tensor_info(0, index, self._shape(index), names.get(index)) for index in indices)

    @property
    def placement(self) -> tuple[Placement, ...]:
        """Where each op of the model ran: asked, got, and the evidence."""
        records = self._session.placement()
        return tuple(replace(record, asked=self._asked) for record in records) if self.skipped else records

    @property
    def device(self) -> str:
        """Name of the GPU in use, as the runtime tells it, with a word if it is software; empty when there is none."""
        return self._session.device

    @property
    def options_in_effect(self) -> Payloads:
        """The options as the runtime holds them, read back from it, by its own identifiers and keys."""
        return self._session.options_in_effect()

    def time_runs(self, *, max_runs: int, min_runs: int = 1, max_seconds: float = 1e9) -> Array:
        """Run the model on the inputs that were set, again and again, and return every sample.

        Args:
            max_runs: Stop after this many runs.
            min_runs: Do not stop for time before this many.
            max_seconds: Stop after this time.

        Returns:
            int64 array of shape (runs, 3): nanoseconds of upload, run and read-back. Their sum is the latency: it
            includes waiting for the device.
        """
        with self._run_lock:
            if not self._is_ready:
                self._allocate()
            return self._session.time_runs(min_runs, max_runs, max_seconds)

    def profile(self, runs: int = 50) -> Profile:
        """Return per-op times, measured on a second copy of the model with the runtime's profiler on.

        Args:
            runs: How many runs to record.
        """
        from litedelegates.profile import profile

        with self._run_lock:
            if not self._is_ready:
                self._allocate()
            if self._is_isolated:
                from litedelegates.isolated_session import IsolatedSession

                assert isinstance(self._session, IsolatedSession)
                return self._session.profile(runs)
            return profile(self._model, self.delegates, self._session, runs=runs)

    def close(self) -> None:
        """Free the model now and not when Python gets to it. The Interpreter cannot be used afterwards.

        It waits for the end of runs that other threads have started.
        """
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None
        with self._run_lock:
            self._close_session()

    def _close_session(self) -> None:
        if not isinstance(self._session, _Unusable):
            self._waited_ns = getattr(self._session, "waited_ns", 0)
            for session in (self._session, self._left, self._for_empty):
                if session is not None:
                    session.close()
            self._session, self._left, self._for_empty = _Closed(), None, None
            self._is_ready = True  # so that every call reaches it

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Interpreter cannot be copied or pickled: make one from the model where it is needed")

    def __repr__(self) -> str:
        if isinstance(self._session, _Unusable):
            return f"<Interpreter of {self._model.name}, closed>"
        borders = " -> ".join(
            ", ".join(f"{info.name} {info.element_type}{list(info.shape)}" for info in side)
            for side in (self.inputs, self.outputs)
        )
        asked = " + ".join(map(repr, self.delegates)) or "built-in kernels"
        return f"<Interpreter of {self._model.name} on {asked}, {self.route.name} route: {borders}>"

    def _repr_html_(self) -> str:
        """Return where ops ran and the options in effect, for notebooks."""
        from litedelegates import notebook
        from litedelegates.placement import summarize_types

        if isinstance(self._session, _Unusable):
            return notebook.page(repr(self))
        options = [
            (name, key, str(value)) for name, part in self.options_in_effect.items() for key, value in part.items()
        ]
        return notebook.page(
            repr(self),
            notebook.text(f"{self.route.name} route: {self.route.reason}"),
            notebook.table(("ran on", "ops", "share", "types"), summarize_types(self.placement)),
            notebook.table(("options of", "name", "in effect"), options) if options else "",
        )

    def _forget_parent(self) -> None:
        """Make do without the parent's threads, in a child process that was forked just now."""
        self._executor = None
        was_in_run = self._run_lock.is_taken_elsewhere
        if was_in_run:
            self._run_lock.reset()
        if not isinstance(self._session, _Unusable) and self._session.is_running(was_in_run):
            # What it computed is half done and cannot be freed: the threads that work on it are not here.
            _lost.append(self._session)
            self._session = _Unusable(RunError, "the process was forked in the middle of a run: load the model anew")

    def _fit_shapes(self, values: Sequence[Array], infos: Sequence[TensorInfo]) -> None:
        for info, value in zip(infos, values, strict=True):
            shape = value.shape
            if shape == info.shape or len(shape) != len(info.shape_signature):
                continue
            if all(wanted in (-1, size) for size, wanted in zip(shape, info.shape_signature, strict=True)):
                self._resize(info.index, shape, strict=True)

    def _require_full_delegation(self) -> None:
        from litedelegates.placement import summarize

        placement = self.placement
        behind = [f"{record.op_index} {record.op_name}" for record in placement if record.ran in ("builtin", "unknown")]
        if behind:
            shown = ", ".join(behind[:20]) + (f" and {len(behind) - 20} more" if len(behind) > 20 else "")
            summary = summarize(placement)
            self.close()
            raise DelegateError(
                f"full delegation was required, and {len(behind)} ops stayed behind ({summary}): {shown}"
            )


class InterpreterWithCustomOps(Interpreter):
    """An Interpreter for models with ops of your own, as the official one of this name; it takes the classic route."""

    def __init__(self, custom_op_registerers: Sequence[Any] | None = None, **arguments: Any) -> None:
        """Verify and load a model.

        Args:
            custom_op_registerers: Names of C symbols, or functions of extension modules, that take the address of a
                ``MutableOpResolver`` and register ops.
            **arguments: The arguments of `Interpreter`, by name.

        Raises:
            CompileError: A symbol is not found; see `Interpreter` for the others.
        """
        self._custom_op_registerers = custom_op_registerers or []
        super().__init__(**arguments)


class _Unusable:
    """Stands where the session was and says why it is not there."""

    def __init__(self, error: type[Exception], reason: str) -> None:
        self._error, self._reason = error, reason

    def __getattr__(self, name: str) -> Any:
        raise self._error(self._reason)


class _Closed(_Unusable):
    def __init__(self) -> None:
        super().__init__(ValueError, "the Interpreter is closed")


_lost: list[Any] = []


def close_all() -> None:
    """End the runs of other threads and close every Interpreter that still holds a device; runs at exit."""
    # Daemon threads. What they hold is not waited for: they never come back from the native core.
    _core.end_runs(limit_s=_SECONDS_AT_EXIT)
    for interpreter in list(_on_devices):
        interpreter._close_session()


def _forget_parent() -> None:
    for interpreter in list(_all):
        interpreter._forget_parent()


atexit.register(close_all)
os.register_at_fork(after_in_child=_forget_parent)


def _hosted(delegates: Sequence[Any]) -> tuple[Hosted, ...]:
    if not delegates:
        return ()
    from litedelegates.delegates import Hosted

    return tuple(Hosted.from_official(delegate) for delegate in delegates)


def _by_name(arrays: Sequence[Any], named: dict[str, Any], infos: Sequence[TensorInfo]) -> tuple[Any, ...]:
    names = [info.name for info in infos]
    if arrays:
        raise ValueError("give the inputs by position or by name, not both")
    if set(named) != set(names):
        raise ValueError(f"the model takes {', '.join(names)}; got {', '.join(sorted(named))}")
    return tuple(named[name] for name in names)


def _checked_limit(time_limit_s: float) -> float:
    if isinstance(time_limit_s, bool) or not isinstance(time_limit_s, (int, float)) or not time_limit_s > 0:
        raise OptionError(f"time_limit_s={time_limit_s!r}: it must be a number of seconds above 0")
    return float(time_limit_s)


def _index_of(name: str, infos: Sequence[TensorInfo]) -> int:
    for info in infos:
        if info.name == name:
            return info.index
    raise ValueError(f"the model has no input or output {name!r}; it has {', '.join(info.name for info in infos)}")
