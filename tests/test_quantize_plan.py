"""Mixed precision by op: which key means which op, and that each op got what the plan asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from ai_edge_litert import schema_py_generated as schema
from digits_model import DIGITS, accuracy, digits_data, edit, run
from litedelegates.errors import OptionError, QuantizationError
from litedelegates.graph import cut
from litedelegates.quantize import PRECISIONS, quantize, read_record
from litedelegates.quantize.plan import Op, resolve
from litedelegates.quantize.request import PLAN_PRECISIONS, make_request
from test_quantize import with_op_litert_quantizer_cannot_do

OPS = [
    Op(0, "CONV_2D", "stem/relu"),
    Op(1, "CONV_2D", "block1/conv"),
    Op(2, "ADD", "block1/add"),
    Op(3, "CONV_2D", "block[1]/conv.+"),
    Op(4, "FULLY_CONNECTED", "StatefulPartitionedCall_1:0"),
    Op(5, "SOFTMAX", "7"),
]
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def calibration() -> NDArray[Any]:
    return digits_data()["calibration"]


def planned(precision: str | None = None, **keywords: Any) -> list[str]:
    return list(resolve(make_request(precision, **keywords), OPS).values())


def asked(model: bytes) -> dict[str, list[int]]:
    record = read_record(model)
    assert record is not None
    plan: dict[str, list[int]] = record.recipe["plan"]
    return plan


def ops_of(model: bytes) -> list[tuple[str, str, set[str]]]:
    """Return type, output and element types of each op but the borders that quantizing inserts."""
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = tree.subgraphs[0]
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    types = {number: name for name, number in vars(schema.TensorType).items()}
    found = []
    for op in graph.operators:
        name = names[tree.operatorCodes[op.opcodeIndex].builtinCode]
        if name not in ("QUANTIZE", "DEQUANTIZE"):
            kinds = {types[graph.tensors[index].type] for index in [*op.inputs, *op.outputs]}
            found.append((name, graph.tensors[op.outputs[0]].name.decode(), kinds))
    return found


# Which key means which op


def test_index_wins_over_name_over_pattern_over_type() -> None:
    plan = {0: "int8", "stem/relu": "dynamic", "stem/*": "float16", "CONV_2D": "int16x8"}
    assert planned(plan=plan)[:2] == ["int8", "int16x8"]
    assert planned(plan={"stem/relu": "dynamic", "stem/*": "float16", "CONV_2D": "int8"})[:2] == ["dynamic", "int8"]
    assert planned(plan={"block1/*": "float16", "CONV_2D": "int8"})[:4] == ["int8", "float16", "float16", "int8"]


def test_later_key_wins_among_equals() -> None:
    assert planned(plan={"block1/*": "int8", "*conv": "dynamic"})[1:3] == ["dynamic", "int8"]
    assert planned(plan={"*conv": "dynamic", "block1/*": "int8"})[1:3] == ["int8", "int8"]


def test_ops_not_named_get_the_precision_or_stay_float32() -> None:
    assert planned("int8", plan={"CONV_2D": "float32"})[:3] == ["float32", "float32", "int8"]
    assert planned(plan={"ADD": "int8"}) == ["float32", "float32", "int8", "float32", "float32", "float32"]


def test_only_and_exclude_are_each_others_opposite() -> None:
    assert planned("int8", only=["ADD", 4]) == ["float32", "float32", "int8", "float32", "int8", "float32"]
    assert planned("int8", exclude=["ADD", 4]) == ["int8", "int8", "float32", "int8", "float32", "int8"]


def test_names_with_the_signs_of_patterns_mean_themselves() -> None:
    assert planned(plan={"block[1]/conv.+": "int8"}).index("int8") == 3
    assert planned(plan={"StatefulPartitionedCall_1:0": "int8"}).index("int8") == 4


def test_digits_mean_the_op_of_that_name_before_the_index() -> None:
    assert planned(plan={"7": "int8"}).index("int8") == 5
    assert planned(plan={"2": "int8"}).index("int8") == 2


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("conv2d", "means no op of the model. Nearest: 'CONV_2D'"),
        ("block1/cnv", "Nearest: 'block1/conv'"),
        ("stem/[x]*", "Nearest: 'stem/relu'"),
        ("head", "ops are of the types ADD, CONV_2D, FULLY_CONNECTED, SOFTMAX"),
        (6, "indices go from 0 to 5"),
        (-1, "indices go from 0 to 5"),
        (True, "is a bool: write an op's index, name, type or a pattern"),
        (1.0, "is a float"),
    ],
)
def test_key_that_means_no_op_names_the_nearest(key: Any, message: str) -> None:
    for keywords in (
        {"plan": {key: "int8"}},
        {"precision": "int8", "only": [key]},
        {"precision": "int8", "exclude": [key]},
    ):
        with pytest.raises(OptionError, match=message):
            planned(**keywords)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "neither precision nor plan was given: one of float16"),
        ({"only": ["ADD"]}, "only needs a precision"),
        ({"plan": {}}, "not empty"),
        ({"plan": {"ADD": "int4"}}, r"plan\['ADD'\] = 'int4' is unknown. Did you mean 'int8'"),
        ({"plan": {"ADD": "float32"}}, "leaves every op in float32"),
        ({"precision": "int8", "only": []}, "only is empty"),
        ({"precision": "int8", "plan": {0: "float16"}, "only": [1]}, "plan and only say the same thing twice"),
        ({"precision": "int8", "method": "minimax"}, "Did you mean 'minmax'"),
        ({"precision": "int8", "percentile": 99.9}, "belongs to method='percentile'"),
        ({"precision": "int8", "method": "percentile", "percentile": 5}, "must be above 50"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make_request(**keywords)


def test_option_no_backend_knows_is_refused() -> None:
    with pytest.raises(OptionError, match=r"option 'per_channel' is unknown for a .tflite"):
        quantize(DIGITS, "dynamic", per_channel=True)


# What comes out


def test_mixed_model_reads_the_digits_as_well_as_float32(calibration: NDArray[Any]) -> None:
    plan = {"CONV_2D": "int8", "ADD": "int8", "DEPTHWISE_CONV_2D": "dynamic", "hidden": "float16", "logits": "int16x8"}
    model = quantize(DIGITS, plan=plan, calibration=calibration)
    assert len(model) < 0.35 * DIGITS.stat().st_size
    assert accuracy(model) >= accuracy(DIGITS.read_bytes()) - 0.005
    kinds = {(type_, name): kinds for type_, name, kinds in ops_of(model)}
    assert kinds["CONV_2D", "deep_relu"] == {"INT8", "INT32"}
    assert kinds["DEPTHWISE_CONV_2D", "widen_depthwise_relu"] == {"FLOAT32", "INT8"}
    assert kinds["FULLY_CONNECTED", "hidden"] == {"FLOAT32"}  # its weights come through a DEQUANTIZE
    assert kinds["FULLY_CONNECTED", "logits"] == {"INT8", "INT16", "INT64"}
    assert kinds["MAX_POOL_2D", "pool"] == {"FLOAT32"}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_op_can_be_the_only_one(calibration: NDArray[Any], precision: str) -> None:
    static = precision in ("int8", "int16x8")
    expected = run(DIGITS.read_bytes(), digits_data()["images"][:20])
    for index, (type_, name, _) in enumerate(ops_of(DIGITS.read_bytes())):
        if static or type_ in WEIGHTED:
            model = quantize(DIGITS, precision, calibration if static else None, only=[name])
            assert asked(model)[precision] == [index]
            changed = [i for i, op in enumerate(ops_of(model)) if op[2] != {"FLOAT32"} and "FLOAT32" not in op[2]]
            assert changed == ([index] if static else [])
            assert np.abs(run(model, digits_data()["images"][:20]) - expected).mean() < 0.3


@pytest.mark.parametrize("seed", range(6))
def test_any_mix_of_precisions_stays_near_float32(calibration: NDArray[Any], seed: int) -> None:
    random = np.random.default_rng(seed)
    kinds = [type_ for type_, _, _ in ops_of(DIGITS.read_bytes())]
    plan = {
        index: str(random.choice(PLAN_PRECISIONS if type_ in WEIGHTED else ("int8", "int16x8", "float32")))
        for index, type_ in enumerate(kinds)
    }
    model = quantize(DIGITS, plan=plan, calibration=calibration)
    assert {index: name for name, found in asked(model).items() for index in found} == plan
    assert [type_ for type_, _, _ in ops_of(model)] == kinds
    assert accuracy(model) >= accuracy(DIGITS.read_bytes()) - 0.01


def test_excluded_ops_keep_their_float32_weights(calibration: NDArray[Any]) -> None:
    model = quantize(DIGITS, "int8", calibration, exclude=["FULLY_CONNECTED"])
    types = {name: kinds for type_, name, kinds in ops_of(model) if type_ == "FULLY_CONNECTED"}
    assert types == {"hidden": {"FLOAT32"}, "logits": {"FLOAT32"}}


def test_mix_with_an_integer_border_takes_and_gives_integers(calibration: NDArray[Any]) -> None:
    model = quantize(DIGITS, "int8", calibration, only=["CONV_2D"], border="int8")
    assert accuracy(model) >= accuracy(DIGITS.read_bytes()) - 0.005


# Names that litert-quantizer's regular expressions would get wrong


HARD_NAMES = [
    "StatefulPartitionedCall_1:0",
    "block.*",
    "a;b;c",
    "a;b",
    "conv",
    "conv_1",
    "x[0](relu)+?|^$",
    "",
    "int8/1/",
    "größe/ö",
    "a\\b",
    "y" * 12_000,
    "conv/relu",
    "_dequant",
    "conv_quantized",
]


def rename_ops(tree: Any) -> None:
    """Give the outputs of the 15 ops the names of ``HARD_NAMES``."""
    graph = tree.subgraphs[0]
    for op, name in zip(graph.operators, HARD_NAMES, strict=True):
        graph.tensors[op.outputs[0]].name = name


@pytest.mark.parametrize("index", [1, 3, 9, 11, 13, 14])
def test_op_of_any_name_gets_its_precision_and_keeps_its_name(index: int) -> None:
    name = HARD_NAMES[index]
    model = quantize(edit(DIGITS.read_bytes(), rename_ops), "dynamic", only=[name])
    assert asked(model)["dynamic"] == [index]
    found = ops_of(model)
    assert [i for i, (_, _, kinds) in enumerate(found) if kinds == {"FLOAT32", "INT8"}] == [index]
    assert [shown for _, shown, _ in found if shown] == [*HARD_NAMES[:7], found[7][1], *HARD_NAMES[8:]]


# What litert-quantizer leaves undone


def test_mix_names_the_op_that_could_not_be_done_and_what_to_write(calibration: NDArray[Any]) -> None:
    model = edit(DIGITS.read_bytes(), with_op_litert_quantizer_cannot_do)
    with pytest.raises(QuantizationError, match=r"1 ops stayed float32: NEG 'negated'.*exclude=\['NEG'\]"):
        quantize(model, plan={"NEG": "int8", "CONV_2D": "dynamic"}, calibration=calibration)
    assert asked(quantize(model, "int8", calibration, exclude=["NEG"]))["float32"] == [15]


def append_squeeze(tree: Any) -> None:
    """Put a SQUEEZE behind the logits, which litert-quantizer does not know."""
    with_op_litert_quantizer_cannot_do(tree)
    op = tree.subgraphs[0].operators[-1]
    code = tree.operatorCodes[op.opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SQUEEZE
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.SqueezeOptions, schema.SqueezeOptionsT()
    tree.subgraphs[0].tensors[op.outputs[0]].shape = [10]


def test_op_that_hands_values_on_is_named_where_it_breaks_a_chain_of_integers(calibration: NDArray[Any]) -> None:
    model = edit(DIGITS.read_bytes(), append_squeeze)
    for keywords in ({"precision": "int8"}, {"plan": {"SQUEEZE": "int8", "CONV_2D": "int8"}}):
        with pytest.raises(QuantizationError, match="1 ops stayed float32: SQUEEZE 'negated'"):
            quantize(model, calibration=calibration, **keywords)
    assert asked(quantize(model, "dynamic"))["dynamic"] == list(range(16))


def test_precision_of_weights_for_ops_without_weights_is_refused(calibration: NDArray[Any]) -> None:
    with pytest.raises(QuantizationError, match="the ops asked for have nothing to quantize: no weights stored"):
        quantize(DIGITS, plan={"ADD": "dynamic"})
    with pytest.raises(
        OptionError, match=r"'ADD' asks for dynamic.*ADD 'block1_relu', ADD 'block2_relu' stores no weights"
    ):
        quantize(DIGITS, plan={"ADD": "dynamic", "CONV_2D": "int8"}, calibration=calibration)


def test_plan_without_ranges_needs_no_calibration_and_one_with_them_does(calibration: NDArray[Any]) -> None:
    assert asked(quantize(DIGITS, plan={"CONV_2D": "dynamic", "FULLY_CONNECTED": "float16"}))["float16"] == [13, 14]
    with pytest.raises(QuantizationError, match="precision 'int16x8' needs calibration"):
        quantize(DIGITS, "dynamic", plan={"logits": "int16x8"})


def test_a_part_of_a_model_is_quantized_like_any_model() -> None:
    part = cut(DIGITS, at=9)[1]
    assert quantize(part, "dynamic") == quantize(part.to_bytes(), "dynamic")


def test_indices_may_be_numbers_of_numpy() -> None:
    indices = np.array([1, 3])
    assert planned(plan=dict.fromkeys(indices, "dynamic")) == planned(plan={1: "dynamic", 3: "dynamic"})
    assert planned("dynamic", only=indices) == planned("dynamic", only=[1, 3])
    assert planned("dynamic", exclude=indices[0]) == planned("dynamic", exclude=1)
