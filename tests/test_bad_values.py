"""Values and shapes that would end the process inside a kernel: the run raises, and the next one is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official  # type: ignore[import-untyped, unused-ignore]
from litedelegates import CompileError, Interpreter, InvalidModelError, LiteDelegatesError, RunError
from small_models_builder import GraphBuilder, ModelBuilder, Op, Type, schema
from small_models_case import Array
from soak import in_own_process

DELEGATES = (None, "xnnpack")
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
DATA = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
TYPES = {"float32": Type.FLOAT32, "int32": Type.INT32, "int64": Type.INT64, "int8": Type.INT8}


@dataclass(frozen=True)
class BadValues:
    """A model, inputs that it takes, and inputs that its kernel would not survive.

    Attributes:
        build: Returns the model.
        good: Inputs that run.
        bad: Inputs that do not, each with what the error has to say.
        expected: The output for ``good``; None where the official Interpreter is asked.
    """

    build: Callable[[], bytes]
    good: Sequence[Array]
    bad: Sequence[tuple[Sequence[Array], str]]
    expected: Array | None = None


def one_op(code: int, inputs: Sequence[Array], output: Array, options: Any = None) -> Callable[[], bytes]:
    """Return a builder of a model of one op whose operands are all inputs of the model."""

    def build() -> bytes:
        model = ModelBuilder()
        graph = model.graph()
        names = [graph.input(f"in{i}", value.shape, TYPES[value.dtype.name]) for i, value in enumerate(inputs)]
        out = graph.output("out", output.shape, TYPES[output.dtype.name])
        graph.op(code, names, [out], options, version=2 if code == Op.STRIDED_SLICE else 1)
        return model.to_bytes()

    return build


def table(name: str, **fields: Any) -> Any:
    options = getattr(schema, f"{name}T")()
    for field, value in fields.items():
        setattr(options, field, value)
    return options


def int32(*values: Any) -> Array:
    return np.array(values, np.int32)


def scalar(value: int) -> Array:
    return np.array(value, np.int32)


REVERSE = table("ReverseSequenceOptions", seqDim=1, batchDim=0)
REVERSED = np.stack([DATA[0][[1, 0, 2]], DATA[1][::-1]])
PLANE = DATA[:, :, 0]
IMAGE = np.arange(16, dtype=np.int8).reshape(1, 4, 4, 1)
NEEDLES = np.array([[1], [0]], np.int32)
GATHER = table(
    "StablehloGatherOptions",
    offsetDims=[1],
    collapsedSliceDims=[0],
    startIndexMap=[0],
    indexVectorDim=1,
    sliceSizes=[1, 3],
    indicesAreSorted=False,
)


def computed_lengths() -> bytes:
    """REVERSE_SEQUENCE of lengths that the model computes: an input and 1."""
    model = ModelBuilder()
    graph = model.graph()
    data, given = graph.input("data", DATA.shape), graph.input("given", (2,), Type.INT32)
    lengths = graph.tensor("lengths", (2,), Type.INT32)
    graph.op(Op.ADD, [given, graph.constant("one", int32(1, 1))], [lengths], schema.AddOptionsT())
    graph.op(Op.REVERSE_SEQUENCE, [data, lengths], [graph.output("out", DATA.shape)], REVERSE)
    return model.to_bytes()


def lengths_in_a_loop() -> bytes:
    """REVERSE_SEQUENCE in a loop that runs once, of lengths that come with the loop's state."""
    model = ModelBuilder()
    main, condition, body = model.graph("main"), model.graph("condition"), model.graph("body")

    def state(graph: GraphBuilder) -> list[int]:
        return [
            graph.input("step", (1,), Type.INT32),
            graph.input("data", DATA.shape),
            graph.input("lengths", (2,), Type.INT32),
        ]

    def results(graph: GraphBuilder) -> list[int]:
        return [
            graph.output("step_out", (1,), Type.INT32),
            graph.output("data_out", DATA.shape),
            graph.output("lengths_out", (2,), Type.INT32),
        ]

    inputs = state(condition)
    condition.op(
        Op.LESS, [inputs[0], condition.constant("one", int32(1))], [condition.output("goes_on", (1,), Type.BOOL)]
    )
    inputs, outputs = state(body), results(body)
    body.op(Op.ADD, [inputs[0], body.constant("one", int32(1))], [outputs[0]], schema.AddOptionsT())
    body.op(Op.REVERSE_SEQUENCE, [inputs[1], inputs[2]], [outputs[1]], REVERSE)
    body.op(Op.ADD, [inputs[2], body.constant("zeros", int32(0, 0))], [outputs[2]], schema.AddOptionsT())
    inputs = state(main)
    loop = table("WhileOptions", condSubgraphIndex=condition.index, bodySubgraphIndex=body.index)
    main.op(Op.WHILE, inputs, results(main), loop)
    return model.to_bytes()


