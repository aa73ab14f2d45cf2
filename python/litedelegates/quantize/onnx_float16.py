"""Ops in float16, by onnxruntime's converter, which copes with weights that float32 ops share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.quantize.onnx_files import infer_types
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, name_nodes, names_read, rename_inside, unused

if TYPE_CHECKING:
    import onnx

LARGEST = float(np.finfo(np.float16).max)
_MASKING = {"Add", "Max", "Mul", "Sub", "Where"}


def make_float16(model: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    """Return ``model`` with the ops called ``names`` in float16 and a Cast wherever they meet others or the border.

    Raises:
        QuantizationError: A weight is too large for float16, or the converter failed.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    _check_range(model, names)
    captured = _captured(model)
    # It takes any op that is not blocked, among them the Quantize and Dequantize ops of other passes, which then fail.
    others = [node.name for node in model.graph.node if node.name not in names]
    try:
        result: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True, node_block_list=others)
    except Exception as error:  # it raises whatever its Python meets: ValueError, KeyError, AssertionError
        raise QuantizationError(f"onnxruntime could not make the model float16: {error!r}") from error
    name_nodes(result)
    _widen_captured(result, captured)
    _drop_detours(result, {*names, *others})
    return result


def _captured(model: onnx.ModelProto) -> set[str]:
    """Return the computed float32 tensors that the inside of an op reads from outside.

    The converter does not tell an op that stays float32 that what is read inside it has become float16.
    """
    import onnx

    types = GraphIndex(infer_types(model)).types
    read = {name for node in model.graph.node for name in names_read(node) - set(node.input)}
    return {name for name in read if types.get(name) == onnx.TensorProto.FLOAT}


def _widen_captured(model: onnx.ModelProto, captured: set[str]) -> None:
    """Let the insides of ops read the tensors ``captured`` in float32."""
    import onnx

    half = {
        value.name
        for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    }
    taken = all_names(model)
    for name in sorted(captured & half):
        wide = unused(f"{name}_inside", taken)
        cast = onnx.helper.make_node("Cast", [name], [wide], unused(f"{name}_cast_inside", taken), to=1)
        taken.update((wide, cast.name))
        for node in model.graph.node:
            rename_inside(node, name, wide)
        model.graph.node.append(cast)


def _drop_detours(model: onnx.ModelProto, own: set[str]) -> None:
    """Let float32 ops read each other's float32 values: the converter sends all values through float16 and back.

    That would cost precision, and would stand between the ops and roundings that the runtime fuses.

    Args:
        model: Changed in place.
        own: The ops that were there before, whose casts are meant.
    """
    index = GraphIndex(model)
    renamed: dict[str, str] = {}
    dropped: set[str] = set()
    for narrow in (node for node in model.graph.node if node.name not in own and _casts_to(node, "FLOAT16")):
        source, half = narrow.input[0], narrow.output[0]
        readers = index.consumers[half]
        for back in (node for node in readers if node.name not in own and _casts_to(node, "FLOAT")):
            end = back.output[0]
            if end not in index.outputs:
                renamed[end] = source
            elif source in index.producer and source not in index.outputs and source not in renamed:
                renamed[source] = end
            else:  # an input of the model, or one tensor, that is several outputs
                continue
            dropped.add(back.name)
        if half not in index.outputs and all(node.name in dropped for node in readers):
            dropped.add(narrow.name)
            if source in index.producer and source not in renamed and source not in index.outputs:
                renamed[source] = half  # the name that the tensor had
    kept = [node for node in model.graph.node if node.name not in dropped]
    for node in kept:
        for name in names_read(node) - set(node.input):
            final = name
            while final in renamed:
                final = renamed[final]
            if final != name:
                rename_inside(node, name, final)
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                while name in renamed:
                    name = renamed[name]
                names[position] = name
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _casts_to(node: Any, type_name: str) -> bool:
    import onnx

    wanted = onnx.TensorProto.DataType.Value(type_name)
    return node.op_type == "Cast" and any(entry.name == "to" and entry.i == wanted for entry in node.attribute)


def _masks(node: Any, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values are one large negative number, such as -1e9, that masks others: -65504 does so too."""
    large = values < -LARGEST
    is_mask = node.op_type in _MASKING and len(np.unique(values[large])) == 1
    return large if is_mask else np.zeros_like(large)


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
            limits = np.isinf(values) | (np.abs(values) == np.finfo(np.float32).max) | _masks(node, values)
            if bad > np.count_nonzero(limits):
                raise QuantizationError(
                    f"constant {name!r} of {node.op_type} {node.name!r} holds {bad} values that are not finite in "
                    f"float16, whose largest number is {LARGEST:g}: leave the op out, plan={{{node.name!r}: 'float32'}}"
                )
