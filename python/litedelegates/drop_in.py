"""The official Interpreter's methods, so that code written for it runs after changing one import."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.details import signature_list, tensor_details
from litedelegates.errors import CompileError, OptionError
from litedelegates.model import Model

if TYPE_CHECKING:
    from litedelegates.placement import Placement
    from litedelegates.routes import Array
    from litedelegates.routes.session import Session
    from litedelegates.run_lock import RunLock

_INT32 = range(-(2**31), 2**31)


class DropIn:
    """The methods of ``ai_edge_litert.interpreter.Interpreter``: same names, dictionaries, indices, error types.

    Where it differs, it is more lenient: arrays from `tensor` may be held across runs, because inputs and outputs stay
    in place; a view of a tensor that was resized since keeps the old memory. `set_tensor` may come before
    `allocate_tensors`. On the compiled route a signature runner has tensors of its own: `get_tensor` does not see them.

    Tools also read private attributes. On the classic route they are those of the official Interpreter. On the compiled
    route ``_get_tensor_details``, ``_get_op_details``, ``_get_ops_details``, ``_signature_defs`` and ``_delegates``
    say the same, ``_interpreter`` is an `official_wrapper.WrapperStandIn`, ``_safe_to_run`` says whether no array from
    `tensor` is alive, and ``_native_handle`` returns an `official_wrapper.NativeHandle`, which raises an
    UnsupportedError where an address is made of it.

    Attributes:
        experimental_compress_quantization_zero_points: What the constructor was given.
    """

    _model: Model
    _session: Session
    _run_lock: RunLock
    _delegates: Sequence[Any] = ()
    _is_ready = False  # whether memory is allocated for the current shapes, by `allocate_tensors` or what implies it
    _resized: Mapping[int, tuple[int, ...]] = {}  # while it is not: the shapes of inputs and outputs, by tensor index
    _signature_shapes: Mapping[tuple[int, int], tuple[int, ...]] = {}  # as signatures ran last, by subgraph and index
    _views: Sequence[weakref.ref[Array]] = ()
    experimental_compress_quantization_zero_points = False

    @property
    def placement(self) -> tuple[Placement, ...]:
        """Where each op of the model ran."""
        return self._session.placement()

    def allocate_tensors(self) -> None:
        """Prepare memory for the current input shapes.

        Raises:
            CompileError: The runtime cannot prepare the model for these shapes.
        """
        self._allocate()

    def _allocate(self) -> None:
        if isinstance(self._session, Unallocated):
            self._session = self._session.session
        self._session.allocate()
        self._is_ready = True
        self._resized = {}

    def invoke(self) -> None:
        """Run the model on the inputs that were set; when it returns the outputs are there, on a GPU too.

        Raises:
            RunError: The runtime failed; carries its message.
            RuntimeError: `allocate_tensors` was not called.
        """
        self._session.invoke()

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy a value into an input.

        Args:
            tensor_index: The "index" of `get_input_details`.
            value: Array of the input's dtype and current shape.

        Raises:
            ValueError: The tensor is no input, or dtype or shape differ from it.
        """
        try:
            self._session.set_tensor(tensor_index, value)
        except ValueError as error:
            raise _refused(tensor_index, error) from None

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> Array:
        """Return a copy of the value of an input, an output or a constant; of a sparse one the elements it stores.

        Raises:
            ValueError: The tensor or subgraph does not exist, its value is not kept, or `allocate_tensors` was not
                called.
        """
        if subgraph_index != 0:
            self._require_subgraph(subgraph_index)
        if not self._is_ready:
            self._require_memory(tensor_index, subgraph_index)
        try:
            return self._session.get_tensor(tensor_index, subgraph_index)
        except ValueError as error:
            raise _refused(tensor_index, error) from None

    def tensor(self, tensor_index: int) -> Callable[[], Array]:
        """Return a function that returns the value of an input, an output or a constant without copying it.

        Constants of the compiled route are copied after all. The function raises what `get_tensor` raises.
        """
        return lambda: self._view(tensor_index)

    def _view(self, index: int) -> Array:
        graph = self._model.subgraphs[0]
        if self._official is None and index not in graph.inputs and index not in graph.outputs:
            constant = self.get_tensor(index)
            constant.flags.writeable = False
            return constant
        if not self._is_ready:
            self._require_memory(index, 0)
        array = self._session.view(index)
        if isinstance(array, np.ndarray):  # older runtimes give the value of a scalar
            self._views = (*(view for view in self._views if view() is not None), weakref.ref(array))
        return array

    @property
    def _official(self) -> Any:
        """The official Interpreter that runs the model on the classic route; None on the compiled route."""
        return getattr(self._session, "official", None)

    def _require_subgraph(self, subgraph: int) -> None:
        count = len(self._model.subgraphs)
        if not 0 <= operator.index(subgraph) < count:
            raise _refused(subgraph, ValueError(f"the model has no subgraph {subgraph}: it has {count} subgraphs"))

    def _require_memory(self, index: int, subgraph: int) -> None:
        graph = self._model.subgraphs[subgraph]
        if self._official is None and subgraph == 0 and (index in graph.inputs or index in graph.outputs):
            raise ValueError("the tensors are not allocated: call allocate_tensors() first")

    def resize_tensor_input(self, input_index: int, tensor_size: Any, strict: bool = False) -> None:
        """Give an input another shape; call `allocate_tensors` afterwards.

        Args:
            input_index: The "index" of `get_input_details`.
            tensor_size: The new shape.
            strict: Only let sizes change that are -1 in the "shape_signature".

        Raises:
            CompileError: The tensor is no input, or cannot have this shape; it is a RuntimeError and a ValueError.
            ValueError: The shape is no sequence of sizes.
            TypeError: The index is no integer.
        """
        sizes = np.array(tensor_size, dtype=np.int32)
        if sizes.ndim != 1:
            raise ValueError(f"a shape is a sequence of sizes, not {tensor_size!r}")
        index = operator.index(input_index)
        if index not in self._model.subgraphs[0].inputs:
            inputs = ", ".join(map(str, self._model.subgraphs[0].inputs)) or "none"
            message = f"cannot resize tensor {index}: it is not an input of the model, which are {inputs}"
            raise _refused(index, CompileError(message))
        self._resize(index, tuple(sizes.tolist()), strict)

    def _resize(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        graph = self._model.subgraphs[0]
        before = {border: self._shape(border) for border in (*graph.inputs, *graph.outputs)}
        self._session.resize_input(index, shape, strict)
        self._is_ready = False
        self._resized = {**before, index: shape}

    def _signature_session(self, shapes: Sequence[tuple[int, ...]]) -> Session:
        """Return what runs a signature on inputs of these shapes."""
        return self._session

    def _shape(self, index: int) -> tuple[int, ...]:
        """Return the current shape of an input or output: of an output as it was before inputs were resized."""
        found = self._resized.get(index)
        return self._session.shape(index) if found is None else found

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return a dictionary for each input."""
        return [self._get_tensor_details(index, 0) for index in self._model.subgraphs[0].inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Return a dictionary for each output."""
        return [self._get_tensor_details(index, 0) for index in self._model.subgraphs[0].outputs]

    def get_tensor_details(self, subgraph_index: int = 0) -> list[dict[str, Any]]:
        """Return a dictionary for every tensor of a subgraph.

        Raises:
            ValueError: There is no such subgraph.
        """
        self._require_subgraph(subgraph_index)
        if self._official is not None:
            found: list[dict[str, Any]] = self._official.get_tensor_details(subgraph_index)
            return found
        return [
            self._get_tensor_details(index, subgraph_index)
            for index in range(len(self._model.subgraphs[subgraph_index].tensors))
        ]

    def _get_tensor_details(self, tensor_index: int, subgraph_index: int) -> dict[str, Any]:
        """Return the dictionary of a tensor.

        Raises:
            ValueError: There is no such tensor or subgraph.
        """
        index, subgraph = int(tensor_index), int(subgraph_index)
        self._require_subgraph(subgraph)
        if self._official is not None:
            try:
                details: dict[str, Any] = self._official._get_tensor_details(index, subgraph)
            except ValueError:
                pass  # a type or a name that it cannot show
            else:
                return details
        graph = self._model.subgraphs[subgraph]
        count = len(graph.tensors)
        if not 0 <= index < count:
            raise _refused(index, ValueError(f"the model has no tensor {index}: it has {count} tensors"))
        shape = self._signature_shapes.get((subgraph, index)) if subgraph else None
        if subgraph == 0 and (index in graph.inputs or index in graph.outputs):
            shape = self._shape(index)
        return tensor_details(self._model, subgraph, index, shape)

    def _get_op_details(self, op_index: int) -> dict[str, Any]:
        """Return the dictionary of an op of the first subgraph, or of a partition of a delegate; see `op_details`.

        Raises:
            ValueError: There is no such op.
        """
        if self._official is not None:
            found: dict[str, Any] = self._official._get_op_details(op_index)
            return found
        rows, index = self._get_ops_details(), operator.index(op_index)
        if not 0 <= index < len(rows):
            raise _refused(index, ValueError(f"the model has no op {index}: it has {len(rows)}"))
        return rows[index]

    def _get_ops_details(self) -> list[dict[str, Any]]:
        """Return a dictionary for each op of the first subgraph; once allocated also for each delegate's partition."""
        if self._official is not None:
            found: list[dict[str, Any]] = self._official._get_ops_details()
            return found
        from litedelegates.op_details import op_details

        return op_details(self._model, self.placement if self._is_ready else ())

    @property
    def _interpreter(self) -> Any:
        """The native object of the official Interpreter, or what stands in for it."""
        if self._official is not None:
            return self._official._interpreter
        from litedelegates.official_wrapper import WrapperStandIn

        return WrapperStandIn(self)

    def _native_handle(self) -> Any:
        """Return the address of the ``tflite::Interpreter``, or what stands for it on the compiled route."""
        from litedelegates.official_wrapper import remember_handle

        handle = self._interpreter.interpreter()
        if isinstance(handle, int):
            remember_handle(handle, self)
        return handle

    def _safe_to_run(self) -> bool:
        """Return whether no array from `tensor` is alive; on the compiled route a run is safe beside them."""
        if self._official is not None:
            return bool(self._official._safe_to_run())
        return all(view() is None for view in self._views)

    @property
    def _signature_defs(self) -> dict[str, dict[str, list[str]]]:
        return self.get_signature_list()

    def num_subgraphs(self) -> int:
        """Return the number of subgraphs."""
        return len(self._model.subgraphs)

    def reset_all_variables(self) -> None:
        """Set the variable tensors back to their first values."""
        self._session.reset_variables()

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Return the names of inputs and outputs of each signature."""
        return {
            key: {side: list(names) for side, names in sides.items()}
            for key, sides in signature_list(self._model).items()
        }

    def _get_full_signature_list(self) -> dict[str, dict[str, dict[str, int]]]:
        return signature_list(self._model)

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """Return a callable that runs a signature on inputs by name.

        Args:
            signature_key: The signature; may be left out when the model has exactly one.

        Raises:
            ValueError: There is no such signature, or none was named and there are several.
        """
        keys = list(signature_list(self._model))
        if signature_key is None:
            if len(keys) != 1:
                raise ValueError(f"the model has {len(keys)} signatures ({', '.join(keys)}): name one")
            signature_key = keys[0]
        return SignatureRunner(self, signature_key)


class Unallocated:
    """Stands before a loaded session until memory is asked for, so that later runs need not look whether it was.

    Attributes:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def invoke(self) -> None:
        """Raise."""
        raise RuntimeError("the tensors are not allocated: call allocate_tensors() before invoke()")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


class SignatureRunner:
    """Runs one signature: ``outputs = runner(x=..., y=...)``, a dictionary by output name."""

    def __init__(self, interpreter: DropIn | None = None, signature_key: str | None = None) -> None:
        """Prepare to run a signature; see `DropIn.get_signature_runner`.

        Raises:
            ValueError: One of the two is missing, or there is no such signature.
        """
        if interpreter is None or not signature_key:
            raise ValueError("a signature runner needs an interpreter and the key of a signature")
        signatures = interpreter._get_full_signature_list()
        if signature_key not in signatures:
            known = ", ".join(signatures) or "none"
            raise ValueError(f"there is no signature {signature_key!r}; the model has {known}")
        self._interpreter = interpreter
        self._signature_key = signature_key
        self._signature_def = signatures[signature_key]
        self._inputs = self._signature_def["inputs"]
        self._outputs = self._signature_def["outputs"].items()
        self._subgraph_index = next(s.subgraph_index for s in interpreter._model.signatures if s.key == signature_key)

    @property
    def _interpreter_wrapper(self) -> Any:
        return self._interpreter._interpreter

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """Run the signature; inputs may have other shapes than the model's where the model allows it.

        Raises:
            ValueError: An input is missing, unknown, or of the wrong dtype or shape.
        """
        wanted = set(self._inputs)
        if set(inputs) != wanted:
            raise ValueError(
                f"signature {self._signature_key!r} takes {', '.join(sorted(wanted)) or 'no inputs'}; "
                f"got {', '.join(sorted(inputs)) or 'none'}"
            )
        with self._interpreter._run_lock:
            session = self._interpreter._signature_session([np.shape(value) for value in inputs.values()])
            made = session.run_signature(self._signature_key, inputs)
            values = {
                **{self._inputs[name]: value for name, value in inputs.items()},
                **{i: made[n] for n, i in self._outputs},
            }
            shapes = {(self._subgraph_index, index): np.shape(value) for index, value in values.items()}
            self._interpreter._signature_shapes = {**self._interpreter._signature_shapes, **shapes}
            return made

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Return a dictionary for each input, by name."""
        return {name: self._details(index) for name, index in self._inputs.items()}

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Return a dictionary for each output, by name."""
        return {name: self._details(index) for name, index in self._outputs}

    def _details(self, index: int) -> dict[str, Any]:
        if self._interpreter._official is not None:
            return self._interpreter._get_tensor_details(index, self._subgraph_index)
        shape = self._interpreter._signature_shapes.get((self._subgraph_index, index))
        return tensor_details(self._interpreter._model, self._subgraph_index, index, shape)


def _refused(index: Any, error: ValueError) -> Exception:
    """Return the error for a bad index: beyond int32 it is a TypeError too, as in the official Interpreter."""
    return error if not isinstance(index, int) or index in _INT32 else OptionError(str(error))