CASES = {
    "broadcast_args": BadValues(
        one_op(Op.BROADCAST_ARGS, [int32(2, 3), int32(2, 1)], int32(2, 3)),
        [int32(2, 3), int32(2, 1)],
        [
            ([int32(2, 3), int32(4, 5)], r"BROADCAST_ARGS: input 1 \(tensor 1, \"in1\"\) holds 5 .* holds 3"),
            ([int32(-1, 3), int32(2, 3)], "holds 2 where the other shape holds -1"),
        ],
        int32(2, 3),
    ),
    "broadcast_args_of_other_lengths": BadValues(
        one_op(Op.BROADCAST_ARGS, [int32(3), int32(2, 1)], int32(2, 3)),
        [int32(3), int32(2, 1)],
        [([int32(3), int32(2, 4)], "holds 4 where the other shape holds 3")],
        int32(2, 3),
    ),
    "random_uniform": BadValues(
        one_op(Op.RANDOM_UNIFORM, [int32(2, 3)], DATA[:, :, 0], table("RandomOptions", seed=1, seed2=2)),
        [int32(2, 3)],
        [
            ([int32(-1, 3)], r"RANDOM_UNIFORM: input 0 .* holds the size -1, outside 0 to 2147483647"),
            ([int32(65536, 65536)], "more than 2147483647 elements"),
        ],
    ),
    "random_normal": BadValues(
        one_op(Op.RANDOM_STANDARD_NORMAL, [int32(2, 3)], DATA[:, :, 0], table("RandomOptions", seed=1, seed2=2)),
        [int32(2, 3)],
        [([int32(2, INT32_MIN)], "holds the size -2147483648")],
    ),
    "reverse_sequence": BadValues(
        one_op(Op.REVERSE_SEQUENCE, [DATA, int32(2, 3)], DATA, REVERSE),
        [DATA, int32(2, 3)],
        [
            ([DATA, int32(2, 4)], r"REVERSE_SEQUENCE: input 1 .* holds the length 4, outside 0 to 3"),
            ([DATA, int32(2, 1 << 20)], "holds the length 1048576"),
            ([DATA, int32(INT32_MIN, 3)], "holds the length -2147483648"),
        ],
        REVERSED,
    ),
    "reverse_sequence_of_computed_lengths": BadValues(
        computed_lengths,
        [DATA, int32(1, 2)],
        [([DATA, int32(1, 3)], r"REVERSE_SEQUENCE: input 1 .*\"lengths\"\) holds the length 4")],
        REVERSED,
    ),
    "reverse_sequence_in_a_loop": BadValues(
        lengths_in_a_loop,
        [int32(0), DATA, int32(2, 3)],
        [([int32(0), DATA, int32(2, 1 << 20)], "REVERSE_SEQUENCE: input 1 .* holds the length 1048576")],
        REVERSED,
    ),
    "resize_nearest": BadValues(
        one_op(Op.RESIZE_NEAREST_NEIGHBOR, [IMAGE, int32(2, 2)], IMAGE, table("ResizeNearestNeighborOptions")),
        [IMAGE, int32(2, 2)],
        [
            ([IMAGE, int32(0, 2)], r"RESIZE_NEAREST_NEIGHBOR: input 1 .* holds the size 0, outside 1 to"),
            ([IMAGE, int32(1 << 20, 1 << 12)], "an output of more than 2147483647 elements"),
        ],
        IMAGE[:, ::2, ::2],
    ),
    "dilate": BadValues(
        one_op(Op.DILATE, [PLANE, int32(1, 2), np.array(0, np.float32)], np.zeros((2, 5), np.float32)),
        [PLANE, int32(1, 2), np.array(0, np.float32)],
        [
            ([PLANE, int32(2, 0), np.array(0, np.float32)], "DILATE: input 1 .* holds the factor 0, outside 1 to"),
            ([PLANE, int32(2, -1), np.array(0, np.float32)], "holds the factor -1"),
        ],
    ),
    "transpose": BadValues(
        one_op(Op.TRANSPOSE, [PLANE, int32(1, 0)], PLANE.T),
        [PLANE, int32(1, 0)],
        [
            ([PLANE, int32(0, 0)], "TRANSPOSE: input 1 .* names the axis 0 twice"),
            ([PLANE, int32(-3, 0)], "TRANSPOSE: input 1 .* names the axis -3, outside -2 to 1"),
        ],
        PLANE.T,
    ),
    "slice": BadValues(
        one_op(Op.SLICE, [PLANE, int32(1, 0), int32(1, 2)], np.zeros((1, 2), np.float32)),
        [PLANE, int32(1, 0), int32(1, 2)],
        [
            ([PLANE, int32(-1, 0), int32(1, 2)], "SLICE: input 1 .* begins at -1 in dimension 0, outside 0 to 2"),
            ([PLANE, int32(1, 0), int32(2, 2)], "SLICE: input 2 .* takes 2 of dimension 0, outside -1 to 1"),
        ],
        PLANE[1:2, :2],
    ),
    "strided_slice_to_an_index": BadValues(
        one_op(
            Op.STRIDED_SLICE,
            [PLANE, int32(0, 1), int32(2, 2), int32(1, 1)],
            PLANE[:, 1],
            table("StridedSliceOptions", shrinkAxisMask=2),
        ),
        [PLANE, int32(0, 1), int32(2, 2), int32(1, 1)],
        [
            (
                [PLANE, int32(0, 3), int32(2, 4), int32(1, 1)],
                "STRIDED_SLICE: input 1 .* holds the index 3 of dimension 1, outside -3 to 2",
            )
        ],
        PLANE[:, 1],
    ),
}


