"""Integer inputs and outputs: the roundings at the ends of a QDQ or QOperator model are handed to the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litedelegates.errors import QuantizationError
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, names_read, rename_inside, unused

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
    maker = index.producer.get(value.name)
    if maker is None:
        role = "a stored constant" if value.name in index.constants else "an input of the model"
        raise QuantizationError(
            f"asked for border={border!r}, but output {value.name!r} is {role}, which nothing rounds: leave the border "
            "in float32"
        )
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
        rename_inside(node, old, new)
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


@dataclass(frozen=True)
class PassedOutput:
    """An output that no op computes: an input of the model or, with its values, a stored constant."""

    place: int
    value: Any
    constant: Any = None


def take_out_passed(model: onnx.ModelProto) -> list[PassedOutput]:
    """Remove the outputs of ``model`` that are inputs or constants, which onnxruntime's passes define twice.

    Ops that read such a constant read a copy of another name, which a pass may round.

    Returns:
        The outputs; none where nothing else would be left.
    """
    index = GraphIndex(model)
    taken = all_names(model)
    inputs = {value.name for value in model.graph.input}
    passed = []
    for place, value in enumerate(model.graph.output):
        if value.name in inputs or value.name in index.constants:
            passed.append(PassedOutput(place, _copy(value), _copy(index.constants.get(value.name))))
    if len(passed) == len(model.graph.output):
        return []
    for output in reversed(passed):
        del model.graph.output[output.place]
    for name in dict.fromkeys(output.value.name for output in passed if output.constant is not None):
        tensor = index.constants[name]
        tensor.name = unused(f"{name}_read", taken)
        taken.add(tensor.name)
        _rename(model, name, tensor.name)
        if not any(tensor.name in names_read(node) for node in model.graph.node):
            model.graph.initializer.remove(tensor)
    return passed


def put_back_passed(model: onnx.ModelProto, passed: Sequence[PassedOutput]) -> None:
    """Undo `take_out_passed`."""
    for output in passed:
        model.graph.output.insert(output.place, output.value)
        if output.constant is not None and all(
            tensor.name != output.constant.name for tensor in model.graph.initializer
        ):
            model.graph.initializer.append(output.constant)


def _copy(message: Any) -> Any:
    return None if message is None else type(message).FromString(message.SerializeToString())
