"""Types and sizes of the tensors that a file says nothing about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from litedelegates.engines.onnxruntime import element_type_word, require_onnxruntime
from litedelegates.engines.onnxruntime.extras import require_onnx
from litedelegates.engines.onnxruntime.naming import all_graphs
from litedelegates.errors import InvalidModelError, MissingExtraError, OptionError, nearest
from litedelegates.graph.kinds import ELEMENT_BITS
from litedelegates.graph.onnx.bodies import inner_tensors
from litedelegates.graph.onnx.types import element_type_of, shape_of, tensor_type, words


def fix_shapes(model: Any, shapes: Mapping[str, Sequence[int]]) -> None:
    """Fix the open sizes of a model's inputs, and with them every size of the same name.

    Raises:
        OptionError: There is no such input, or the sizes contradict what the model says.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in constants}
    named: dict[str, int] = {}
    for name, sizes in shapes.items():
        if name not in inputs:
            raise OptionError(f"shapes: the model has no input {name!r}. {nearest(name, inputs)}")
        type_proto = inputs[name].type
        if type_proto.WhichOneof("value") != "tensor_type":
            raise OptionError(f"shapes: input {name!r} is a {element_type_of(type_proto)} and has no shape")
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise OptionError(f"shapes: sizes of {name!r} must be integers of at least 1, not {list(sizes)}")
        if not type_proto.tensor_type.HasField("shape"):
            for size in sizes:
                type_proto.tensor_type.shape.dim.add().dim_value = size
            continue
        known = shape_of(type_proto) or ()
        if len(sizes) != len(known) or any(have not in (-1, want) for have, want in zip(known, sizes, strict=True)):
            raise OptionError(f"shapes: input {name!r} is of shape {list(known)}, which {list(sizes)} does not fit")
        for dim, size in zip(type_proto.tensor_type.shape.dim, sizes, strict=True):
            # Some converters call every open size "?".
            if dim.dim_param.strip("?") and named.setdefault(dim.dim_param, size) != size:
                raise OptionError(
                    f"shapes: the size {dim.dim_param!r} of {name!r} would be both {named[dim.dim_param]} and {size}"
                )
            dim.dim_value = size
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.WhichOneof("value") == "tensor_type":
            for dim in value.type.tensor_type.shape.dim if value.type.tensor_type.HasField("shape") else ():
                if dim.dim_param in named:
                    dim.dim_value = named[dim.dim_param]


def infer_types(model: Any) -> dict[str, Any]:
    """Return ONNX's type of each tensor by name, as far as the model, ONNX and ONNX Runtime know them.

    Args:
        model: A ModelProto, possibly without its large values.

    Raises:
        InvalidModelError: It would end the process.
    """
    refuse_implausible_windows(model)
    thin, model = model, require_onnx().ModelProto()
    model.CopyFrom(thin)
    open_implausible_sizes(model)
    made = [name for node in model.graph.node for name in node.output if name]
    inputs_are_fixed = all(_unknowns(value.type) == 0 for value in model.graph.input)
    types = _types_in(_inferred(model))
    for _ in range(_MOST_ROUNDS):
        missing = [name for name in made if _unknowns(types.get(name)) > (0 if inputs_are_fixed else _UNRANKED - 1)]
        if not missing:
            break
        # Ops of ONNX Runtime's own, such as QLinearAdd, are known to it alone; and it computes sizes that are the
        # result of arithmetic with other sizes, after which ONNX knows more again.
        found = _asked_of_runtime(_with_types(model, types), missing)
        better = {name: new for name, new in found.items() if _unknowns(new) < _unknowns(types.get(name))}
        if not better:
            break
        types = _types_in(_inferred(_with_types(model, {**types, **better})))
    return types


_MOST_ROUNDS = 8
_MOST_SIZES = 1 << 16  # the elements of a tensor that holds sizes are as many as another one has dimensions
_LARGEST_WINDOW = 1 << 24  # elements along an axis
# More than any number of open sizes: the rank is not known, or not even the element type.
_UNRANKED, _UNTYPED = 1000, 2000


def open_implausible_sizes(model: Any) -> None:
    """Make the sizes of a ModelProto open that ONNX's inference cannot take.

    It ends the process at a negative one, and goes through the elements of each list of integers as if these were
    sizes, however many the model says there are.
    """
    proto = require_onnx().TensorProto
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.WhichOneof("value") != "tensor_type":
            continue
        tensor = value.type.tensor_type
        is_list = tensor.elem_type in (proto.INT32, proto.INT64) and len(tensor.shape.dim) == 1
        for dim in tensor.shape.dim:
            if dim.dim_value < 0 or (is_list and dim.dim_value > _MOST_SIZES):
                dim.ClearField("dim_value")


