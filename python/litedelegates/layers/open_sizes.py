"""Sizes of inputs that an ONNX model leaves open: given, or taken from the samples, and asked for otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from litedelegates.errors import OptionError
from litedelegates.graph import Graph, load
from litedelegates.layers.config import LayersConfig
from litedelegates.layers.samples import SamplesError, load_feeds


def with_known_sizes(config: LayersConfig) -> LayersConfig:
    """Return ``config`` with the shapes of its inputs, which decide what is measured.

    The sizes of a ``.tflite`` are those that it stores, open or not.

    Raises:
        OptionError: An ONNX model leaves sizes open that neither ``shapes`` nor the inputs or the calibration say.
        InvalidModelError: The model cannot be read.
        SamplesError: The inputs do not fit the model.
        OSError: A file cannot be read.
    """
    if config.format != "onnx":
        return config
    graph = load(config.model, shapes=config.shapes or None)
    if not open_inputs(graph):
        return config
    shapes = {**config.shapes, **_sample_shapes(config, graph)}
    missing = open_inputs(load(config.model, shapes=shapes or None))
    if missing:
        name, shape = next(iter(missing.items()))
        written = ", ".join("?" if size < 0 else str(size) for size in shape)
        example = ",".join("1" if size < 0 else str(size) for size in shape)
        raise OptionError(
            f"input {name!r} has the shape ({written}), which leaves sizes open, and times hold for one size only: "
            f"say it with shapes={{{name!r}: ({example})}} (--shape {name}={example}), or give samples (inputs or "
            "calibration)"
        )
    return dataclasses.replace(config, shapes=shapes)


def open_inputs(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the inputs of ``graph`` with an open size, by name with -1 for it."""
    shapes = {graph.public_name(tensor): tuple(tensor.shape or ()) for tensor in graph.inputs}
    return {name: shape for name, shape in shapes.items() if min(shape, default=1) < 0}


def _sample_shapes(config: LayersConfig, graph: Graph) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of the open inputs in the first sample of the study's inputs, else of its calibration."""
    for path in (config.inputs, None if config.calibration == "random" else config.calibration):
        if path is None:
            continue
        try:
            feed = load_feeds(graph, path, 1)[0]
        except SamplesError:
            if path == config.inputs:
                raise
            continue  # a kind of calibration that only the quantizer reads
        return {name: tuple(feed[name].shape) for name in open_inputs(graph)}
    return {}
