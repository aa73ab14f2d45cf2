"""Graphs of ``.onnx`` files."""

from litedelegates.graph.onnx.reading import read_onnx
from litedelegates.graph.onnx.writing import to_model

__all__ = ["read_onnx", "to_model"]
