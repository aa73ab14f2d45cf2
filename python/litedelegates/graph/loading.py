"""From a model, in whatever form it is at hand, to its graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from litedelegates.errors import OptionError
from litedelegates.graph.model import Graph

# A path or bytes of a .tflite or .onnx, an onnx.ModelProto, or what was loaded before.
ModelLike: TypeAlias = "Graph | str | os.PathLike[str] | bytes | bytearray | memoryview | Any"


def load(model: ModelLike, *, signature: str | None = None, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Read a model as a graph.

    Args:
        model: Path of a ``.tflite`` or ``.onnx`` file, or its content; an ``onnx.ModelProto``; a graph is
            returned as it is.
        signature: For a ``.tflite`` with several entry points: which one. By default the first subgraph.
        shapes: Sizes of inputs that the file leaves open, by input name.

    Raises:
        InvalidModelError: It cannot be read or is damaged; says where.
        OptionError: There is no such signature or input.
        MissingExtraError: An ``.onnx`` needs the extra ``litedelegates[onnx]``.
    """
    if isinstance(model, Graph):
        if signature is not None or shapes is not None:
            raise OptionError("signature and shapes are chosen when a model is read; this one was read before")
        return model
    if _is_onnx(model):
        from litedelegates.graph.onnx import read_onnx

        if signature is not None:
            raise OptionError("an ONNX model has no signatures")
        return read_onnx(model, shapes)
    from litedelegates.graph.tflite import read_tflite

    return read_tflite(model, signature, shapes)


def load_all(models: ModelLike | Iterable[ModelLike]) -> list[Graph]:
    """Read several models, or the one that is given, as graphs.

    Raises:
        InvalidModelError: One cannot be read or is damaged.
    """
    if isinstance(models, Graph | str | os.PathLike | bytes | bytearray | memoryview) or _is_proto(models):
        return [load(models)]
    return [load(model) for model in models]


def _is_onnx(model: Any) -> bool:
    if isinstance(model, bytes | bytearray | memoryview):
        # The first field of a ModelProto is its ir_version.
        return bytes(model[4:8]) != b"TFL3" and bytes(model[:1]) == b"\x08"
    if isinstance(model, str | os.PathLike):
        return os.fspath(model).lower().endswith((".onnx", ".ort"))  # which is told apart when it is read
    return _is_proto(model)


def _is_proto(model: Any) -> bool:
    return type(model).__name__ == "ModelProto"
