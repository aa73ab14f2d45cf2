"""Graphs of ``.tflite`` files."""

from litedelegates.graph.tflite.reading import read_tflite

__all__ = ["read_tflite"]
