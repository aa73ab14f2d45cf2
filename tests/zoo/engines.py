"""The engines that judge: the official Interpreter on either kind of its kernels, and ONNX Runtime.

Nothing of the package is in here, so that what it makes is not measured with what it made it with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.trial import shape_of, values_of

KERNELS = {".tflite": ("builtin", "xnnpack"), ".onnx": ("plain", "fused")}
_ONNX_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


@dataclass(frozen=True)
class Entry:
    """An input of a model: its name in the file, its sizes (-1 where open) and its type."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class LiteRt:
    """A ``.tflite`` in the official Interpreter; arrays in and out in the order of the file."""

    def __init__(self, content: bytes, kernels: str) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        # All tensors kept: the plan of the memory has one op overwrite what another reads in a few models.
        options = {
            "builtin": {
                "experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                "experimental_preserve_all_tensors": True,
            },
            "xnnpack": {"num_threads": 1},
        }
        self._interpreter = Interpreter(model_content=content, **options[kernels])
        self._details = self._interpreter.get_input_details()
        self._shapes: list[tuple[int, ...]] | None = None
        self.inputs = tuple(
            Entry(
                entry["name"],
                tuple(
                    int(size)
                    for size in (entry["shape_signature"] if len(entry["shape_signature"]) else entry["shape"])
                ),
                np.dtype(entry["dtype"]),
            )
            for entry in self._details
        )

    def run(self, values: list[Any]) -> list[Any]:
        shapes = [np.shape(value) for value in values]
        if shapes != self._shapes:
            for entry, shape in zip(self._details, shapes, strict=True):
                if tuple(entry["shape"]) != shape:
                    self._interpreter.resize_tensor_input(entry["index"], shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
            self._details = self._interpreter.get_input_details()
        for entry, value in zip(self._details, values, strict=True):
            self._interpreter.set_tensor(entry["index"], value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(entry["index"]) for entry in self._interpreter.get_output_details()]


class OnnxRuntime:
    """An ``.onnx`` in ONNX Runtime, with its ops as they are or fused; arrays in and out in the order of the file."""

    def __init__(self, content: bytes, kernels: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_DISABLE_ALL if kernels == "plain" else levels.ORT_ENABLE_ALL
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(
            Entry(
                entry.name,
                tuple(size if isinstance(size, int) and size > 0 else -1 for size in entry.shape),
                np.dtype(_ONNX_TYPES.get(entry.type, entry.type[len("tensor(") : -1])),
            )
            for entry in self._session.get_inputs()
        )

    def run(self, values: list[Any]) -> list[Any]:
        names = [entry.name for entry in self.inputs]
        return list(self._session.run(None, dict(zip(names, values, strict=True))))


def open_engine(model: Path | bytes, suffix: str, kernels: str) -> LiteRt | OnnxRuntime:
    """Load a model of a format (".tflite" or ".onnx") on one kind of its kernels."""
    content = model if isinstance(model, bytes) else model.read_bytes()
    return LiteRt(content, kernels) if suffix == ".tflite" else OnnxRuntime(content, kernels)


def is_open(entry: Entry) -> bool:
    """Whether the batch of an input can be chosen."""
    return bool(entry.shape) and entry.shape[0] == -1


def random_values(entries: tuple[Entry, ...], seed: int, batch: int = 1) -> list[Any]:
    """Return values for all inputs; open sizes other than the batch are filled as in the first half of the zoo."""
    values = []
    for place, entry in enumerate(entries):
        details = {
            "shape": [1 if size == -1 else size for size in entry.shape],
            "shape_signature": entry.shape,
            "dtype": entry.dtype,
            "quantization": (0.0, 0),
        }
        values.append(values_of(details, shape_of(details, batch), (seed, place)))
    return values
