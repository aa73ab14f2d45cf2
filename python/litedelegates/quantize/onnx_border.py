"""Integer inputs and outputs: the roundings at the ends of a QDQ or QOperator model are handed to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from litedelegates.errors import QuantizationError
from litedelegates.quantize.onnx_graph import GraphIndex

if TYPE_CHECKING:
    import onnx


def make_border(model: onnx.ModelProto, border: str) -> None:
    """Give the float inputs and outputs of ``model`` the element type ``border``.

    The scale and zero point of each are named in the model's ``quantization_annotation``, as ONNX defines it.

    Raises:
        QuantizationError: An input or output is not rounded to that type inside the model.
    """
    import onnx

    wanted = onnx.TensorProto.DataType.Value(border.upper())
    for value in model.graph.input:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            _hand_over_input(model, value, wanted, border)
    for value in model.graph.output:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            _hand_over_output(model, value, wanted, border)


def _hand_over_input(model: onnx.ModelProto, value: Any, wanted: int, border: str) -> None:
    index = GraphIndex(model)
    readers = index.consumers[value.name]
    if len(readers) != 1 or readers[0].op_type != "QuantizeLinear" or _type_of(index, readers[0]) != wanted:
        raise _refusal("input", value.name, border, readers)
    (rounding,) = readers
    _rename(model, rounding.output[0], value.name)
    model.graph.node.remove(rounding)
    _annotate(model, value.name, rounding)
    value.type.tensor_type.elem_type = wanted


def _hand_over_output(model: onnx.ModelProto, value: Any, wanted: int, border: str) -> None:
    index = GraphIndex(model)
    maker = index.producer[value.name]
    stored = maker.input[0]
    if maker.op_type != "DequantizeLinear" or _type_of(index, maker) != wanted or index.consumers[value.name]:
        raise _refusal("output", value.name, border, [maker])
    if stored in index.outputs or stored not in index.producer:
        raise _refusal("output", value.name, border, [maker])
    model.graph.node.remove(maker)
    _rename(model, stored, value.name)
    _annotate(model, value.name, maker)
    value.type.tensor_type.elem_type = wanted


def _type_of(index: GraphIndex, rounding: Any) -> int | None:
    zero_point = index.constants.get(rounding.input[2]) if len(rounding.input) > 2 else None
    return None if zero_point is None else zero_point.data_type


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new
    stale = [value for value in model.graph.value_info if value.name in (old, new)]
    for value in stale:
        model.graph.value_info.remove(value)


def _annotate(model: onnx.ModelProto, name: str, rounding: Any) -> None:
    annotation = model.graph.quantization_annotation.add(tensor_name=name)
    for key, tensor in (("SCALE_TENSOR", rounding.input[1]), ("ZERO_POINT_TENSOR", rounding.input[2])):
        annotation.quant_parameter_tensor_names.add(key=key, value=tensor)


def _refusal(role: str, name: str, border: str, around: list[Any]) -> QuantizationError:
    found = ", ".join(f"{node.op_type} {node.name!r}" for node in around) or "nothing"
    return QuantizationError(
        f"asked for border={border!r}, but {role} {name!r} is not rounded to {border} inside the model (it meets "
        f"{found}): quantize the ops at the ends too, or leave the border in float32"
    )


def take_out_passed(model: onnx.ModelProto) -> dict[int, Any]:
    """Remove the outputs of ``model`` that are inputs too, which onnxruntime's passes define twice.

    Returns:
        The outputs by their places; empty where nothing else would be left.
    """
    inputs = {value.name for value in model.graph.input}
    places = [place for place, value in enumerate(model.graph.output) if value.name in inputs]
    if not places or len(places) == len(model.graph.output):
        return {}
    copies = [type(value).FromString(value.SerializeToString()) for value in model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend(value for place, value in enumerate(copies) if place not in places)
    return {place: copies[place] for place in places}


def put_back_passed(model: onnx.ModelProto, passed: Mapping[int, Any]) -> None:
    """Undo `take_out_passed`."""
    for place, value in sorted(passed.items()):
        model.graph.output.insert(place, value)
