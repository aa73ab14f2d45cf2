"""Models that compute shapes: folded for the shapes of their inputs, and right beside the official Interpreter."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models_shapes as models
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import OpResolverType
from litedelegates import CompileError, Interpreter
from litedelegates.model import Model
from litedelegates.routes.compiled import CompiledSession
from small_models_builder import GraphBuilder, ModelBuilder, Op, Type, schema

DELEGATES = [None, "xnnpack"]
Array = np.ndarray[Any, Any]


def official(model: bytes, *inputs: Array) -> list[Array]:
    """Return the outputs of the official Interpreter, on its built-in kernels, with inputs resized as they are."""
    interpreter = Official(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    details = interpreter.get_input_details()
    for detail, value in zip(details, inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def random(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def assert_equal(got: Any, wanted: list[Array]) -> None:
    outputs = got if isinstance(got, tuple) else (got,)
    assert [output.shape for output in outputs] == [output.shape for output in wanted]
    for output, right in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(output, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("delegate", DELEGATES)
def test_an_open_batch_is_right_on_first_and_later_runs_of_every_size(delegate: str | None) -> None:
    model = models.computed_reshape()
    interpreter = Interpreter(model, delegate)
    for batch in (1, 3, 1, 3, 64, 3):
        for seed in range(2):
            x = random(batch, 3, 4) + np.float32(seed)
            assert_equal(interpreter.run(x), official(model, x))
    assert interpreter.route.name == "compiled"
    assert interpreter.route.reason.endswith(
        "3 of its 5 ops only compute shapes and were folded for the shapes of its inputs"
    )


@pytest.mark.parametrize("delegate", DELEGATES)
def test_the_methods_of_the_official_interpreter_resize_it_too(delegate: str | None) -> None:
    model = models.computed_reshape()
    interpreter = Interpreter(model, delegate)
    for batch in (1, 5, 2):
        x = random(batch, 3, 4)
        interpreter.resize_tensor_input(0, x.shape)
        if batch != 1:
            with pytest.raises(ValueError, match="not allocated"):
                interpreter.set_tensor(0, x)
        interpreter.allocate_tensors()
        assert interpreter.get_output_details()[0]["shape"].tolist() == [batch, 5]
        assert interpreter.get_input_details()[0]["shape_signature"].tolist() == [-1, 3, 4]
        interpreter.set_tensor(0, x)
        interpreter.invoke()
        assert_equal(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), official(model, x))


@pytest.mark.parametrize("delegate", DELEGATES)
def test_a_model_that_is_resized_first_is_compiled_for_that_shape_only(delegate: str | None) -> None:
    interpreter, x = Interpreter(models.computed_reshape(), delegate), random(3, 3, 4)
    interpreter.get_input_details()
    interpreter.resize_tensor_input(0, x.shape)
    interpreter.allocate_tensors()
    assert [shapes for _, shapes in interpreter._session._kept] == [((3, 3, 4),)]  # type: ignore[union-attr]
    assert_equal(interpreter.run(x), official(models.computed_reshape(), x))


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize(
    "ask",
    [
        lambda interpreter: interpreter.placement,
        lambda interpreter: interpreter.options_in_effect,
        lambda interpreter: interpreter.route,
        lambda interpreter: interpreter.device,
        lambda interpreter: interpreter.load_ns > interpreter._load_ns,  # the time of the compilation is part of it
        lambda interpreter: interpreter.get_output_details()[0]["shape"].tolist(),
        lambda interpreter: interpreter.run(random(1, 3, 4)).shape,
        lambda interpreter: interpreter.profile(runs=1).ops[0].op_index,
    ],
)
def test_a_model_that_is_not_allocated_yet_says_what_an_allocated_one_does(
    delegate: str | None, ask: Callable[[Interpreter], Any]
) -> None:
    waiting, ready = (Interpreter(models.computed_reshape(), delegate) for _ in range(2))
    ready.allocate_tensors()
    assert ask(waiting) == ask(ready)
    took = waiting.load_ns
    waiting.allocate_tensors()
    waiting.close()
    assert waiting.load_ns == took


@pytest.fixture
def slowly_compiled(monkeypatch: pytest.MonkeyPatch) -> list[CompiledSession]:
    """Whatever is compiled on the compiled route from now on, each in a fifth of a second and more."""
    compiled, allocate = [], CompiledSession.allocate

    def allocate_slowly(session: CompiledSession) -> None:
        compiled.append(session)
        time.sleep(0.2)
        allocate(session)

    monkeypatch.setattr(CompiledSession, "allocate", allocate_slowly)
    return compiled


def test_threads_that_look_at_a_model_while_its_first_run_compiles_it_see_what_it_runs(
    slowly_compiled: list[CompiledSession],
) -> None:
    """And compile it no second time, which would have the run set one copy's inputs and invoke another."""
    model = models.computed_reshape()
    expected = Interpreter(model).placement, Interpreter(model).options_in_effect
    interpreter, x = Interpreter(model), random(1, 3, 4)
    slowly_compiled.clear()
    with ThreadPoolExecutor(4) as pool:
        run = pool.submit(interpreter.run, x)
        told = pool.submit(lambda: interpreter.placement), pool.submit(lambda: interpreter.options_in_effect)
        took = pool.submit(lambda: interpreter.load_ns)
        assert_equal(run.result(), official(model, x))
        assert tuple(one.result() for one in told) == expected
        assert took.result() == interpreter.load_ns > 0.2e9
    assert len(slowly_compiled) == 1


