"""The GPU, real or in software: precision, waiting, placement, chains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from litedelegates import DelegateError, Gpu, Interpreter, Xnnpack
from litedelegates.model import Model
from op_trials import SAME, VALID, Before, Const, In, Out, Read, Step, Trial, integers, normal, options
from small_models_builder import GraphBuilder, ModelBuilder, Op, Quantization, Type, schema
from small_models_case import Array

pytestmark = pytest.mark.gpu
DIGITS = Path(__file__).parent.parent / "models/digits.tflite"


def image(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


def test_float32_and_half_precision_differ_and_both_agree_with_the_cpu(real_models: dict[str, Path]) -> None:
    for path in (real_models["face_detection_front"], real_models["iris_landmark"], DIGITS):
        cpu = Interpreter(path)
        value = image(cpu.inputs[0].shape)
        wanted = np.concatenate([np.ravel(part) for part in _tuple(cpu.run(value))])
        spread = np.ptp(wanted)
        outputs = {}
        for allowed in (False, True):
            with Interpreter(path, delegate="gpu", precision_loss_allowed=allowed) as gpu:
                outputs[allowed] = np.concatenate([np.ravel(part) for part in _tuple(gpu.run(value))])
        full, half = (np.abs(outputs[allowed] - wanted).max() / spread for allowed in (False, True))
        assert full < 1e-5, f"{path.name}: float32 is {full:.2e} of the spread off"
        assert half < 2e-2, f"{path.name}: half precision is {half:.2e} of the spread off"
        assert half > 10 * full, f"{path.name}: half precision must show ({half:.2e} against {full:.2e})"


def test_the_gpu_took_what_the_plan_says() -> None:
    with Interpreter(DIGITS, delegate="gpu", require_full_delegation=True) as interpreter:
        assert {record.ran for record in interpreter.placement} == {"gpu"}
        assert interpreter.device


def test_every_op_has_a_row_where_the_gpu_takes_part_and_renames_what_it_makes_of_sparse_weights(
    real_models: dict[str, Path],
) -> None:
    path = real_models["face_detection_full_range_sparse"]
    operators = Model.load(path).subgraphs[0].operators
    assert "DENSIFY" in {op.type for op in operators}
    plain = Interpreter(path, None)
    value = image(plain.inputs[0].shape)
    with Interpreter(path, delegate="gpu", precision_loss_allowed=False) as interpreter:
        records = interpreter.placement
        for right, found in zip(plain.run(value), interpreter.run(value), strict=True):
            assert np.linalg.norm(found - right) < 1e-5 * np.linalg.norm(right)
    assert [record.op_name for record in records] == [op.type for op in operators]
    assert {record.ran for record in records} == {"gpu", "builtin"}
    with pytest.raises(DelegateError, match=r"op \d+ \(DENSIFY\) (.|\n)*give delegate='gpu' or 'xnnpack' alone"):
        Interpreter(path, delegate=["gpu", "xnnpack"])


def test_latency_includes_the_wait() -> None:
    with Interpreter(DIGITS, delegate="gpu") as interpreter:
        interpreter.set_tensor(interpreter.inputs[0].index, image(interpreter.inputs[0].shape))
        samples = interpreter.time_runs(max_runs=10)
    assert (samples > 0).all(), "upload, run and read-back each take time on a device"


def test_a_chain_gives_the_gpu_first_and_xnnpack_the_rest() -> None:
    model = small_models.partly_delegated()
    value = image((1, 4, 4, 1))
    wanted = Interpreter(model, delegate=None).run(value)
    with Interpreter(model, delegate=[Gpu(precision_loss_allowed=False), Xnnpack(num_threads=1)]) as interpreter:
        np.testing.assert_allclose(interpreter.run(value), wanted, rtol=1e-4, atol=1e-4)
        assert "gpu" in {record.ran for record in interpreter.placement}
        assert {record.asked for record in interpreter.placement} == {"gpu+xnnpack"}


def test_options_reach_the_gpu_and_can_be_read_back() -> None:
    options = Gpu(precision_loss_allowed=True, priority="high", num_threads_to_compile=2, prefer_texture_weights=False)
    with Interpreter(small_models.conv(), delegate=options) as interpreter:
        assert interpreter.options_in_effect["gpu_options"] == {
            "precision": 1,
            "priority": 3,
            "num_threads_to_compile": 2,
            "prefer_texture_weights": False,
        }


def test_a_gpu_is_not_profiled_per_op_and_says_what_stands_in() -> None:
    with Interpreter(DIGITS, delegate="gpu") as interpreter:
        profile = interpreter.profile(runs=3)
    assert "cannot profile" in profile.note
    assert len(profile.ops) == 1 and len(profile.ops[0].samples_us) == 3 and profile.ops[0].median_us > 0


def test_another_batch_size_works_on_the_gpu_or_says_why_not() -> None:
    with Interpreter(small_models.conv_dynamic_batch(), delegate="gpu") as interpreter:
        one = image((1, 4, 4, 1))
        np.testing.assert_allclose(
            interpreter.run(np.repeat(one, 2, axis=0)), np.repeat(interpreter.run(one), 2, axis=0), rtol=1e-3, atol=1e-3
        )


def test_several_interpreters_on_different_delegates_live_together_and_die_in_any_order() -> None:
    value = image((1, 8, 8, 1))
    wanted = Interpreter(DIGITS, delegate=None).run(value)
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        open_ones = [Interpreter(DIGITS, delegate=name) for name in ("gpu", "xnnpack", None)]
        for index in order:
            np.testing.assert_allclose(open_ones[index].run(value), wanted, atol=0.1)
            open_ones[index].close()


CONV = {"padding": SAME, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
POOL = {"padding": SAME, "strideW": 1, "strideH": 1, "filterWidth": 3, "filterHeight": 3}
IMAGE = In((1, 8, 8, 4), -3, -1)
WIDTHS = Const(np.array([[0, 0], [1, 1], [2, 0], [0, 0]], np.int32))
BATCH_WIDTHS = Const(np.array([[1, 1], [0, 0], [0, 0], [0, 0]], np.int32))


def conv(filters: tuple[int, ...], first: Read) -> Step:
    table = options("Conv2D", **CONV)
    return Step("CONV_2D", (first, Const(normal(*filters) / 4), Const(normal(filters[0]))), table)


def alone(step: Step) -> Trial:
    return Trial(step.op, "", step.reads, step.options, version=step.version)


# What the GPU's library takes and computes wrongly without a word: each model with the op that has to stay off it.
WRONG_ON_GPU = {
    "grouped convolution": (alone(conv((4, 3, 3, 2), IMAGE)), "CONV_2D"),
    "padding with -9": (
        Trial("PADV2", "", (IMAGE, WIDTHS, Const(np.float32(-9))), then=(conv((4, 3, 3, 4), Before()),)),
        "PADV2",
    ),
    "padding the batch": (Trial("PAD", "", (IMAGE, BATCH_WIDTHS), options("Pad")), "PAD"),
    "padding before an average": (
        Trial("PAD", "", (IMAGE, WIDTHS), then=(Step("AVERAGE_POOL_2D", (Before(),), options("Pool2D", **POOL)),)),
        "PAD",
    ),
    "padding before a maximum": (
        Trial("PAD", "", (IMAGE, WIDTHS), then=(Step("MAX_POOL_2D", (Before(),), options("Pool2D", **POOL)),)),
        "PAD",
    ),
    "leaky relu that is no maximum": (Trial("LEAKY_RELU", "", (IMAGE,), options("LeakyRelu", alpha=1.5)), "LEAKY_RELU"),
    "exclusive sums": (Trial("CUMSUM", "", (IMAGE, integers(1)), options("Cumsum", exclusive=True)), "CUMSUM"),
    "sums along an axis from the end": (Trial("CUMSUM", "", (IMAGE, integers(-1)), options("Cumsum")), "CUMSUM"),
    "a constant base": (Trial("POW", "", (Const(np.float32(1.5)), IMAGE), options("Pow")), "POW"),
    "a constant that is broadcast in a batch": (
        Trial("ADD", "", (In((2, 3, 5)), Const(normal(2, 1, 5))), options("Add")),
        "ADD",
    ),
    "the largest of three below zero": (
        Trial("ARG_MAX", "", (In((1, 5, 7, 3), -3, -1), integers(3)), options("ArgMax", outputType=2), (Out(2),)),
        "ARG_MAX",
    ),
    "a product with other batches": (
        Trial("BATCH_MATMUL", "", (In((2, 2, 5, 3)), In((1, 2, 3, 4))), options("BatchMatMul")),
        "BATCH_MATMUL",
    ),
    "a product with a transposed constant": (
        Trial("BATCH_MATMUL", "", (In((2, 3)), Const(normal(4, 3))), options("BatchMatMul", adjY=True)),
        "BATCH_MATMUL",
    ),
    "a dense layer of a vector": (
        Trial("FULLY_CONNECTED", "", (In((16,)), Const(normal(3, 16)), None), options("FullyConnected")),
        "FULLY_CONNECTED",
    ),
    "a softmax of a vector": (Trial("SOFTMAX", "", (In((7,)),), options("Softmax", beta=1.0)), "SOFTMAX"),
    "depth to space in a batch": (
        Trial("DEPTH_TO_SPACE", "", (In((2, 4, 4, 8)),), options("DepthToSpace", blockSize=2)),
        "DEPTH_TO_SPACE",
    ),
    "the three largest of nine": (
        Trial("TOPK_V2", "", (In((1, 9)), Const(np.int32(3))), options("TopKV2"), (Out(), Out(2))),
        "TOPK_V2",
    ),
}


@pytest.mark.parametrize("what", WRONG_ON_GPU)
def test_an_op_that_the_gpu_computes_wrongly_stays_off_it_and_the_values_are_right(what: str) -> None:
    trial, op = WRONG_ON_GPU[what]
    model = trial.build()
    with Interpreter(model, None) as plain, Interpreter(model, "gpu", precision_loss_allowed=False) as gpu:
        for seed in range(3):
            found = gpu.run(*trial.inputs(seed))
            for right, value in zip(_tuple(plain.run(*trial.inputs(seed))), _tuple(found), strict=True):
                np.testing.assert_allclose(value, right, rtol=1e-4, atol=1e-4)
        records = {record.op_name: record for record in gpu.placement}
    assert records[op].ran == "builtin" and "kept off the gpu, where" in records[op].evidence
    assert all(record.ran == "gpu" for name, record in records.items() if name != op)


def test_padding_before_a_maximum_of_what_is_never_below_zero_stays_on_the_gpu() -> None:
    for padding, stays in ((VALID, True), (SAME, False)):  # windows of padding alone have no value to show
        pool = Step("MAX_POOL_2D", (Before(),), options("Pool2D", **{**POOL, "padding": padding}))
        trial = Trial("RELU", "", (IMAGE,), then=(Step("PAD", (Before(), WIDTHS), options("Pad")), pool))
        with Interpreter(trial.build(), "gpu") as gpu, Interpreter(trial.build(), None) as plain:
            assert np.array_equal(gpu.run(*trial.inputs(0)), plain.run(*trial.inputs(0)))
            assert {"PAD": "gpu" if stays else "builtin"}.items() <= {r.op_name: r.ran for r in gpu.placement}.items()


def test_what_xnnpack_takes_after_the_gpu_is_what_it_takes_without_one() -> None:
    trial = Trial("RELU", "", (IMAGE,), then=(conv((4, 3, 3, 2), Before()),))
    with Interpreter(trial.build(), ["gpu", "xnnpack"]) as chain, Interpreter(trial.build(), "xnnpack") as cpu:
        ran = {record.op_name: record.ran for record in chain.placement}
        alone_ran = {record.op_name: record.ran for record in cpu.placement}
    assert ran["RELU"] == "gpu" and ran["CONV_2D"] == alone_ran["CONV_2D"]


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the GPU's library choose for itself."""
    monkeypatch.setenv("LITEDELEGATES_UNGUARDED_GPU", "1")


