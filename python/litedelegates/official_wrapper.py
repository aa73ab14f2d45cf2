"""Stands in for the native object behind the official Interpreter, which the compiled route does not have."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.errors import UnsupportedError

if TYPE_CHECKING:
    from litedelegates.routes import Array

_HOW_TO_GET_ONE = (
    "the compiled route has no such object. Load the model with experimental_preserve_all_tensors=True, which takes "
    "the classic route, or in ai_edge_litert.interpreter.Interpreter"
)


# The Interpreters of the classic route whose native handle was asked for.
_by_handle: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


class NativeHandle:
    """What ``Interpreter._native_handle()`` is on the compiled route, where there is no ``tflite::Interpreter``.

    `interpreter_of` takes it, and with it the functions of ``litedelegates.coral``. It is no address: what makes a
    number of it raises an UnsupportedError.
    """

    def __init__(self, interpreter: Any) -> None:
        self.interpreter = interpreter

    def __index__(self) -> int:
        raise UnsupportedError(f"there is no tflite::Interpreter to hand out: {_HOW_TO_GET_ONE}")

    __int__ = __index__

    def __repr__(self) -> str:
        return f"<no tflite::Interpreter: {_HOW_TO_GET_ONE}>"


def remember_handle(handle: int, interpreter: Any) -> None:
    """Let `interpreter_of` find an Interpreter by the address of its ``tflite::Interpreter``."""
    _by_handle[handle] = interpreter


def interpreter_of(handle: Any) -> Any:
    """Return the Interpreter of a native handle; an interpreter itself is returned as it is.

    Raises:
        ValueError: No Interpreter of this package gave out that address.
        TypeError: It is no handle and no interpreter.
    """
    if isinstance(handle, NativeHandle):
        return handle.interpreter
    if hasattr(handle, "get_input_details"):
        return handle
    if not isinstance(handle, int):
        raise TypeError(f"a native handle is what Interpreter._native_handle() returns, not {type(handle).__name__}")
    found = _by_handle.get(handle)
    if found is None:
        raise ValueError(f"no Interpreter of litedelegates has the native handle {handle:#x}: give the interpreter")
    return found


class WrapperStandIn:
    """What ``Interpreter._interpreter`` is on the compiled route: the methods of the official native wrapper.

    It has their names, arguments and results, computed from the model file and the Interpreter. ``interpreter()``
    returns a `NativeHandle`. ``SetNumThreads()`` and ``ModifyGraphWithDelegate()`` raise an UnsupportedError; so do
    invoking, resizing and setting tensors of another subgraph than the first, which signature runners do.
    """

    def __init__(self, interpreter: Any) -> None:
        self._of = interpreter

    def AllocateTensors(self, subgraph_index: int = -1) -> None:
        """Prepare memory for the current input shapes."""
        _first(subgraph_index)
        self._of.allocate_tensors()

    def Invoke(self, subgraph_index: int = 0) -> None:
        """Run the model."""
        _first(subgraph_index)
        self._of.invoke()

    def InputIndices(self) -> Array:
        """Return the tensor indices of the inputs."""
        return np.array(self._of._model.subgraphs[0].inputs, np.int32)

    def OutputIndices(self) -> Array:
        """Return the tensor indices of the outputs."""
        return np.array(self._of._model.subgraphs[0].outputs, np.int32)

    def ResizeInputTensor(self, i: int, value: Any, strict: bool, subgraph_index: int = 0) -> None:
        """Give an input another shape."""
        _first(subgraph_index)
        self._of.resize_tensor_input(i, value, strict)

    def SetTensor(self, i: int, value: Any, subgraph_index: int = 0) -> None:
        """Copy a value into an input."""
        _first(subgraph_index)
        self._of.set_tensor(i, value)

    def GetTensor(self, tensor_index: int, subgraph_index: int = 0) -> Array:
        """Return a copy of a tensor's value."""
        value: Array = self._of.get_tensor(tensor_index, subgraph_index)
        return value

    def tensor(self, base_object: object, tensor_index: int, subgraph_index: int = 0) -> Array:
        """Return a tensor's value without copying it."""
        _first(subgraph_index)
        value: Array = self._of.tensor(tensor_index)()
        return value

    def ResetVariableTensors(self) -> None:
        """Set the variable tensors back to their first values."""
        self._of.reset_all_variables()

    def NumSubgraphs(self) -> int:
        """Return the number of subgraphs."""
        return int(self._of.num_subgraphs())

    def NumTensors(self, subgraph_index: int) -> int:
        """Return the number of tensors of a subgraph."""
        return len(self._of.get_tensor_details(subgraph_index))

    def NumNodes(self) -> int:
        """Return the number of rows of `_get_ops_details`."""
        return len(self._of._get_ops_details())

    def NodeName(self, op_index: int) -> str:
        """Return the type of an op."""
        return str(self._of._get_op_details(op_index)["op_name"])

    def NodeInputs(self, op_index: int) -> Array:
        """Return the tensors that an op reads."""
        read: Array = self._of._get_op_details(op_index)["inputs"]
        return read

    def NodeOutputs(self, op_index: int) -> Array:
        """Return the tensors that an op makes."""
        made: Array = self._of._get_op_details(op_index)["outputs"]
        return made

    def TensorName(self, tensor_index: int, subgraph_index: int) -> str:
        """Return a tensor's name."""
        return str(self._details(tensor_index, subgraph_index)["name"])

    def TensorType(self, tensor_index: int, subgraph_index: int) -> type:
        """Return a tensor's numpy type."""
        made: type = self._details(tensor_index, subgraph_index)["dtype"]
        return made

    def TensorSize(self, tensor_index: int, subgraph_index: int) -> Array:
        """Return a tensor's current shape."""
        shape: Array = self._details(tensor_index, subgraph_index)["shape"]
        return shape

    def TensorSizeSignature(self, tensor_index: int, subgraph_index: int) -> Array:
        """Return a tensor's shape with -1 for every size that may change."""
        shape: Array = self._details(tensor_index, subgraph_index)["shape_signature"]
        return shape

    def TensorQuantization(self, tensor_index: int, subgraph_index: int) -> tuple[float, int]:
        """Return scale and zero point of a tensor quantized as a whole."""
        scale, zero_point = self._details(tensor_index, subgraph_index)["quantization"]
        return float(scale), int(zero_point)

    def TensorQuantizationParameters(self, tensor_index: int, subgraph_index: int) -> tuple[Array, Array, int, int]:
        """Return scales, zero points, quantized dimension and block size."""
        found = self._details(tensor_index, subgraph_index)["quantization_parameters"]
        return found["scales"], found["zero_points"], found["quantized_dimension"], found["block_size"]

    def TensorSparsityParameters(self, tensor_index: int, subgraph_index: int) -> dict[str, Any]:
        """Return how a sparse tensor stores its elements."""
        found: dict[str, Any] = self._details(tensor_index, subgraph_index)["sparsity_parameters"]
        return found

    def GetSignatureDefs(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the inputs and outputs of each signature, by name."""
        found: dict[str, dict[str, dict[str, int]]] = self._of._get_full_signature_list()
        return found

    def GetSubgraphIndexFromSignature(self, key: str) -> int:
        """Return the subgraph that a signature runs."""
        for signature in self._of._model.signatures:
            if signature.key == key:
                return int(signature.subgraph_index)
        raise ValueError(f"there is no signature {key!r}")

    def interpreter(self) -> NativeHandle:
        """Return what stands for the ``tflite::Interpreter``."""
        return NativeHandle(self._of)

    def SetNumThreads(self, num_threads: int) -> None:
        """Raise: the threads are set when the model is compiled."""
        raise UnsupportedError("the number of threads is set when the model is loaded: Interpreter(num_threads=...)")

    def ModifyGraphWithDelegate(self, address: int) -> None:
        """Raise: the delegates are applied when the model is compiled."""
        raise UnsupportedError(
            "delegates are applied when the model is loaded: Interpreter(experimental_delegates=...)"
        )

    def _details(self, tensor_index: int, subgraph_index: int) -> dict[str, Any]:
        found: dict[str, Any] = self._of._get_tensor_details(tensor_index, subgraph_index)
        return found


def _first(subgraph_index: int) -> None:
    if subgraph_index not in (-1, 0):
        raise UnsupportedError(f"subgraph {subgraph_index} is run by its signature runner here: {_HOW_TO_GET_ONE}")
