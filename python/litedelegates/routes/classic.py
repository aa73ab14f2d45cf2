"""The classic route: the official Interpreter of the same wheel, for models that the compiled route cannot run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates import _core
from litedelegates.delegates import Delegate, Xnnpack
from litedelegates.errors import CompileError, InvalidModelError, RunError, UnsupportedError
from litedelegates.model import Model
from litedelegates.official_output import official_output_logged
from litedelegates.placement import Placement
from litedelegates.routes import Array, Route
from litedelegates.routes.shapes import check_shape

if TYPE_CHECKING:
    from litedelegates.routes.compiled import CompiledSession

KEEP_ALL = "experimental_preserve_all_tensors"

# Types that the official Interpreter ends the process on when they are read: the first two are addresses inside the
# runtime, and it does not know the third.
_UNREADABLE = frozenset({"resource", "variant", "bfloat16"})


# The official Interpreter maps a file that it gets by its path, and whoever cuts the file off then ends the process:
# up to this size it gets a copy.
_SMALL_BYTES = 1 << 20


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


# What the official Interpreter says after a run of which an output has no elements.
_READ_OF_NOTHING = "Invalid tensor size"


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
        from ai_edge_litert.interpreter import InterpreterWithCustomOps, OpResolverType

        self.model = model
        self.route = Route("classic", reason)
        self._asked = "+".join(delegate.name for delegate in chain) or "none"
        xnnpack = [delegate for delegate in chain if isinstance(delegate, Xnnpack)]
        self._chain = tuple(chain)
        threads = next((delegate.num_threads for delegate in xnnpack if delegate.num_threads), num_threads)
        source: dict[str, Any] = {"model_path": model.path}
        if model.path is None or model.file.size <= _SMALL_BYTES:
            source = {"model_content": model.file.bytes.tobytes()}
        modes = {delegate.kernel_mode for delegate in xnnpack}
        resolver = OpResolverType.AUTO
        if "reference" in modes:
            resolver = OpResolverType.BUILTIN_REF
        elif not xnnpack or "builtin" in modes:
            resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        natives = [delegate.for_official() for delegate in chain]
        if any(_core.KernelGuard.guards(op.builtin_code) for graph in model.subgraphs for op in graph.operators):
            natives.append(_core.KernelGuard())
        try:
            with warnings.catch_warnings(), official_output_logged():
                # It warns that keeping tensors takes memory; here the caller asked for it by name.
                warnings.simplefilter("ignore", UserWarning)
                self._official = InterpreterWithCustomOps(
                    **source,
                    num_threads=threads,
                    experimental_op_resolver_type=resolver,
                    experimental_delegates=[native for native in natives if native is not None],
                    **(official_options or {}),
                )
        except (ValueError, RuntimeError) as error:
            raise CompileError(f"the classic runtime cannot load {model.name}: {error}") from error
        self._is_allocated = self._has_run = False
        # Strings have no memory before there is a value.
        graph = model.subgraphs[0]
        self._string_inputs = {index for index in graph.inputs if graph.tensors[index].element_type == "string"}
        self._unset_strings = set(self._string_inputs)
        self.set_tensor = self._set_with_strings if self._string_inputs else self._official.set_tensor

    def _set_with_strings(self, index: int, value: Any) -> None:
        self._official.set_tensor(index, value)
        self._unset_strings.discard(index)

    @property
    def running(self) -> CompiledSession:
        """Nothing: it is the compiled route that has one."""
        raise UnsupportedError(f"the model runs on the classic route ({self.route.reason})")

    def get_tensor(self, index: int, subgraph: int = 0) -> Array:
        """Return a copy of a tensor's value."""
        self._check_readable(index, subgraph)
        return self._read(index, subgraph, self._has_run or subgraph != 0 or index in self.model.subgraphs[0].inputs)

    def _read(self, index: int, subgraph: int, is_there: bool) -> Array:
        try:
            value: Array = self._official.get_tensor(index, subgraph)
        except ValueError:
            empty = self._without_elements(index, subgraph) if is_there else None
            if empty is None:
                raise
            return empty
        return value

    def view(self, index: int) -> Array:
        """Return a tensor's value without copying it; as in the official Interpreter, let go of it before a run."""
        self._check_readable(index, 0)
        tensors = self.model.subgraphs[0].tensors
        if 0 <= index < len(tensors):
            tensor = tensors[index]
            if tensor.element_type == "string" or tensor.element_bits < 8:
                # The official Interpreter shows the bytes as they are, and what lies behind them.
                raise ValueError(
                    f"tensor {index} ({tensor.name!r}) is of type {tensor.element_type}, which has no memory to show: "
                    "get_tensor gives a copy of its values"
                )
        try:
            value: Array = self._official.tensor(index)()
        except ValueError:
            is_there = self._has_run or index in self.model.subgraphs[0].inputs
            empty = self._without_elements(index, 0) if is_there else None
            if empty is None:
                raise
            return empty
        return value

    def _without_elements(self, index: int, subgraph: int) -> Array | None:
        """Return an empty array where that is the value of a tensor; None otherwise.

        The official Interpreter refuses to read what has no memory, such as what a WHERE finds where nothing is true.
        """
        count = len(self.model.subgraphs[subgraph].tensors) if 0 <= subgraph < len(self.model.subgraphs) else 0
        if not 0 <= index < count:
            return None
        details = self._official._get_tensor_details(index, subgraph)
        return np.empty(details["shape"], details["dtype"]) if 0 in details["shape"] else None

    def _check_readable(self, index: int, subgraph: int) -> None:
        """Raise for values that the official Interpreter reads without looking whether they are there."""
        if not (0 <= subgraph < len(self.model.subgraphs)):
            return  # it says so itself
        tensors = self.model.subgraphs[subgraph].tensors
        if not (0 <= index < len(tensors)):
            return
        tensor = tensors[index]
        if tensor.element_type in _UNREADABLE:
            raise ValueError(
                f"tensor {index} ({tensor.name!r}) is of type {tensor.element_type}, of which the classic runtime has "
                "no array"
            )
        if tensor.is_constant:
            return
        if not self._is_allocated:
            raise ValueError("the tensors are not allocated: call allocate_tensors() first")
        is_input = subgraph == 0 and index in self._string_inputs
        if tensor.element_type == "string" and (index in self._unset_strings if is_input else not self._has_run):
            raise ValueError(f"tensor {index} ({tensor.name!r}) holds no strings yet: set the inputs and run the model")

    def invoke_within(self, time_limit_s: float) -> None:
        """Raise: the classic runtime has no way to stop a run.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(
            f"this model runs on the classic route ({self.route.reason}), which cannot stop a run after "
            f"{time_limit_s:.3g} s: load it with isolated=True, which runs it in a process that can be ended"
        )

    def is_running(self, was_in_run: bool) -> bool:
        """Return whether a thread is in the middle of a run; of one that `invoke` started nothing is known."""
        return was_in_run

    def invoke(self) -> None:
        """Run the model on the inputs that were set."""
        if self._unset_strings:
            raise RunError(f"cannot run the model: its string inputs {sorted(self._unset_strings)} were not set")
        self._has_run = False
        try:
            self._official.invoke()
            self._has_run = True
        except (ValueError, RuntimeError) as error:
            raise RunError(f"cannot run the model: {error}") from error

    def allocate(self) -> None:
        """Prepare memory for the current shapes."""
        if self._is_allocated:
            return
        try:
            with official_output_logged():
                self._official.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise CompileError(f"the classic runtime cannot prepare {self.model.name}: {error}") from error
        self._is_allocated = True
        self._has_run = False
        self._unset_strings = set(self._string_inputs)

    def resize_input(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        """Give an input another shape."""
        check_shape(self.model, self._chain, 0, index, shape)
        self._official.resize_tensor_input(index, shape, strict=strict)
        self._is_allocated = False

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the current shape of a tensor."""
        try:
            return tuple(int(size) for size in self._official._get_tensor_details(index, 0)["shape"])
        except UnicodeDecodeError as error:
            raise InvalidModelError(f"the name of tensor {index} in {self.model.name} is no UTF-8: {error}") from error
        except ValueError:  # of a type that the official Interpreter does not know, such as bfloat16
            return tuple(int(size) for size in self._official._interpreter.TensorSize(index, 0))

    def reset_variables(self) -> None:
        """Set the variable tensors back to their first values."""
        self._official.reset_all_variables()

    def time_runs(self, min_runs: int, max_runs: int, max_seconds: float) -> Array:
        """Return nanoseconds of each run; upload and read-back are zero, all is in host memory."""
        if self._unset_strings:
            self.invoke()  # says so
        samples: list[int] = []
        begin = time.perf_counter_ns()
        invoke = self._official.invoke
        try:
            while len(samples) < max_runs:
                start = time.perf_counter_ns()
                if len(samples) >= min_runs and start - begin >= max_seconds * 1e9:
                    break
                invoke()
                samples.append(time.perf_counter_ns() - start)
        except (ValueError, RuntimeError) as error:
            raise RunError(f"cannot run the model: {error}") from error
        columns = np.zeros((len(samples), 3), np.int64)
        columns[:, 1] = samples
        return columns

    def run_signature(self, key: str, values: dict[str, Any]) -> dict[str, Array]:
        """Run a signature on inputs by name."""
        signature = next(signature for signature in self.model.signatures if signature.key == key)
        for name, index in signature.inputs:
            check_shape(self.model, self._chain, signature.subgraph_index, index, np.shape(values[name]))
        try:
            outputs: dict[str, Array] = self._official.get_signature_runner(key)(**values)
        except RuntimeError as error:
            raise RunError(f"cannot run signature {key!r}: {error}") from error
        except ValueError as error:
            if _READ_OF_NOTHING not in str(error):
                raise
            return {name: self._read(index, signature.subgraph_index, True) for name, index in signature.outputs}
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
    def official(self) -> Any:
        """The official Interpreter."""
        return self._official

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
