"""Cutting off the last layer of a model file, and putting another in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litedelegates.border import dequantize
from litedelegates.errors import InvalidModelError, MissingExtraError, UnsupportedError
from litedelegates.graph.tflite.tree import op_name, parse, read_bytes, serialize, shape_of, tensor_data, type_name

if TYPE_CHECKING:
    from litedelegates.graph.tflite.tree import ModelSource

Array = np.ndarray[Any, Any]

# What may stand between the last layer and the output: it changes the scores and not what they are made from.
_AFTER_LAST_LAYER = frozenset(
    {"DEQUANTIZE", "LOGISTIC", "LOG_SOFTMAX", "MUL", "QUANTIZE", "RESHAPE", "SOFTMAX", "SQUEEZE"}
)
_DEQUANTIZE_VERSIONS = {"UINT8": 1, "INT8": 2, "INT16": 3, "FLOAT16": 3}


class EditedModel:
    """A model file with one output, of which the end can be cut off and replaced.

    Attributes:
        output: Index of the tensor that is the output.
    """

    def __init__(self, source: ModelSource) -> None:
        """Read a model.

        Raises:
            MissingExtraError: flatbuffers, which reads and writes model files, is not installed.
            InvalidModelError: The model cannot be opened or is damaged.
            UnsupportedError: It has not exactly one output.
        """
        try:
            import flatbuffers  # noqa: F401
        except ImportError:
            raise MissingExtraError(
                "editing a model needs the package flatbuffers: pip install flatbuffers, or 'litedelegates[quantize]'"
            ) from None
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        try:
            content = read_bytes(source)
        except OSError as error:
            raise InvalidModelError(f"cannot open the model {source!r}: {error.strerror or error}") from error
        self._tree = parse(content)
        self._graph = self._tree.subgraphs[0]
        if len(self._graph.outputs) != 1:
            raise UnsupportedError(f"a model with one output is needed; this one has {len(self._graph.outputs)}")
        self.output: int = self._graph.outputs[0]

    def last_layer(self) -> LastLayer:
        """Find the fully connected layer, or convolution of size 1x1, that makes the scores.

        Raises:
            UnsupportedError: The model does not end in one; says in what it ends.
        """
        wanted = self.output
        while True:
            position, op = self._producer(wanted)
            if op is None:
                raise UnsupportedError("the model has no last layer: nothing makes its output")
            name = op_name(self._tree, op)
            if name not in _AFTER_LAST_LAYER:
                break
            # The other operand of MUL is a constant, and may come first.
            wanted = next((index for index in op.inputs if self._producer(index)[1] is not None), op.inputs[0])
        weights = self._graph.tensors[op.inputs[1]] if len(op.inputs) > 1 and op.inputs[1] >= 0 else None
        shape = shape_of(weights) if weights is not None else ()
        is_dense = name == "FULLY_CONNECTED" and len(shape) == 2
        if not is_dense and not (name == "CONV_2D" and shape[1:3] == (1, 1)):
            raise UnsupportedError(
                f"the last layer must be a fully connected one or a 1x1 convolution, and this model ends in {name}. "
                "For the Edge TPU, compile the model without its last layer"
            )
        bias = self._graph.tensors[op.inputs[2]] if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
        return LastLayer(self._tree, position, op.inputs[0], weights, bias)

    def cut(self, layer: LastLayer) -> None:
        """Drop a layer and all ops after it; what it read becomes the output."""
        # Ops are stored in the order they run, and whatever comes after the layer only serves the one output.
        self._graph.operators = self._graph.operators[: layer.position]
        self._set_output(layer.source)
        self._drop_unused()

    def made_by(self, tensor: int) -> str:
        """Return the name of the op that makes a tensor; empty when it is an input or a constant."""
        _, op = self._producer(tensor)
        return "" if op is None else op_name(self._tree, op)

    def size(self) -> int:
        """Return the number of elements that the output has for one input, its first axis being the batch."""
        return int(np.prod(shape_of(self._graph.tensors[self.output])[1:], dtype=np.int64))

    def append_features(self) -> None:
        """Make the output a float32 matrix of shape (batch, size): dequantize and flatten it where it needs that."""
        schema, tensor = self._schema, self._graph.tensors[self.output]
        size, kind = self.size(), type_name(tensor)
        if kind != "FLOAT32":
            if kind not in _DEQUANTIZE_VERSIONS:
                raise UnsupportedError(f"the output must be of floats or quantized, and it is of {kind}")
            version = _DEQUANTIZE_VERSIONS[kind]
            self._append("DEQUANTIZE", (), shape_of(tensor), schema.DequantizeOptionsT(), version=version)
        if len(shape_of(tensor)) != 2:
            options = schema.ReshapeOptionsT()
            options.newShape = [-1, size]
            self._append("RESHAPE", [np.array([-1, size], np.int32)], (shape_of(tensor)[0], size), options)

    def append_l2_normalization(self) -> None:
        """Divide the output by its Euclidean length."""
        shape = shape_of(self._graph.tensors[self.output])
        self._append("L2_NORMALIZATION", (), shape, self._schema.L2NormOptionsT())

    def append_classifier(self, weights: Array, biases: Array) -> None:
        """Append a fully connected layer and softmax, in float32.

        Args:
            weights: float32, shape (num_classes, size).
            biases: float32, shape (num_classes,).
        """
        schema = self._schema
        self.append_features()
        shape = (shape_of(self._graph.tensors[self.output])[0], len(weights))
        constants = [np.ascontiguousarray(array, np.float32) for array in (weights, biases)]
        self._append("FULLY_CONNECTED", constants, shape, schema.FullyConnectedOptionsT())
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        self._append("SOFTMAX", (), shape, options)

    def to_bytes(self) -> bytes:
        """Return the model as the bytes of a ``.tflite`` file."""
        return serialize(self._tree)

    def _producer(self, tensor: int) -> tuple[int, Any]:
        for position, op in enumerate(self._graph.operators):
            if tensor in op.outputs:
                return position, op
        return -1, None

    def _append(
        self, name: str, constants: Sequence[Array], shape: Sequence[int], options: Any, version: int = 1
    ) -> None:
        """Append an op that reads the output and some constants; what it makes becomes the output."""
        schema, position = self._schema, len(self._graph.operators)
        op = schema.OperatorT()
        op.opcodeIndex = self._operator_code(getattr(schema.BuiltinOperator, name), version)
        op.inputs = [self.output]
        for number, array in enumerate(constants):
            kind = schema.TensorType.INT32 if array.dtype == np.int32 else schema.TensorType.FLOAT32
            op.inputs.append(self._add_tensor(f"retrained/{position}/{number}", array.shape, kind, array))
        dynamic = self._is_dynamic(self.output)
        made = self._add_tensor(f"retrained/{position}/{name.lower()}", shape, schema.TensorType.FLOAT32)
        if dynamic:
            self._graph.tensors[made].shapeSignature = [-1, *shape[1:]]
        op.outputs = [made]
        op.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        op.builtinOptions = options
        self._graph.operators.append(op)
        self._set_output(made)

    def _is_dynamic(self, tensor: int) -> bool:
        signature = self._graph.tensors[tensor].shapeSignature
        return signature is not None and len(signature) > 0 and int(signature[0]) == -1

    def _add_tensor(self, name: str, shape: Sequence[int], kind: int, values: Array | None = None) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.hasRank = name, [int(size) for size in shape], kind, True
        tensor.buffer = 0
        if values is not None:
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self._tree.buffers.append(buffer)
            tensor.buffer = len(self._tree.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _operator_code(self, builtin: int, version: int) -> int:
        code = self._schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
        self._tree.operatorCodes.append(code)
        return len(self._tree.operatorCodes) - 1

    def _set_output(self, tensor: int) -> None:
        for signature in self._tree.signatureDefs or []:
            for entry in signature.outputs if signature.subgraphIndex == 0 else []:
                entry.tensorIndex = tensor
        self._graph.outputs, self.output = [tensor], tensor

    def _drop_unused(self) -> None:
        """Empty the buffers that no op reads any more: the old weights would be most of the file."""
        used = {
            graph.tensors[index].buffer
            for graph in self._tree.subgraphs
            for indices in (graph.inputs, graph.outputs, *(op.inputs for op in graph.operators))
            for index in indices
            if index >= 0
        }
        kept = used | {entry.buffer for entry in self._tree.metadata or []}
        for number, buffer in enumerate(self._tree.buffers):
            if number not in kept:
                buffer.data = None


class LastLayer:
    """The layer that makes the scores.

    Attributes:
        position: Where its op stands in the order they run.
        source: Index of the tensor that it reads.
        num_classes: How many scores it makes.
        size: How many values it makes each score from.
    """

    def __init__(self, tree: Any, position: int, source: int, weights: Any, bias: Any) -> None:
        self._tree, self._weights, self._bias = tree, weights, bias
        self.position, self.source = position, source
        self.num_classes, self.size = shape_of(weights)[0], shape_of(weights)[-1]

    def weights(self) -> Array:
        """Return the weights as float32 of shape (num_classes, size), dequantized.

        Raises:
            UnsupportedError: They are not stored as float32 or 8-bit integers.
        """
        values, kind = tensor_data(self._tree, self._weights), type_name(self._weights)
        if values is None or kind not in ("FLOAT32", "INT8", "UINT8"):
            raise UnsupportedError(f"the last layer's weights must be constants of float32 or 8 bits; they are {kind}")
        flat = values.reshape(self.num_classes, self.size)
        if kind == "FLOAT32":
            return flat.astype(np.float32)
        quantization = self._weights.quantization
        zero_points = (0,) if quantization.zeroPoint is None else quantization.zeroPoint
        return dequantize(flat, quantization.scale, zero_points).astype(np.float32)

    def has_bias(self) -> bool:
        """Return whether anything but zero is added to the scores."""
        values = None if self._bias is None else tensor_data(self._tree, self._bias)
        return values is not None and bool(np.any(values))