def outcomes(model: bytes, feeds: Sequence[Sequence[Array]]) -> list[tuple[str, Any]]:
    """Run a model on each delegate with each of the feeds; return outputs or what was raised."""
    found: list[tuple[str, Any]] = []
    for delegate in DELEGATES:
        with Interpreter(model, delegate=delegate) as interpreter:
            for feed in feeds:
                try:
                    if len({tuple(value.shape for value in feed) for feed in feeds}) > 1:
                        for info, value in zip(interpreter.inputs, feed, strict=True):
                            interpreter.resize_tensor_input(info.index, value.shape)
                    found.append(("ran", interpreter.run(*feed)))
                except LiteDelegatesError as error:
                    found.append((type(error).__name__, str(error)))
    return found


def official_output(model: bytes, feed: Sequence[Array]) -> list[Array]:
    official = Official(model_content=model)
    official.allocate_tensors()
    for details, value in zip(official.get_input_details(), feed, strict=True):
        official.set_tensor(details["index"], value)
    official.invoke()
    return [official.get_tensor(details["index"]) for details in official.get_output_details()]


def as_list(outputs: Any) -> list[Array]:
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


@pytest.mark.parametrize("name", CASES)
def test_a_bad_value_raises_and_names_op_input_and_range(name: str) -> None:
    case, model = CASES[name], CASES[name].build()
    # The good inputs again at the end: nothing of a refused run stays.
    feeds = [case.good, *(feed for feed, _ in case.bad), case.good]
    found = in_own_process(outcomes, model, feeds)
    expected = official_output(model, case.good)
    if case.expected is not None:
        assert any(np.array_equal(output, case.expected) for output in expected)
    for start in range(0, len(found), len(feeds)):
        first, *refused, last = found[start : start + len(feeds)]
        for (error, message), (_, says) in zip(refused, case.bad, strict=True):
            assert error == "RunError" and re.search(says, message), message
        for how, outputs in (first, last):
            assert how == "ran", outputs
            if name.startswith("random"):
                assert as_list(outputs)[0].shape == (2, 3)  # its numbers go on from run to run
                continue
            assert all(map(np.array_equal, as_list(outputs), expected))


def test_shapes_that_the_options_do_not_fit_are_refused() -> None:
    build = one_op(Op.STABLEHLO_GATHER, [PLANE, NEEDLES], PLANE, GATHER)
    found = in_own_process(outcomes, build(), [[PLANE, NEEDLES], [PLANE, NEEDLES[None]], [PLANE[:, :2], NEEDLES]])
    for good, indices, data in (found[:3], found[3:]):
        assert good[0] == "ran" and np.array_equal(good[1], PLANE[[1, 0]])
        assert indices[0] == "CompileError" and re.search(r"needs 2 dimensions with 1 indices", indices[1])
        assert data[0] == "CompileError" and re.search(r"slices take 3 of dimension 1", data[1])


