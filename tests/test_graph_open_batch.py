"""Models with an open batch: the sizes inside them, ops that only compute shapes, and cuts at one and at three."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates import Interpreter
from litedelegates.engines import open_session
from litedelegates.engines.inputs import random_feed
from litedelegates.errors import CutError
from litedelegates.graph import Graph, check, cut, load
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.layers.alone import time_alone
from litedelegates.layers.variants import make_variant
from small_models_builder import OPTIONAL, GraphBuilder, ModelBuilder, Op, Type, schema
from small_models_shapes import ints, packed, shape_of, sliced

Array = np.ndarray[Any, Any]
WEIGHTS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
KERNEL = np.random.default_rng(1).standard_normal((3, 4, 2)).astype(np.float32)


def options(name: str, **values: Any) -> Any:
    table = getattr(schema, f"{name}OptionsT")()
    for key, value in values.items():
        setattr(table, key, value)
    return table


def dense(graph: GraphBuilder, read: int, made: int) -> None:
    graph.op(
        Op.FULLY_CONNECTED,
        [read, graph.constant("weights", WEIGHTS), OPTIONAL],
        [made],
        options("FullyConnected", keepNumDims=True),
    )


def dilated() -> bytes:
    """A convolution over 8 steps of time that looks at every second one, as converters write it."""
    model = ModelBuilder()
    graph = model.graph()
    block, crops = ints(graph, "block", [2]), ints(graph, "none", [[0, 0]])
    split = graph.tensor("split", (-1, 4, 4))
    graph.op(Op.SPACE_TO_BATCH_ND, [graph.input("x", (-1, 8, 4)), block, crops], [split])
    image = graph.tensor("image", (-1, 1, 4, 4))
    graph.op(Op.EXPAND_DIMS, [split, ints(graph, "one", 1)], [image], options("ExpandDims"))
    made = graph.tensor("made", (-1, 1, 2, 2))
    kernel = graph.constant("kernel", np.ascontiguousarray(KERNEL.transpose(2, 0, 1)[:, np.newaxis]))
    table = options("Conv2D", padding=schema.Padding.VALID, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    graph.op(Op.CONV_2D, [image, kernel, graph.constant("bias", np.zeros(2, np.float32))], [made], table)
    steps = graph.tensor("steps", (-1, 2, 2))
    graph.op(Op.SQUEEZE, [made], [steps], options("Squeeze", squeezeDims=[1]))
    graph.op(Op.BATCH_TO_SPACE_ND, [steps, block, crops], [graph.output("y", (-1, 4, 2))])
    return model.to_bytes()


def dilated_values(x: Array) -> Array:
    taps = [np.einsum("btc,co->bto", x[:, 2 * k : 2 * k + 4], KERNEL[k]) for k in range(3)]
    return np.sum(taps, axis=0)


def steps_of_time() -> bytes:
    """A dense layer on each of 5 steps of time: they are moved into the batch and back."""
    model = ModelBuilder()
    graph = model.graph()
    rows, made = graph.tensor("rows", (-1, 4)), graph.tensor("made", (-1, 3))
    graph.op(Op.RESHAPE, [graph.input("x", (-1, 5, 4)), ints(graph, "two", [-1, 4])], [rows], options("Reshape"))
    dense(graph, rows, made)
    graph.op(Op.RESHAPE, [made, ints(graph, "three", [-1, 5, 3])], [graph.output("y", (-1, 5, 3))], options("Reshape"))
    return model.to_bytes()


def mapped() -> bytes:
    """The same as Keras writes it: the sizes of the rows are all computed."""
    model = ModelBuilder()
    graph = model.graph()
    x, rows, made = graph.input("x", (-1, 5, 4)), graph.tensor("rows", (-1, -1)), graph.tensor("made", (-1, 3))
    shape = packed(graph, [ints(graph, "all", -1), sliced(graph, shape_of(graph, x, 3), 2)])
    graph.op(Op.RESHAPE, [x, shape], [rows], options("Reshape"))
    dense(graph, rows, made)
    graph.op(Op.RESHAPE, [made, ints(graph, "three", [-1, 5, 3])], [graph.output("y", (-1, 5, 3))], options("Reshape"))
    return model.to_bytes()


def flattened(*, first: str = "relu") -> bytes:
    """RELU, or the sum over rows as well, then RESHAPE to a shape that is computed from that of the RELU, and NEG."""
    model = ModelBuilder()
    graph = model.graph()
    relu = graph.tensor("relu", (-1, 3, 4))
    graph.op(Op.RELU, [graph.input("x", (-1, 3, 4))], [relu])
    read, size = relu, 12
    if first == "sum":
        read, size = graph.tensor("sum", (-1, 4)), 4
        graph.op(Op.SUM, [relu, ints(graph, "axis", 1)], [read], options("Reducer"))
    shape = packed(graph, [sliced(graph, shape_of(graph, relu, 3), 0), ints(graph, "features", size)])
    flat = graph.tensor("flat", (-1, size))
    graph.op(Op.RESHAPE, [read, shape], [flat])
    graph.op(Op.NEG, [flat], [graph.output("y", (-1, size))])
    return model.to_bytes()


def segments() -> bytes:
    """A layer of a graph network: rows are gathered along edges, summed by their ends and divided by how many."""
    model = ModelBuilder()
    graph = model.graph()
    src, dst = graph.input("src", (6,), Type.INT32), graph.input("dst", (6,), Type.INT32)
    nodes, count = graph.input("nodes", (5, 4)), ints(graph, "count", 5)
    made, ends = graph.tensor("made", (5, 3)), graph.tensor("ends", (5, 1))
    dense(graph, nodes, made)
    ones = graph.constant("ones", np.ones((6, 1), np.float32))
    graph.op(Op.UNSORTED_SEGMENT_SUM, [ones, dst, count], [ends], options("UnsortedSegmentSum"))
    least = graph.tensor("least", (5, 1))
    graph.op(Op.MAXIMUM, [ends, graph.constant("one", np.float32(1))], [least], options("MaximumMinimum"))
    along = graph.tensor("along", (6, 3))
    graph.op(Op.GATHER, [made, src], [along], options("Gather"))
    sums = graph.tensor("sums", (5, 3))
    graph.op(Op.UNSORTED_SEGMENT_SUM, [along, dst, count], [sums], options("UnsortedSegmentSum"))
    graph.op(Op.DIV, [sums, least], [graph.output("y", (5, 3))], options("Div"))
    return model.to_bytes()


def run_parts(parts: list[Graph], feed: dict[str, Array], delegate: Any) -> Array:
    values = dict(feed)
    for part in parts:
        with closing(open_session(part.to_bytes(), delegate=delegate)) as session:
            values |= session.run({info.name: values[info.name] for info in session.inputs})
    return values["y"]


MODELS: dict[str, tuple[Callable[[], bytes], tuple[int, ...], Callable[[Array], Array]]] = {
    "dilated": (dilated, (8, 4), dilated_values),
    "steps": (steps_of_time, (5, 4), lambda x: x @ WEIGHTS.T),
    "mapped": (mapped, (5, 4), lambda x: x @ WEIGHTS.T),
    "flattened": (flattened, (3, 4), lambda x: -np.maximum(x, 0).reshape(len(x), 12)),
    "sum": (lambda: flattened(first="sum"), (3, 4), lambda x: -np.maximum(x, 0).sum(1)),
}


@pytest.mark.parametrize("delegate", (None, "xnnpack"))
@pytest.mark.parametrize("name", MODELS)
def test_every_legal_cut_computes_what_the_whole_does_at_one_and_at_three(name: str, delegate: Any) -> None:
    build, shape, values = MODELS[name]
    graph = load(build())
    legal = [place.position for place in graph.cuts if place.refusal is None]
    assert legal
    for batch, at in itertools.product((1, 3), legal):
        x = np.random.default_rng(batch).standard_normal((batch, *shape)).astype(np.float32)
        found = run_parts(cut(graph, at), {"x": x}, delegate)
        np.testing.assert_allclose(found, values(x), rtol=1e-5, atol=1e-5)
        if delegate is None:
            assert check(cut(graph, at), graph, {"x": x}).equal


def test_inner_sizes_are_those_of_a_run_and_not_the_ones_of_the_converter() -> None:
    graph = load(dilated())
    assert {name: graph.tensor(name).shape for name in ("x", "split", "image", "made", "steps", "y")} == {
        "x": (1, 8, 4),
        "split": (2, 4, 4),
        "image": (2, 1, 4, 4),
        "made": (2, 1, 2, 2),
        "steps": (2, 2, 2),
        "y": (1, 4, 2),
    }
    assert [place.nbytes for place in graph.cuts] == [128, 128, 32, 32]
    assert [place.nbytes for place in load(dilated(), shapes={"x": (3, 8, 4)}).cuts] == [384, 384, 96, 96]
    for steps in (steps_of_time(), mapped()):  # the runtime tells the sizes of the second only while it runs
        graph = load(steps)
        assert (graph.tensor("rows").shape, graph.tensor("made").shape) == ((5, 4), (5, 3))
    graph = load(mapped(), shapes={"x": (3, 5, 4)})
    assert (graph.tensor("rows").shape, graph.tensor("made").shape) == ((15, 4), (15, 3))


@pytest.mark.parametrize("name", ("dilated", "steps", "mapped"))
def test_parts_run_on_random_inputs_of_the_sizes_that_they_have_in_the_whole(name: str) -> None:
    graph = load(MODELS[name][0]())
    for place in (place for place in graph.cuts if place.refusal is None):
        for part in cut(graph, place.position):
            with closing(open_session(part.to_bytes(), same_kernels=True)) as session:
                feed = random_feed(session)
                assert {key: array.shape for key, array in feed.items()} == {
                    part.public_name(tensor): tensor.shape for tensor in part.inputs
                }
                session.run(feed)


def test_sizes_that_the_runtime_does_not_tell_are_unknown_and_break_no_comparison() -> None:
    model = ModelBuilder()
    graph = model.graph()
    split, odd = graph.tensor("split", (-1, 4, 4)), graph.tensor("odd", (1, 4))
    given = [graph.input("x", (-1, 8, 4)), ints(graph, "block", [2]), ints(graph, "none", [[0, 0]])]
    graph.op(Op.SPACE_TO_BATCH_ND, given, [split])
    graph.op(Op.CUSTOM, [split], [odd], custom_code="Unheard")
    graph.op(Op.NEG, [odd], [graph.output("y", (1, 4))])
    found = load(model.to_bytes())
    assert found.tensor("split").shape == (-1, 4, 4)
    assert [place.nbytes for place in found.cuts] == [None, 16]
    assert min(found.cuts, key=lambda place: place.cost_bytes).position == 2


def test_a_place_behind_ops_that_only_compute_shapes_is_none_to_cut_at() -> None:
    graph = load(flattened())
    assert [op.type for op in graph.ops if op.computes_shape] == ["SHAPE", "STRIDED_SLICE", "PACK"]
    assert [place.refusal is None for place in graph.cuts] == [True, False, False, False, True]
    with pytest.raises(CutError, match=r"no cut at 3: op 2 \(STRIDED_SLICE 'size'\) only computes a shape: cut at 1"):
        cut(graph, 3)
    assert min(graph.cuts, key=lambda place: place.cost_bytes).position in (1, 5)


def test_a_shape_that_spares_the_tensor_that_it_is_of_may_travel() -> None:
    """Before the SHAPE all of the tensor would travel, only to tell its batch."""
    graph = load(flattened(first="sum"))
    by_position = {place.position: place for place in graph.cuts}
    assert by_position[2].nbytes == 48 + 16
    assert by_position[5].refusal is None
    assert sorted(tensor.name for tensor in by_position[5].tensors) == ["packed", "sum"]


def test_places_of_unknown_bytes_are_compared_by_what_travels() -> None:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node
    nodes = [
        node("Relu", ["x"], ["relu"]),
        node("Shape", ["relu"], ["shape"]),
        node("Gather", ["shape", "first"], ["batch"], axis=0),
        node("Concat", ["batch", "rest"], ["flat_shape"], axis=0),
        node("Reshape", ["relu", "flat_shape"], ["flat"]),
        node("Neg", ["flat"], ["y"]),
    ]
    value, constant = onnx.helper.make_tensor_value_info, onnx.numpy_helper.from_array
    made = onnx.helper.make_graph(
        nodes,
        "open",
        [value("x", onnx.TensorProto.FLOAT, ["batch", 3, 4])],
        [value("y", onnx.TensorProto.FLOAT, ["batch", 12])],
        [constant(np.array([0]), "first"), constant(np.array([12]), "rest")],
    )
    graph = load(onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8))
    assert [op.type for op in graph.ops if op.computes_shape] == ["Shape", "Gather", "Concat"]
    assert [(place.nbytes, place.refusal is None) for place in graph.cuts] == [
        *((None, True), (None, False), (None, False), (None, False), (None, True))
    ]
    for batch, at in itertools.product((1, 3), (1, 5)):
        x = np.random.default_rng(batch).standard_normal((batch, 3, 4)).astype(np.float32)
        assert check(cut(graph, at), graph, {"x": x}).equal


def test_nothing_but_shapes_before_a_place_is_nothing() -> None:
    from small_models_shapes import computed_reshape

    refusals = [place.refusal for place in load(computed_reshape()).cuts]
    assert refusals[:3] == ["no op before it computes anything from the inputs, or only their shapes"] * 3
    assert refusals[3] is None


def test_cuts_between_integers_that_a_caller_gives_are_right() -> None:
    content = segments()
    graph = load(content)
    src, dst = np.array([0, 1, 2, 3, 4, 0], np.int32), np.array([1, 1, 0, 2, 2, 4], np.int32)
    nodes = np.random.default_rng(3).standard_normal((5, 4)).astype(np.float32)
    expected = np.zeros((5, 3), np.float32)
    np.add.at(expected, dst, (nodes @ WEIGHTS.T)[src])
    expected /= np.maximum(np.bincount(dst, minlength=5), 1)[:, np.newaxis]
    feed = {"src": src, "dst": dst, "nodes": nodes}
    for at in itertools.chain(((p,) for p in range(1, 6)), itertools.combinations(range(1, 6), 2)):
        found = run_parts(cut(graph, at), feed, None)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=str(at))
    with Interpreter(content, delegate=None) as interpreter:
        np.testing.assert_allclose(interpreter.run(src, dst, nodes), expected, rtol=1e-5, atol=1e-6)


def test_shapes_and_integers_are_no_refusals_of_a_study(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    model = ModelBuilder()
    graph = model.graph()
    x, made = graph.input("x", (-1, 4)), graph.tensor("made", (-1, 3))
    dense(graph, x, made)
    largest = graph.output("largest", (-1,), Type.INT64)
    graph.op(Op.ARG_MAX, [made, ints(graph, "axis", 1)], [largest], options("ArgMax", outputType=Type.INT64))
    shape = packed(graph, [sliced(graph, shape_of(graph, made, 2), 0), ints(graph, "features", 3)])
    graph.op(Op.RESHAPE, [made, shape], [graph.output("y", (-1, 3))])
    path = tmp_path / "model.tflite"
    path.write_bytes(model.to_bytes())
    config = LayersConfig(
        str(path), ("dynamic",), delegates=("none",), seconds=0.02, runs=3, samples=2, parts=("alone", "error")
    )
    study = study_layers(config, tmp_path / "study.sqlite")
    types = {layer.index: layer.type for layer in study.layers}
    assert [layer.type for layer in study.layers if layer.computes_shape] == ["SHAPE", "STRIDED_SLICE", "PACK"]
    assert {types[record.layer] for record in study.alone} == {"FULLY_CONNECTED", "ARG_MAX", "RESHAPE"}
    assert {types[record.layer] for record in study.errors} == {"FULLY_CONNECTED", "RESHAPE"}
    assert [record.refusal for record in (*study.alone, *study.errors) if record.refusal] == []
    variant = make_variant(load(path), path, "float32", tmp_path)
    timed = {record.layer for record in time_alone([variant], ["none"], seconds=0.02)}
    assert not timed & {layer.index for layer in study.layers if layer.computes_shape}
