"""What a model's outputs do when its weights are moved at random by up to half a step of float16, or of 8 bits.

That much of an error is the model's own, whoever quantizes it. The weights are moved in a copy of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.closeness import compare
from zoo.engines import open_engine

SEEDS = 2
# Smaller constants are axes, scalars and the like; biases are not rounded to 8 bits.
_LEAST_RANK = 2
_FLOAT16_STEP = 2.0**-10


def moved_error(path: Path, is_float16: bool, kernels: str, feeds: list[Any], wanted: list[list[Any]]) -> float:
    """Return the largest error of a few such copies on inputs whose outputs are known."""
    errors = [0.0]
    for seed in range(SEEDS):
        move = _move_onnx if path.suffix == ".onnx" else _move_tflite
        engine = open_engine(move(path.read_bytes(), is_float16, np.random.default_rng(seed)), path.suffix, kernels)
        errors.append(compare([engine.run(feed) for feed in feeds], wanted).error)
    return max(errors)


def _moved(weights: Any, is_float16: bool, random: np.random.Generator) -> Any:
    """Return weights, each moved by up to half a step: of float16, or of 8 bits with a scale for each channel."""
    noise = random.uniform(-0.5, 0.5, weights.shape)
    if is_float16:
        return weights * (1 + _FLOAT16_STEP * noise)
    channel = weights.ndim - 1 if weights.shape[0] == 1 else 0  # that of depthwise convolutions is the last
    others = tuple(axis for axis in range(weights.ndim) if axis != channel)
    return weights + np.abs(weights).max(others, keepdims=True) / 127 * noise


def _move_tflite(content: bytes, is_float16: bool, random: np.random.Generator) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    own = bytearray(content)  # arrays read from it are views that can be written
    model = schema.Model.GetRootAs(own, 0)
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            buffer = model.Buffers(tensor.Buffer())
            is_float = tensor.Type() == schema.TensorType.FLOAT32
            if is_float and tensor.ShapeLength() >= _LEAST_RANK and buffer.DataLength():
                values = buffer.DataAsNumpy().view(np.float32)
                values[:] = _moved(values.reshape(tensor.ShapeAsNumpy()), is_float16, random).reshape(-1)
    return bytes(own)


def _move_onnx(content: bytes, is_float16: bool, random: np.random.Generator) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(content)
    for weights in model.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT and len(weights.dims) >= _LEAST_RANK:
            values = _moved(numpy_helper.to_array(weights), is_float16, random).astype(np.float32)
            weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    return bytes(model.SerializeToString())