def test_the_time_to_load_a_compiled_model_is_told_in_the_middle_of_a_run() -> None:
    interpreter = Interpreter(models.computed_reshape())
    interpreter.run(random(1, 3, 4))
    with interpreter._run_lock, ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: interpreter.load_ns).result(timeout=10) == interpreter.load_ns


def test_a_model_that_a_signature_ran_is_not_compiled_a_second_time(slowly_compiled: list[CompiledSession]) -> None:
    model, x = models.computed_reshape(), random(1, 3, 4)
    interpreter = Interpreter(model)
    assert_equal(interpreter.get_signature_runner()(values=x)["scores"], official(model, x))
    assert_equal(interpreter.run(x), official(model, x))
    assert len(slowly_compiled) == 1


def test_a_mapped_file_that_became_another_model_is_refused_for_other_shapes(tmp_path: Path) -> None:
    """What was known of its ops is not taken for what is known of others."""

    def padded(model: bytes) -> bytes:  # so that it is mapped
        return model + bytes(2**21 - len(model))

    path, x = tmp_path / "model.tflite", random(1, 3, 4)
    path.write_bytes(padded(models.computed_reshape()))
    interpreter = Interpreter(path, None)
    assert_equal(interpreter.run(x), official(models.computed_reshape(), x))
    for other in models.two_open_signatures(), models.branches(differ=False), models.shape_is_an_output():
        with path.open("r+b") as file:
            file.write(padded(other))
        with pytest.raises(CompileError, match="the file was changed since it was loaded"):
            interpreter.run(random(3, 3, 4))


