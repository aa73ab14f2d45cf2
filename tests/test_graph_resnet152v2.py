"""A large model in every precision: ResNet152V2 with random weights, cut, joined, and op by op."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates.engines import Session, open_session
from litedelegates.graph import Graph, cut, join, layers, load
from litedelegates.quantize import PRECISIONS, quantize_file
from long_form import LONG

ROOT = Path(__file__).parent.parent
MODEL = ROOT / ".cache" / "models" / "resnet152v2.tflite"
CUTS = 10 if LONG else 3
SLOW = "int16x8"  # its kernels take seconds
FEED = {"image": np.random.default_rng(0).random((1, 224, 224, 3), np.float32)}

Values = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module", params=["float32", *PRECISIONS])
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    if not MODEL.is_file():
        subprocess.run([sys.executable, ROOT / "models" / "make_resnet152v2.py", "--out", MODEL], check=True)
    if request.param == "float32":
        yield load(MODEL)
        return
    target = tmp_path_factory.mktemp("resnet152v2") / f"{request.param}.tflite"
    samples = [FEED] if request.param.startswith("int") else None
    quantize_file(MODEL, target, request.param, samples)
    yield load(target)
    target.unlink()  # 60 to 120 MB each


def run(model: Graph, feed: Values) -> Values:
    session: Session = open_session(model.to_bytes(), same_kernels=True, num_threads=2)
    try:
        return session.run({info.name: feed[info.name] for info in session.inputs})
    finally:
        session.close()


def test_cut_at_random_places_the_parts_equal_the_whole_and_joined_they_are_it(
    graph: Graph, request: pytest.FixtureRequest
):
    cuts = 1 if SLOW in request.node.name and not LONG else CUTS
    wanted = run(graph, FEED)
    size = len(graph.to_bytes())
    legal = [place.position for place in graph.cuts if not place.refusal]
    for position in random.Random(0).sample(legal, cuts):
        parts = cut(graph, at=position)
        values = dict(FEED)
        for part in parts:
            values.update(run(part, values))
        for name, value in wanted.items():
            np.testing.assert_array_equal(value, values[name], err_msg=f"{name}, cut at {position}", strict=True)
        joined = join(parts)
        assert [op.type for op in joined.ops] == [op.type for op in graph.ops]
        assert abs(len(joined.to_bytes()) - size) < 4096  # nothing twice


def test_every_op_runs_alone(graph: Graph):
    rng = np.random.default_rng(0)
    for layer in layers(graph):
        assert layer.graph is not None, layer.refusal
        feed = {}
        for tensor in layer.graph.inputs:
            value = rng.random(tensor.shape, np.float32)
            feed[layer.graph.public_name(tensor)] = (
                value if tensor.element_type == "float32" else (value * 100).astype(tensor.element_type)
            )
        found = run(layer.graph, feed)
        assert [value.nbytes for value in found.values()] == [tensor.nbytes for tensor in layer.graph.outputs]
