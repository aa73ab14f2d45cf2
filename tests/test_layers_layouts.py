"""Tensors that hold the values of a layer in another order of dimensions are not compared with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from litedelegates.graph import load
from litedelegates.layers.carrying import Carriers, samples_of
from litedelegates.layers.errors import local_errors, propagated_errors
from litedelegates.layers.layouts import is_turned, without_turned
from litedelegates.layers.variants import Variant, make_variant

POSITIONS, SIZE = 4, 16


def attention(heads: int) -> bytes:
    """Return self-attention over four positions: queries, keys and values in one product, then split by a Transpose."""
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    depth = SIZE // heads
    constants = {
        "w": rng.standard_normal((SIZE, 3 * SIZE)).astype("f") / 4,
        "b": rng.standard_normal(3 * SIZE).astype("f") / 4,
        "v": rng.standard_normal((SIZE, SIZE)).astype("f") / 4,
        "five": np.array([-1, POSITIONS, 3, heads, depth]),
        "ones": np.array([1, 1, 1]),
        "axis": np.array([0]),
        "scale": np.float32(depth**0.5),
        "flat": np.array([-1, POSITIONS, SIZE]),
    }
    node = onnx.helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["qkv"], "/a/qkv"),
        node("Add", ["b", "qkv"], ["biased"], "/a/bias"),
        node("Reshape", ["biased", "five"], ["heads"], "/a/Reshape"),
        node("Transpose", ["heads"], ["turned"], "/a/Transpose", perm=[2, 0, 3, 1, 4]),
        node("Split", ["turned", "ones"], ["q1", "k1", "v1"], "/a/Split", axis=0),
        *(node("Squeeze", [f"{name}1", "axis"], [f"{name}_out"], f"/a/Squeeze_{name}") for name in "qkv"),
        node("Transpose", ["k_out"], ["k_turned"], "/a/Transpose_1", perm=[0, 1, 3, 2]),
        node("MatMul", ["q_out", "k_turned"], ["products"], "/a/MatMul"),
        node("Div", ["products", "scale"], ["scores"], "/a/Div"),
        node("Softmax", ["scores"], ["shares"], "/a/Softmax", axis=-1),
        node("MatMul", ["shares", "v_out"], ["mixed"], "/a/MatMul_1"),
        node("Transpose", ["mixed"], ["back"], "/a/Transpose_2", perm=[0, 2, 1, 3]),
        node("Reshape", ["back", "flat"], ["rows"], "/a/Reshape_1"),
        node("MatMul", ["rows", "v"], ["y"], "/a/out"),
    ]
    value = onnx.helper.make_tensor_value_info
    shape = ["batch", POSITIONS, SIZE]
    graph = onnx.helper.make_graph(
        nodes,
        "attention",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def quantized(folder: Path, heads: int, precision: str) -> tuple[Variant, list[dict[str, np.ndarray]]]:
    path = folder / "attention.onnx"
    path.write_bytes(attention(heads))
    rng = np.random.default_rng(1)
    feeds = [{"x": rng.standard_normal((1, POSITIONS, SIZE)).astype("f")} for _ in range(3)]
    return make_variant(load(path), path, precision, folder, calibration=feeds, allow_float32_ops=True), feeds


@pytest.mark.parametrize(("precision", "least_db"), (("float16", 50), ("dynamic", 25), ("int8", 15)))
@pytest.mark.parametrize("heads", (4, 2))
def test_attention_with_as_many_heads_as_positions_has_no_false_errors(
    tmp_path: Path, heads: int, precision: str, least_db: int
) -> None:
    pytest.importorskip("onnxruntime")
    variant, feeds = quantized(tmp_path, heads, precision)
    for errors in (local_errors, propagated_errors):
        found = {record.layer: record.sqnr_db for record in errors([variant], feeds) if record.sqnr_db is not None}
        assert len(found) > 6
        assert {layer: round(db) for layer, db in found.items() if db < least_db} == {}


def test_a_tensor_named_after_its_layer_with_other_values_is_found_by_its_values(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    variant, feeds = quantized(tmp_path, 4, "float16")
    moved = [tensor for tensor in variant.graph.tensors if tensor.name.startswith("/a/Squeeze_")]
    if not moved:
        pytest.skip("this onnxruntime moves no Transpose behind a Squeeze")
    found = without_turned(Carriers(variant), samples_of(variant.source, feeds)).variant
    for tensor in moved:
        (layer,) = (op for op in variant.source.ops if op.name == tensor.name)
        assert variant.tensor_of(layer.makes[0]) is tensor  # as far as names and shapes tell
        assert found.tensor_of(layer.makes[0]) is not tensor


def test_values_in_another_order_are_told_from_inexact_ones() -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((1, 4, 4, 3)).astype("f")
    assert not is_turned(values, values)
    assert not is_turned(values, values + rng.standard_normal(values.shape))
    assert not is_turned(values, np.zeros_like(values))
    assert is_turned(values, values.transpose(0, 2, 1, 3) + 0.01)
    assert is_turned(values, np.zeros((1, 4, 5, 3), "f"))
    assert not is_turned(np.float32(1), np.float32(2))


def test_a_variant_without_moved_layouts_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("litert_quantizer")
    from digits_model import DIGITS, digits_data
    from litedelegates.layers import layouts

    monkeypatch.setattr(layouts, "Walk", None)
    variant = make_variant(load(DIGITS), DIGITS, "dynamic", tmp_path)
    feeds = [dict(zip(variant.source.input_names, [digits_data()["calibration"][0]], strict=True))]
    model = Carriers(variant)
    assert without_turned(model, samples_of(variant.source, feeds)) is model


def test_tensors_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """A ``.tflite`` may call all of its tensors the same: the errors are those of the model with names."""
    pytest.importorskip("litert_quantizer")
    feeds = [{"x": np.random.default_rng(seed).standard_normal((1, SIZE)).astype("f")} for seed in range(4)]
    found: dict[bool, list[float | None]] = {}
    for is_named in (True, False):
        folder = tmp_path / str(is_named)
        folder.mkdir()
        path = folder / "model.tflite"
        path.write_bytes(dense_chain(is_named))
        variant = make_variant(load(path), path, "int8", folder, calibration=feeds)
        found[is_named] = [
            record.sqnr_db for errors in (local_errors, propagated_errors) for record in errors([variant], feeds)
        ]
    assert found[False] == found[True]
    assert all(db is not None and db > 20 for db in found[True])


def dense_chain(is_named: bool) -> bytes:
    """Return four dense layers with a TANH after each, all tensors of one shape."""
    from small_models_builder import ModelBuilder, Op, schema

    rng = np.random.default_rng(3)
    model = ModelBuilder()
    graph = model.graph()
    read = graph.input("x", (1, SIZE))
    for layer in range(4):
        made = graph.tensor(f"made{layer}" if is_named else "t", (1, SIZE))
        weights = graph.constant(f"w{layer}" if is_named else "w", rng.standard_normal((SIZE, SIZE)).astype("f") / 4)
        graph.op(Op.FULLY_CONNECTED, [read, weights, -1], [made], schema.FullyConnectedOptionsT())
        add = graph.output if layer == 3 else graph.tensor
        read = add(f"tanh{layer}" if is_named else "t", (1, SIZE))
        graph.op(Op.TANH, [made], [read])
    return model.to_bytes()