def refuse_implausible_windows(model: Any) -> None:
    """Raise where an op slides a window of millions of elements along one axis.

    What comes out has a negative size then, at which ONNX Runtime ends the process while it folds constants.

    Raises:
        InvalidModelError: There is one; names the op.
    """
    graphs = (graph for outer in (model.graph, *model.functions) for graph in all_graphs(outer))
    for node in (node for graph in graphs for node in graph.node):
        for attribute in node.attribute:
            if attribute.name == "kernel_shape" and max(attribute.ints, default=0) > _LARGEST_WINDOW:
                raise InvalidModelError(
                    f"{node.op_type} {node.name or next(iter(node.output), '')!r}: kernel_shape is "
                    f"{list(attribute.ints)}, larger than any tensor; the model is damaged"
                )


def _unknowns(type_proto: Any) -> int:
    """Return how much of a type is not known: the number of open sizes, or one of the large numbers above."""
    word = element_type_of(type_proto)
    if word in ("sequence", "optional", "map", "sparse_tensor"):
        return 0
    shape = shape_of(type_proto)
    if word == "unknown" or shape is None:
        return _UNTYPED if word == "unknown" else _UNRANKED
    return shape.count(-1)


def _with_types(model: Any, types: Mapping[str, Any]) -> Any:
    made = require_onnx().ModelProto()
    made.CopyFrom(model)
    border = {value.name for value in (*made.graph.input, *made.graph.output)}
    del made.graph.value_info[:]
    for name, found in types.items():
        if name not in border:
            made.graph.value_info.add(name=name, type=found)
    for value in made.graph.output:
        if value.name in types:
            value.type.CopyFrom(types[value.name])
    return made


def _inferred(model: Any) -> Any:
    onnx = require_onnx()
    for data_prop in (True, False):
        try:
            return onnx.shape_inference.infer_shapes(model, data_prop=data_prop)
        except Exception:  # its functions for single ops raise what they like; what is not known stays so
            continue
    return model


def _types_in(model: Any) -> dict[str, Any]:
    values = (*model.graph.value_info, *model.graph.output, *model.graph.input)
    return {value.name: value.type for value in values if value.HasField("type")}


def _asked_of_runtime(model: Any, missing: list[str]) -> dict[str, Any]:
    """Load the model with the missing tensors as outputs, and without weights: these are inputs, which have types."""
    try:
        onnxruntime = require_onnxruntime()
    except MissingExtraError:
        return {}
    asked = require_onnx().ModelProto()
    asked.CopyFrom(model)
    _take_values_as_inputs(asked.graph)
    del asked.graph.output[:]
    for node in asked.graph.node:
        node.ClearField("name")  # the same name twice, which files have, is refused
    for name in missing:
        asked.graph.output.add().name = name
    options = onnxruntime.SessionOptions()
    # Constants are folded, so that sizes which are computed from known sizes are known.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    options.intra_op_num_threads = 1  # nothing is run
    try:
        session = onnxruntime.InferenceSession(
            asked.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception:  # a model that this runtime cannot load, for instance with ops of somebody else
        return {}
    found: dict[str, Any] = {}
    for value in session.get_outputs():
        word = element_type_word(value.type)
        if value.type.startswith("tensor(") and word in words().values():
            # No sizes: the runtime says the same of a scalar and of an unknown rank.
            found[value.name] = tensor_type(word, value.shape or None)
    return found


def _take_values_as_inputs(graph: Any) -> None:
    given = {value.name for value in graph.input}
    kept = []
    for tensor in graph.initializer:
        if lacks_values(tensor):
            if tensor.name not in given:
                graph.input.add(name=tensor.name, type=_type_of(tensor))
        else:
            kept.append(tensor)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = []
    for node in graph.node:
        stored = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
        if node.op_type == "Constant" and stored is not None and lacks_values(stored):
            graph.input.add(name=node.output[0], type=_type_of(stored))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    for tensor in (tensor for node in graph.node for tensor in inner_tensors(node)):
        bits = ELEMENT_BITS.get(words().get(tensor.data_type, "unknown"))
        if bits is not None and lacks_values(tensor):  # in a body, which has no inputs to be given
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = bytes((math.prod(tensor.dims) * bits + 7) // 8)


def _type_of(tensor: Any) -> Any:
    type_proto = require_onnx().TypeProto()
    type_proto.tensor_type.elem_type = tensor.data_type
    type_proto.tensor_type.shape.SetInParent()
    for size in tensor.dims:
        type_proto.tensor_type.shape.dim.add().dim_value = size
    return type_proto


def lacks_values(tensor: Any) -> bool:
    """Return whether a TensorProto's values are elsewhere: left in the file, or in a file beside it."""
    if tensor.data_location == 1:
        return True
    fields = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
    return 0 not in tensor.dims and not tensor.raw_data and not any(len(getattr(tensor, name)) for name in fields)
