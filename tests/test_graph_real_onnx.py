"""Real ONNX models, cut and taken apart: the parts compute bit for bit what the whole does."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from long_form import LONG

pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")

import onnx
from litedelegates.engines import open_session
from litedelegates.graph import Graph, check, cut, expose, join, layers, load
from litedelegates.graph.onnx import to_model

# Sizes that the models leave open.
SPEECH = {"input": (1, 576), "state": (2, 1, 128)}
SHAPES = {
    "ocr_detection": {"x": (1, 3, 64, 96)},
    "ocr_recognition": {"x": (1, 3, 48, 96)},
    "ocr_angle": {"x": (1, 3, 48, 192)},
    "voice": SPEECH,
    "voice_16k_opset15": SPEECH,
    "voice_half": SPEECH,
    "magika": {"bytes": (1, 2048)},
}
CUTS = 10 if LONG else 3


@pytest.fixture(scope="module", params=SHAPES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def graph(name: str, real_onnx_models: dict[str, Path]) -> Graph:
    return load(real_onnx_models[name], shapes=SHAPES[name])


@pytest.fixture(scope="module")
def feed(graph: Graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {}
    for tensor in graph.inputs:
        if tensor.name == "sr":
            made["sr"] = np.array(16000, np.int64)
        elif tensor.element_type.startswith("float"):
            made[tensor.name] = rng.random(tensor.shape, np.float32).astype(tensor.element_type)
        else:
            made[tensor.name] = rng.integers(0, 256, tensor.shape).astype(tensor.element_type)
    return made


@pytest.fixture(scope="module")
def values(graph: Graph, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor of the model, as a run of the whole computes it."""
    inner = [
        t for op in graph.ops for t in op.makes if not t.is_constant and t.element_type not in ("sequence", "optional")
    ]
    return {**feed, **run(expose(graph, inner), feed)}


def run(graph: Graph, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return open_session(graph.to_bytes(), num_threads=1, same_kernels=True).run(feed)


def test_parts_cut_at_random_places_compute_what_the_whole_does(graph, feed, name):
    expected = open_session(graph.to_bytes(), num_threads=1, same_kernels=True).run(feed)
    legal = [found.position for found in graph.cuts if found.refusal is None]
    for position in random.Random(name).sample(legal, min(CUTS, len(legal))):
        known, parts = dict(feed), cut(graph, at=position)
        assert check([join(parts)], graph, feed).equal, position
        for part in parts:
            onnx.checker.check_model(to_model(part))
            known.update(run(part, known))
        for output in graph.output_names:
            assert known[output].tobytes() == expected[output].tobytes(), (position, output)


def test_what_is_said_to_travel_is_what_the_second_part_takes(graph):
    legal = [found for found in graph.cuts if found.refusal is None]
    for found in random.Random(1).sample(legal, min(CUTS, len(legal))):
        assert set(cut(graph, at=found.position)[1].inputs) == set(found.tensors)


def test_bytes_at_every_cut_are_those_of_the_arrays(graph, values):
    known = 0
    for found in graph.cuts:
        if found.nbytes is not None and found.refusal is None:
            assert found.nbytes == sum(values[tensor.name].nbytes for tensor in found.tensors)
            known += 1
    assert known


def test_every_op_runs_alone_and_computes_what_it_does_in_the_model(graph, values):
    ran = 0
    for layer in layers(graph):
        if layer.graph is None:
            assert "means nothing in another model" in layer.refusal
            continue
        for output, value in run(layer.graph, values).items():
            if output in values:
                assert value.tobytes() == values[output].tobytes(), layer.op
        ran += 1
    assert ran >= math.ceil(len(graph.ops) * 0.9)