def mean_of_each() -> bytes:
    """MEAN of (batch, 3, 4) over all but the batch, then RESHAPE to (batch, 1)."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 3, 4))
    mean = graph.tensor("mean", (-1,))
    graph.op(Op.MEAN, [x, models.ints(graph, "axes", [1, 2])], [mean], schema.ReducerOptionsT())
    size = models.sliced(graph, models.shape_of(graph, x, 3), 0)
    shape = models.packed(graph, [size, models.ints(graph, "one", 1)])
    graph.op(Op.RESHAPE, [mean, shape], [graph.output("y", (-1, 1))], schema.ReshapeOptionsT())
    return model.to_bytes()


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("batch", [2**30, 2**31 - 1])
@pytest.mark.parametrize("make", [mean_of_each, models.computed_reshape])
def test_a_shape_that_is_too_large_is_the_fault_of_the_shape_and_not_of_the_model(
    make: Callable[[], bytes], batch: int, delegate: str | None
) -> None:
    interpreter, x = Interpreter(make(), delegate), random(3, 3, 4)
    interpreter.resize_tensor_input(0, (batch, 3, 4))
    with pytest.raises(CompileError, match="the model cannot take inputs of these shapes"):
        interpreter.allocate_tensors()
    assert_equal(interpreter.run(x), official(make(), x))


def test_every_op_has_a_placement_and_those_that_only_compute_shapes_are_folded() -> None:
    interpreter = Interpreter(models.computed_reshape(), require_full_delegation=True)
    assert [(row.op_name, row.ran) for row in interpreter.placement] == [
        ("SHAPE", "folded"),
        ("STRIDED_SLICE", "folded"),
        ("PACK", "folded"),
        ("RESHAPE", "xnnpack"),
        ("FULLY_CONNECTED", "xnnpack"),
    ]


def test_a_profile_counts_ops_as_the_model_file_does() -> None:
    interpreter = Interpreter(models.computed_reshape(), None)
    interpreter.run(random(3, 3, 4))
    assert [(op.name, op.op_index) for op in interpreter.profile(runs=2).ops] == [
        ("RESHAPE", 3),
        ("FULLY_CONNECTED", 4),
    ]


def test_a_shape_that_the_model_cannot_take_raises_and_the_next_run_is_right() -> None:
    model = models.computed_reshape()
    for delegate in DELEGATES:
        interpreter = Interpreter(model, delegate)
        x = random(2, 3, 4)
        with pytest.raises(ValueError, match="shape"):
            interpreter.run(random(2, 3, 5))
        assert_equal(interpreter.run(x), official(model, x))
        interpreter.resize_tensor_input(0, (2, 3, 5))
        with pytest.raises(CompileError, match=r"operator 3 of subgraph 0: RESHAPE.*\[2, 3, 5\].*\[2, 12\]"):
            interpreter.allocate_tensors()
        assert_equal(interpreter.run(x), official(model, x))


def test_a_strict_resize_keeps_the_sizes_that_the_file_states() -> None:
    interpreter = Interpreter(models.computed_reshape())
    with pytest.raises(ValueError, match=r"\(2, 4, 3\).*\(-1, 3, 4\)"):
        interpreter.resize_tensor_input(0, (2, 4, 3), strict=True)


def test_many_shapes_in_turn_are_right_and_few_are_kept() -> None:
    model = models.computed_reshape()
    interpreter = Interpreter(model, None)
    for batch in [*range(1, 20), 1, 5, 19]:
        x = random(batch, 3, 4)
        assert_equal(interpreter.run(x), official(model, x))
    assert len(interpreter._session._kept) == 8  # type: ignore[union-attr]


@pytest.mark.parametrize("delegate", DELEGATES)
def test_each_signature_is_folded_for_its_own_inputs(delegate: str | None) -> None:
    interpreter = Interpreter(models.two_open_signatures(), delegate)
    runners = {key: interpreter.get_signature_runner(key) for key in ("flat", "doubled")}
    for batch in (1, 4, 2):
        x = random(batch, 2, 3)
        np.testing.assert_array_equal(runners["flat"](x=x)["y"], x.reshape(batch, 6))
        np.testing.assert_array_equal(runners["doubled"](x=x)["y"], 2 * x.reshape(batch, 6))


@pytest.mark.parametrize("delegate", DELEGATES)
def test_a_loop_that_keeps_its_shapes_is_compiled_and_one_that_grows_is_not(delegate: str | None) -> None:
    for grows, route in ((False, "compiled"), (True, "classic")):
        model = models.loop(grows=grows)
        interpreter = Interpreter(model, delegate)
        for batch in (1, 3, 1):
            x = random(batch, 3)
            assert_equal(interpreter.run(x), official(model, x))
        assert interpreter.route.name == route


@pytest.mark.parametrize("delegate", DELEGATES)
def test_branches_of_one_shape_are_compiled_and_others_are_not(delegate: str | None) -> None:
    for differ, route in ((False, "compiled"), (True, "classic")):
        model = models.branches(differ=differ)
        interpreter = Interpreter(model, delegate)
        for condition in (True, False, True):
            for batch in (1, 3):
                inputs = np.array([condition]), random(batch, 3)
                assert_equal(interpreter.run(*inputs), official(model, *inputs))
        assert interpreter.route.name == route


@pytest.mark.parametrize("delegate", DELEGATES)
def test_a_shape_that_is_an_output_too_is_still_computed(delegate: str | None) -> None:
    model = models.shape_is_an_output()
    interpreter = Interpreter(model, delegate)
    for batch in (1, 3, 2):
        x = random(batch, 3, 4)
        assert_equal(interpreter.run(x), official(model, x))
    assert interpreter.route.name == "compiled"


def test_the_folded_file_is_a_model_that_the_official_interpreter_takes() -> None:
    model = Model.load(models.computed_reshape())
    x = random(7, 3, 4)
    folded = model.file.fold(0, [list(x.shape)])
    written = bytes(folded.file.bytes)
    assert written.endswith(bytes(model.file.bytes)), "the file itself is not rewritten"
    np.testing.assert_array_equal(official(written, x)[0], Interpreter(model.file.bytes.tobytes(), None).run(x))


def test_weights_are_not_copied_for_another_shape() -> None:
    large = 4_000_000
    model = Model.load(models.computed_reshape(features=large // 5))
    before = _private_bytes()
    folded = model.file.fold(0, [[1, 1, large // 5]])
    assert len(folded.file.bytes) > 4 * large
    assert _private_bytes() - before < 4 * large / 10


def _private_bytes() -> int:
    """Return the bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    pytest.skip("this system does not tell the memory of a process by kind")


def test_data_behind_the_flatbuffer_is_found_from_the_new_start() -> None:
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 2, 2))
    shape = models.packed(graph, [models.sliced(graph, models.shape_of(graph, x, 3), 0), models.ints(graph, "n", 4)])
    flat = graph.tensor("flat", (-1, 4))
    graph.op(Op.RESHAPE, [x, shape], [flat], schema.ReshapeOptionsT())
    added = np.array([1, 20, 300, 4000], np.float32)
    constant = graph.constant("added", added)
    graph.op(Op.ADD, [flat, constant], [graph.output("y", (-1, 4))], schema.AddOptionsT())
    buffer = model.table.buffers[graph.table.tensors[constant].buffer]
    buffer.data, buffer.offset, buffer.size = None, 1 << 30, added.nbytes  # as long as the real offset
    start = (len(model.to_bytes()) + 15) // 16 * 16
    buffer.offset = start
    content = model.to_bytes()
    content += bytes(start - len(content)) + added.tobytes()
    for delegate in DELEGATES:
        interpreter = Interpreter(content, delegate)
        for batch in (1, 3):
            np.testing.assert_array_equal(interpreter.run(np.zeros((batch, 2, 2), np.float32)), [added] * batch)