def broadcast_of_two_shapes() -> bytes:
    """BROADCAST_ARGS of the shapes of two inputs: the runtime computes that while kernels prepare."""
    model = ModelBuilder()
    graph = model.graph()
    shapes = []
    for name, size in (("a", 3), ("b", 1)):
        shapes.append(graph.tensor(f"shape_of_{name}", (2,), Type.INT32))
        value = graph.input(name, (2, size))
        graph.op(Op.SHAPE, [value], [shapes[-1]], table("ShapeOptions", outType=Type.INT32))
    graph.op(Op.BROADCAST_ARGS, shapes, [graph.output("out", (2,), Type.INT32)])
    return model.to_bytes()


def test_shapes_of_inputs_that_do_not_broadcast_are_refused_when_an_input_is_resized() -> None:
    good = [np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32)]
    bad = [good[0], np.zeros((5, 4), np.float32)]
    found = in_own_process(outcomes, broadcast_of_two_shapes(), [good, bad, good])
    for first, refused, last in (found[:3], found[3:]):
        assert refused[0] == "CompileError"
        assert re.search(r"BROADCAST_ARGS: input 1 .*\"shape_of_b\"\) holds 4 .* holds 3", refused[1])
        for how, output in (first, last):
            assert how == "ran" and np.array_equal(output, int32(2, 3))


def test_constants_that_do_not_broadcast_are_refused_at_load() -> None:
    model = ModelBuilder()
    graph = model.graph()
    constants = [graph.constant("a", int32(2, 3)), graph.constant("b", int32(4, 1))]
    graph.op(Op.BROADCAST_ARGS, constants, [graph.output("out", (2,), Type.INT32)])
    with pytest.raises(
        InvalidModelError, match=r"BROADCAST_ARGS: the shapes \[2, 3\] and \[4, 1\] cannot be broadcast"
    ):
        Interpreter(model.to_bytes())


def test_a_shift_of_other_shapes_is_refused() -> None:
    build = one_op(Op.STABLEHLO_SHIFT_LEFT, [int32(1, 2, 3), int32(1, 1, 2)], int32(1, 2, 3))
    large = np.ones(4096, np.int32)
    found = in_own_process(outcomes, build(), [[int32(1, 2, 3), int32(1, 1, 2)], [large, int32(1, 1, 2)]])
    for good, refused in (found[:2], found[2:]):
        assert good[0] == "ran" and np.array_equal(good[1], int32(2, 4, 12))
        assert refused[0] == "RunError"
        assert re.search(r"STABLEHLO_SHIFT_LEFT: input 1 .* has the shape \[3\].*\[4096\]", refused[1])


def test_every_way_to_run_checks() -> None:
    model = ModelBuilder()
    graph = model.graph()
    data, lengths = graph.input("data", DATA.shape), graph.input("lengths", (2,), Type.INT32)
    out = graph.output("out", DATA.shape)
    graph.op(Op.REVERSE_SEQUENCE, [data, lengths], [out], REVERSE)
    model.signature("reverse", graph, {"data": data, "lengths": lengths}, {"out": out})
    content, bad = model.to_bytes(), int32(2, 4)
    for options in ({}, {"experimental_preserve_all_tensors": True}):
        with Interpreter(content, **options) as interpreter:  # type: ignore[arg-type]
            runner = interpreter.get_signature_runner("reverse")
            for _ in range(3):  # later runs go another way through the compiled route
                assert np.array_equal(interpreter.run(DATA, int32(2, 3)), REVERSED)
                with pytest.raises(RunError, match="holds the length 4, outside 0 to 3"):
                    interpreter.run(DATA, bad)
            with pytest.raises(RunError, match="holds the length 4"):
                interpreter.run_async(DATA, bad).result()
            with pytest.raises(RunError, match="holds the length 4"):
                runner(data=DATA, lengths=bad)
            with pytest.raises(RunError, match="holds the length 4"):
                interpreter.time_runs(max_runs=2)
            assert np.array_equal(runner(data=DATA, lengths=int32(2, 3))["out"], REVERSED)
            assert np.array_equal(interpreter.run(DATA, int32(2, 3)), REVERSED)


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("options", [{}, {"experimental_preserve_all_tensors": True}], ids=["compiled", "classic"])
def test_shapes_that_no_kernel_takes_are_refused(delegate: str | None, options: dict[str, bool]) -> None:
    with Interpreter(small_models.add(), delegate=delegate, **options) as interpreter:  # type: ignore[arg-type]
        index = interpreter.inputs[0].index
        for shape, says in (
            ((1,) * 200, "it has 200 dimensions, and the runtime takes at most 8"),
            ((1,) * 9, "it has 9 dimensions"),
            ((-1, 4), "a size is negative"),
            ((65536, 65536), "it has 4294967296 elements, and the runtime counts to 2147483647"),
        ):
            with pytest.raises(CompileError, match=f"cannot resize input .*{says}"):
                interpreter.resize_tensor_input(index, shape)
        value = np.ones((5, 7, 2), np.float32)  # another rank is not refused
        for info in interpreter.inputs:
            interpreter.resize_tensor_input(info.index, value.shape)
        assert interpreter.run(*[value] * len(interpreter.inputs)).shape == value.shape


