"""Weights of ops that litert-quantizer leaves in float32 are stored small too, once, or said to be left."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from litedelegates import Interpreter
from litedelegates.errors import QuantizationWarning
from litedelegates.graph.tflite.tree import parse, tensor_data, text, type_name
from litedelegates.quantize import quantize, read_record
from small_models_builder import ModelBuilder, Op, schema
from small_models_quantize import dense, fused_lstm, tied_embedding, weights

SHARE = {"float16": 0.6, "dynamic": 0.42, "weight_only": 0.42}
ERROR = {"float16": 1e-3, "dynamic": 0.03, "weight_only": 0.02}


def stored_types(model: bytes) -> dict[str, str]:
    """Return the element type of each large constant by its name."""
    tree = parse(model)
    tensors = [tensor for graph in tree.subgraphs for tensor in graph.tensors]
    return {
        text(tensor.name): type_name(tensor)
        for tensor in tensors
        if tensor_data(tree, tensor) is not None and np.prod(tensor.shape) >= 1024
    }


def error(model: bytes, made: bytes, *inputs: np.ndarray) -> float:
    x, y = (Interpreter(content).run(*inputs) for content in (model, made))
    return float(np.linalg.norm(x - y) / np.linalg.norm(x))


@pytest.mark.parametrize("precision", SHARE)
def test_weights_of_a_fused_lstm_are_stored_small(precision: str) -> None:
    model = fused_lstm(inputs=64, units=128)
    with warnings.catch_warnings():
        warnings.simplefilter("error", QuantizationWarning)
        made = quantize(model, precision)
    assert len(made) < SHARE[precision] * len(model)
    assert set(stored_types(made).values()) == {"FLOAT16" if precision == "float16" else "INT8"}
    x = np.random.default_rng(0).standard_normal((5, 1, 64)).astype(np.float32)
    assert error(model, made, x) < ERROR[precision]
    # The state goes on from run to run in both.
    one, other = Interpreter(model), Interpreter(made)
    rows = [(one.run(x), other.run(x)) for _ in range(3)]
    assert max(np.abs(a - b).max() for a, b in rows) < 0.05 and np.abs(rows[0][0] - rows[2][0]).max() > 1e-3


@pytest.mark.parametrize("one_tensor", [True, False])
@pytest.mark.parametrize("precision", SHARE)
def test_a_tied_embedding_is_stored_once(precision: str, one_tensor: bool) -> None:
    model = tied_embedding(one_tensor, rows=2000, width=64)
    made = quantize(model, precision)
    assert len(made) < SHARE[precision] * len(model)
    tree = parse(made)
    assert sum(buffer.data is not None and len(buffer.data) >= 64000 for buffer in tree.buffers) == 1
    ids = np.array([3, 0, 1999, 77, 3], np.int32)
    assert error(model, made, ids) < ERROR[precision]


def test_each_of_the_ties_has_what_the_plan_says() -> None:
    model = tied_embedding(rows=2000, width=64)
    ids = np.arange(5, dtype=np.int32)
    made = quantize(model, plan={"GATHER": "float16", "logits": "dynamic"})
    assert sorted(stored_types(made).values()) == ["FLOAT16", "FLOAT32", "INT8"]  # the last is of the op between
    assert error(model, made, ids) < 0.03
    made = quantize(model, "dynamic", exclude=["GATHER"])
    assert "FLOAT32" in stored_types(made).values() and error(model, made, ids) < 0.03
    made = quantize(model, "float16", only=["GATHER"])
    assert error(model, made, ids) < 1e-3
    assert read_record(made).recipe["plan"] == {"float16": [0], "float32": [1, 2]}


def test_a_model_that_stores_nothing_but_a_table_can_be_quantized() -> None:
    model = ModelBuilder()
    graph = model.graph()
    ids = graph.input("ids", (4,), 2)
    graph.op(Op.GATHER, [weights(graph, "table", 400, 64), ids], [graph.output("y", (4, 64))], schema.GatherOptionsT())
    source = model.to_bytes()
    for precision, share in SHARE.items():
        made = quantize(source, precision)
        assert len(made) < share * len(source)
        assert error(source, made, np.array([0, 1, 399, 5], np.int32)) < ERROR[precision]


def test_small_tables_stay_as_they_are() -> None:
    model = tied_embedding(rows=20, width=8)
    assert error(model, quantize(model, "float16"), np.arange(5, dtype=np.int32)) < 1e-3


def test_weights_that_stay_float32_are_told() -> None:
    model = ModelBuilder()
    graph = model.graph()
    x, h = graph.input("x", (1, 8)), graph.tensor("h", (1, 64))
    dense(graph, x, h)
    positions = weights(graph, "positions", 64, 64)
    graph.op(Op.ADD, [h, positions], [graph.output("y", (64, 64))], schema.AddOptionsT())
    with pytest.warns(
        QuantizationWarning, match=r"16384 of \d+ bytes are weights that stayed float32: those of ADD 'y'"
    ):
        made = quantize(model.to_bytes(), "dynamic")
    assert any("stayed float32" in said for said in read_record(made).warnings)


def on_one_buffer(forms: list[tuple[int, int]]) -> bytes:
    """FULLY_CONNECTED ops one after the other whose weights are the same bytes in other shapes."""
    model = ModelBuilder()
    graph = model.graph()
    last, first = graph.input("x", (1, forms[0][1])), None
    for number, (outputs, inputs) in enumerate(forms):
        if first is None:
            stored = first = weights(graph, "w", outputs, inputs)
        else:
            stored = graph.tensor(f"w{number}", (outputs, inputs))
            graph.table.tensors[stored].buffer = graph.table.tensors[first].buffer
        last_of_all = number == len(forms) - 1
        made = (graph.output if last_of_all else graph.tensor)(f"y{number}", (1, outputs))
        graph.op(Op.FULLY_CONNECTED, [last, stored, -1], [made], schema.FullyConnectedOptionsT())
        last = made
    return model.to_bytes()


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only", "int8", "int16x8"])
def test_one_buffer_in_two_shapes_has_the_scales_of_each(precision: str) -> None:
    model = on_one_buffer([(64, 4), (4, 64), (64, 4)])
    samples = list(np.random.default_rng(0).standard_normal((8, 1, 4)).astype(np.float32))
    made = quantize(model, precision, samples if "int" in precision else None, progress=False)
    assert error(model, made, samples[0]) < 0.08


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only", "int8", "int16x8"])
@pytest.mark.parametrize("transposed", [False, True])
def test_products_with_stored_weights_are_right_in_every_precision(precision: str, transposed: bool) -> None:
    """Integer kernels of BATCH_MATMUL know no scale for each column: with some, every output was 0."""
    model = ModelBuilder()
    graph = model.graph()
    options = schema.BatchMatMulOptionsT()
    options.adjY = transposed
    w = weights(graph, "w", *((64, 8) if transposed else (8, 64)))
    graph.op(Op.BATCH_MATMUL, [graph.input("x", (2, 3, 8)), w], [graph.output("y", (2, 3, 64))], options)
    source = model.to_bytes()
    samples = list(np.random.default_rng(0).standard_normal((8, 2, 3, 8)).astype(np.float32))
    made = quantize(source, precision, samples if "int" in precision else None, progress=False)
    assert error(source, made, samples[0]) < 0.03