def _chain(*ops: tuple[int, Callable[[GraphBuilder, int], list[int]], Any, Any], result: Any = None) -> models.Chain:
    """Return a chain: op, inputs made of the tensor before, shape (and type) of the output, options."""

    def build(graph: GraphBuilder, tensor: int) -> int:
        for number, (op, inputs, shape, options) in enumerate(ops):
            shape, element_type = shape if shape and isinstance(shape[0], tuple) else (shape, Type.INT32)
            output = graph.tensor(f"step{number}", shape, element_type)
            graph.op(op, inputs(graph, tensor), [output], options, version=2 if op == Op.BROADCAST_TO else 1)
            tensor = output
        return tensor

    return build


def _with(**fields: Any) -> Any:
    """Return an options table: the class under ``of``, and its fields."""
    options = fields.pop("of")()
    for name, value in fields.items():
        setattr(options, name, value)
    return options


def _and(*constants: Any, first: bool = True) -> Callable[[GraphBuilder, int], list[int]]:
    """Return what makes the inputs of an op: the tensor before and int32 constants, or those first."""

    def inputs(graph: GraphBuilder, tensor: int) -> list[int]:
        others = [
            graph.constant(f"c{len(graph.table.tensors)}_{i}", np.asarray(value)) for i, value in enumerate(constants)
        ]
        return [tensor, *others] if first else [*others, tensor]

    return inputs


def _only(graph: GraphBuilder, tensor: int) -> list[int]:
    return [tensor]


def i32(*values: int) -> Array:
    return np.array(values, np.int32)


_SLICES = {
    "last": {"begin": [-1], "end": [0], "stride": [1], "shrinkAxisMask": 1, "shape": ()},
    "backwards": {"begin": [3], "end": [0], "stride": [-1], "shape": (3,)},
    "backwards to the start": {"begin": [0], "end": [0], "stride": [-2], "beginMask": 1, "endMask": 1, "shape": (2,)},
    "every second": {"begin": [0], "end": [9], "stride": [2], "shape": (2,)},
    "new axis": {"begin": [0, 1], "end": [0, 3], "stride": [1, 1], "newAxisMask": 1, "shape": (1, 2)},
    "ellipsis": {
        "begin": [0, 0],
        "end": [0, 0],
        "stride": [1, 1],
        "ellipsisMask": 1,
        "newAxisMask": 2,
        "shape": (4, 1),
    },
    "whole": {"begin": [2], "end": [1], "stride": [1], "beginMask": 1, "endMask": 1, "shape": (4,)},
}


def _slice(begin: Any, end: Any, stride: Any, shape: Any, **masks: int) -> models.Chain:
    options = _with(of=schema.StridedSliceOptionsT, **masks)
    return _chain((Op.STRIDED_SLICE, _and(i32(*begin), i32(*end), i32(*stride)), shape, options))


def _binary(op: int, options: Any, first: bool = True) -> models.Chain:
    return _chain((op, _and(i32(2, 3, -4, 5), first=first), (4,), options))


def _compared(op: int, options: Any) -> models.Chain:
    boolean = ((4,), Type.BOOL)
    return _chain((op, _and(i32(3, 4, 5, 6)), boolean, options), (Op.CAST, _only, (4,), _with(of=schema.CastOptionsT)))


def _reduced(op: int, keep: bool = False) -> models.Chain:
    options = _with(of=schema.ReducerOptionsT, keepDims=keep)
    return _chain((op, _and(i32(0)), (1,) if keep else (), options))


def _scaled(graph: GraphBuilder, shape: int) -> int:
    """Sizes times 1.5, as upsampling computes them: to float and back."""
    real = graph.tensor("real", (4,), Type.FLOAT32)
    graph.op(Op.CAST, [shape], [real], schema.CastOptionsT())
    scaled = graph.tensor("scaled", (4,), Type.FLOAT32)
    graph.op(Op.MUL, [real, graph.constant("scale", np.float32(1.5))], [scaled], schema.MulOptionsT())
    floor = graph.tensor("floor", (4,), Type.FLOAT32)
    graph.op(Op.FLOOR, [scaled], [floor])
    result = graph.tensor("result", (4,), Type.INT32)
    graph.op(Op.CAST, [floor], [result], schema.CastOptionsT())
    return result


