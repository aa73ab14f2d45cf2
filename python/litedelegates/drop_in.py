"""The official Interpreter's methods, so that code written for it runs after changing one import."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from litedelegates.details import signature_list, tensor_details
from litedelegates.model import Model

if TYPE_CHECKING:
    from litedelegates.routes import Array
    from litedelegates.routes.session import Session
    from litedelegates.run_lock import RunLock


class DropIn:
    """The methods of ``ai_edge_litert.interpreter.Interpreter``: same names, dictionaries, indices, error types.

    Where it differs, it is more lenient: arrays from `tensor` may be held across runs, because inputs and outputs stay
    in place; a view of a tensor that was resized since keeps the old memory.
    """

    _model: Model
    _session: Session
    _run_lock: RunLock

    def allocate_tensors(self) -> None:
        """Prepare memory for the current input shapes.

        Raises:
            CompileError: The runtime cannot prepare the model for these shapes.
        """
        self._session.allocate()

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
        self._session.set_tensor(tensor_index, value)

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> Array:
        """Return a copy of the value of an input, an output or a constant.

        Raises:
            ValueError: The tensor does not exist, or its value is not kept.
        """
        return self._session.get_tensor(tensor_index, subgraph_index)

    def tensor(self, tensor_index: int) -> Callable[[], Array]:
        """Return a function that returns the tensor's value without copying it."""
        return lambda: self._session.view(tensor_index)

    def resize_tensor_input(self, input_index: int, tensor_size: Any, strict: bool = False) -> None:
        """Give an input another shape; call `allocate_tensors` afterwards.

        Args:
            input_index: The "index" of `get_input_details`.
            tensor_size: The new shape.
            strict: Only let sizes change that are -1 in the "shape_signature".

        Raises:
            ValueError: The tensor is no input, or cannot have this shape.
        """
        if input_index not in self._model.subgraphs[0].inputs:
            raise ValueError(f"tensor {input_index} is not an input of the model")
        self._session.resize_input(int(input_index), tuple(int(size) for size in tensor_size), strict)

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return a dictionary for each input."""
        return [self._details(index) for index in self._model.subgraphs[0].inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Return a dictionary for each output."""
        return [self._details(index) for index in self._model.subgraphs[0].outputs]

    def _details(self, index: int) -> dict[str, Any]:
        return tensor_details(self._model, 0, index, self._session.shape(index))

    def get_tensor_details(self, subgraph_index: int = 0) -> list[dict[str, Any]]:
        """Return a dictionary for every tensor of a subgraph.

        Raises:
            ValueError: There is no such subgraph.
        """
        if not 0 <= subgraph_index < len(self._model.subgraphs):
            raise ValueError(
                f"the model has no subgraph {subgraph_index}: it has {len(self._model.subgraphs)} subgraphs"
            )
        graph = self._model.subgraphs[subgraph_index]
        border = {*graph.inputs, *graph.outputs} if subgraph_index == 0 else set()
        return [
            self._details(index) if index in border else tensor_details(self._model, subgraph_index, index)
            for index in range(len(graph.tensors))
        ]

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
        if signature_key not in keys:
            raise ValueError(f"there is no signature {signature_key!r}; the model has {', '.join(keys) or 'none'}")
        return SignatureRunner(self._model, self._session, signature_key, self._run_lock)


class SignatureRunner:
    """Runs one signature: ``outputs = runner(x=..., y=...)``, a dictionary by output name."""

    def __init__(self, model: Model, session: Session, key: str, run_lock: RunLock) -> None:
        self._model = model
        self._session = session
        self._key = key
        self._run_lock = run_lock
        self._names = signature_list(model)[key]
        self._subgraph = next(s.subgraph_index for s in model.signatures if s.key == key)

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """Run the signature; inputs may have other shapes than the model's where the model allows it.

        Raises:
            ValueError: An input is missing, unknown, or of the wrong dtype or shape.
        """
        wanted = set(self._names["inputs"])
        if set(inputs) != wanted:
            raise ValueError(
                f"signature {self._key!r} takes {', '.join(sorted(wanted)) or 'no inputs'}; "
                f"got {', '.join(sorted(inputs)) or 'none'}"
            )
        with self._run_lock:
            return self._session.run_signature(self._key, inputs)

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Return a dictionary for each input, by name."""
        return self._details("inputs")

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Return a dictionary for each output, by name."""
        return self._details("outputs")

    def _details(self, side: str) -> dict[str, dict[str, Any]]:
        return {name: tensor_details(self._model, self._subgraph, index) for name, index in self._names[side].items()}
