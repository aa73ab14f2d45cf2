"""Small ONNX models made by script, and a way to run them on onnxruntime, which judges them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from litedelegates.graph.tflite.tree import op_name, parse, read_bytes, tensor_data, text
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

IMAGE = (3, 16, 16)


def make_model(
    nodes: Sequence[Any],
    weights: dict[str, NDArray[Any]],
    inputs: dict[str, Sequence[Any]],
    outputs: dict[str, Sequence[Any]],
    opset: int = 13,
) -> onnx.ModelProto:
    """Return a checked model of float inputs and outputs."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def conv_net(opset: int = 13) -> onnx.ModelProto:
    """Return a network of a convolution, a depthwise one, an addition, two Gemm and a MatMul; its batch is open."""
    random = np.random.default_rng(0)

    def values(*shape: int) -> NDArray[np.float32]:
        return (random.normal(size=shape) / np.sqrt(math.prod(shape[1:]))).astype(np.float32)

    weights = {
        "stem/w": values(8, 3, 3, 3),
        "stem/b": values(8),
        "depthwise/w": values(8, 1, 3, 3) * (2.0 ** np.arange(8, dtype=np.float32)).reshape(8, 1, 1, 1),
        "depthwise/b": values(8),
        "hidden/w": values(16, 8),
        "hidden/b": values(16),
        "logits/w": values(16, 10),
        "logits/b": values(10),
        "turn/w": values(10, 10),
    }
    nodes = [
        helper.make_node("Conv", ["x", "stem/w", "stem/b"], ["stem/y"], "stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["stem/y"], ["stem/relu/y"], "stem/relu"),
        helper.make_node(
            "Conv", ["stem/relu/y", "depthwise/w", "depthwise/b"], ["depthwise/y"], "depthwise", group=8, pads=[1] * 4
        ),
        helper.make_node("Relu", ["depthwise/y"], ["depthwise/relu/y"], "depthwise/relu"),
        helper.make_node("Add", ["depthwise/relu/y", "stem/relu/y"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "hidden/w", "hidden/b"], ["hidden/y"], "hidden", transB=1),
        helper.make_node("Relu", ["hidden/y"], ["hidden/relu/y"], "hidden/relu"),
        helper.make_node("Gemm", ["hidden/relu/y", "logits/w", "logits/b"], ["logits/y"], "logits"),
        helper.make_node("MatMul", ["logits/y", "turn/w"], ["y"], "turn"),
    ]
    return make_model(nodes, weights, {"x": ["N", *IMAGE]}, {"y": ["N", 10]}, opset)


def images(count: int, seed: int = 1) -> list[NDArray[np.float32]]:
    """Return ``count`` samples for ``conv_net``."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(1, *IMAGE)).astype(np.float32) for _ in range(count)]


def digits_twin(path: Path) -> onnx.ModelProto:
    """Return the shipped digits model as ONNX, channels first: the same weights, its fused Relu written out."""
    tree = parse(read_bytes(path))
    graph = tree.subgraphs[0]
    weights: dict[str, NDArray[Any]] = {}
    nodes = []
    for operator in graph.operators:
        kind, options = op_name(tree, operator), operator.builtinOptions
        names = [text(graph.tensors[index].name) for index in operator.inputs]
        stored = [tensor_data(tree, graph.tensors[index]) for index in operator.inputs]
        name = text(graph.tensors[operator.outputs[0]].name)
        keywords: dict[str, Any] = {}
        if kind == "RESIZE_BILINEAR":
            weights["enlarge/scales"] = np.array([1, 1, 2, 2], np.float32)
            op_type, names = "Resize", [*names[:1], "", "enlarge/scales"]
            keywords = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            depthwise = kind == "DEPTHWISE_CONV_2D"
            value = np.asarray(stored[1]).transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
            size = value.shape[2]
            weights |= {names[1]: np.ascontiguousarray(value), names[2]: np.asarray(stored[2])}
            op_type = "Conv"
            keywords = {"group": len(value) if depthwise else 1, "pads": [size // 2] * 4}
        elif kind == "FULLY_CONNECTED":
            weights |= {names[1]: np.asarray(stored[1]), names[2]: np.asarray(stored[2])}
            op_type, keywords = "Gemm", {"transB": 1}
            if names[0] == "average":
                nodes.append(helper.make_node("Flatten", ["average"], ["flat"], "flat"))
                names[0] = "flat"
        else:
            op_type = {"ADD": "Add", "MAX_POOL_2D": "MaxPool", "AVERAGE_POOL_2D": "GlobalAveragePool"}[kind]
            keywords = {"kernel_shape": [2, 2], "strides": [2, 2]} if op_type == "MaxPool" else {}
        relu = getattr(options, "fusedActivationFunction", 0) == 1
        nodes.append(helper.make_node(op_type, names, [f"{name}/linear" if relu else name], name, **keywords))
        if relu:
            nodes.append(helper.make_node("Relu", [f"{name}/linear"], [name], f"{name}/relu"))
    return make_model(nodes, weights, {"image": ["N", 1, 8, 8]}, {"logits": ["N", 10]})


def run(model: bytes | Path, samples: Iterable[Any]) -> list[NDArray[Any]]:
    """Return the first output of each sample, in real values where the border is integer."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    read = onnx.load(source) if isinstance(source, str) else onnx.load_from_string(source)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in read.graph.initializer}
    scales = {
        entry.tensor_name: [stored[pair.value] for pair in entry.quant_parameter_tensor_names]
        for entry in read.graph.quantization_annotation
    }
    rows = []
    for sample in samples:
        feeds = dict(sample) if isinstance(sample, dict) else {session.get_inputs()[0].name: sample}
        for name, value in feeds.items():
            if name in scales:
                scale, zero = scales[name]
                limits = np.iinfo(zero.dtype)
                feeds[name] = np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(zero.dtype)
        row = session.run(None, feeds)[0]
        output = session.get_outputs()[0].name
        if output in scales:
            scale, zero = scales[output]
            row = (row.astype(np.float32) - zero) * scale
        rows.append(row)
    return rows


def relative_error(found: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> float:
    """Return the largest difference, in parts of the largest value wanted."""
    return float(np.abs(np.stack(found) - np.stack(wanted)).max() / np.abs(np.stack(wanted)).max())


def op_types(model: bytes) -> dict[str, str]:
    """Return the type of each op by its name."""
    return {node.name: node.op_type for node in onnx.load_from_string(model).graph.node}