def _parts(op: int) -> models.Chain:
    """The last part of a shape that is split, with the first part added."""

    def build(graph: GraphBuilder, shape: int) -> int:
        if op == Op.UNPACK:
            parts = [graph.tensor(f"part{i}", (), Type.INT32) for i in range(4)]
            graph.op(op, [shape], parts, _with(of=schema.UnpackOptionsT, num=4))
        elif op == Op.SPLIT:
            parts = [graph.tensor(f"part{i}", (2,), Type.INT32) for i in range(2)]
            graph.op(op, [models.ints(graph, "axis", 0), shape], parts, _with(of=schema.SplitOptionsT, numSplits=2))
        else:
            parts = [graph.tensor(f"part{i}", (size,), Type.INT32) for i, size in enumerate((1, 3))]
            sizes, axis = models.ints(graph, "sizes", [1, -1]), models.ints(graph, "axis", 0)
            graph.op(op, [shape, sizes, axis], parts, _with(of=schema.SplitVOptionsT, numSplits=2))
        total = graph.tensor("total", graph.table.tensors[parts[-1]].shape, Type.INT32)
        graph.op(Op.ADD, [parts[-1], parts[0]], [total], schema.AddOptionsT())
        return total

    return build


def _tensordot(graph: GraphBuilder, shape: int) -> int:
    """What a Dense layer on three dimensions computes: products of the sizes it keeps and contracts, joined."""
    gathered = graph.tensor("gathered", (2,), Type.INT32)
    graph.op(Op.GATHER, [shape, models.ints(graph, "kept", [0, 2])], [gathered], schema.GatherOptionsT())
    product = graph.tensor("product", (), Type.INT32)
    graph.op(Op.REDUCE_PROD, [gathered, models.ints(graph, "axis", [0])], [product], schema.ReducerOptionsT())
    both = models.packed(graph, [product, models.sliced(graph, shape, 3)])
    joined = graph.tensor("joined", (4,), Type.INT32)
    graph.op(Op.CONCATENATION, [gathered, both], [joined], schema.ConcatenationOptionsT())
    return joined


def _selected(graph: GraphBuilder, shape: int) -> int:
    larger = graph.tensor("larger", (4,), Type.BOOL)
    graph.op(Op.GREATER, [shape, models.ints(graph, "three", 3)], [larger], schema.GreaterOptionsT())
    both = graph.tensor("both", (4,), Type.BOOL)
    graph.op(Op.LOGICAL_AND, [larger, graph.constant("mask", np.array([True, True, False, True]))], [both])
    result = graph.tensor("result", (4,), Type.INT32)
    graph.op(Op.SELECT_V2, [both, shape, models.ints(graph, "other", -7)], [result], schema.SelectV2OptionsT())
    return result


def _matrix(op: int, constants: list[Array], shape: tuple[int, ...], options: Any) -> models.Chain:
    """The shape as a matrix of two rows, then an op."""
    return _chain(
        (Op.RESHAPE, _and(i32(2, 2)), (2, 2), schema.ReshapeOptionsT()), (op, _and(*constants), shape, options)
    )


