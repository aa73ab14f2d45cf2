"""Relu and Clip that have to stay ops of their own when their model is quantized.

Where the range of an int8 tensor ends at 0, a Relu before it does nothing: onnxruntime leaves it out, and gives the
tensor before it the range of the one behind. It does not see that something else reads the tensor before, or that a
Clip keeps values away from 0, which every range includes.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import names_read

if TYPE_CHECKING:
    import onnx

_ACTIVATIONS = ("Relu", "Clip")
# In the QOperator format these have the range of what they read, or a fixed one, not that of the activation behind.
_OTHER_RANGES = {
    "Flatten",
    "Gather",
    "MaxPool",
    "Pad",
    "Reshape",
    "Resize",
    "Softmax",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}


def kept_activations(model: onnx.ModelProto, is_qoperator: bool = False) -> frozenset[str]:
    """Return the tensors before a Relu or Clip that is more than the end of a range.

    That is where another op, one inside an If or Loop or the caller reads the tensor too, where the limits of a Clip
    are computed or leave out 0, and in the QOperator format where the tensor has another range.
    """
    index = GraphIndex(model)
    readers = Counter(name for node in model.graph.node for name in names_read(node))
    return frozenset(
        node.input[0]
        for node in model.graph.node
        if node.op_type in _ACTIVATIONS
        and (
            readers[node.input[0]] > 1
            or node.input[0] in index.outputs
            or not _includes_zero(index, node)
            or (is_qoperator and _has_other_range(index, node.input[0]))
        )
    )


def _has_other_range(index: GraphIndex, name: str) -> bool:
    maker = index.producer.get(name)
    return maker is not None and maker.op_type in _OTHER_RANGES


def _includes_zero(index: GraphIndex, node: Any) -> bool:
    import onnx

    if node.op_type == "Relu":
        return True
    for name, sign in zip(node.input[1:3], (-1, 1), strict=False):
        if not name:
            continue
        if name not in index.constants:
            return False
        if not (sign * onnx.numpy_helper.to_array(index.constants[name]) >= 0).all():
            return False
    return True


def keeping(quantizer: type[Any], kept: frozenset[str]) -> type[Any]:
    """Return onnxruntime's class ``quantizer`` with the Relu and Clip behind the tensors ``kept`` left in place."""
    _register()

    class Keeping(quantizer):  # type: ignore[misc]
        litedelegates_kept = kept

        def adjust_tensor_ranges(self) -> None:
            """Give tensors the ranges of the activations behind them, but not those that are kept."""
            own = {name: self.tensors_range[name] for name in kept if name in self.tensors_range}
            super().adjust_tensor_ranges()
            for name, limits in own.items():
                self.tensors_range[name] = limits

        def try_replacing_upstream_output(self, upstream: str, output: str) -> bool:
            """Take an activation out where that changes nothing, and return whether it was."""
            return upstream not in kept and bool(super().try_replacing_upstream_output(upstream, output))

    return Keeping


@cache
def _register() -> None:
    """Let QOperator quantizers that say so keep an activation (dequantized before, rounded behind) and a Where."""
    import onnx
    from onnxruntime.quantization.operators.activation import QLinearActivation
    from onnxruntime.quantization.operators.base_operator import QuantOperatorBase
    from onnxruntime.quantization.operators.where import QLinearWhere
    from onnxruntime.quantization.registry import QLinearOpsRegistry

    class Activation(QLinearActivation):  # type: ignore[misc]
        def quantize(self) -> None:
            quantizer, node = self.quantizer, self.node
            if node.input[0] not in getattr(quantizer, "litedelegates_kept", ()):
                super().quantize()
                return
            QuantOperatorBase.quantize(self)
            reader = onnx.helper.make_node("Identity", [node.output[0]], [])
            *_, rounding = quantizer.quantize_activation(reader, [0])
            quantizer.new_nodes += rounding or []

    class Where(QLinearWhere):  # type: ignore[misc]
        def quantize(self) -> None:
            quantizer, node = self.quantizer, self.node
            if quantizer.force_quantize_no_input_check and quantizer.should_quantize_node(node):
                super().quantize()
            else:  # its own way out forgets to dequantize what it reads
                QuantOperatorBase.quantize(self)

    for op_type in _ACTIVATIONS:
        QLinearOpsRegistry[op_type] = Activation
    QLinearOpsRegistry["Where"] = Where
