"""A model as a graph of ops and tensors: what would travel at each cut, and models made by cutting and joining."""

from litedelegates.errors import CutError
from litedelegates.graph.checking import CheckReport, OutputCheck, check
from litedelegates.graph.cuts import Cut
from litedelegates.graph.cutting import Layer, cut, expose, extract, layers, split
from litedelegates.graph.joining import join
from litedelegates.graph.loading import load
from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Quantization, Signature, Tensor

__all__ = [
    "CheckReport",
    "Cut",
    "CutError",
    "Graph",
    "Layer",
    "Op",
    "OutputCheck",
    "Quantization",
    "Signature",
    "Tensor",
    "check",
    "cut",
    "expose",
    "extract",
    "join",
    "layers",
    "load",
    "split",
]
