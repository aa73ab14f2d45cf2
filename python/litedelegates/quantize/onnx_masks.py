"""Ranges of what a Softmax reads, without the values that a mask has put out of reach.

Attention is masked with -10000, -1e9, the smallest float32 or minus infinity, of which Softmax makes 0. A range that
includes them leaves one integer for all others, and an addition of integers with such a scale loses the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.quantize.onnx_files import on_disk
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_model import all_names, names_read, unused

if TYPE_CHECKING:
    import onnx

# Softmax makes exp(-12) = 6e-6 of what lies so far below the largest, and 6e-11 of the other: the type's 0.
_REACH = {"int8": 12.0, "int16x8": 23.5}
# Ranges up to this leave steps of 0.16 to 8 bits.
_WIDE = 40.0
_FURTHEST = 1e38
_MASKING = {"Add", "Max", "Where"}
_SAME_VALUES = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}


def narrow_masked_ranges(
    model: onnx.ModelProto,
    ranges: Any,
    samples: Sequence[Mapping[str, NDArray[Any]]],
    precision: str,
    session_options: Any,
    most_bytes: int,
) -> None:
    """Let the ranges of what Softmax ops read, and of masks added to it, end where Softmax makes 0 of a value.

    Args:
        model: With types. Masks that it stores are clipped.
        ranges: onnxruntime's ``TensorsData``, changed in place.
        samples: The calibration.
        precision: ``int8`` or ``int16x8``.
        session_options: For running the model.
        most_bytes: The largest single file.
    """
    if precision == "int16x8":
        _leave_room(model, ranges)
    wide = _wide_inputs(model, ranges)
    if not wide:
        return
    index = GraphIndex(model)
    lows: dict[str, dict[str, float]] = {}  # by what an Add reads: the range's low end that each Add would allow
    for name, limit in _lowest_maxima(model, wide, samples, session_options, most_bytes).items():
        low, high = _limits(ranges[name])
        limit -= _REACH[precision]
        if not low < limit < high:
            continue
        same = _with_same_values(model, name)
        _raise_lows(ranges, same, limit)
        adding = index.producer.get(same[-1])
        if adding is None or adding.op_type != "Add":
            continue
        for addend, other in zip(adding.input, reversed(adding.input), strict=True):
            lows.setdefault(addend, {})[adding.name] = limit - _highest(index, ranges, other)
    for addend, found in lows.items():
        if addend in index.constants:
            _clip_constant(model, index.constants[addend], min(found.values()), set(found))
        elif addend in ranges and addend not in index.outputs and _readers(model, addend) == len(found):
            _raise_lows(ranges, _with_same_values(model, addend), min(found.values()))


def make_masks_finite(model: onnx.ModelProto) -> None:
    """Put a number of which Softmax makes 0 as well in the place of minus infinity, which has no integer."""
    import onnx

    masking = {name for node in model.graph.node if node.op_type in _MASKING for name in node.input}
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or tensor.name not in masking:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if np.isneginf(values).any():
            finite = np.where(np.isneginf(values), np.float32(-_FURTHEST), values)
            tensor.CopyFrom(onnx.numpy_helper.from_array(finite, tensor.name))


def _leave_room(model: onnx.ModelProto, ranges: Any) -> None:
    """Bring the ends of float32 nearer, where a mask is: a symmetric range as wide as twice that is infinite."""
    for name in ranges:
        low, high = ranges[name].range_value
        near = [np.clip(end, -_FURTHEST, _FURTHEST).astype(np.float32) for end in (low, high)]
        if not all(map(np.array_equal, near, (low, high))):
            ranges[name] = type(ranges[name])(
                lowest=near[0].reshape(np.shape(low)), highest=near[1].reshape(np.shape(high))
            )
    import onnx

    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if np.isfinite(values).all() and np.abs(values).max(initial=0) > _FURTHEST:
            nearer = np.clip(values, -_FURTHEST, _FURTHEST).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(nearer, tensor.name))


def _raise_lows(ranges: Any, names: Sequence[str], limit: float) -> None:
    for name in names:
        if name in ranges and _limits(ranges[name])[0] < limit:
            low, high = ranges[name].range_value
            ranges[name] = type(ranges[name])(lowest=np.full_like(low, limit), highest=high)


def _highest(index: GraphIndex, ranges: Any, name: str) -> float:
    import onnx

    if name in index.constants:
        return float(onnx.numpy_helper.to_array(index.constants[name]).max())
    return _limits(ranges[name])[1] if name in ranges else math.inf


def _clip_constant(model: onnx.ModelProto, tensor: Any, limit: float, readers: set[str]) -> None:
    """Give the ops called ``readers`` a copy of a stored mask whose values are at least ``limit``."""
    import onnx

    values = onnx.numpy_helper.to_array(tensor)
    if not values.min() < limit or not math.isfinite(limit):
        return
    name = unused(f"{tensor.name}_masked", all_names(model))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.maximum(values, np.float32(limit)), name))
    for node in model.graph.node:
        if node.name in readers:
            node.input[:] = [name if entry == tensor.name else entry for entry in node.input]


def _wide_inputs(model: onnx.ModelProto, ranges: Any) -> dict[str, int]:
    """Return the axis of each Softmax by its input, where that has a wide range and no other reader."""
    index = GraphIndex(model)
    found = {}
    for node in model.graph.node:
        if node.op_type != "Softmax" or node.input[0] not in ranges or node.input[0] in index.outputs:
            continue
        name = node.input[0]
        low, high = _limits(ranges[name])
        if high - low > _WIDE and _readers(model, name) == 1:
            found[name] = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)
    return found


def _limits(entry: Any) -> tuple[float, float]:
    low, high = (float(np.asarray(value).reshape(-1)[0]) for value in entry.range_value)
    return low, high


def _readers(model: onnx.ModelProto, name: str) -> int:
    return sum(name in names_read(node) for node in model.graph.node)


def _with_same_values(model: onnx.ModelProto, name: str) -> list[str]:
    """Return ``name`` and the tensors before it that hold the same values for it alone."""
    index = GraphIndex(model)
    names = [name]
    maker = index.producer.get(name)
    while maker is not None and maker.op_type in _SAME_VALUES:
        source = maker.input[0]
        if source in index.outputs or source not in index.producer or _readers(model, source) != 1:
            break
        names.append(source)
        maker = index.producer[source]
    return names


def _lowest_maxima(
    model: onnx.ModelProto,
    axes: Mapping[str, int],
    samples: Sequence[Mapping[str, NDArray[Any]]],
    session_options: Any,
    most_bytes: int,
) -> dict[str, float]:
    """Return the lowest of the largest values along the axes of tensors, rows left out that are masked as a whole."""
    import onnx
    import onnxruntime

    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    probed.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in axes)
    lowest = dict.fromkeys(axes, math.inf)
    with on_disk(probed, most_bytes) as path:
        session = onnxruntime.InferenceSession(str(path), session_options, providers=["CPUExecutionProvider"])
        for sample in samples:
            for name, values in zip(axes, session.run(list(axes), dict(sample)), strict=True):
                largest = values.max(axis=axes[name])
                open_rows = largest[largest > values.min() / 2] if values.min() < -_WIDE else largest
                if open_rows.size:
                    lowest[name] = min(lowest[name], float(open_rows.min()))
    return {name: limit for name, limit in lowest.items() if math.isfinite(limit)}