def ranks(delegate: str | None) -> list[str]:
    found = []
    with Interpreter(small_models.add(), delegate=delegate) as interpreter:
        for rank in (6, 7, 8, 2):
            value = np.ones((1,) * rank, np.float32)
            try:
                for info in interpreter.inputs:
                    interpreter.resize_tensor_input(info.index, value.shape)
                found.append(str(interpreter.run(*[value] * len(interpreter.inputs)).ndim))
            except LiteDelegatesError as error:
                found.append(str(error))
    return found


def test_xnnpack_refuses_more_dimensions_than_it_has_room_for() -> None:
    six, seven, eight, two = in_own_process(ranks, "xnnpack")
    assert (six, two) == ("6", "2")
    assert "has 7 dimensions, and XNNPACK takes at most 6" in seven
    assert "has 8 dimensions, and XNNPACK takes at most 6" in eight


def test_variables_on_xnnpack_keep_their_shape() -> None:
    with Interpreter(small_models.CASES["counter"].build(), delegate="xnnpack") as interpreter:
        index = interpreter.inputs[0].index
        with pytest.raises(CompileError, match=r"keeps variables \(ASSIGN_VARIABLE\).*delegate=None"):
            interpreter.resize_tensor_input(index, (64,))
        interpreter.resize_tensor_input(index, interpreter.inputs[0].shape)
        assert interpreter.run(np.ones(1, np.float32)).shape == (1,)


def draw(seed: int, delegate: str | None, each: int) -> tuple[int, int]:
    """Run every case on values drawn from bad ones; return how many ran and how many raised."""
    rng = np.random.default_rng(seed)
    bad = np.array([-1, -2, -100, 0, 1, 2, 3, 4, 7, 100, 4096, 1 << 20, INT32_MAX, INT32_MIN])
    ran = raised = 0
    for case in CASES.values():
        with Interpreter(case.build(), delegate=delegate) as interpreter:
            for _ in range(each):
                feed = [np.array(value) for value in case.good]
                integers = [value for value in feed if value.dtype == np.int32]
                for value in integers[-rng.integers(1, len(integers) + 1) :]:
                    value[...] = np.where(rng.random(value.shape) < 0.5, rng.choice(bad, value.shape), value)
                try:
                    interpreter.run(*feed)
                    ran += 1
                except (LiteDelegatesError, ValueError, MemoryError):
                    raised += 1
    return ran, raised


@pytest.mark.parametrize("delegate", DELEGATES)
def test_values_drawn_from_bad_ones_never_end_the_process(delegate: str | None) -> None:
    ran, raised = in_own_process(draw, 3, delegate, 20)
    assert ran + raised == 20 * len(CASES)
    assert ran > len(CASES) and raised > len(CASES)


@pytest.mark.parametrize("delegate", DELEGATES)
def test_one_position_is_not_taken_with_a_negative_stride(delegate: str | None) -> None:
    options = table("StridedSliceOptions", shrinkAxisMask=1)
    given = [np.arange(6, dtype=np.int32), int32(1), int32(2), int32(1)]
    interpreter = Interpreter(one_op(Op.STRIDED_SLICE, given, scalar(0), options)(), delegate)
    assert interpreter.run(*given) == 1
    with pytest.raises(
        (RunError, CompileError), match=r"STRIDED_SLICE: input 3 .* holds the stride -1 for one position"
    ):
        interpreter.run(*given[:3], int32(-1))
    assert interpreter.run(*given) == 1


@pytest.mark.parametrize("delegate", DELEGATES)
def test_an_ellipsis_beside_ends_that_count_from_the_beginning_does_not_reach_the_kernel(delegate: str | None) -> None:
    options = table("StridedSliceOptions", ellipsisMask=1, beginMask=2, endMask=3, offset=True)
    given = [np.arange(12, dtype=np.int32), int32(-4, -1), int32(6, -1), int32(1, 1)]
    with pytest.raises((RunError, CompileError), match=r"STRIDED_SLICE: input 1 .* counts ends from the beginning"):
        Interpreter(one_op(Op.STRIDED_SLICE, given, np.zeros(12, np.int32), options)(), delegate).run(*given)