def test_what_the_library_logs_as_an_error_raises(unguarded: None) -> None:
    model = WRONG_ON_GPU["grouped convolution"][0].build()
    with pytest.raises(DelegateError, match=r"logged an error when it compiled this model(.|\n)*Validation error: "):
        Interpreter(model, "gpu")
    with Interpreter(model, ["gpu", "xnnpack"], fallback=True) as interpreter:
        assert "Validation error" in interpreter.skipped[0].reason


def _tuple(outputs: object) -> tuple[np.ndarray, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)  # type: ignore[return-value]


def _two_inputs_at_most(build: Callable[[GraphBuilder], list[tuple[int, ...]]]) -> tuple[bytes, list[Array]]:
    model = ModelBuilder()
    shapes = build(model.graph())
    rng = np.random.default_rng(0)
    return model.to_bytes(), [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def _beside_a_constant(shape: tuple[int, ...], constant: tuple[int, ...]) -> Callable[[GraphBuilder], Any]:
    def build(graph: GraphBuilder) -> list[tuple[int, ...]]:
        values = np.random.default_rng(1).normal(size=constant).astype(np.float32)
        y = graph.output("y", np.broadcast_shapes(shape, constant))
        graph.op(Op.ADD, [graph.input("x", shape), graph.constant("c", values)], [y], schema.AddOptionsT())
        return [shape]

    return build


def _parts_read_by_one_op(graph: GraphBuilder) -> list[tuple[int, ...]]:
    x, axis = graph.input("x", (2, 4, 6, 8)), graph.constant("axis", np.int32(3))
    parts = [graph.tensor(name, (2, 4, 6, 4)) for name in ("first", "second")]
    split = schema.SplitOptionsT()
    split.numSplits = 2
    graph.op(Op.SPLIT, [axis, x], parts, split)
    graph.op(Op.SUB, parts, [graph.output("y", (2, 4, 6, 4))], schema.SubOptionsT())
    return [(2, 4, 6, 8)]


def _computed_weights(graph: GraphBuilder) -> list[tuple[int, ...]]:
    bias = graph.constant("bias", np.array([1, 2, 3, 4], np.float32))
    inputs = [graph.input("x", (2, 8)), graph.input("weights", (4, 8)), bias]
    graph.op(Op.FULLY_CONNECTED, inputs, [graph.output("y", (2, 4))], schema.FullyConnectedOptionsT())
    return [(2, 8), (4, 8)]


@pytest.mark.parametrize(
    ("build", "ran"),
    [
        (_beside_a_constant((3,), (3,)), ["builtin"]),
        (_beside_a_constant((2, 5, 3), (1, 1, 5, 3)), ["builtin"]),
        (_beside_a_constant((1, 5, 3), (1, 1, 5, 3)), ["gpu"]),
        (_beside_a_constant((2, 5, 3), (5, 3)), ["gpu"]),
        (_beside_a_constant((2, 4, 5, 3), (3,)), ["gpu"]),
        (_parts_read_by_one_op, ["builtin", "gpu"]),
        (_computed_weights, ["builtin"]),
    ],
    ids=["vector", "higher rank and a batch", "higher rank", "lower rank", "channels", "parts of a split", "bias"],
)
def test_operands_that_the_gpu_lays_out_otherwise_stay_off_it(build: Callable[..., Any], ran: list[str]) -> None:
    model, inputs = _two_inputs_at_most(build)
    with Interpreter(model, delegate="gpu") as interpreter:
        np.testing.assert_allclose(interpreter.run(*inputs), Interpreter(model, None).run(*inputs), atol=1e-5)
        assert [record.ran for record in interpreter.placement] == ran


def test_integers_of_16_bits_are_not_taken_for_real_numbers() -> None:
    model = ModelBuilder()
    graph = model.graph()
    scale = Quantization([0.5], [0])
    inputs = [graph.input(name, (1, 4), Type.INT16, scale) for name in ("a", "b")]
    graph.op(Op.MUL, inputs, [graph.output("y", (1, 4), Type.INT16, scale)], schema.MulOptionsT())
    values = [np.array([[1, -2, 30, 400]], np.int16), np.array([[4, 5, -6, 7]], np.int16)]
    with Interpreter(model.to_bytes(), delegate="gpu") as interpreter:
        wanted = Interpreter(model.to_bytes(), None).run(*values)
        np.testing.assert_array_equal(interpreter.run(*values), wanted)
        assert wanted.tolist() == [[2, -5, -90, 1400]]


def test_a_model_that_computes_no_shapes_is_right_at_every_batch_where_the_gpu_takes_a_part() -> None:
    """Resized in place, the GPU left the rows behind the first as they were."""
    model = ModelBuilder()
    graph = model.graph()
    x, block = graph.input("x", (-1, 8, 8, 4)), graph.constant("block", np.array([2, 2], np.int32))
    margins = graph.constant("margins", np.zeros((2, 2), np.int32))
    tall, spread, back = (
        graph.tensor(name, (-1, *size)) for name, size in zip("abc", ((8, 8, 4), (4, 4, 4), (8, 8, 4)), strict=False)
    )
    graph.op(Op.LOGISTIC, [x], [tall])
    graph.op(Op.SPACE_TO_BATCH_ND, [tall, block, margins], [spread], schema.SpaceToBatchNDOptionsT())
    graph.op(Op.BATCH_TO_SPACE_ND, [spread, block, margins], [back], schema.BatchToSpaceNDOptionsT())
    graph.op(Op.TANH, [back], [graph.output("y", (-1, 8, 8, 4))])
    content = model.to_bytes()
    with Interpreter(content, delegate="gpu") as interpreter:
        for batch in (1, 3, 1):
            values = np.random.default_rng(batch).normal(size=(batch, 8, 8, 4)).astype(np.float32)
            wanted = np.tanh(1 / (1 + np.exp(-values)))
            np.testing.assert_allclose(interpreter.run(values), wanted, atol=1e-5)
        assert {record.ran for record in interpreter.placement} == {"gpu", "builtin"}


def test_a_composite_is_refused_before_its_body_ends_the_process() -> None:
    model = ModelBuilder()
    graph, body = model.graph(), model.graph("body")
    composite = schema.StableHLOCompositeOptionsT()
    composite.name, composite.decompositionSubgraphIndex = "odml.double", body.index
    graph.op(Op.STABLEHLO_COMPOSITE, [graph.input("x", (1, 4))], [graph.output("y", (1, 4))], composite)
    x = body.input("x", (1, 4))
    body.op(Op.ADD, [x, x], [body.output("y", (1, 4))], schema.AddOptionsT())
    with pytest.raises(DelegateError, match=r"op 0 \(STABLEHLO_COMPOSITE\) of subgraph 0 is a composite"):
        Interpreter(model.to_bytes(), delegate="gpu")
