"""Matching the layers of a LiteRT and an ONNX model of the same network; the engines compute what decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
import small_onnx
from digits_model import DIGITS
from litedelegates import OptionError
from litedelegates.graph import Graph, load
from litedelegates.layers.matching import LayerPair, match_layers
from litedelegates.layers.probing import Probe
from onnx import helper, numpy_helper
from small_models_builder import ModelBuilder, Op, schema

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(4, 3, 3, 2)).astype(np.float32)  # outputs, height, width, inputs
DENSE = RANDOM.normal(size=(5, 4)).astype(np.float32)
RELU = schema.ActivationFunctionType.RELU


@pytest.fixture(scope="module")
def digits() -> Graph:
    return load(DIGITS)


@pytest.fixture
def twin() -> onnx.ModelProto:
    return small_onnx.digits_twin(DIGITS)


def rename(model: onnx.ModelProto) -> Graph:
    """Return the model with names that say nothing, but for its inputs."""
    graph = model.graph
    given = {value.name for value in graph.input}
    names = {name: f"t{i}" for i, name in enumerate(name for node in graph.node for name in node.output)}
    names |= {weight.name: f"c{i}" for i, weight in enumerate(graph.initializer) if weight.name not in given}
    for i, node in enumerate(graph.node):
        node.name = f"n{i}"
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for entry in [*graph.initializer, *graph.output]:
        entry.name = names[entry.name]
    del graph.value_info[:]
    return load(model)


def types(pairs: Sequence[LayerPair], first: Graph, second: Graph) -> list[tuple[str, str]]:
    return [
        ("+".join(first.ops[i].type for i in pair.first), "+".join(second.ops[i].type for i in pair.second))
        for pair in pairs
    ]


def small_net() -> Graph:
    """Return pad, convolution with Relu, twice Relu that changes nothing, mean and dense layer, channels last."""
    builder = ModelBuilder()
    graph = builder.graph()
    tensors = [graph.input("image", (1, 6, 6, 2)), graph.tensor("padded", (1, 8, 8, 2))]
    tensors += [graph.tensor(name, (1, 6, 6, 4)) for name in ("conv", "again", "twice")]
    tensors += [graph.tensor("mean", (1, 4)), graph.output("dense", (1, 5))]
    margins = graph.constant("margins", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    weights, bias = graph.constant("w", WEIGHTS), graph.constant("b", np.arange(4, dtype=np.float32))
    axes = graph.constant("axes", np.array([1, 2], np.int32))
    dense, none = graph.constant("d", DENSE), graph.constant("e", np.arange(5, dtype=np.float32))
    conv = schema.Conv2DOptionsT()
    conv.padding, conv.strideH, conv.strideW, conv.fusedActivationFunction = schema.Padding.VALID, 1, 1, RELU
    graph.op(Op.PAD, [tensors[0], margins], [tensors[1]], schema.PadOptionsT())
    graph.op(Op.CONV_2D, [tensors[1], weights, bias], [tensors[2]], conv)
    graph.op(Op.RELU, [tensors[2]], [tensors[3]])
    graph.op(Op.RELU, [tensors[3]], [tensors[4]])
    graph.op(Op.MEAN, [tensors[4], axes], [tensors[5]], schema.ReducerOptionsT())
    graph.op(Op.FULLY_CONNECTED, [tensors[5], dense, none], [tensors[6]], schema.FullyConnectedOptionsT())
    return load(builder.to_bytes())


def small_twin() -> onnx.ModelProto:
    """Return the same network, channels first: its padding in the Conv, its dense layer as MatMul and Add."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["first"]),
        helper.make_node("Relu", ["first"], ["second"]),
        helper.make_node("Relu", ["second"], ["third"]),
        helper.make_node("ReduceMean", ["third"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "d"], ["product"]),
        helper.make_node("Add", ["product", "e"], ["y"]),
    ]
    weights: dict[str, Any] = {
        "w": np.ascontiguousarray(WEIGHTS.transpose(0, 3, 1, 2)),
        "b": np.arange(4, dtype=np.float32),
        "d": np.ascontiguousarray(DENSE.T),
        "e": np.arange(5, dtype=np.float32),
    }
    return small_onnx.make_model(nodes, weights, {"x": ["N", 2, 6, 6]}, {"y": ["N", 5]})


def test_layers_match_by_values_where_no_name_is_the_same():
    first, second = small_net(), rename(small_twin())
    pairs = match_layers(first, second)
    assert types(pairs, first, second) == [
        ("PAD+CONV_2D", "Conv+Relu"),
        ("RELU", "Relu"),
        ("RELU", "Relu"),
        ("MEAN", "ReduceMean"),
        ("FULLY_CONNECTED", "MatMul+Add"),
    ]
    assert [pair.evidence for pair in pairs] == [
        ("values", "shape", "constants"),
        ("values", "shape"),
        ("values", "shape"),
        ("values", "shape"),
        ("values", "shape", "constants"),
    ]
    assert all(pair.difference is not None and pair.difference < 1e-6 for pair in pairs)


