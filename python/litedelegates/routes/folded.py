"""The compiled route with static shapes: models are folded and compiled anew for each shape of the inputs.

A model that was converted with an open batch computes the shapes it reshapes to while it runs, from the shape of its
input. The runtime then knows them too late: outputs would have no memory of the right size, and delegates leave such
ops alone. For inputs of known shapes all of that is known beforehand, without running anything. So those computations
are done once, in memory, and what is compiled has static shapes.

Delegates that drive a device compile kernels for the sizes that they find stored, so they get this for every model.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any

from litedelegates import _core
from litedelegates.errors import CompileError, LiteDelegatesError, UnsupportedError
from litedelegates.model import Model, takes_shape
from litedelegates.routes import Array, Route
from litedelegates.routes.compiled import CompiledSession, describe_folding

if TYPE_CHECKING:
    from litedelegates.delegates.base import Payloads
    from litedelegates.placement import Placement
    from litedelegates.routes.classic import ClassicSession

# Each holds its own packed weights; whoever changes shapes more often than this waits for a compilation each time.
_MOST_KEPT = 8

_Shapes = tuple[tuple[int, ...], ...]
_NOT_ALLOCATED = "the tensors are not allocated: call allocate_tensors() first"


class FoldedSession:
    """A model compiled for each shape of its inputs that it was run with.

    Shapes for which a size is still only known while the model runs are left to another session.
    """

    takes_any_shape = True  # empty ones and scalars too: each shape has a session of its own

    def __init__(
        self,
        model: Model,
        compile_folded: Callable[[_core.FoldedModel], CompiledSession],
        load_unfolded: Callable[[str], CompiledSession | ClassicSession],
        *,
        waits: bool = False,
    ) -> None:
        """Fold and compile a model for the shapes that its file states.

        Args:
            model: The verified model.
            compile_folded: Compiles the model for given shapes.
            load_unfolded: Loads it as it is, where it cannot be folded, for the reason given.
            waits: Compile it once it is asked for: inputs that are resized first would have it compiled in vain.
        """
        self.model = model
        self._compile_folded = compile_folded
        self._load_unfolded = load_unfolded
        graph = model.subgraphs[0]
        self._shapes: dict[int, tuple[int, ...]] = {index: tuple(graph.tensor(index).shape) for index in graph.inputs}
        self.set_tensor: Callable[[int, Any], None]
        self.invoke: Callable[[], None]
        self.invoke_within: Callable[[float], None]
        self._kept: OrderedDict[tuple[int, _Shapes], CompiledSession | ClassicSession] = OrderedDict()
        self._current: CompiledSession | ClassicSession | None = None
        self._waiting: _core.FoldedModel | None = None  # for the current shapes, and not compiled yet
        self.waited_ns = 0  # that compiling it took
        # What compiles, or changes what is compiled: a run, and other threads that only look at what the model became.
        self._lock = RLock()
        self._route = Route(
            "compiled", "its shapes are computed from those of its inputs, which it cannot take as stored"
        )
        self._forget_current()
        try:
            folded = model.file.fold(0, [list(shape) for shape in self._shapes.values()])
        except CompileError:
            return  # It needs other shapes than the file states: allocation says so, once it is asked for.
        shapes = tuple(self._shapes.values())
        if waits and _why_unfolded(shapes, folded) is None:
            self._wait(folded)
        else:
            self._use(self._make(0, shapes, folded))

    @property
    def route(self) -> Route:
        """How the model runs for its current shapes, and why."""
        return self._route

    @property
    def running(self) -> CompiledSession:
        """What runs the model for its current shapes."""
        current = self._allocated()
        if not isinstance(current, CompiledSession):
            raise UnsupportedError(f"the model runs on the classic route ({current.route.reason})")
        return current

    @property
    def official(self) -> Any:
        """The official Interpreter where the current shapes take the classic route; else None."""
        return getattr(self._current, "official", None)

    def allocate(self) -> None:
        """Fold and compile for the current shapes, unless that was done before.

        Raises:
            CompileError: The model cannot take inputs of these shapes.
        """
        if self._current is not None:
            return
        with self._lock:
            if self._current is not None:  # another thread was first
                return
            start, folded = time.perf_counter_ns(), self._waiting
            session = self._session(0, tuple(self._shapes.values()), folded)
            if folded is not None:
                self.waited_ns = time.perf_counter_ns() - start
            self._use(session)

    def compile_waiting(self) -> int:
        """Compile what waits for it, and return the nanoseconds that this took, now or before."""
        self._prepared()
        return self.waited_ns

    def _wait(self, folded: _core.FoldedModel) -> None:
        """Compile what was folded at the first call that needs it."""

        def set_tensor(index: int, value: Any) -> None:
            self._allocated().set_tensor(index, value)

        def invoke() -> None:
            self._allocated().invoke()

        def invoke_within(time_limit_s: float) -> None:
            self._allocated().invoke_within(time_limit_s)

        self._waiting = folded
        self._route = Route("compiled", describe_folding(folded, self.model))
        self.set_tensor, self.invoke, self.invoke_within = set_tensor, invoke, invoke_within

    def _prepared(self) -> CompiledSession | ClassicSession | None:
        """Return what runs the model for its current shapes; None where that has to be asked for."""
        return self._current if self._waiting is None else self._allocated()

    def _use(self, session: CompiledSession | ClassicSession) -> None:
        self._current, self._waiting = session, None
        self._route = session.route
        # The two that are called for every run go straight to what runs.
        self.set_tensor = session.set_tensor
        self.invoke = session.invoke
        self.invoke_within = session.invoke_within

    def _forget_current(self) -> None:
        def set_tensor(index: int, value: Any) -> None:
            raise ValueError(_NOT_ALLOCATED)

        def invoke(time_limit_s: float | None = None) -> None:
            raise RuntimeError(_NOT_ALLOCATED)

        self._current = self._waiting = None
        self.set_tensor = set_tensor
        self.invoke = self.invoke_within = invoke

    def _session(
        self, subgraph: int, shapes: _Shapes, folded: _core.FoldedModel | None = None
    ) -> CompiledSession | ClassicSession:
        key = (subgraph, shapes)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            if folded is None:
                folded = self.model.file.fold(subgraph, [list(shape) for shape in shapes])
            return self._make(subgraph, shapes, folded)

    def _make(self, subgraph: int, shapes: _Shapes, folded: _core.FoldedModel) -> CompiledSession | ClassicSession:
        session = self._load(subgraph, shapes, folded)
        self._kept[subgraph, shapes] = session
        for kept, oldest in list(self._kept.items()):
            if len(self._kept) <= _MOST_KEPT:
                break
            if oldest is not self._current:  # which signatures, run in turn with it, must not take away
                del self._kept[kept]
                oldest.close()
        return session

    def _load(self, subgraph: int, shapes: _Shapes, folded: _core.FoldedModel) -> CompiledSession | ClassicSession:
        obstacle = _why_unfolded(shapes, folded)
        if obstacle is not None:
            return self._unfolded(shapes, subgraph, obstacle)
        session = self._compile_folded(folded)
        try:
            session.allocate()
            found = [tuple(shape) for shape in session.runner.output_shapes] if subgraph == 0 else None
            dynamic = session.dynamic_outputs()
        except LiteDelegatesError:
            session.close()
            raise
        if dynamic:
            session.close()
            return self._unfolded(
                shapes, subgraph, f"the size of output {dynamic[0]!r} is only known while the model runs"
            )
        wanted = [tuple(shape) for shape in folded.output_shapes]
        if found is not None and found != wanted:
            session.close()
            reason = f"the runtime prepares outputs of the shapes {found} where {wanted} follow from its ops"
            return self._unfolded(shapes, subgraph, reason)
        return session

    def _unfolded(self, shapes: _Shapes, subgraph: int, reason: str) -> CompiledSession | ClassicSession:
        session = self._load_unfolded(reason)
        if subgraph == 0:
            for index, shape in zip(self.model.subgraphs[0].inputs, shapes, strict=True):
                if session.shape(index) != shape:
                    session.resize_input(index, shape, strict=False)
            session.allocate()
        return session

    def _allocated(self) -> CompiledSession | ClassicSession:
        with self._lock:  # so that no thread gives an input another shape in between
            self.allocate()
            assert self._current is not None
            return self._current

    def is_running(self, was_in_run: bool) -> bool:
        """Return whether a thread is in the middle of a run; asked in a child process."""
        self._lock = RLock()  # the thread that may have had it is not here
        return any(session.is_running(was_in_run) for session in self._kept.values())

    def resize_input(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        """Give an input another shape; the model is compiled for it at the next allocation.

        Raises:
            CompileError: With ``strict``: the shape differs where the file leaves nothing open.
        """
        if strict:
            tensor = self.model.subgraphs[0].tensor(index)
            if not takes_shape(tensor, shape):
                signature = tuple(tensor.shape_signature or tensor.shape)
                raise CompileError(f"input {tensor.name!r} cannot take the shape {shape}: the file says {signature}")
        if any(size < 0 for size in shape):
            raise CompileError(f"an input cannot have the shape {shape}")
        with self._lock:
            if self._shapes[index] != tuple(shape):
                self._shapes[index] = tuple(shape)
                self._forget_current()

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the current shape of an input or output."""
        if index in self._shapes:
            return self._shapes[index]
        if self._current is not None:
            return self._current.shape(index)
        graph = self.model.subgraphs[0]
        if self._waiting is not None and index in graph.outputs:
            return tuple(self._waiting.output_shapes[graph.outputs.index(index)])
        return tuple(graph.tensor(index).shape)

    def get_tensor(self, index: int, subgraph: int = 0) -> Array:
        """Return a copy of an input, an output or a constant."""
        current = self._prepared()
        if current is None:
            raise ValueError(_NOT_ALLOCATED)
        return current.get_tensor(index, subgraph)

    def view(self, index: int) -> Array:
        """Return an input or output without copying it."""
        current = self._prepared()
        if current is None:
            raise ValueError(_NOT_ALLOCATED)
        return current.view(index)

    def reset_variables(self) -> None:
        """Do nothing: models with variables run on the classic route."""

    def time_runs(self, min_runs: int, max_runs: int, max_seconds: float) -> Array:
        """Return nanoseconds of upload, run and read-back of each run, shape (runs, 3)."""
        return self._allocated().time_runs(min_runs, max_runs, max_seconds)

    def run_signature(self, key: str, values: dict[str, Any]) -> dict[str, Array]:
        """Run a signature on inputs by name; they may have other shapes than the file states."""
        import numpy as np

        signature = next(signature for signature in self.model.signatures if signature.key == key)
        by_index = {index: tuple(np.shape(values[name])) for name, index in signature.inputs}
        graph = self.model.subgraphs[signature.subgraph_index]
        shapes = tuple(by_index[index] for index in graph.inputs)
        return self._session(signature.subgraph_index, shapes).run_signature(key, values)

    def placement(self) -> tuple[Placement, ...]:
        """Return where each op ran for the current shapes."""
        return self._allocated().placement()

    @property
    def device(self) -> str:
        """Name of the device in use; empty when there is none."""
        current = self._prepared()
        return current.device if current is not None else ""

    def options_in_effect(self) -> Payloads:
        """Return the options as the runtime holds them; none before the model was compiled."""
        current = self._prepared()
        return current.options_in_effect() if current is not None else {}

    def close(self) -> None:
        """Free the runtime's objects for all shapes."""
        with self._lock:
            self._forget_current()
            while self._kept:
                self._kept.popitem()[1].close()


def _why_unfolded(shapes: _Shapes, folded: _core.FoldedModel) -> str | None:
    """Return why a model cannot run with these shapes as it was folded; None where it can."""
    if folded.obstacle:
        return folded.obstacle
    if any(0 in shape for shape in (*shapes, *folded.output_shapes)):
        return "an input or output is empty"
    return None
