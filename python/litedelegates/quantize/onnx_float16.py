"""Ops in float16, by onnxruntime's converter, which copes with weights that float32 ops share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from litedelegates.errors import QuantizationError
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import name_nodes

if TYPE_CHECKING:
    import onnx

LARGEST = float(np.finfo(np.float16).max)


def make_float16(model: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    """Return ``model`` with the ops called ``names`` in float16 and a Cast wherever they meet others or the border.

    Raises:
        QuantizationError: A weight is too large for float16.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    _check_range(model, names)
    # It takes any op that is not blocked, among them the Quantize and Dequantize ops of other passes, which then fail.
    others = [node.name for node in model.graph.node if node.name not in names]
    result = convert_float_to_float16(model, keep_io_types=True, node_block_list=others)
    name_nodes(result)
    return result  # type: ignore[no-any-return]


def _check_range(model: onnx.ModelProto, names: set[str]) -> None:
    import onnx

    index = GraphIndex(model)
    for node in model.graph.node:
        for name in node.input if node.name in names else ():
            tensor = index.constants.get(name)
            if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT:
                continue
            values = onnx.numpy_helper.to_array(tensor)
            bad = int(np.count_nonzero(~(np.abs(values) <= LARGEST)))
            # Exporters write infinities, and the largest float32, where there is no limit.
            limits = np.isinf(values) | (np.abs(values) == np.finfo(np.float32).max)
            if bad > np.count_nonzero(limits):
                raise QuantizationError(
                    f"constant {name!r} of {node.op_type} {node.name!r} holds {bad} values that are not finite in "
                    f"float16, whose largest number is {LARGEST:g}: leave the op out, plan={{{node.name!r}: 'float32'}}"
                )
