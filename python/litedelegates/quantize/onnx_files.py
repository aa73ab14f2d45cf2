"""An ONNX model on disk, whatever its size: for libraries that want files, and to see that it can be run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litedelegates.errors import QuantizationError
from litedelegates.quantize.onnx_model import all_graphs

if TYPE_CHECKING:
    import onnx

# Protocol buffers count their bytes in a signed 32-bit number.
MOST_BYTES = 2**31 - 1
EXTERNAL_SUFFIX = ".data"
LEAST_OUTSIDE = 1024  # smaller tensors stay in the model, where shape inference reads them
PAGE = 4096  # weights that start a page can be mapped into memory


def size_of(model: onnx.ModelProto) -> int:
    """Return the bytes that the weights of ``model`` take, which is nearly all of it."""
    return sum(tensor_bytes(tensor) for graph in all_graphs(model.graph) for tensor in graph.initializer)


def to_bytes(model: onnx.ModelProto, most_bytes: int = MOST_BYTES) -> bytes:
    """Return ``model`` as the bytes of one ``.onnx`` file, the same bytes for the same model.

    Raises:
        QuantizationError: It is larger than ``most_bytes``, so that its weights have to lie beside it.
    """
    size = size_of(model)
    if size <= most_bytes:
        content = bytes(model.SerializeToString(deterministic=True))
        if len(content) <= most_bytes:
            return content
        size = len(content)
    raise QuantizationError(
        f"the model has {size} bytes, and one ONNX file holds at most {most_bytes}: write it with "
        "quantize_file(model, output, ...), which puts the weights into a file beside it"
    )


def put_outside(model: onnx.ModelProto, name: str) -> bytearray:
    """Take the large weights out of ``model`` and return them: the content of the file ``name``, where it will look."""
    from onnx.external_data_helper import set_external_data

    content = bytearray()
    for graph in all_graphs(model.graph):
        for tensor in graph.initializer:
            if len(tensor.raw_data) < LEAST_OUTSIDE:
                continue
            content.extend(bytes(-len(content) % PAGE))
            set_external_data(tensor, name, len(content), len(tensor.raw_data))
            content.extend(tensor.raw_data)
            tensor.ClearField("raw_data")
    return content


@contextmanager
def on_disk(model: onnx.ModelProto, most_bytes: int = MOST_BYTES) -> Iterator[Path]:
    """Give the path of ``model`` in a temporary folder, for libraries that want a file and write others beside it."""
    with tempfile.TemporaryDirectory(prefix="litedelegates.") as folder:
        path = Path(folder) / "model.onnx"
        if size_of(model) > most_bytes:
            import onnx

            outside = onnx.ModelProto()
            outside.CopyFrom(model)
            path.with_name(path.name + EXTERNAL_SUFFIX).write_bytes(put_outside(outside, path.name + EXTERNAL_SUFFIX))
            model = outside
        path.write_bytes(model.SerializeToString(deterministic=True))
        yield path


def infer_types(model: onnx.ModelProto, most_bytes: int = MOST_BYTES) -> onnx.ModelProto:
    """Return ``model`` with the type and, where known, the shape of every tensor.

    Raises:
        QuantizationError: The graph contradicts itself.
    """
    import onnx

    try:
        with on_disk(model, most_bytes) as path:
            inferred = path.with_name("inferred.onnx")
            onnx.shape_inference.infer_shapes_path(str(path), str(inferred), strict_mode=False, data_prop=True)
            return onnx.load(str(inferred))
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise QuantizationError(f"the shapes of the model cannot be found: {error}") from error


def tensor_bytes(tensor: Any) -> int:
    """Return the bytes that ``tensor`` takes."""
    return len(tensor.raw_data) or int(tensor.ByteSize())
