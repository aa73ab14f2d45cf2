"""Weights in 8 bits, activations quantized while running: MatMulInteger, ConvInteger and DynamicQuantizeLSTM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from litedelegates.errors import QuantizationError
from litedelegates.quantize.onnx_files import on_disk
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import name_nodes, names_read, sort_nodes
from litedelegates.quantize.onnx_options import OnnxOptions

if TYPE_CHECKING:
    import onnx

OP_TYPES = ["Conv", "LSTM", "MatMul"]
# onnxruntime makes a MatMul and an Add of each Gemm, and calls them so.
MATMUL_SUFFIX, ADD_SUFFIX = "_MatMul", "_Add"


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # it raises whatever its Python meets: ValueError, KeyError, AssertionError
        raise QuantizationError(f"onnxruntime could not make the model dynamic: {error!r}") from error


def make_dynamic(model: onnx.ModelProto, names: set[str], options: OnnxOptions) -> onnx.ModelProto:
    """Return ``model`` with the ops called ``names`` quantized dynamically, all others as they are."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    gemms = {node.name: node for node in model.graph.node if node.op_type == "Gemm"}
    chosen = sorted([*names, *(name + MATMUL_SUFFIX for name in names if name in gemms)])
    with on_disk(model, options.most_bytes) as path, _library_errors():
        target = path.with_name("dynamic.onnx")
        quantize_dynamic(
            str(path),
            str(target),
            op_types_to_quantize=OP_TYPES,
            per_channel=True,
            reduce_range=options.reduces_range("dynamic"),
            weight_type=QuantType.QUInt8 if options.weight_type == "uint8" else QuantType.QInt8,
            nodes_to_quantize=chosen,
            use_external_data_format=len(list(path.parent.iterdir())) > 1,
            extra_options={"MatMulConstBOnly": True},
        )
        result = onnx.load(str(target))
    _rename_roundings(result)
    _restore_gemms(result, model, [node for name, node in gemms.items() if name not in names])
    name_nodes(result)
    sort_nodes(result)  # new ops lie behind their readers, where types are not inferred
    return result


def _rename_roundings(model: onnx.ModelProto) -> None:
    """Give what DynamicQuantizeLinear ops make names that a later static pass does not use for the same tensor.

    onnxruntime calls the scale of a tensor the same in both, and the graph would become a circle.
    """
    roundings = [node for node in model.graph.node if node.op_type == "DynamicQuantizeLinear"]
    new = {name: f"{name}_dynamic" for node in roundings for name in node.output}
    for node in model.graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]


def _restore_gemms(result: onnx.ModelProto, before: onnx.ModelProto, gemms: list[Any]) -> None:
    """Put back the Gemm ops that nobody asked to change: onnxruntime takes all of them apart."""
    stored = GraphIndex(before).constants
    for gemm in gemms:
        index = GraphIndex(result)
        parts = [index.nodes[gemm.name + end] for end in (MATMUL_SUFFIX, ADD_SUFFIX) if gemm.name + end in index.nodes]
        if not parts:  # it leaves those with a scale or a transposed input alone
            continue
        place = min(list(result.graph.node).index(part) for part in parts)
        for part in parts:
            result.graph.node.remove(part)
        result.graph.node.insert(place, gemm)
        for name in gemm.input:
            if name in stored:  # some versions take it out, others transpose it in place
                if name in index.constants:
                    result.graph.initializer.remove(index.constants[name])
                result.graph.initializer.append(stored[name])
    if not gemms:
        return
    used = {name for node in result.graph.node for name in names_read(node)}
    left = [tensor for tensor in result.graph.initializer if tensor.name in used]
    del result.graph.initializer[:]
    result.graph.initializer.extend(left)