def test_equal_layers_in_a_row_match_in_their_order():
    first, second = small_net(), rename(small_twin())
    relus = [pair for pair in match_layers(first, second) if first.ops[pair.first[0]].type == "RELU"]
    assert [(pair.first, pair.second) for pair in relus] == [((2,), (2,)), ((3,), (3,))]


def test_every_layer_of_the_digits_model_finds_its_own(digits: Graph, twin: onnx.ModelProto):
    wanted = {
        "CONV_2D": {"Conv", "Conv+Relu"},
        "DEPTHWISE_CONV_2D": {"Conv+Relu"},
        "FULLY_CONNECTED": {"Flatten+Gemm+Relu", "Gemm"},
        "ADD": {"Add+Relu"},
        "MAX_POOL_2D": {"MaxPool"},
        "AVERAGE_POOL_2D": {"GlobalAveragePool"},
        "RESIZE_BILINEAR": {"Resize"},
    }
    named = load(twin)
    found = types(match_layers(digits, named), digits, named)
    assert len(found) == len(digits.ops)
    assert all(other in wanted[own] for own, other in found)
    unnamed = rename(twin)
    assert types(match_layers(digits, unnamed), digits, unnamed) == found


def test_names_are_evidence_beside_values(digits: Graph, twin: onnx.ModelProto):
    assert all("name" in pair.evidence and "values" in pair.evidence for pair in match_layers(digits, load(twin)))


def test_the_order_of_the_models_does_not_matter(digits: Graph, twin: onnx.ModelProto):
    second = rename(twin)
    forth, back = match_layers(digits, second), match_layers(second, digits)
    assert {(pair.first, pair.second) for pair in forth} == {(pair.second, pair.first) for pair in back}


def test_where_values_differ_constants_tell_the_layer_and_the_rest_is_listed_alone(
    digits: Graph, twin: onnx.ModelProto
):
    stem = next(weight for weight in twin.graph.initializer if weight.name.startswith("stem"))
    stem.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stem) + 1, stem.name))
    second = rename(twin)
    pairs = match_layers(digits, second)
    by_type: dict[str, list[LayerPair]] = {}
    for pair in pairs:
        for index in pair.first:
            by_type.setdefault(digits.ops[index].type, []).append(pair)
    assert by_type["RESIZE_BILINEAR"][0].evidence == ("values", "shape")
    convolutions = by_type["CONV_2D"] + by_type["DEPTHWISE_CONV_2D"] + by_type["FULLY_CONNECTED"]
    assert all(pair.is_matched and "values" not in pair.evidence for pair in convolutions)
    # But for the changed layer, whose bias tells it.
    assert all("constants" in pair.evidence for pair in convolutions)
    found = types(convolutions, digits, second)
    assert all(("Conv" in other) == ("CONV" in own) for own, other in found)
    lone = [pair for pair in pairs if not pair.is_matched]
    assert {digits.ops[i].type for pair in lone for i in pair.first} <= {"MAX_POOL_2D", "AVERAGE_POOL_2D", "ADD"}
    assert all(not pair.evidence and pair.difference is None for pair in lone)


def test_a_layer_that_only_one_model_has_is_listed_behind_the_one_in_front_of_it(digits: Graph, twin: onnx.ModelProto):
    twin.graph.node.append(helper.make_node("Sigmoid", ["logits"], ["chance"], "chance"))
    twin.graph.output.append(helper.make_tensor_value_info("chance", onnx.TensorProto.FLOAT, ["N", 10]))
    second = load(twin)
    pairs = match_layers(digits, second)
    assert [pair.is_matched for pair in pairs] == [True] * len(digits.ops) + [False]
    assert [second.ops[index].type for index in pairs[-1].second] == ["Sigmoid"]
    assert pairs[-1] == LayerPair((), (len(second.ops) - 1,))


def test_the_probe_input_can_be_given(digits: Graph, twin: onnx.ModelProto):
    image = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1)
    pairs = match_layers(digits, load(twin), {"image": image})
    assert sum("values" in pair.evidence for pair in pairs) == len(digits.ops)


def test_models_whose_inputs_do_not_fit_are_refused(digits: Graph):
    with pytest.raises(OptionError, match=r"shape \(1, 8, 8, 1\) does not fit 'x'"):
        match_layers(digits, load(small_onnx.conv_net()))


def test_pairs_are_written_to_json_and_read_back(digits: Graph, twin: onnx.ModelProto):
    for pair in match_layers(digits, load(twin)):
        assert LayerPair.from_json(pair.to_json()) == pair


def test_a_probe_is_the_same_for_both_layouts_and_different_for_other_values():
    values = np.random.default_rng(1).normal(size=(1, 3, 5, 7))
    first = Probe.of(values)
    assert first.difference(Probe.of(values.transpose(0, 2, 3, 1))) == 0
    assert first.difference(Probe.of(values * 1.01)) == pytest.approx(0.01)
    assert first.difference(Probe.of(values[:, :, :4])) == np.inf
    assert Probe.of(np.zeros((2, 3))).difference(Probe.of(np.zeros((2, 3)))) == np.inf  # says nothing
