"""Quantized ONNX models run beside their source before they are returned: what does not run, and what is off."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
import small_onnx
from litedelegates.errors import QuantizationError, QuantizationWarning
from litedelegates.quantize import onnx_float16, quantize, read_record
from litedelegates.quantize.calibration import InputSpec
from litedelegates.quantize.onnx_trial import try_beside
from onnx import TensorProto, helper
from test_quantize_onnx_arithmetic import attention, build, errors, masked_samples, samples, values

FEW = {"num_threads": 1, "most_bytes": 2**31 - 1}


def half_types(made: bytes) -> set[str]:
    graph = onnx.load_from_string(made).graph
    return {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16}


def scatter(reduction: str) -> bytes:
    """Return a layer of a graph network: rows are gathered, summed up by their targets and multiplied."""
    stored = {
        "w": values(8, 8),
        "zeros": np.zeros((10, 8), np.float32),
        "rows": np.broadcast_to(np.arange(24)[:, None] % 10, (24, 8)).copy(),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "first"),
        helper.make_node("ScatterElements", ["zeros", "rows", "h"], ["s"], "scatter", axis=0, reduction=reduction),
        helper.make_node("Relu", ["s"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w"], ["y"], "second"),
    ]
    return build(nodes, stored, {"x": [24, 8]}, ["y"], opset=18)


def test_an_op_that_does_not_run_in_float16_stays_float32_and_is_named() -> None:
    model = scatter("add")
    with pytest.warns(QuantizationWarning, match="1 op stays float32, as onnxruntime does not run ScatterElements in"):
        made = quantize(model, "float16")
    assert half_types(made) == {"w"}
    assert max(errors(made, model, samples(x=(24, 8))[0])) < 0.005
    record = read_record(made)
    assert record is not None
    assert ["ScatterElements 'scatter'" in text for text in record.warnings] == [True]


def test_an_op_that_does_not_run_in_float16_is_refused_where_it_is_asked_for_by_name() -> None:
    with pytest.raises(QuantizationError, match=r"plan asks for op 1 ScatterElements 'scatter' in 'float16', but onnx"):
        quantize(scatter("add"), plan={"scatter": "float16", "first": "float16"})


def recurrent(kind: str, gates: int, batch: int | str) -> bytes:
    """Return a recurrent layer between two transpositions, as PyTorch exports it, and a projection."""
    stored = {
        "w": values(1, gates * 6, 8),
        "r": values(1, gates * 6, 6),
        "b": values(1, gates * 12),
        "p": values(6, 5),
        "one": np.array([1]),
        "pb": values(5),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "in", perm=[1, 0, 2]),
        helper.make_node(kind, ["t", "w", "r", "b"], ["h"], "recurrent", hidden_size=6),
        helper.make_node("Squeeze", ["h", "one"], ["s"], "squeeze"),
        helper.make_node("Transpose", ["s"], ["u"], "out", perm=[1, 0, 2]),
        helper.make_node("MatMul", ["u", "p"], ["m"], "project"),
        helper.make_node("Add", ["pb", "m"], ["y"], "bias"),
    ]
    return build(nodes, stored, {"x": [batch, 12, 8]}, ["y"])


@pytest.mark.filterwarnings("ignore::litedelegates.errors.QuantizationWarning")
@pytest.mark.parametrize(
    ("kind", "gates", "batch", "precision"),
    [
        *(("LSTM", 4, "N", precision) for precision in ("float16", "dynamic", "weight_only", "int8", "int16x8")),
        ("GRU", 3, "N", "float16"),
        ("GRU", 3, "N", "weight_only"),
        ("RNN", 1, "N", "float16"),
        ("RNN", 1, "N", "int8"),
        ("LSTM", 4, 2, "float16"),
    ],
)
def test_recurrent_layers_run_in_every_precision(kind: str, gates: int, batch: int | str, precision: str) -> None:
    model, calibration = recurrent(kind, gates, batch), samples(x=(2, 12, 8))
    given = calibration if precision.startswith("int") else None
    made = quantize(model, precision, given, allow_float32_ops=True)
    assert max(errors(made, model, calibration[0])) < 0.03


def captured_by_if(*, outer_weight: bool) -> bytes:
    """Return an If whose branches read a tensor, and with ``outer_weight`` a weight, of the graph around them."""

    def branch(name: str, weight: str) -> Any:
        made = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 8])
        return helper.make_graph([helper.make_node("MatMul", ["h", weight], [name], name)], name, [], [made])

    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m"], "mm"),
        helper.make_node("Relu", ["m"], ["h"], "relu"),
        helper.make_node("ReduceMax", ["m"], ["largest"], "largest", keepdims=0),
        helper.make_node("Greater", ["largest", "limit"], ["is_large"], "compare"),
        helper.make_node(
            "If",
            ["is_large"],
            ["z"],
            "if",
            then_branch=branch("a", "w1" if outer_weight else "w2"),
            else_branch=branch("b", "w3"),
        ),
        helper.make_node("MatMul", ["z", "w4"], ["y"], "last"),
    ]
    stored = {f"w{number}": values(8, 8, seed=number) for number in range(1, 5)} | {"limit": np.float32(1.5)}
    return build(nodes, stored, {"x": [2, 8]}, ["y"])


@pytest.mark.parametrize("options", [{"allow_float32_ops": True}, {"exclude": ["If"]}, {"only": ["MatMul"]}], ids=str)
@pytest.mark.parametrize("outer_weight", [False, True])
def test_a_branch_reads_float32_where_float16_is_around_it(outer_weight: bool, options: dict[str, Any]) -> None:
    model = captured_by_if(outer_weight=outer_weight)
    made = quantize(model, "float16", **options)
    found = [max(errors(made, model, sample)) for sample in samples(x=(2, 8))]
    assert 0 < max(found) < 0.01
    assert {"w1", "w4"} <= half_types(made)


@pytest.mark.parametrize("mask", ["where", "add", "stored"])
def test_float16_masks_with_its_smallest_number(mask: str) -> None:
    model, feeds = attention(mask, -1e9), masked_samples()
    assert max(errors(quantize(model, "float16"), model, feeds[0])) < 0.005


def test_a_table_that_stays_float32_is_said() -> None:
    stored = {"table": values(500, 16), "w": values(16, 16), "ids": np.arange(5)}
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], "cast", to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["g"], "gather"),
        helper.make_node("MatMul", ["g", "w"], ["y"], "mm"),
    ]
    with pytest.warns(QuantizationWarning, match=r"1 op stays float32, with 32000 bytes of weights: 1 Gather 'gather'"):
        quantize(build(nodes, stored, {"x": [3]}, ["y"]), "dynamic")


def test_values_that_are_off_are_warned_of_with_the_op_where_that_begins() -> None:
    spiked = [*samples(7, x=(4, 16)), {"x": np.full((4, 16), 3000, np.float32)}]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "first"),
        helper.make_node("MatMul", ["m", "w2"], ["y"], "y"),
    ]
    model = build(nodes, {"w": values(16, 16), "w2": values(16, 5)}, {"x": [4, 16]}, ["y"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize(model, "int8", spiked[:7])
    stored = {"w": values(16, 16), "w2": values(16, 5), "w3": values(16, 5), "big": np.float32(1e5)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "first"),
        helper.make_node("MatMul", ["x", "w3"], ["n"], "second"),
        helper.make_node("Mul", ["n", "big"], ["large"], "scale"),
        helper.make_node("Concat", ["m", "large"], ["y"], "join", axis=1),
    ]
    model = build(nodes, stored, {"x": [4, 16]}, ["y"])
    with pytest.warns(QuantizationWarning, match="off: output 'y' has .*columns 0 to 15"):
        quantize(model, "int8", samples(x=(4, 16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize(model, "int8", samples(x=(4, 16)), check_values=False)


def test_a_result_that_has_nothing_to_do_with_its_source_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(model: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
        made = onnx_float16_made(model, names)
        for tensor in made.graph.initializer:
            if tensor.name == "hidden/w":
                tensor.raw_data = (-10 * np.frombuffer(tensor.raw_data, np.float16)).tobytes()
        return made

    onnx_float16_made = onnx_float16.make_float16
    monkeypatch.setattr("litedelegates.quantize.onnx.make_float16", spoilt)
    model = small_onnx.make_model(
        [helper.make_node("MatMul", ["x", "hidden/w"], ["y"], "hidden")],
        {"hidden/w": values(16, 5)},
        {"x": [4, 16]},
        {"y": [4, 5]},
    )
    # Random values may be far from those that the model is for: no more than a warning.
    with pytest.warns(QuantizationWarning, match="off: output 'y' is off by 11 times its norm.* begins at MatMul 'hid"):
        quantize(model, "float16")
    with pytest.raises(QuantizationError, match=r"is wrong: output 'y' is off by 11 times its norm.*MatMul 'hidden'"):
        _quantize_with_samples(model)


def _quantize_with_samples(model: onnx.ModelProto) -> bytes:
    model.graph.node.add().CopyFrom(helper.make_node("MatMul", ["x", "w2"], ["z"], "other"))
    model.graph.initializer.add().CopyFrom(onnx.numpy_helper.from_array(values(16, 4), "w2"))
    model.graph.output.add().CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, [4, 4]))
    return quantize(model, calibration=samples(x=(4, 16)), plan={"hidden": "float16", "other": "int8"})


def test_a_process_that_ends_while_it_loads_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr("litedelegates.quantize.onnx_trial.python_command", lambda *_: ["python3", str(crashing)])
    model = small_onnx.conv_net()
    trial = try_beside(model, model, [], [], ["float16"], **FEW)
    assert trial.crashed
    assert "SIGSEGV" in trial.failure


def test_random_outputs_and_inputs_without_samples_are_unknown() -> None:
    nodes = [helper.make_node("RandomNormalLike", ["x"], ["n"]), helper.make_node("Add", ["x", "n"], ["y"])]
    model = small_onnx.make_model(nodes, {}, {"x": [2]}, {"y": [2]})
    assert try_beside(model, model, [], [], ["float16"], **FEW).verdict == "unknown"
    branches = {}
    for name in ("then_branch", "else_branch"):
        drawn = helper.make_node("RandomNormalLike", ["x"], [name])
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
        branches[name] = helper.make_graph([drawn], name, [], [value])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["is_positive"]),
        helper.make_node("If", ["is_positive"], ["y"], **branches),
    ]
    inside = small_onnx.make_model(nodes, {"zero": np.array(0, np.float32)}, {"x": [2]}, {"y": [2]})
    specs, given = [InputSpec("x", (2,), (2,), np.dtype(np.float32))], [{"x": np.ones(2, np.float32)}]
    assert try_beside(inside, inside, specs, given, ["float16"], **FEW).verdict == "unknown"


def test_integer_borders_are_compared_as_real_values() -> None:
    calibration: list[NDArray[Any]] = small_onnx.images(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for border in ("int8", "uint8"):
            quantize(small_onnx.conv_net(), "int8", calibration, border=border)
