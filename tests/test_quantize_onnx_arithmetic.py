"""ONNX ops that onnxruntime's quantizers get wrong without help: activations, scales of Gemm, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnxruntime
from litedelegates.errors import QuantizationError, QuantizationWarning
from litedelegates.quantize import quantize
from onnx import TensorProto, helper, numpy_helper

Feeds = dict[str, NDArray[Any]]
INT8 = ({}, {"format": "qoperator"}, {"activation_type": "int8"})


def values(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng((seed, *shape))
    return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def build(
    nodes: Sequence[Any], stored: dict[str, Any], inputs: dict[str, Any], outputs: Sequence[str], opset: int = 17
) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "small",
        [
            helper.make_tensor_value_info(name, TensorProto.BOOL if name == "mask" else TensorProto.FLOAT, shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(model.SerializeToString())


def run(model: bytes, feeds: Feeds) -> list[NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(None, feeds)
    return found


def errors(made: bytes, model: bytes, feeds: Feeds) -> list[float]:
    pairs = zip(run(made, feeds), run(model, feeds), strict=True)
    return [float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)) for found, wanted in pairs]


def samples(count: int = 8, **shapes: tuple[int, ...]) -> list[Feeds]:
    random = np.random.default_rng(1)
    return [
        {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(count)
    ]


IMAGES = samples(x=(1, 3, 8, 8))
CONV = {"w": values(4, 3, 3, 3), "w2": values(4, 4, 3, 3), "low": np.float32(-0.3), "high": np.float32(0.3)}
ACTIVATIONS = {
    "Relu": helper.make_node("Relu", ["c"], ["r"], "act"),
    "Clip": helper.make_node("Clip", ["c", "low", "high"], ["r"], "act"),
    "Clip below": helper.make_node("Clip", ["c", "", "high"], ["r"], "act"),
}


def conv(source: str, weights: str, output: str) -> Any:
    return helper.make_node("Conv", [source, weights], [output], output, pads=[1] * 4)


@pytest.mark.parametrize("options", INT8, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation_stays_whose_input_another_op_reads(activation: str, options: dict[str, Any]) -> None:
    nodes = [
        conv("x", "w", "c"),
        ACTIVATIONS[activation],
        conv("r", "w2", "d"),
        helper.make_node("Add", ["c", "d"], ["y"]),
    ]
    model = build(nodes, CONV, {"x": [1, 3, 8, 8]}, ["y"])
    assert max(errors(quantize(model, "int8", IMAGES, **options), model, IMAGES[0])) < 0.05


@pytest.mark.parametrize("options", [*INT8, {"precision": "int16x8"}], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_output_keeps_its_range_before_an_activation(activation: str, options: dict[str, Any]) -> None:
    nodes = [conv("x", "w", "c"), ACTIVATIONS[activation], conv("r", "w2", "y")]
    model = build(nodes, CONV, {"x": [1, 3, 8, 8]}, ["y", "c", "r"])
    made = quantize(model, calibration=IMAGES, **{"precision": "int8", **options})
    assert max(errors(made, model, IMAGES[0])) < 0.05


@pytest.mark.parametrize("options", INT8, ids=str)
def test_an_activation_stays_whose_input_only_the_branch_of_an_if_reads(options: dict[str, Any]) -> None:
    def branch(op_type: str) -> Any:
        made = helper.make_tensor_value_info(op_type, TensorProto.FLOAT, [1, 4, 8, 8])
        return helper.make_graph([helper.make_node(op_type, ["c"], [op_type])], op_type, [], [made])

    nodes = [
        conv("x", "w", "c"),
        ACTIVATIONS["Relu"],
        conv("r", "w2", "d"),
        helper.make_node("ReduceMax", ["c"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "high"], ["is_large"]),
        helper.make_node("If", ["is_large"], ["i"], "if", then_branch=branch("Neg"), else_branch=branch("Abs")),
        helper.make_node("Add", ["d", "i"], ["y"]),
    ]
    model = build(nodes, CONV, {"x": [1, 3, 8, 8]}, ["y"])
    made = quantize(model, "int8", IMAGES, only=["Conv", "Relu"], **options)
    assert max(errors(made, model, IMAGES[0])) < 0.05


@pytest.mark.parametrize("options", INT8, ids=str)
@pytest.mark.parametrize("limits", [(0.1, 0.4), (-0.4, -0.1)])
def test_a_clip_stays_whose_limits_leave_out_0(limits: tuple[float, float], options: dict[str, Any]) -> None:
    stored = {"w": CONV["w"], "w2": CONV["w2"], "low": np.float32(limits[0]), "high": np.float32(limits[1])}
    model = build([conv("x", "w", "c"), ACTIVATIONS["Clip"], conv("r", "w2", "y")], stored, {"x": [1, 3, 8, 8]}, ["y"])
    assert max(errors(quantize(model, "int8", IMAGES, **options), model, IMAGES[0])) < 0.05


@pytest.mark.parametrize("options", INT8, ids=str)
def test_a_reshape_behind_an_activation_that_stays_is_quantized_too(options: dict[str, Any]) -> None:
    stored = {**CONV, "flat": np.array([1, -1]), "m": values(256, 5)}
    nodes = [
        conv("x", "w", "c"),
        ACTIVATIONS["Clip"],
        helper.make_node("Reshape", ["r", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
    ]
    model = build(nodes, stored, {"x": [1, 3, 8, 8]}, ["y", "c"])
    assert max(errors(quantize(model, "int8", IMAGES, **options), model, IMAGES[0])) < 0.05


GEMM = {"w": values(16, 5, seed=3), "wt": values(5, 16, seed=4), "b": values(5, seed=5) * 2}
ROWS = samples(x=(4, 16), z=(1, 5))
PRECISIONS: list[tuple[str, dict[str, Any]]] = [
    ("float16", {}),
    ("dynamic", {}),
    ("weight_only", {}),
    ("int16x8", {}),
    *(("int8", options) for options in INT8),
]


def quantized(model: bytes, precision: str, calibration: list[Feeds], options: dict[str, Any]) -> bytes:
    return quantize(model, precision, calibration if precision.startswith("int") else None, **options)


@pytest.mark.parametrize(("precision", "options"), PRECISIONS, ids=str)
@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 1.0), (1.0, 0.5), (-2.0, 3.0), (1.0, 0.0)])
def test_gemm_has_its_scales(alpha: float, beta: float, precision: str, options: dict[str, Any]) -> None:
    node = helper.make_node("Gemm", ["x", "wt", "b"], ["y"], "gemm", transB=1, alpha=alpha, beta=beta)
    model = build([node], GEMM, {"x": [4, 16]}, ["y"])
    calibration = [{"x": sample["x"]} for sample in ROWS]
    assert max(errors(quantized(model, precision, calibration, options), model, calibration[0])) < 0.03


@pytest.mark.parametrize("options", INT8, ids=str)
def test_two_gemms_of_other_scales_may_share_weights(options: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["u"], "u", alpha=0.5, beta=2.0),
        helper.make_node("Gemm", ["x", "w", "b"], ["v"], "v"),
    ]
    model = build(nodes, GEMM, {"x": [4, 16]}, ["u", "v"])
    calibration = [{"x": sample["x"]} for sample in ROWS]
    assert max(errors(quantize(model, "int8", calibration, **options), model, calibration[0])) < 0.03


@pytest.mark.parametrize(("precision", "options"), [PRECISIONS[0], *PRECISIONS[2:5], PRECISIONS[6]], ids=str)
def test_a_scaled_gemm_may_have_a_computed_bias(precision: str, options: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Tanh", ["z"], ["t"], "tanh"),
        helper.make_node("Gemm", ["x", "w", "t"], ["y"], "gemm", alpha=0.5, beta=3.0),
    ]
    model = build(nodes, GEMM, {"x": [4, 16], "z": [1, 5]}, ["y"])
    made = quantized(model, precision, ROWS, {**options, "allow_float32_ops": True})
    assert max(errors(made, model, ROWS[0])) < 0.03


def attention(mask: str, low: float) -> bytes:
    """Return masked attention over 6 places; ``mask`` says how it is masked."""
    stored = {name: values(16, 16, seed=seed) for seed, name in enumerate(("wq", "wk", "wv"))}
    stored |= {"lowest": np.float32(low), "one": np.float32(1), "shape": np.array([2, 1, 6, 6])}
    nodes = [helper.make_node("MatMul", ["x", f"w{name}"], [name], name) for name in "qkv"]
    nodes += [
        helper.make_node("Transpose", ["k"], ["kt"], "turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"], "qk"),
    ]
    if mask == "stored":
        stored["add"] = np.where(np.tri(6, dtype=bool), 0, low).astype(np.float32)
        nodes.append(helper.make_node("Add", ["add", "s"], ["m"], "add"))
    elif mask == "where":
        nodes.append(helper.make_node("Where", ["mask", "s", "lowest"], ["m"], "where"))
    else:
        nodes += [
            helper.make_node("Cast", ["mask"], ["keep"], "cast", to=TensorProto.FLOAT),
            helper.make_node("Sub", ["one", "keep"], ["drop"], "sub"),
            helper.make_node("Mul", ["drop", "lowest"], ["add"], "mul"),
            helper.make_node("Add", ["s", "add"], ["m"], "add"),
        ]
    if mask == "add, reshape":
        nodes.append(helper.make_node("Reshape", ["m", "shape"], ["m4"], "m4"))
        nodes.append(helper.make_node("Softmax", ["m4"], ["p4"], "softmax", axis=-1))
        nodes.append(helper.make_node("Squeeze", ["p4", "ax"], ["p"], "p"))
        stored["ax"] = np.array([1])
    else:
        nodes.append(helper.make_node("Softmax", ["m"], ["p"], "softmax", axis=-1))
    nodes.append(helper.make_node("MatMul", ["p", "v"], ["y"], "pv"))
    return build(nodes, stored, {"x": [2, 6, 16], "mask": [2, 6, 6]}, ["y"])


def masked_samples() -> list[Feeds]:
    random = np.random.default_rng(5)
    found = [{**sample, "mask": random.random((2, 6, 6)) > 0.3} for sample in samples(x=(2, 6, 16))]
    found[1]["mask"][0, 3] = False  # padding: a row without anything to look at
    return found


@pytest.mark.parametrize("options", [{}, {"format": "qoperator"}, {"precision": "int16x8"}], ids=str)
@pytest.mark.parametrize("low", [-1e4, -1e9, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("mask", ["where", "add", "add, reshape", "stored"])
def test_a_mask_does_not_ruin_the_range_of_the_scores(mask: str, low: float, options: dict[str, Any]) -> None:
    if mask != "where" and low < -1e30:
        low = -1e30  # what is smaller than the smallest number is no number
    model, calibration = attention(mask, low), masked_samples()
    made = quantize(model, calibration=calibration, allow_float32_ops=True, **{"precision": "int8", **options})
    assert max(errors(made, model, calibration[0])) < 0.1


@pytest.mark.parametrize("options", [{}, {"format": "qoperator"}, {"precision": "int16x8"}], ids=str)
@pytest.mark.parametrize("mask", ["where", "stored"])
def test_minus_infinity_masks_as_a_number_does(mask: str, options: dict[str, Any]) -> None:
    model, calibration = attention(mask, -np.inf), masked_samples()
    for sample in calibration:
        sample["mask"][..., 0] = True  # a row without anything to look at is no number in the source
    made = quantize(model, calibration=calibration, allow_float32_ops=True, **{"precision": "int8", **options})
    assert max(errors(made, model, calibration[0])) < 0.1


@pytest.mark.parametrize("precision", ["int8", "int16x8", "dynamic", "float16"])
@pytest.mark.parametrize("shape", [(1, 8), (1, 1), (1,), ()])
def test_a_bias_of_one_row_may_have_any_shape(shape: tuple[int, ...], precision: str) -> None:
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="gemm", beta=2.0)
    model = build([gemm], {"w": values(16, 8), "b": values(*shape, seed=1) + 1}, {"x": [4, 16]}, ["y"])
    feeds = samples(x=(4, 16))
    made = quantize(model, precision, feeds if "int" in precision else None, progress=False)
    assert max(errors(made, model, feeds[0])) < 0.03


def test_a_bias_that_differs_from_row_to_row_leaves_its_gemm_in_float32() -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="first"),
        helper.make_node("Gemm", ["h", "v"], ["y"], name="second"),
    ]
    stored = {"w": values(16, 8), "b": values(4, 8, seed=1), "v": values(8, 8)}
    feeds = samples(x=(4, 16))
    model = build(nodes, stored, {"x": [4, 16]}, ["y"])
    with pytest.warns(QuantizationWarning, match=r"1 op stays float32.*differs from row to row: 0 Gemm 'first'"):
        made = quantize(model, "int8", feeds, progress=False)
    assert max(errors(made, model, feeds[0])) < 0.03
    with pytest.raises(QuantizationError, match=r"nothing was quantized: 1 op stays float32.*row to row"):
        quantize(build(nodes[:1], stored, {"x": [4, 16]}, ["h"]), "int8", feeds, progress=False)


@pytest.mark.parametrize("precision", ["int8", "int16x8", "dynamic", "float16", "weight_only"])
def test_an_input_may_be_an_output_too(precision: str) -> None:
    model = build([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": values(16, 8)}, {"x": [4, 16]}, ["x", "y"])
    feeds = samples(x=(4, 16))
    made = quantize(model, precision, feeds if "int" in precision else None, progress=False)
    through, product = run(made, feeds[0])
    assert (through == feeds[0]["x"]).all()
    assert errors(made, model, feeds[0])[1] < 0.03 and product.shape == (4, 8)


@pytest.mark.parametrize("precision", ["int8", "int16x8", "dynamic", "float16", "weight_only"])
def test_weights_may_be_inputs_as_they_had_to_be_once(precision: str) -> None:
    import onnx

    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
    model = onnx.load_from_string(build([gemm], {"w": values(16, 8), "b": values(8)}, {"x": [4, 16]}, ["y"], 11))
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.dims)))
    source, feeds = model.SerializeToString(), samples(x=(4, 16))
    made = quantize(source, precision, feeds if "int" in precision else None, progress=False)
    assert errors(made, source, feeds[0])[0] < 0.03


def test_group_normalization_of_an_old_opset_is_refused_where_a_new_one_is_needed() -> None:
    node = helper.make_node("GroupNormalization", ["h", "s", "z"], ["y"], num_groups=2)
    conv = helper.make_node("Conv", ["x", "w"], ["h"], kernel_shape=[1, 1])
    stored = {"w": values(4, 4, 1, 1), "s": values(2) + 1, "z": values(2)}
    model = build([conv, node], stored, {"x": [1, 4, 4, 4]}, ["y"], 18)
    with pytest.raises(QuantizationError, match="export it again with opset 21"):
        quantize(model, "int16x8", samples(x=(1, 4, 4, 4)), progress=False)
