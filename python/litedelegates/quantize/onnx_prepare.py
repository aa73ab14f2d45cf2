"""What an ONNX model needs before it is quantized: a recent opset, fixed input sizes, its constants folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import OptionError, QuantizationError, nearest
from litedelegates.quantize.calibration import InputSpec
from litedelegates.quantize.onnx_files import infer_types, on_disk
from litedelegates.quantize.onnx_model import all_graphs, name_nodes, opset_of

if TYPE_CHECKING:
    import onnx

PER_CHANNEL_OPSET = 13  # DequantizeLinear has an axis from here on
INT16_OPSET = 21  # QuantizeLinear has 16 bits from here on
_NORM_OPSET = 21  # GroupNormalization means another thing from here on, which onnx's converter does not know
OPEN = -1
# These put ops of new names in the place of others, or make one op of two that a plan may tell apart.
_RENAMING_FUSIONS = ["MatMulAddFusion", "GeluFusionL1", "LayerNormFusionL1", "CommonSubexpressionElimination"]


def raise_opset(model: onnx.ModelProto, wanted: int) -> onnx.ModelProto:
    """Return ``model`` in an opset of at least ``wanted``, its ops keeping their names, its own functions written out.

    Raises:
        QuantizationError: onnx cannot convert it.
    """
    import onnx
    import onnx.inliner

    found = opset_of(model)
    result = model
    if found < wanted:
        if wanted >= _NORM_OPSET > found and any(node.op_type == "GroupNormalization" for node in model.graph.node):
            raise QuantizationError(
                f"the model uses opset {found}, and {wanted} is needed, in which GroupNormalization has a scale for "
                f"each channel instead of each group: export it again with opset {wanted}"
            )
        try:
            if model.functions:  # the converter forgets them
                model = onnx.inliner.inline_local_functions(model)
            result = onnx.version_converter.convert_version(model, wanted)
        except Exception as error:  # its C++ raises RuntimeError, ValueError and others
            raise QuantizationError(
                f"the model uses opset {found}, and {wanted} is needed; onnx cannot convert it: {error}. Export it "
                f"again with opset {wanted}"
            ) from error
    lowest = onnx.helper.find_min_ir_version_for(result.opset_import, ignore_unknown=True)
    result.ir_version = max(result.ir_version, lowest)
    # Up to IR version 3, weights had to be inputs too, which then counts as "may be replaced by the caller".
    weights = {tensor.name for tensor in result.graph.initializer}
    inputs = [value for value in result.graph.input if value.name not in weights]
    del result.graph.input[:]
    result.graph.input.extend(inputs)
    name_nodes(result)
    return result


def input_specs(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int | None]]) -> list[InputSpec]:
    """Return the inputs of ``model`` with the sizes of ``shapes`` where they leave some open.

    Raises:
        OptionError: ``shapes`` names an unknown input, or a shape that does not fit.
        QuantizationError: An input is no tensor of a type that numpy knows.
    """
    import onnx

    specs = []
    for value in model.graph.input:
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
            raise QuantizationError(f"input {value.name!r} is not a tensor of known rank, which cannot be quantized")
        shape = tuple(size.dim_value if size.HasField("dim_value") else OPEN for size in tensor.shape.dim)
        # Some exporters write -1 or 0 for a size that is open.
        shape = tuple(size if size > 0 else OPEN for size in shape)
        given = shapes.get(value.name)
        if given is not None:
            shape = _merge(value.name, shape, tuple(given))
        stored = tuple(1 if size == OPEN else size for size in shape)
        try:
            dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except KeyError:
            raise QuantizationError(f"input {value.name!r} is of no type that ONNX knows: {tensor.elem_type}") from None
        specs.append(InputSpec(value.name, shape, stored, dtype))
    names = [spec.name for spec in specs]
    for name in shapes:
        if name not in names:
            raise OptionError(f"shapes names {name!r}, which is no input of the model. {nearest(str(name), names)}")
    return specs


def fixed_sizes(
    specs: Sequence[InputSpec],
    shapes: Mapping[str, Sequence[int | None]],
    samples: Sequence[Mapping[str, NDArray[Any]]],
) -> dict[str, tuple[int, ...]]:
    """Return the shape to give each input: what the model leaves open is taken from ``shapes``, else from ``samples``.

    Sizes that ``shapes`` keeps open stay ``OPEN``.

    Raises:
        QuantizationError: An open size differs between samples.
    """
    sizes: dict[str, tuple[int, ...]] = {}
    for spec in specs:
        given = shapes.get(spec.name)
        kept = [given is not None and given[axis] is None for axis in range(len(spec.shape))]
        seen = {sample[spec.name].shape for sample in samples}
        shape = list(spec.shape)
        for axis, size in enumerate(spec.shape):
            found = {entry[axis] for entry in seen}
            if size != OPEN or kept[axis] or not found:
                continue
            if len(found) > 1:
                raise QuantizationError(
                    f"input {spec.name!r} leaves size {axis} open, and the calibration samples have {sorted(found)} "
                    f"there: fix it or keep it open with shapes={{{spec.name!r}: (..., None, ...)}}"
                )
            (shape[axis],) = found
        sizes[spec.name] = tuple(shape)
    return sizes


def check_sizes_known(specs: Sequence[InputSpec], shapes: Mapping[str, Sequence[int | None]]) -> None:
    """Raise if nothing says how large an open input is, where no sample of the caller's will show it.

    Raises:
        QuantizationError: An input is open; says which and how to fix it.
    """
    for spec in specs:
        if OPEN in spec.shape and spec.name not in shapes:
            open_shape, example = (
                ", ".join(mark if size == OPEN else str(size) for size in spec.shape) for mark in ("?", "1")
            )
            raise QuantizationError(
                f"input {spec.name!r} has the shape ({open_shape}), which leaves sizes open, and quantizing needs "
                f"fixed ones: give shapes={{{spec.name!r}: ({example})}} with the sizes that the model will run on, or "
                "calibration samples of that size"
            )


def fix_sizes(model: onnx.ModelProto, sizes: Mapping[str, Sequence[int]]) -> None:
    """Write ``sizes`` into the inputs of ``model`` and forget the shapes that were inferred from the old ones."""
    changed = False
    for value in model.graph.input:
        for size, wanted in zip(value.type.tensor_type.shape.dim, sizes[value.name], strict=True):
            if wanted != OPEN and size.dim_value != wanted:
                size.dim_value = wanted
                changed = True
    if changed:
        del model.graph.value_info[:]


def fold(model: onnx.ModelProto, most_bytes: int) -> onnx.ModelProto:
    """Return ``model`` with its constants computed, batch normalization folded into weights, and all types known.

    Ops that stay keep their names. Without this, weights behind an Identity or a Transpose would not be found, and each
    batch normalization would run between two rounding steps.

    Raises:
        QuantizationError: onnxruntime cannot load the model.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with on_disk(model, most_bytes) as path:
        folded = path.with_name("folded.onnx")
        options.optimized_model_filepath = str(folded)
        if len(list(path.parent.iterdir())) > 1:
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", f"{folded.name}.data"
            )
        try:
            onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_RENAMING_FUSIONS
            )
        except Exception as error:  # its exceptions have no common base but this
            raise QuantizationError(f"onnxruntime does not load the model: {error}") from error
        result = onnx.load(str(folded))
    # onnxruntime names every set of ops that it knows, which other readers may not.
    used = {node.domain for graph in all_graphs(result.graph) for node in graph.node} | {""}
    imports = [entry for entry in result.opset_import if entry.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(imports)
    result.producer_name, result.producer_version = model.producer_name, model.producer_version
    del result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    result.graph.name = model.graph.name
    add_pre_process_metadata(result)  # else onnxruntime advises, for each pass, what has just been done
    name_nodes(result)
    return infer_types(result, most_bytes)


def _merge(name: str, shape: tuple[int, ...], given: tuple[int | None, ...]) -> tuple[int, ...]:
    fits = len(given) == len(shape) and all(
        wanted is None or (isinstance(wanted, int) and wanted > 0 and have in (OPEN, wanted))
        for have, wanted in zip(shape, given, strict=True)
    )
    if not fits:
        raise OptionError(f"shapes gives input {name!r} the shape {given}; the model has {shape}, where -1 is open")
    return tuple(have if wanted is None else wanted for have, wanted in zip(shape, given, strict=True))
