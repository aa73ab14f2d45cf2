"""No value is overwritten while an op still reads it, whatever the runtime's memory planner lets share memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import OpResolverType
from litedelegates import Interpreter
from litedelegates.model import Model
from small_models_builder import GraphBuilder, ModelBuilder, Op, Type, schema

Array = np.ndarray[Any, Any]

_SHAPES = ([16], [1, 16], [2, 8], [4, 4], [1, 4, 4])
_CHOICES = np.array([0.5, -1.25, 2.0, 0.75], np.float32)


class Program:
    """A graph under construction, beside the values that numpy computes for it."""

    def __init__(self, graph: GraphBuilder, values: Array) -> None:
        self.graph, self.values = graph, dict[int, Array]()
        self.values[graph.input("x", values.shape)] = values

    def add(self, code: int, inputs: list[int], value: Array, options: Any = None) -> int:
        """Add an op that computes ``value``."""
        made = self.graph.tensor(f"t{len(self.values)}", value.shape)
        self.graph.op(code, inputs, [made], options)
        self.values[made] = value
        return made

    def reshape(self, tensor: int, shape: list[int]) -> int:
        size = self.graph.constant(f"size{len(self.values)}", np.array(shape, np.int32))
        return self.add(Op.RESHAPE, [tensor, size], self.values[tensor].reshape(shape), schema.ReshapeOptionsT())

    def squeeze(self, tensor: int, shape: list[int]) -> int:
        return self.add(Op.SQUEEZE, [tensor], self.values[tensor].reshape(shape), schema.SqueezeOptionsT())

    def expand(self, tensor: int, shape: list[int]) -> int:
        axis = self.graph.constant(f"axis{len(self.values)}", np.array(0, np.int32))
        return self.add(Op.EXPAND_DIMS, [tensor, axis], self.values[tensor].reshape(shape), schema.ExpandDimsOptionsT())

    def bitcast(self, tensor: int, shape: list[int]) -> int:
        return self.add(Op.BITCAST, [tensor], self.values[tensor].reshape(shape), schema.BitcastOptionsT())

    def combine(self, code: int, a: int, b: int | float) -> int:
        other = b if isinstance(b, int) else self.graph.constant(f"k{len(self.values)}", np.float32(b))
        left, right = self.values[a], self.values[b] if isinstance(b, int) else np.float32(b)
        value = {Op.ADD: np.add, Op.SUB: np.subtract, Op.MUL: np.multiply, Op.DIV: np.divide}[code](left, right)
        names = {Op.ADD: "Add", Op.SUB: "Sub", Op.MUL: "Mul", Op.DIV: "Div"}
        return self.add(code, [a, other], value, getattr(schema, f"{names[code]}OptionsT")())

    def relu(self, tensor: int) -> int:
        return self.add(Op.RELU, [tensor], np.maximum(self.values[tensor], 0))

    def softmax(self, tensor: int) -> int:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        powers = np.exp(self.values[tensor] - self.values[tensor].max(axis=-1, keepdims=True))
        return self.add(Op.SOFTMAX, [tensor], powers / powers.sum(axis=-1, keepdims=True), options)


def _overwritten(share: Callable[[Program, int], int], write: Callable[[Program, int], int]) -> tuple[bytes, Array]:
    """Return a model where ``write`` writes over what ``share`` left in one memory, which is read after that."""
    model, values = ModelBuilder(), np.random.default_rng(1).standard_normal((1, 16)).astype(np.float32)
    program = Program(model.graph(), values)
    first = program.reshape(program.relu(0), [1, 16])
    written = program.reshape(write(program, share(program, first)), [1, 16])
    last = program.combine(Op.ADD, written, first)
    program.graph.table.outputs.append(last)
    return model.to_bytes(), program.values[last]


_SHARES: dict[str, Callable[[Program, int], int]] = {
    "RESHAPE": lambda program, tensor: program.reshape(tensor, [16]),
    "SQUEEZE": lambda program, tensor: program.squeeze(tensor, [16]),
    "EXPAND_DIMS": lambda program, tensor: program.expand(tensor, [1, 1, 16]),
    "BITCAST": lambda program, tensor: program.bitcast(tensor, [1, 16]),
    "two RESHAPE": lambda program, tensor: program.reshape(program.reshape(tensor, [4, 4]), [16]),
}
_WRITES: dict[str, Callable[[Program, int], int]] = {
    "ADD": lambda program, tensor: program.combine(Op.ADD, tensor, 0.5),
    "SUB": lambda program, tensor: program.combine(Op.SUB, tensor, 0.5),
    "MUL": lambda program, tensor: program.combine(Op.MUL, tensor, 0.5),
    "DIV": lambda program, tensor: program.combine(Op.DIV, tensor, 0.5),
    "SOFTMAX": lambda program, tensor: program.softmax(tensor),
}


def _official(model: bytes, values: Array, *, keeps_all: bool) -> Array:
    interpreter = Official(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=keeps_all,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    result: Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return result


@pytest.mark.parametrize("write", _WRITES)
@pytest.mark.parametrize("share", _SHARES)
def test_a_value_that_is_still_read_is_not_overwritten(share: str, write: str) -> None:
    model, expected = _overwritten(_SHARES[share], _WRITES[write])
    values = np.random.default_rng(1).standard_normal((1, 16)).astype(np.float32)
    np.testing.assert_allclose(_official(model, values, keeps_all=True), expected, atol=1e-6)
    for delegate in (None, "xnnpack"):
        np.testing.assert_allclose(Interpreter(model, delegate).run(values), expected, atol=1e-6)
    named = Model.load(model).subgraphs[0]
    assert [named.operators[op].type for op in named.overwriting_ops()] == [write]


def test_the_planner_of_this_runtime_does_overwrite_such_a_value() -> None:
    model, expected = _overwritten(_SHARES["RESHAPE"], _WRITES["ADD"])
    values = np.random.default_rng(1).standard_normal((1, 16)).astype(np.float32)
    if np.allclose(_official(model, values, keeps_all=False), expected):
        pytest.skip("this runtime keeps the value itself")
    interpreter = Interpreter(model, None)
    assert interpreter.route.name == "compiled"
    assert interpreter._session.compiled.plans()[0][1].not_in_place == [3]


def test_an_op_may_write_over_what_nobody_reads_any_more() -> None:
    model = ModelBuilder()
    program = Program(model.graph(), np.ones((1, 16), np.float32))
    last = program.combine(Op.MUL, program.reshape(program.combine(Op.ADD, program.relu(0), 1.0), [4, 4]), 2.0)
    program.graph.table.outputs.append(program.combine(Op.SUB, last, 1.0))
    assert Model.load(model.to_bytes()).subgraphs[0].overwriting_ops() == []
    assert Interpreter(model.to_bytes(), None)._session.compiled.plans()[0][1].not_in_place == []


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_of_ops_that_share_memory_compute_what_numpy_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2, 8)).astype(np.float32)
    model = ModelBuilder()
    program = Program(model.graph(), values)
    made = [program.relu(0)]
    for _ in range(14):
        tensor = made[int(rng.integers(max(0, len(made) - 5), len(made)))]
        kind = rng.integers(10)
        alike = [other for other in made if program.values[other].shape == program.values[tensor].shape]
        if kind < 5:
            made.append(program.reshape(tensor, _SHAPES[int(rng.integers(len(_SHAPES)))]))
        elif kind < 7:
            made.append(program.combine(Op.MUL, tensor, float(rng.choice(_CHOICES))))
        elif kind < 9:
            made.append(program.combine(Op.SUB, tensor, int(rng.choice(alike))))
        else:
            made.append(program.softmax(tensor))
    total = program.reshape(made[0], [16])
    for tensor in made[-4:]:
        total = program.combine(Op.ADD, program.reshape(tensor, [16]), total)
    program.graph.table.outputs.append(total)
    content = model.to_bytes()
    largest = max(np.abs(value).max() for value in program.values.values())  # what sums may cancel
    for delegate in (None, "xnnpack"):
        got = Interpreter(content, delegate).run(values)
        np.testing.assert_allclose(got, program.values[total], rtol=1e-4, atol=1e-6 * largest)


def test_the_classic_route_keeps_all_tensors_where_a_value_would_be_overwritten() -> None:
    model, values = ModelBuilder(), np.random.default_rng(1).standard_normal((1, 16)).astype(np.float32)
    program = Program(model.graph(), values)
    unused = program.graph.input("state of no use", [1], Type.STRING)  # only the classic route takes strings
    first = program.reshape(program.relu(0), [1, 16])
    written = program.combine(Op.ADD, program.reshape(first, [16]), 0.5)
    last = program.combine(Op.ADD, program.reshape(written, [1, 16]), first)
    program.graph.table.outputs.append(last)
    content = model.to_bytes()
    for delegate, keeps_all in ((None, True), ("xnnpack", False)):
        interpreter = Interpreter(content, delegate)
        assert interpreter.route.name == "classic"
        assert ("all tensors are kept" in interpreter.route.reason) == keeps_all
        interpreter.allocate_tensors()
        interpreter.set_tensor(0, values)
        interpreter.set_tensor(unused, np.array([b""], np.object_))
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(last), program.values[last], atol=1e-6)


@pytest.mark.parametrize("branch", [True, False])
def test_a_branch_of_if_overwrites_nothing_either(branch: bool) -> None:
    model, values = ModelBuilder(), np.random.default_rng(1).standard_normal((1, 16)).astype(np.float32)
    main, *branches = model.graph(), model.graph("then"), model.graph("else")
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = (graph.index for graph in branches)
    inputs = [main.input("condition", (1,), Type.BOOL), main.input("x", (1, 16))]
    main.op(Op.IF, inputs, [main.output("y", (1, 16))], options)
    expected = {}
    for graph, added in zip(branches, (0.5, 2.0), strict=True):
        program = Program(graph, values)
        first = program.reshape(program.relu(0), [1, 16])
        written = program.combine(Op.ADD, program.reshape(first, [16]), added)
        last = program.combine(Op.ADD, program.reshape(written, [1, 16]), first)
        graph.table.outputs.append(last)
        expected[added == 0.5] = program.values[last]
    for delegate in (None, "xnnpack"):
        got = Interpreter(model.to_bytes(), delegate).run(np.array([branch]), values)
        np.testing.assert_allclose(got, expected[branch], atol=1e-6)
