"""The digits model that ships, its data, and what tests of quantizing do with both."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

MODELS = Path(__file__).parent.parent / "models"
DIGITS = MODELS / "digits.tflite"


@functools.cache
def digits_data() -> dict[str, NDArray[Any]]:
    """Return 600 images (N, 8, 8, 1) in [0, 1] with labels, and 64 calibration samples (N, 1, 8, 8, 1)."""
    with np.load(MODELS / "digits_test.npz") as data:
        return {
            "images": (data["test_images"] / 16).astype(np.float32),
            "labels": data["test_labels"],
            "calibration": (data["calibration_images"] / 16).astype(np.float32)[:, np.newaxis],
        }


def accuracy(model: bytes) -> float:
    """Return the share of the 600 test images that ``model`` reads right."""
    data = digits_data()
    return float(np.mean(run(model, data["images"]).argmax(1) == data["labels"]))


def run(model: bytes, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits (N, 10) of ``images`` (N, 8, 8, 1), scaled to and from integers where the border has them."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for image in images:
        value = image[np.newaxis]
        if source["dtype"] != np.float32:
            scale, zero = source["quantization"]
            limits = np.iinfo(source["dtype"])
            value = np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(source["dtype"])
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        row = interpreter.get_tensor(sink["index"])
        if sink["dtype"] != np.float32:
            scale, zero = sink["quantization"]
            row = (row.astype(np.float32) - zero) * scale
        rows.append(row)
    return np.concatenate(rows)


def edit(model: bytes, change: Callable[[Any], None]) -> bytes:
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    change(tree)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def without_record(model: bytes) -> bytes:
    """Return ``model`` without the record of its source, whose digest differs for files of the same content."""

    def drop(tree: Any) -> None:
        entry = next(entry for entry in tree.metadata if entry.name == b"litedelegates.recipe")
        tree.metadata.remove(entry)
        tree.buffers[entry.buffer].data = None

    return edit(model, drop)


def types_of(model: bytes) -> set[int]:
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    return {tensor.type for tensor in tree.subgraphs[0].tensors}


def op_codes(model: bytes) -> list[int]:
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    return [tree.operatorCodes[op.opcodeIndex].builtinCode for op in tree.subgraphs[0].operators]