CHAINS: dict[str, tuple[models.Chain, tuple[int, ...]]] = {
    **{f"slice: {name}": (_slice(**fields), fields["shape"]) for name, fields in _SLICES.items()},
    "add": (_binary(Op.ADD, schema.AddOptionsT()), (4,)),
    "subtract": (_binary(Op.SUB, schema.SubOptionsT()), (4,)),
    "multiply": (_binary(Op.MUL, schema.MulOptionsT()), (4,)),
    "divide": (_binary(Op.DIV, schema.DivOptionsT()), (4,)),
    "divide down": (_binary(Op.FLOOR_DIV, schema.FloorDivOptionsT()), (4,)),
    "remainder": (_binary(Op.FLOOR_MOD, schema.FloorModOptionsT()), (4,)),
    "maximum": (_binary(Op.MAXIMUM, schema.MaximumMinimumOptionsT()), (4,)),
    "minimum": (_binary(Op.MINIMUM, schema.MaximumMinimumOptionsT()), (4,)),
    "constant minus shape": (_binary(Op.SUB, schema.SubOptionsT(), first=False), (4,)),
    "negate": (_chain((Op.NEG, _only, (4,), schema.NegOptionsT())), (4,)),
    "equal": (_compared(Op.EQUAL, schema.EqualOptionsT()), (4,)),
    "not equal": (_compared(Op.NOT_EQUAL, schema.NotEqualOptionsT()), (4,)),
    "less": (_compared(Op.LESS, schema.LessOptionsT()), (4,)),
    "less or equal": (_compared(Op.LESS_EQUAL, schema.LessEqualOptionsT()), (4,)),
    "greater": (_compared(Op.GREATER, schema.GreaterOptionsT()), (4,)),
    "greater or equal": (_compared(Op.GREATER_EQUAL, schema.GreaterEqualOptionsT()), (4,)),
    "select": (_selected, (4,)),
    "sum": (_reduced(Op.SUM), ()),
    "product": (_reduced(Op.REDUCE_PROD, keep=True), (1,)),
    "largest": (_reduced(Op.REDUCE_MAX), ()),
    "smallest": (_reduced(Op.REDUCE_MIN), ()),
    "tensordot": (_tensordot, (4,)),
    "scaled by a float": (_scaled, (4,)),
    "unpack": (_parts(Op.UNPACK), ()),
    "split": (_parts(Op.SPLIT), (2,)),
    "split in sizes": (_parts(Op.SPLIT_V), (3,)),
    "slice by size": (_chain((Op.SLICE, _and(i32(1), i32(2)), (2,), schema.SliceOptionsT())), (2,)),
    "expand": (_chain((Op.EXPAND_DIMS, _and(i32(0)), (1, 4), schema.ExpandDimsOptionsT())), (1, 4)),
    "transpose": (_matrix(Op.TRANSPOSE, [i32(1, 0)], (2, 2), schema.TransposeOptionsT()), (2, 2)),
    "tile": (_matrix(Op.TILE, [i32(1, 3)], (2, 6), schema.TileOptionsT()), (2, 6)),
    "gather rows": (_matrix(Op.GATHER, [i32(1, 0, 1)], (3, 2), schema.GatherOptionsT()), (3, 2)),
    "gather columns": (_matrix(Op.GATHER, [i32(1)], (2, 1), _with(of=schema.GatherOptionsT, axis=1)), (2, 1)),
    "broadcast": (_chain((Op.BROADCAST_TO, _and(i32(3, 4)), (3, 4), schema.BroadcastToOptionsT())), (3, 4)),
    "fill": (
        _chain(
            (Op.REDUCE_MAX, _and(i32(0)), (), schema.ReducerOptionsT()),
            (Op.FILL, _and(i32(2, 3), first=False), (2, 3), schema.FillOptionsT()),
        ),
        (2, 3),
    ),
    "squeeze": (
        _chain(
            (Op.EXPAND_DIMS, _and(i32(0)), (1, 4), schema.ExpandDimsOptionsT()),
            (Op.SQUEEZE, _only, (4,), _with(of=schema.SqueezeOptionsT, squeezeDims=[0])),
        ),
        (4,),
    ),
    "broadcast of two shapes": (_chain((Op.BROADCAST_ARGS, _and(i32(6, 1)), (4,), None)), (4,)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_what_is_folded_is_what_the_kernels_compute(name: str) -> None:
    chain, shape = CHAINS[name]
    model = models.of_shape(chain, shape)
    z = np.zeros(shape, np.int32)
    interpreter = Interpreter(model, None)
    for batch in (1, 3, 2):
        x = random(batch, 4, 6, 2)
        wanted, _ = official(model, x, z)
        got, _ = interpreter.run(x, z)
        np.testing.assert_array_equal(got, wanted)
        assert got.any(), "zeros would say nothing"
    ran = {row.op_name: row.ran for row in interpreter.placement}
    assert {what for op, what in ran.items() if op not in ("ADD", "RESHAPE")} == {"folded"}, ran


@pytest.mark.parametrize(
    "fields",
    [
        {"begin": [0, -1], "end": [0, 0], "ellipsisMask": 1, "endMask": 2},
        {"begin": [1], "end": [1], "offset": True, "beginMask": 1},
    ],
    ids=["an ellipsis that covers no dimension", "an end that counts from a masked beginning"],
)
def test_slices_that_kernels_take_in_their_own_way_are_left_to_them(fields: dict[str, Any]) -> None:
    masks = {name: value for name, value in fields.items() if name not in ("begin", "end")}
    options = _with(of=schema.StridedSliceOptionsT, **masks)
    stride = i32(*([1] * len(fields["begin"])))

    def chain(graph: GraphBuilder, shape: int) -> int:
        sliced = graph.tensor("sliced", (-1,), Type.INT32)
        inputs = _and(i32(*fields["begin"]), i32(*fields["end"]), stride)(graph, shape)
        graph.op(Op.STRIDED_SLICE, inputs, [sliced], options)
        total = graph.tensor("total", (), Type.INT32)
        graph.op(Op.SUM, [sliced, models.ints(graph, "axis", [0])], [total], schema.ReducerOptionsT())
        return total

    model = models.of_shape(chain, ())
    z = np.int32(0)
    for batch in (1, 3):
        x = random(batch, 4, 6, 2)
        wanted, _ = official(model, x, np.asarray(z))
        got, _ = Interpreter(model, None).run(x, z)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("delegate", DELEGATES)
def test_an_op_that_stays_for_one_output_still_writes_those_that_are_known(delegate: str | None) -> None:
    """SPLIT of a shape: one half is an output of the model, the other is what a RESHAPE takes."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 2, 3, 4))
    halves = [graph.output("half", (2,), Type.INT32), graph.tensor("other", (2,), Type.INT32)]
    shape = models.shape_of(graph, x, 4)
    graph.op(Op.SPLIT, [models.ints(graph, "axis", 0), shape], halves, _with(of=schema.SplitOptionsT, numSplits=2))
    joined = graph.tensor("joined", (3,), Type.INT32)
    graph.op(Op.CONCATENATION, [models.ints(graph, "rest", [-1]), halves[1]], [joined], schema.ConcatenationOptionsT())
    graph.op(Op.RESHAPE, [x, joined], [graph.output("y", (-1, 3, 4))])
    content = model.to_bytes()
    interpreter = Interpreter(content, delegate)
    for batch in (1, 3, 1):
        x_ = random(batch, 2, 3, 4)
        assert_equal(interpreter.run(x_), official(content, x_))
    assert interpreter.route.name == "compiled"


def test_signatures_of_many_shapes_leave_the_interpreter_as_it_was() -> None:
    model = models.computed_reshape()
    interpreter = Interpreter(model, None)
    signature = interpreter.get_signature_runner()
    x = random(2, 3, 4)
    assert_equal(interpreter.run(x), official(model, x))
    for batch in range(1, 13):
        signature(values=random(batch, 3, 4))
    assert interpreter.get_output_details()[0]["shape"].tolist() == [2, 5]
    assert_equal(interpreter.run(x), official(model, x))
    interpreter.close()


@pytest.mark.parametrize("delegate", DELEGATES)
def test_inputs_of_one_name_are_kept_apart(delegate: str | None) -> None:
    model = ModelBuilder()
    graph = model.graph()
    inputs = [graph.input("x", (-1, 4)), graph.input("x", (-1, 4))]
    graph.op(Op.SUB, inputs, [graph.output("y", (-1, 4))], schema.SubOptionsT())
    interpreter = Interpreter(model.to_bytes(), delegate)
    a, b = random(3, 4), random(1, 4).repeat(3, 0)
    np.testing.assert_array_equal(interpreter.run(a, b), a - b)
    assert "several of its inputs or outputs are called 'x'" in interpreter.route.reason


@pytest.mark.parametrize("delegate", DELEGATES)
def test_an_empty_batch_is_run_as_the_official_interpreter_runs_it(delegate: str | None) -> None:
    model = models.computed_reshape()
    interpreter = Interpreter(model, delegate)
    for batch, route in ((2, "compiled"), (0, "classic"), (3, "compiled")):
        x = random(batch, 3, 4)
        assert_equal(interpreter.run(x), official(model, x))
        assert interpreter.route.name == route


def test_a_range_over_the_sizes_is_folded() -> None:
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 4))
    size = models.sliced(graph, models.shape_of(graph, x, 2), 0)
    positions = graph.tensor("positions", (-1,), Type.INT32)
    graph.op(Op.RANGE, [models.ints(graph, "zero", 0), size, models.ints(graph, "one", 1)], [positions])
    table = graph.constant("table", np.arange(40, dtype=np.float32).reshape(10, 4))
    rows = graph.tensor("rows", (-1, 4))
    graph.op(Op.GATHER, [table, positions], [rows], schema.GatherOptionsT())
    graph.op(Op.ADD, [x, rows], [graph.output("y", (-1, 4))], schema.AddOptionsT())
    content = model.to_bytes()
    for delegate in DELEGATES:
        interpreter = Interpreter(content, delegate)
        for batch in (1, 5, 10):
            x_ = random(batch, 4)
            assert_equal(interpreter.run(x_), official(content, x_))
        assert interpreter.route.name == "compiled"


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("op", ["TRANSPOSE_CONV", "RESIZE_BILINEAR", "PAD", "TILE", "SLICE", "BROADCAST_TO"])
def test_sizes_of_other_ops_are_folded_too(op: str, delegate: str | None) -> None:
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 4, 6, 2))
    shape = models.shape_of(graph, x, 4)
    batch = models.sliced(graph, shape, 0)
    number = lambda name, value: models.ints(graph, name, value)  # noqa: E731
    inputs, sizes, options = {
        "TRANSPOSE_CONV": lambda: (
            [
                models.packed(graph, [batch, number("h", 8), number("w", 12), number("c", 3)]),
                graph.constant("filter", random(3, 2, 2, 2)),
                x,
            ],
            (-1, 8, 12, 3),
            _with(of=schema.TransposeConvOptionsT, strideH=2, strideW=2),
        ),
        "RESIZE_BILINEAR": lambda: (
            [x, models.packed(graph, [models.sliced(graph, shape, 2, "h"), models.sliced(graph, shape, 1, "w")])],
            (-1, 6, 4, 2),
            schema.ResizeBilinearOptionsT(),
        ),
        "PAD": lambda: (
            [x, _padding(graph, batch)],
            (-1, 5, 6, 2),
            schema.PadOptionsT(),
        ),
        "TILE": lambda: (
            [x, models.packed(graph, [number("a", 1), batch, number("b", 1), number("c", 2)])],
            (-1, -1, 6, 4),
            schema.TileOptionsT(),
        ),
        "SLICE": lambda: (
            [x, number("begin", [0, 1, 2, 0]), models.packed(graph, [batch, *(number(f"s{i}", 2) for i in range(3))])],
            (-1, 2, 2, 2),
            schema.SliceOptionsT(),
        ),
        "BROADCAST_TO": lambda: (
            [graph.constant("row", random(1, 2)), models.packed(graph, [batch, number("two", 2)])],
            (-1, 2),
            schema.BroadcastToOptionsT(),
        ),
    }[op]()
    graph.op(getattr(Op, op), inputs, [graph.output("y", sizes)], options, version=2 if op == "BROADCAST_TO" else 1)
    content = model.to_bytes()
    interpreter = Interpreter(content, delegate)
    for count in (1, 3, 1):
        x_ = random(count, 4, 6, 2)
        assert_equal(interpreter.run(x_), official(content, x_))
    assert interpreter.route.name == "compiled"


def _padding(graph: GraphBuilder, batch: int) -> int:
    """Return paddings of one row, computed as batch / batch."""
    one = graph.tensor("quotient", (), Type.INT32)
    graph.op(Op.FLOOR_DIV, [batch, batch], [one], schema.FloorDivOptionsT())
    flat = models.packed(
        graph,
        [*(models.ints(graph, f"z{i}", 0) for i in range(3)), one] + [models.ints(graph, f"y{i}", 0) for i in range(4)],
    )
    paddings = graph.tensor("paddings", (4, 2), Type.INT32)
    graph.op(Op.RESHAPE, [flat, models.ints(graph, "form", [4, 2])], [paddings], schema.ReshapeOptionsT())
    return paddings


@pytest.mark.parametrize("delegate", DELEGATES)
def test_sizes_that_depend_on_values_take_the_classic_route(delegate: str | None) -> None:
    model = ModelBuilder()
    graph = model.graph()
    # Stored as if it were known: five are found at most.
    condition = graph.input("condition", (5,), Type.BOOL)
    found = graph.tensor("found", (5, 1), Type.INT64)
    graph.op(Op.WHERE, [condition], [found], schema.WhereOptionsT())
    flat = graph.output("y", (5,), Type.INT64)
    graph.op(Op.RESHAPE, [found, models.ints(graph, "shape", [-1])], [flat], schema.ReshapeOptionsT())
    interpreter = Interpreter(model.to_bytes(), delegate)
    assert interpreter.route == ("classic", interpreter.route.reason)
    assert "operator 0 (WHERE)" in interpreter.route.reason
    for values in ([True] * 5, [True, False, True, False, True], [False] * 5, [True] * 5):
        np.testing.assert_array_equal(interpreter.run(np.array(values)), np.flatnonzero(values))


def test_a_file_that_must_be_resized_first_can_be_loaded() -> None:
    """The stored shape cannot run: a RESHAPE to rows of 6 of an input of 4 values."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 4))
    size = models.sliced(graph, models.shape_of(graph, x, 2), 1)
    half = graph.tensor("half", (), Type.INT32)
    graph.op(Op.FLOOR_DIV, [size, models.ints(graph, "divisor", 6)], [half], schema.FloorDivOptionsT())
    shape = models.packed(graph, [half, models.ints(graph, "six", 6)])
    graph.op(Op.RESHAPE, [x, shape], [graph.output("y", (-1, 6))], schema.ReshapeOptionsT())
    interpreter = Interpreter(model.to_bytes(), None)
    with pytest.raises(CompileError, match="RESHAPE"):
        interpreter.allocate_tensors()
    interpreter.resize_tensor_input(0, (1, 12))
    interpreter.allocate_tensors()
    x_ = random(1, 12)
    interpreter.set_tensor(0, x_)
    interpreter.invoke()
    np.testing.assert_array_equal(
        interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), x_.reshape(2, 6)
    )


def test_errors_of_a_run_stay_typed_after_folding() -> None:
    interpreter = Interpreter(models.computed_reshape(), None)
    with pytest.raises(ValueError, match="element type"):
        interpreter.run(np.zeros((1, 3, 4), np.float64))
    x = random(1, 3, 4)
    assert_equal(interpreter.run(x), official(models.computed_reshape(), x))
