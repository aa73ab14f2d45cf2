"""The classic route: the official Interpreter of the same wheel, for models that the compiled route cannot run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.delegates import Delegate, Xnnpack
from litedelegates.errors import CompileError, InvalidModelError, RunError, UnsupportedError
from litedelegates.model import Model
from litedelegates.placement import Placement
from litedelegates.routes import Array, Route

if TYPE_CHECKING:
    from litedelegates.routes.compiled import CompiledSession

KEEP_ALL = "experimental_preserve_all_tensors"


def load_keeping_values(
    model: Model,
    chain: Sequence[Delegate],
    *,
    num_threads: int | None,
    reason: str,
    official_options: dict[str, Any],
) -> ClassicSession:
    """Load a model in the official Interpreter, with all tensors kept where a built-in kernel would overwrite a value.

    See `Subgraph.overwriting_ops`. Ops that a delegate took share no memory with others.
    """
    session = ClassicSession(model, chain, num_threads=num_threads, reason=reason, official_options=official_options)
    if official_options.get(KEEP_ALL):
        return session
    overwriting = _overwriting(model, session, chain)
    if overwriting is None:
        return session
    session.close()
    return ClassicSession(
        model,
        chain,
        num_threads=num_threads,
        reason=f"{reason}; all tensors are kept, because the built-in kernel of {overwriting} would overwrite a value "
        "that is still read",
        official_options={**official_options, KEEP_ALL: True},
    )


def _overwriting(model: Model, session: ClassicSession, chain: Sequence[Delegate]) -> str | None:
    """Name the first op that would overwrite a value; None where there is none."""
    for number, subgraph in enumerate(model.subgraphs):
        found = subgraph.overwriting_ops()
        if found and chain and number == 0:
            try:
                took = [record.op_index for record in session.placement() if record.ran != "builtin"]
            except CompileError:  # it has to be resized first
                took = []
            found = subgraph.overwriting_ops(took)
        if found:
            where = f" of subgraph {number}" if number else ""
            return f"op {found[0]} ({subgraph.operators[found[0]].type}){where}"
    return None


class ClassicSession:
    """A model in the official Interpreter."""

    def __init__(
        self,
        model: Model,
        chain: Sequence[Delegate],
        *,
        num_threads: int | None,
        reason: str,
        official_options: dict[str, Any] | None = None,
    ) -> None:
        _refuse_what_it_cannot_take(chain, reason)
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.model = model
        self.route = Route("classic", reason)
        self._asked = "+".join(delegate.name for delegate in chain) or "none"
        xnnpack = [delegate for delegate in chain if isinstance(delegate, Xnnpack)]
        threads = next((delegate.num_threads for delegate in xnnpack if delegate.num_threads), num_threads)
        source = {"model_path": model.path} if model.path else {"model_content": model.file.bytes.tobytes()}
        resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        natives = [delegate.for_official() for delegate in chain]
        try:
            with warnings.catch_warnings():
                # It warns that keeping tensors takes memory; here the caller asked for it by name.
                warnings.simplefilter("ignore", UserWarning)
                self._official = Interpreter(
                    **source,
                    num_threads=threads,
                    experimental_op_resolver_type=resolver,
                    experimental_delegates=[native for native in natives if native is not None],
                    **(official_options or {}),
                )
        except (ValueError, RuntimeError) as error:
            raise CompileError(f"the classic runtime cannot load {model.name}: {error}") from error
        self.set_tensor = self._official.set_tensor
        self._is_allocated = False

    @property
    def running(self) -> CompiledSession:
        """Nothing: it is the compiled route that has one."""
        raise UnsupportedError(f"the model runs on the classic route ({self.route.reason})")

    def get_tensor(self, index: int, subgraph: int = 0) -> Array:
        """Return a copy of a tensor's value."""
        value: Array = self._official.get_tensor(index, subgraph)
        return value

    def view(self, index: int) -> Array:
        """Return a tensor's value without copying it; as in the official Interpreter, let go of it before a run."""
        value: Array = self._official.tensor(index)()
        return value

    def invoke(self) -> None:
        """Run the model on the inputs that were set."""
        try:
            self._official.invoke()
        except (ValueError, RuntimeError) as error:
            raise RunError(f"cannot run the model: {error}") from error

    def allocate(self) -> None:
        """Prepare memory for the current shapes."""
        if self._is_allocated:
            return
        try:
            self._official.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise CompileError(f"the classic runtime cannot prepare {self.model.name}: {error}") from error
        self._is_allocated = True

    def resize_input(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        """Give an input another shape."""
        self._official.resize_tensor_input(index, shape, strict=strict)
        self._is_allocated = False

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the current shape of a tensor."""
        try:
            return tuple(int(size) for size in self._official._get_tensor_details(index, 0)["shape"])
        except UnicodeDecodeError as error:
            raise InvalidModelError(f"the name of tensor {index} in {self.model.name} is no UTF-8: {error}") from error

    def reset_variables(self) -> None:
        """Set the variable tensors back to their first values."""
        self._official.reset_all_variables()

    def time_runs(self, min_runs: int, max_runs: int, max_seconds: float) -> Array:
        """Return nanoseconds of each run; upload and read-back are zero, all is in host memory."""
        samples: list[int] = []
        begin = time.perf_counter_ns()
        invoke = self._official.invoke
        while len(samples) < max_runs:
            start = time.perf_counter_ns()
            if len(samples) >= min_runs and start - begin >= max_seconds * 1e9:
                break
            invoke()
            samples.append(time.perf_counter_ns() - start)
        columns = np.zeros((len(samples), 3), np.int64)
        columns[:, 1] = samples
        return columns

    def run_signature(self, key: str, values: dict[str, Any]) -> dict[str, Array]:
        """Run a signature on inputs by name."""
        outputs: dict[str, Array] = self._official.get_signature_runner(key)(**values)
        return outputs

    def placement(self) -> tuple[Placement, ...]:
        """Return where each op ran, told from the delegate nodes that the classic runtime lists after the ops."""
        self.allocate()
        nodes = self._official._get_ops_details()
        ops = self.model.subgraphs[0].operators
        took: dict[int, int] = {}
        for partition, node in enumerate(node for node in nodes if node["op_name"] == "DELEGATE"):
            for index in _ops_between(ops, set(node["inputs"]), set(node["outputs"])):
                took[index] = partition
        who = self._asked if "+" not in self._asked and self._asked != "none" else "delegate"
        return tuple(
            Placement(
                index, op.type, self._asked, who if index in took else "builtin", took.get(index), "delegate nodes"
            )
            for index, op in enumerate(ops)
        )

    @property
    def device(self) -> str:
        """The classic runtime drives no device of its own."""
        return ""

    def options_in_effect(self) -> dict[str, dict[str, Any]]:
        """Return nothing: the classic runtime does not tell its options."""
        return {}

    def close(self) -> None:
        """Free the official Interpreter."""
        del self.set_tensor, self._official


def _ops_between(ops: Sequence[Any], inputs: set[int], outputs: set[int]) -> set[int]:
    """Return the ops that compute ``outputs`` from ``inputs``: what a delegate node replaced."""
    wanted, found = set(outputs), set()
    for index in range(len(ops) - 1, -1, -1):
        made = set(ops[index].outputs)
        if made & wanted and not made & inputs:
            found.add(index)
            wanted |= set(ops[index].inputs) - inputs
    return found


def _refuse_what_it_cannot_take(chain: Sequence[Delegate], reason: str) -> None:
    for delegate in chain:
        obstacle = delegate.why_not_classic()
        if obstacle:
            raise UnsupportedError(f"this model needs the classic runtime ({reason}), and {obstacle}")
