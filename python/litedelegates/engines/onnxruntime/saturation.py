"""Weights of 8 bits whose products overflow on some CPUs: which models have them, and what is said of it.

Which CPUs and why: `litedelegates.delegates.saturation`.
"""

from __future__ import annotations

import mmap
import os
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.delegates.saturation import LARGEST, pairs_saturate
from litedelegates.engines.onnxruntime.naming import all_graphs, read_without_data
from litedelegates.engines.onnxruntime.options import OrtOptions
from litedelegates.engines.onnxruntime.providers import Provider
from litedelegates.errors import LiteDelegatesError, SaturationWarning

EXACT_KEY = "session.x64quantprecision"
# By type of op, which of its inputs are weights.
_WEIGHTS = {
    "QLinearConv": (3,),
    "QLinearMatMul": (3,),
    "QGemm": (3,),
    "ConvInteger": (1,),
    "MatMulInteger": (1,),
    "DynamicQuantizeMatMul": (1,),
}
# Of these, what a DequantizeLinear makes of integers.
_FLOAT_OPS = ("Conv", "MatMul", "Gemm")
_TRACES = (*_WEIGHTS, "DequantizeLinear")  # a model without any of these words has no such weights


def saturating_nodes(source: str | bytes, fused: bool = True) -> list[str]:
    """Return the names of the nodes whose signed weights are beyond 64; weights beside the file are not looked at.

    Args:
        source: Path or content of an ``.onnx``.
        fused: Whether the engine computes in integers what stands between DequantizeLinear and QuantizeLinear.

    Raises:
        InvalidModelError: It is no ONNX model.
        MissingExtraError: The package onnx is not installed.
        OSError: It cannot be read.
    """
    if not _has_traces(source):
        return []
    found = []
    for graph in all_graphs(read_without_data(source).graph):
        large = {tensor.name for tensor in graph.initializer if _is_large(tensor)}
        widening = [node for node in graph.node if node.op_type == "DequantizeLinear"]
        widened = {name for node in widening if large.intersection(node.input[:1]) for name in node.output}
        for node in graph.node:
            own = [node.input[place] for place in _WEIGHTS.get(node.op_type, ()) if place < len(node.input)]
            floats = node.input if fused and node.op_type in _FLOAT_OPS else ()
            if large.intersection(own) or widened.intersection(floats):
                found.append(node.name or next(iter(node.output), node.op_type))
    return found


def warn_of_saturation(source: str | bytes, options: OrtOptions, providers: Sequence[Provider]) -> None:
    """Warn of a model whose products overflow on this CPU.

    Args:
        source: Path or content of a model that the engine has taken.
        options: What it was loaded with.
        providers: On which execution providers, the preferred first.
    """
    is_exact = options.config_texts.get(EXACT_KEY) == "1"
    if is_exact or providers[0].name != "CPUExecutionProvider" or not pairs_saturate():
        return
    try:
        nodes = saturating_nodes(source, fused=options.optimization != "none")
    except (LiteDelegatesError, OSError):  # the model runs: nothing that can be said of it is worth an error
        return
    if nodes:
        warnings.warn(f"{_name(source)}: {say_saturation(nodes)}", SaturationWarning, stacklevel=3)


def say_saturation(nodes: Collection[str]) -> str:
    """Return what is said of the nodes of a model that `saturating_nodes` found, and what to do."""
    some = ", ".join(map(repr, list(nodes)[:3]))
    more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
    return (
        f"weights of 8 bits in {some}{more} overflow in ONNX Runtime's kernels on this x86 CPU without VNNI, so that "
        "outputs are off: quantize with reduce_range=True for such CPUs (weights in 7 bits), or run with "
        f"config={{{EXACT_KEY!r}: 1}}, which does not overflow and is slower"
    )


def _is_large(tensor: Any) -> bool:
    from onnx import TensorProto

    if tensor.data_type != TensorProto.INT8:
        return False
    # As they lie: what a damaged file says of their shape does not matter here.
    values = (
        np.frombuffer(tensor.raw_data, np.int8).astype(np.int16) if tensor.raw_data else np.array(tensor.int32_data)
    )
    return values.size > 0 and int(np.abs(values).max()) > LARGEST


def _has_traces(source: str | bytes) -> bool:
    if isinstance(source, bytes):
        return any(name.encode() in source for name in _TRACES)
    with Path(source).open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # it may be larger than memory
            return any(content.find(name.encode()) >= 0 for name in _TRACES)


def _name(source: str | bytes) -> str:
    return "the model" if isinstance(source, bytes) else os.fspath(source)
