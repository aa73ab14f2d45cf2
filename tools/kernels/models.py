"""Builds the model of an attempt: a template, the type of its data, and what is changed."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped, unused-ignore]
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped, unused-ignore]

from kernels.attempts import Attempt
from kernels.templates import DATA, Slot

TYPES: dict[str, int] = {name: code for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
OPS: dict[str, int] = {name: code for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
BITS = {"INT4": 4, "INT2": 2, "UINT4": 4, "BFLOAT16": 16, "RESOURCE": 64, "VARIANT": 64}
BITS |= {"FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8}
# What these kernels ask of the quantization of their outputs: scale, and zero point for int8.
FIXED_OUTPUTS = {
    "LOGISTIC": (1 / 256, -128),
    "SOFTMAX": (1 / 256, -128),
    "TANH": (1 / 128, 0),
    "LOG_SOFTMAX": (16 / 256, 127),
    "L2_NORMALIZATION": (1 / 128, 0),
}
SCALE = 0.0078125
FOUND = Path(__file__).parent / "found.json"  # the stored result


def numpy_type(name: str) -> Any:
    """Return numpy's type of this name, or None."""
    return {"BOOL": np.bool_}.get(name) or getattr(np, name.lower(), None) if name not in BITS else None


@functools.cache
def _stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FOUND.read_text())["ops"]
    return found


def stored_version(op: str) -> int:
    """Return the version of an op that the stored result was found with."""
    version: int = _stored()[op]["version"]
    return version


def build(attempt: Attempt, version: int) -> bytes:
    """Return the model of an attempt as a .tflite file, with its op in a version."""
    template = attempt.template
    model, graph, code, op = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    graph.tensors, graph.inputs, graph.outputs, graph.operators, graph.name = [], [], [], [op], "main"
    code.builtinCode = OPS[template.op]
    code.deprecatedBuiltinCode, code.version = min(127, code.builtinCode), version
    op.inputs, op.outputs = [], []
    count = len(template.inputs)
    for number, slot in enumerate((*template.inputs, *template.outputs)):
        changes = {what: value for at, what, value in attempt.changes if at in (number, "all")}
        if "cut" in changes:
            continue
        is_input = number < count
        if slot.value == "none" or "missing" in changes:
            if is_input:
                op.inputs.append(-1)
            continue
        table = _tensor(attempt, number, slot, changes, is_input)
        origin = changes.get("value", slot.value)
        index = len(graph.tensors)
        table.name = f"t{index}"
        if is_input and origin == "input":
            graph.inputs.append(index)
        elif is_input and origin == "variable":
            table.isVariable = True
        elif is_input:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(_values(table, origin), np.uint8)
            table.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(table)
        if not is_input:
            graph.outputs.append(index)
        (op.inputs if is_input else op.outputs).append(index)
    if template.options is not None and not attempt.has("all", "options"):
        options = getattr(schema, template.options + "T")()
        for name, value in template.fields.items():
            setattr(options, name, value)
        _set_types(options, graph, op)
        if hasattr(schema.BuiltinOptions, template.options):
            op.builtinOptionsType, op.builtinOptions = getattr(schema.BuiltinOptions, template.options), options
        else:
            op.builtinOptions2Type, op.builtinOptions2 = getattr(schema.BuiltinOptions2, template.options), options
    builder = flatbuffers.Builder(2048)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _set_types(options: Any, graph: Any, op: Any) -> None:
    """Repeat the types of a CAST in its options, as converters do."""
    if isinstance(options, schema.CastOptionsT) and op.inputs and op.outputs and op.inputs[0] >= 0:
        options.inDataType, options.outDataType = graph.tensors[op.inputs[0]].type, graph.tensors[op.outputs[0]].type


def _tensor(attempt: Attempt, number: int, slot: Slot, changes: dict[str, Any], is_input: bool) -> Any:
    template = attempt.template
    table = schema.TensorT()
    type_name = attempt.base if slot.of_type == DATA else slot.of_type
    is_bias = number == template.bias_after and attempt.quantized
    if is_bias:
        type_name = "INT64" if attempt.base == "INT16" else "INT32"
    type_name = changes.get("type", type_name)
    table.type = TYPES[type_name]
    table.shape = changes.get("shape", list(slot.shape))
    table.hasRank = "norank" not in changes
    quantized = attempt.quantized and (slot.of_type == DATA or "type" in changes)
    scales, zero_point = [SCALE], 0
    if not is_input and template.op in FIXED_OUTPUTS:
        scale, zero_point = FIXED_OUTPUTS[template.op]
        if type_name == "UINT8":
            zero_point = zero_point + 128 if zero_point else 128 if template.op != "LOGISTIC" else 0
        if type_name == "INT16":
            scale, zero_point = 1 / 32768, 0
        scales = [scale]
    if is_bias:
        scales = [SCALE * SCALE]
    if "scales" in changes:
        quantized, scales = bool(changes["scales"]), changes["scales"]
    if "zero" in changes:
        zero_point = changes["zero"]
    if quantized:
        table.quantization = schema.QuantizationParametersT()
        if len(scales) > 1:  # one a slice of the last dimension
            size = table.shape[-1] if table.shape else 1
            scales = [scales[index % len(scales)] for index in range(size)]
            table.quantization.quantizedDimension = max(len(table.shape) - 1, 0)
            if template.op in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV") and number == 1 and table.shape:
                scales = [scales[index % len(scales)] for index in range(table.shape[0])]
                table.quantization.quantizedDimension = 0
        table.quantization.scale, table.quantization.zeroPoint = scales, [zero_point] * len(scales)
    return table


def _values(table: Any, origin: str | tuple[int, ...]) -> bytes:
    """Return the data of a constant: its numbers, or small ones."""
    type_name = next(name for name, code in TYPES.items() if code == table.type)
    count = int(np.prod(table.shape)) if len(table.shape) else 1
    numbers = np.resize(origin if isinstance(origin, tuple) and origin else (1, 0, 1, 1), count)
    if type_name == "STRING":
        starts = 4 * (count + 2) + np.arange(count + 1)
        return np.array([count, *starts], np.int32).tobytes() + b"x" * count
    of_numpy = numpy_type(type_name)
    if of_numpy is None:
        return bytes((count * BITS[type_name] + 7) // 8)
    return bytes(numbers.astype(of_numpy).tobytes())
