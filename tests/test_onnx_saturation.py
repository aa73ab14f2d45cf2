"""Weights of 8 bits that overflow on x86 CPUs without VNNI: found, told, and avoided in both ways that are named."""

from __future__ import annotations

import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates.delegates.saturation import pairs_saturate
from litedelegates.engines import open_session
from litedelegates.engines.onnxruntime import SaturationWarning
from litedelegates.engines.onnxruntime.saturation import EXACT_KEY, saturating_nodes
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.quantize import quantize

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
EXACT = {EXACT_KEY: 1}


@pytest.fixture(scope="module")
def network() -> bytes:
    """Return two convolutions and a product of matrices, whose sums are large enough to overflow."""
    random = np.random.default_rng(0)
    shapes = {"w1": ((16, 3, 3, 3), 0.2), "w2": ((32, 16, 3, 3), 0.1), "w3": ((32 * 16 * 16, 10), 0.1)}
    weights = [
        onnx.numpy_helper.from_array(random.normal(0, width, shape).astype(np.float32), name)
        for name, (shape, width) in shapes.items()
    ]
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="first", pads=[1] * 4),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], name="second", pads=[1] * 4),
        node("Relu", ["c"], ["d"]),
        node("Flatten", ["d"], ["e"]),
        node("MatMul", ["e", "w3"], ["y"], name="last"),
    ]
    values = [
        onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", [1, 3, 16, 16]), ("y", [1, 10]))
    ]
    graph = onnx.helper.make_graph(nodes, "network", values[:1], values[1:], weights)
    opsets = [onnx.helper.make_opsetid("", 13)]
    made: bytes = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made


@pytest.fixture(scope="module")
def samples() -> list[Any]:
    random = np.random.default_rng(1)
    return [random.uniform(0, 1, (1, 3, 16, 16)).astype(np.float32) for _ in range(20)]


def error(network: bytes, model: bytes, samples: list[Any], **options: Any) -> float:
    """Return the largest relative error of the output against float32."""
    with closing(open_session(network)) as whole, closing(open_session(model, **options)) as session:
        pairs = [(whole.run({"x": x})["y"], session.run({"x": x})["y"]) for x in samples]
    return max(float(np.linalg.norm(found - true) / np.linalg.norm(true)) for true, found in pairs)


def said(model: bytes, **options: Any) -> list[str]:
    """Return what opening a model warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_session(model, **options).close()
    return [str(warning.message) for warning in caught if warning.category is SaturationWarning]


@pytest.mark.parametrize("form", ("qdq", "qoperator"))
def test_full_weights_are_found_and_weights_of_7_bits_are_not(network: bytes, samples: list[Any], form: str) -> None:
    full, small = (quantize(network, "int8", samples, format=form, reduce_range=narrow) for narrow in (False, True))
    assert saturating_nodes(small) == saturating_nodes(network) == []
    assert len(saturating_nodes(full)) == 3
    assert len(saturating_nodes(full, fused=False)) == (0 if form == "qdq" else 3)


def test_weights_of_dynamic_models_are_found_where_they_are_signed(network: bytes) -> None:
    found = {kind: saturating_nodes(quantize(network, "dynamic", weight_type=kind)) for kind in ("int8", "uint8")}
    if pairs_saturate():  # 7 bits by default
        assert found == {"int8": [], "uint8": []}
    assert saturating_nodes(quantize(network, "dynamic", weight_type="int8", reduce_range=False))
    assert not found["uint8"]


def test_opening_such_a_model_warns_exactly_where_it_overflows(network: bytes, samples: list[Any]) -> None:
    full = quantize(network, "int8", samples, reduce_range=False)
    told = said(full)
    if not pairs_saturate():
        assert told == []
        return
    (text,) = told
    assert "overflow" in text and "reduce_range=True" in text and EXACT_KEY in text
    assert said(full, config=EXACT) == said(full, same_kernels=True) == said(network) == []
    assert said(quantize(network, "int8", samples)) == []


@pytest.mark.filterwarnings("ignore::litedelegates.engines.onnxruntime.SaturationWarning")
def test_both_remedies_help(network: bytes, samples: list[Any]) -> None:
    full = quantize(network, "int8", samples, reduce_range=False)
    exact = error(network, full, samples, config=EXACT)
    assert exact < 0.03
    if pairs_saturate():
        assert error(network, full, samples) > 2 * exact
        assert error(network, quantize(network, "int8", samples), samples) < 2 * exact
    else:
        assert error(network, full, samples) < 1.1 * exact


def test_a_layer_study_notes_it(network: bytes, samples: list[Any], tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(network)
    (tmp_path / "full.onnx").write_bytes(quantize(network, "int8", samples, reduce_range=False))
    config = LayersConfig(
        str(tmp_path / "net.onnx"),
        ("float32",),
        variants={"full": str(tmp_path / "full.onnx")},
        parts=("in_place",),
        runs=1,
        seconds=0.01,
    )
    notes = {info.precision: info.note for info in study_layers(config, tmp_path / "study.sqlite").variants}
    assert ("overflow" in notes["full"]) == pairs_saturate() and "overflow" not in notes["float32"]
