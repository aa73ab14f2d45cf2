"""Code written for the official Interpreter runs unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import small_models
import small_models_shapes
from ai_edge_litert.interpreter import Interpreter as Official
from litedelegates import CompileError, Interpreter, UnsupportedError
from small_models import CASES, Case
from small_models_builder import ModelBuilder, Op, schema

RUNNABLE = [case for case in CASES.values() if case.obstacle is None]


def assert_same_details(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert len(got) == len(wanted)
    for mine, official in zip(got, wanted, strict=True):
        assert mine.keys() == official.keys()
        for key, value in official.items():
            if key == "quantization_parameters":
                assert mine[key].keys() == value.keys()
                for name, part in value.items():
                    np.testing.assert_array_equal(mine[key][name], part, err_msg=f"{official['name']} {name}")
                    assert np.asarray(mine[key][name]).dtype == np.asarray(part).dtype
            else:
                np.testing.assert_array_equal(mine[key], value, err_msg=f"{official['name']} {key}")
                assert type(mine[key]) is type(value), key


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_details_are_the_official_dictionaries(case: Case) -> None:
    model = case.build()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    official.allocate_tensors()
    mine.allocate_tensors()
    assert_same_details(mine.get_input_details(), official.get_input_details())
    assert_same_details(mine.get_output_details(), official.get_output_details())
    assert mine.get_signature_list() == official.get_signature_list()
    assert mine.num_subgraphs() == official.num_subgraphs()
    named = {detail["index"]: detail for detail in official.get_tensor_details()}
    for detail in mine.get_tensor_details():
        if detail["index"] not in named:
            continue  # of a type that the official Interpreter leaves out
        official_detail = named[detail["index"]]
        # Inner tensors of unknown size have the file's shape here and the last run's there.
        if (np.asarray(detail["shape_signature"]) >= 0).all() and detail["dtype"] is not np.object_:
            assert_same_details([detail], [official_detail])


def test_the_classic_loop_of_a_thousand_scripts_runs() -> None:
    interpreter = Interpreter(model_content=small_models.conv(), num_threads=2)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert target["shape"].tolist() == [1, 2, 2, 2]
    image = np.random.default_rng(0).random(source["shape"]).astype(source["dtype"])
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    first = interpreter.get_tensor(target["index"])
    interpreter.tensor(source["index"])()[:] = 0
    interpreter.invoke()
    assert not np.array_equal(first, interpreter.tensor(target["index"])())


def test_wrong_types_shapes_and_indices_raise_value_errors_that_say_why() -> None:
    interpreter = Interpreter(model_content=small_models.add())
    interpreter.allocate_tensors()
    with pytest.raises(ValueError, match=r"float64.*float32"):
        interpreter.set_tensor(0, np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"\(1, 5\).*\(1, 4\)"):
        interpreter.set_tensor(0, np.ones((1, 5), np.float32))
    with pytest.raises(ValueError, match="no tensor 99"):
        interpreter.set_tensor(99, np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match="not an input"):
        interpreter.set_tensor(2, np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match="no tensor -1"):
        interpreter.get_tensor(-1)
    with pytest.raises(ValueError, match="subgraph"):
        interpreter.get_tensor_details(3)
    with pytest.raises(ValueError, match="one model"):
        Interpreter()
    with pytest.raises(ValueError, match="one model"):
        Interpreter("a.tflite", model_content=b"b")


@pytest.mark.parametrize("build", [small_models.add, small_models.dense_dynamic_batch, small_models.lstm])
@pytest.mark.parametrize("bad", [99, -1, 2**31, 2**40, "0", 1.5, None], ids=repr)
def test_a_bad_index_raises_an_error_of_the_official_type(build: Any, bad: Any) -> None:
    def uses(interpreter: Any) -> dict[str, Any]:
        value = np.ones(interpreter.get_input_details()[0]["shape"], np.float32)
        return {
            "get_tensor": lambda: interpreter.get_tensor(bad),
            "set_tensor": lambda: interpreter.set_tensor(bad, value),
            "tensor": lambda: interpreter.tensor(bad)(),
            "resize_tensor_input": lambda: interpreter.resize_tensor_input(bad, [1, 4]),
            "_get_op_details": lambda: interpreter._get_op_details(bad),
        }

    model = build()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    for interpreter in (official, mine):
        interpreter.allocate_tensors()
    for (name, wanted), got in zip(uses(official).items(), uses(mine).values(), strict=True):
        with pytest.raises(Exception) as raised:  # whatever it is, it is the reference
            wanted()
        with pytest.raises(raised.type):
            got()
        assert raised.type in (ValueError, TypeError, RuntimeError), name


def test_a_subgraph_that_is_not_there_raises_a_value_error() -> None:
    for build in (small_models.add, small_models.lstm):
        interpreter = Interpreter(build())
        interpreter.allocate_tensors()
        for bad in (9, -1):
            with pytest.raises(ValueError, match="subgraph"):
                interpreter.get_tensor(0, bad)


@pytest.mark.parametrize("build", [small_models.add, small_models.lstm])
def test_nothing_runs_or_is_read_before_it_is_allocated(build: Any) -> None:
    model = build()
    for interpreter in (Official(model_content=model), Interpreter(model_content=model)):
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        with pytest.raises(RuntimeError):
            interpreter.invoke()
        for index in (source["index"], target["index"]):
            with pytest.raises(ValueError, match="allocate"):
                interpreter.get_tensor(index)
            with pytest.raises(ValueError, match="allocate"):
                interpreter.tensor(index)()
        interpreter.allocate_tensors()
        interpreter.invoke()


def test_what_allocates_by_itself_needs_no_call_before_invoke() -> None:
    ones = np.ones((1, 4), np.float32)
    for prepare in (
        lambda it: it.run(ones),
        lambda it: it.view(it.inputs[0].index),
        lambda it: it.time_runs(max_runs=1),
    ):
        interpreter = Interpreter(small_models.scale_by_two())
        prepare(interpreter)
        interpreter.set_tensor(interpreter.inputs[0].index, ones)
        interpreter.invoke()
        assert interpreter.get_tensor(interpreter.outputs[0].index).tolist() == [[2.0] * 4]


def test_constants_are_read_through_tensor_and_cannot_be_written() -> None:
    model = small_models.dense_dynamic_batch()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    official.allocate_tensors()
    weights = mine.tensor(0)()
    np.testing.assert_array_equal(weights, official.tensor(0)())
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


def test_resizing_changes_shapes_as_in_the_official_interpreter() -> None:
    model = small_models.dense_dynamic_batch()
    results = []
    for cls in (Official, Interpreter):
        interpreter = cls(model_content=model)
        index = interpreter.get_input_details()[0]["index"]
        with pytest.raises(RuntimeError):
            interpreter.resize_tensor_input(index, [5, 9], strict=True)
        interpreter.resize_tensor_input(index, [5, 4], strict=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(index, np.ones((5, 4), np.float32))
        interpreter.invoke()
        output = interpreter.get_output_details()[0]
        results.append((output["shape"].tolist(), interpreter.get_tensor(output["index"])))
    assert results[0][0] == results[1][0] == [5, 3]
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize("build", [small_models.add, small_models.dense_dynamic_batch, small_models.lstm])
@pytest.mark.parametrize("shape", [[1, 4], (5, 4), [5, 9], [5], [5, 4, 1], [0, 4], [5.0, 4.7], ["5", "4"]], ids=repr)
def test_shapes_and_signatures_follow_a_resize_as_officially(build: Any, shape: Any) -> None:
    def shapes(interpreter: Any) -> list[Any]:
        details = interpreter.get_input_details() + interpreter.get_output_details()
        return [(one["shape"].tolist(), one["shape_signature"].tolist()) for one in details]

    model = build()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    for allocated in (False, True):
        for interpreter in (official, mine):
            if allocated:
                interpreter.allocate_tensors()
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
        assert shapes(mine) == shapes(official)
        try:
            official.allocate_tensors()
        except RuntimeError:
            with pytest.raises(RuntimeError):
                mine.allocate_tensors()
            return
        mine.allocate_tensors()
        assert shapes(mine) == shapes(official)


@pytest.mark.parametrize("shape", [5, [[5, 4]], None, ["a"], [2**31, 4], [-1, 4]], ids=repr)
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_no_shape_is_refused_as_officially(shape: Any, strict: bool) -> None:
    model = small_models.dense_dynamic_batch()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    index = mine.get_input_details()[0]["index"]
    with pytest.raises(Exception) as raised:  # whatever it is, it is the reference
        official.resize_tensor_input(index, shape, strict)
    with pytest.raises(raised.type):
        mine.resize_tensor_input(index, shape, strict)
    assert mine.run(np.ones((2, 4), np.float32)).shape == (2, 3)


def test_a_run_after_a_resize_takes_the_shape_that_it_is_given() -> None:
    interpreter = Interpreter(small_models.dense_dynamic_batch())
    one = np.random.default_rng(0).random((1, 4), np.float32)
    wanted = interpreter.run(one)
    interpreter.resize_tensor_input(interpreter.inputs[0].index, [5, 4])
    assert interpreter.inputs[0].shape == (5, 4) and interpreter.outputs[0].shape == (1, 3)
    np.testing.assert_array_equal(interpreter.run(one), wanted)
    np.testing.assert_allclose(interpreter.run(np.repeat(one, 5, axis=0)), np.repeat(wanted, 5, axis=0), rtol=1e-6)


@pytest.mark.parametrize("delegate", [None, "xnnpack"])
def test_a_run_with_a_shape_that_the_model_refuses_leaves_the_next_one_right(delegate: str | None) -> None:
    """The file leaves every size open, and the constant that is added takes only some of them."""
    model = ModelBuilder()
    graph = model.graph()
    x, constant = graph.input("x", (1, 4)), graph.constant("constant", np.arange(4, dtype=np.float32)[None])
    graph.table.tensors[x].shapeSignature = [-1, -1]
    graph.op(Op.ADD, [x, constant], [graph.output("y", (-1, 4))], schema.AddOptionsT())
    interpreter = Interpreter(model.to_bytes(), delegate)
    value = np.random.default_rng(0).random((2, 4), np.float32)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            interpreter.run(np.ones((2, 5), np.float32))
        np.testing.assert_array_equal(interpreter.run(value), value + np.arange(4, dtype=np.float32))


def test_an_empty_batch_runs_as_officially_and_leaves_the_interpreter_whole() -> None:
    model = small_models.dense_dynamic_batch()
    mine = Interpreter(model)
    wanted = Interpreter(model).run(np.ones((2, 4), np.float32))
    assert mine.run(np.zeros((0, 4), np.float32)).shape == (0, 3)
    assert mine.route.name == "classic" and "(0, 4)" in mine.route.reason
    np.testing.assert_allclose(mine.run(np.ones((2, 4), np.float32)), wanted, rtol=1e-6)
    shapes = []
    for interpreter in (Official(model_content=model), Interpreter(model)):
        index = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(index, [0, 4], strict=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(index, np.zeros((0, 4), np.float32))
        interpreter.invoke()
        shapes.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).shape)
    assert shapes == [(0, 3), (0, 3)]


def test_after_an_empty_batch_a_model_is_compiled_as_before() -> None:
    model = small_models.dense_dynamic_batch()
    interpreter, x, empty = Interpreter(model), np.ones((2, 4), np.float32), np.zeros((0, 4), np.float32)
    wanted = interpreter.run(x)
    for full in x, x[:1], x:
        assert interpreter.run(empty).shape == (0, 3) and interpreter.route.name == "classic"
        np.testing.assert_allclose(interpreter.run(full, time_limit_s=20), wanted[: len(full)], rtol=1e-6)
        assert interpreter.route.name == "compiled" and interpreter.outputs[0].shape == (len(full), 3)
    interpreter.run(empty)
    interpreter.close()


def test_a_signature_run_on_an_empty_batch_leaves_the_interpreter_where_it_was() -> None:
    model = small_models_shapes.two_open_signatures()
    for build in (lambda: Interpreter(small_models.dense_dynamic_batch()), lambda: Interpreter(model)):
        interpreter = build()
        shape = interpreter.inputs[0].shape[1:]
        x, empty = np.ones((2, *shape), np.float32), np.zeros((0, *shape), np.float32)
        wanted = interpreter.run(x)
        for key, sides in interpreter.get_signature_list().items():
            runner = interpreter.get_signature_runner(key)
            full = runner(**dict.fromkeys(sides["inputs"], x))
            assert all(len(value) == 0 for value in runner(**dict.fromkeys(sides["inputs"], empty)).values())
            again = runner(**dict.fromkeys(sides["inputs"], x))
            assert {name: value.tolist() for name, value in again.items()} == {n: v.tolist() for n, v in full.items()}
        assert interpreter.route.name == "compiled"
        np.testing.assert_array_equal(interpreter.run(x), wanted)


def test_invoking_a_resized_model_before_allocating_it_raises() -> None:
    interpreter = Interpreter(model_content=small_models.dense_dynamic_batch())
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, [2, 4])
    with pytest.raises(RuntimeError, match="allocate_tensors"):
        interpreter.invoke()


@pytest.mark.parametrize(
    "build", [small_models.two_signatures, small_models.shared_graph_signatures, small_models.reordered_signature]
)
def test_signatures_run_by_name(build: Any) -> None:
    model = build()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    rng = np.random.default_rng(0)
    for key, names in official.get_signature_list().items():
        values = {name: rng.random((1, 4), np.float32) for name in names["inputs"]}
        wanted = official.get_signature_runner(key)(**values)
        got = mine.get_signature_runner(key)(**values)
        assert got.keys() == wanted.keys()
        for name, value in wanted.items():
            np.testing.assert_array_equal(got[name], value)
        mine_details, official_details = (one.get_signature_runner(key).get_input_details() for one in (mine, official))
        assert {n: d["index"] for n, d in mine_details.items()} == {n: d["index"] for n, d in official_details.items()}
    with pytest.raises(ValueError, match="nothing"):
        mine.get_signature_runner("nothing")
    key = next(iter(mine.get_signature_list()))
    with pytest.raises(ValueError, match="takes"):
        mine.get_signature_runner(key)(wrong=1)


def test_a_signature_key_may_only_be_left_out_when_there_is_one() -> None:
    Interpreter(small_models.with_signature()).get_signature_runner()
    with pytest.raises(ValueError, match="2 signatures"):
        Interpreter(small_models.two_signatures()).get_signature_runner()


def test_state_goes_on_from_run_to_run_until_it_is_reset() -> None:
    model = small_models.lstm()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    assert mine.route.name == "classic" and "variable" in mine.route.reason
    value = CASES["lstm"].inputs(np.random.default_rng(0))[0]
    outputs: dict[str, list[Any]] = {"official": [], "mine": []}
    for name, interpreter in (("official", official), ("mine", mine)):
        interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        for step in range(4):
            if step == 3:
                interpreter.reset_all_variables()
            interpreter.set_tensor(source, value)
            interpreter.invoke()
            outputs[name].append(interpreter.get_tensor(target))
    np.testing.assert_array_equal(outputs["mine"], outputs["official"])
    assert not np.array_equal(outputs["mine"][0], outputs["mine"][1])
    np.testing.assert_array_equal(outputs["mine"][0], outputs["mine"][3])


def test_inputs_can_be_written_through_tensor_on_both_routes() -> None:
    for build in (small_models.scale_by_two, small_models.lstm):
        interpreter = Interpreter(model_content=build())
        interpreter.allocate_tensors()
        index = interpreter.get_input_details()[0]["index"]
        interpreter.tensor(index)()[:] = 0.5
        interpreter.invoke()
        assert (interpreter.get_tensor(index) == 0.5).all(), interpreter.route


def test_inner_tensors_are_kept_on_request() -> None:
    model = small_models.add_chain(3)
    interpreter = Interpreter(model_content=model, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ones((1, 4), np.float32))
    interpreter.invoke()
    inner = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
    assert [interpreter.get_tensor(inner[f"step_{step}"])[0, 0] for step in range(3)] == [2, 4, 7]
    plain = Interpreter(model_content=model)
    with pytest.raises(ValueError, match="experimental_preserve_all_tensors"):
        plain.get_tensor(inner["step_0"])


def test_constants_can_be_read_packed_ones_too() -> None:
    for case in ("conv", "int4_weights", "float16_weights", "conv_int8"):
        model = CASES[case].build()
        official, mine = Official(model_content=model), Interpreter(model_content=model)
        official.allocate_tensors()
        compared = 0
        border = {detail["index"] for detail in (*official.get_input_details(), *official.get_output_details())}
        for detail in official.get_tensor_details():
            if detail["index"] in border:
                continue
            try:
                value = mine.get_tensor(detail["index"])
            except ValueError:
                continue  # computed inside
            np.testing.assert_array_equal(value, official.get_tensor(detail["index"]))
            compared += 1
        assert compared >= 1, case


def test_the_classic_route_refuses_what_it_cannot_take() -> None:
    with pytest.raises(UnsupportedError, match=r"variable.*GPU"):
        Interpreter(small_models.lstm(), delegate="gpu")
    with pytest.raises(UnsupportedError, match="precision_loss_allowed"):
        Interpreter(small_models.lstm(), delegate="xnnpack", precision_loss_allowed=True)


def test_an_unresolved_op_raises_a_runtime_error_as_in_the_official_interpreter() -> None:
    with pytest.raises(RuntimeError, match="MyCustomOp") as raised:
        Interpreter(model_content=small_models.custom_op()).allocate_tensors()
    assert isinstance(raised.value, CompileError)


def test_runs_and_signatures_over_one_subgraph_do_not_disturb_each_other() -> None:
    """Both bind the same tensors to memory of their own, in turns."""
    interpreter = Interpreter(small_models.shared_graph_signatures())
    keys = list(interpreter.get_signature_list())
    runners = [interpreter.get_signature_runner(key) for key in keys]
    rng = np.random.default_rng(0)
    for _ in range(4):
        x, y = (rng.random((1, 4), np.float32) for _ in range(2))
        for _ in range(2):
            np.testing.assert_array_equal(interpreter.run(x, y), x - y)
        for key, runner in zip(keys, runners, strict=True):
            names = list(runner.get_input_details())
            by_index = {detail["index"]: name for name, detail in runner.get_input_details().items()}
            first, second = (by_index[info.index] for info in interpreter.inputs)
            assert {first, second} == set(names), key
            for factor in (1, 2):
                (output,) = runner(**{first: factor * x, second: y}).values()
                np.testing.assert_array_equal(output, factor * x - y)
        np.testing.assert_array_equal(interpreter.run(y, x), y - x)
        np.testing.assert_array_equal(interpreter.run(x, x), x - x)


def test_a_resized_signature_leaves_the_next_run_right() -> None:
    interpreter = Interpreter(small_models.dense_dynamic_batch())
    one = np.random.default_rng(0).random((1, 4), np.float32)
    wanted = interpreter.run(one)
    np.testing.assert_array_equal(interpreter.run(one), wanted)
    for batch in (3, 1, 2):
        many = interpreter.run(np.repeat(one, batch, axis=0))
        np.testing.assert_allclose(many, np.repeat(wanted, batch, axis=0), rtol=1e-6)
        if interpreter.get_signature_list():
            runner = interpreter.get_signature_runner()
            (name,) = runner.get_input_details()
            (output,) = runner(**{name: np.repeat(one, 5, axis=0)}).values()
            np.testing.assert_allclose(output, np.repeat(wanted, 5, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(interpreter.run(one), wanted)
