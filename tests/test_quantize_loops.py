"""An op that runs subgraphs, such as a WHILE, stands for the ops in them: in `quantize`, layer studies and plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates import Interpreter
from litedelegates.errors import OptionError
from litedelegates.graph import load
from litedelegates.layers.recipe import changed_layers, left_in_float32, quantize_plan
from litedelegates.layers.variants import load_variant, make_variant
from litedelegates.quantize import quantize
from small_models_builder import OPTIONAL, GraphBuilder, ModelBuilder, Op, Type, schema

pytest.importorskip("litert_quantizer")
SIZE = 64


def dense(graph: GraphBuilder, read: int, made: int, name: str, seed: int) -> None:
    weights = np.random.default_rng(seed).standard_normal((SIZE, SIZE)).astype(np.float32) / 8
    options = schema.FullyConnectedOptionsT()
    graph.op(Op.FULLY_CONNECTED, [read, graph.constant(f"{name}/weights", weights), OPTIONAL], [made], options)


def loop() -> bytes:
    """FULLY_CONNECTED, then three rounds of FULLY_CONNECTED and TANH in a WHILE."""
    model = ModelBuilder()
    main, condition, body = model.graph(), model.graph("condition"), model.graph("body")
    hidden = main.tensor("hidden", (1, SIZE))
    dense(main, main.input("x", (1, SIZE)), hidden, "before", 0)
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = condition.index, body.index
    outputs = [main.tensor("rounds", (), Type.INT32), main.output("y", (1, SIZE))]
    main.op(Op.WHILE, [main.constant("zero", np.int32(0)), hidden], outputs, options)
    count, _ = condition.input("i", (), Type.INT32), condition.input("v", (1, SIZE))
    go = condition.output("go", (), Type.BOOL)
    condition.op(Op.LESS, [count, condition.constant("three", np.int32(3))], [go], schema.LessOptionsT())
    count, state = body.input("i", (), Type.INT32), body.input("v", (1, SIZE))
    following, product = body.output("i2", (), Type.INT32), body.tensor("product", (1, SIZE))
    body.op(Op.ADD, [count, body.constant("one", np.int32(1))], [following], schema.AddOptionsT())
    dense(body, state, product, "inside", 1)
    body.op(Op.TANH, [product], [body.output("v2", (1, SIZE))])
    return model.to_bytes()


def branches() -> bytes:
    """An IF whose branches have a FULLY_CONNECTED each."""
    model = ModelBuilder()
    main, yes, no = model.graph(), model.graph("yes"), model.graph("no")
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = yes.index, no.index
    condition, x = main.input("condition", (1,), Type.BOOL), main.input("x", (1, SIZE))
    main.op(Op.IF, [condition, x], [main.output("y", (1, SIZE))], options)
    for seed, branch in enumerate((yes, no)):
        dense(branch, branch.input("v", (1, SIZE)), branch.output("w", (1, SIZE)), "inside", seed)
    return model.to_bytes()


def stored(content: bytes) -> list[set[str]]:
    """Return the types of the matrices in each subgraph."""
    table = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content), 0))
    names = {value: name for name, value in vars(Type).items() if isinstance(value, int)}
    return [
        {names[tensor.type] for tensor in graph.tensors if tensor.name.endswith(b"weights")}
        for graph in table.subgraphs
    ]


def test_what_means_a_while_means_its_body() -> None:
    model = loop()
    for wanted, types in (
        ({"precision": "dynamic"}, [{"INT8"}, set(), {"INT8"}]),
        ({"precision": "dynamic", "exclude": ["WHILE"]}, [{"INT8"}, set(), {"FLOAT32"}]),
        ({"precision": "dynamic", "exclude": [1]}, [{"INT8"}, set(), {"FLOAT32"}]),
        ({"precision": "dynamic", "only": ["WHILE"]}, [{"FLOAT32"}, set(), {"INT8"}]),
        ({"plan": {"WHILE": "dynamic"}}, [{"FLOAT32"}, set(), {"INT8"}]),
        ({"plan": {"WHILE": "dynamic", "FULLY_CONNECTED": "float16"}}, [{"FLOAT16"}, set(), {"INT8"}]),
        ({"plan": {"FULLY_CONNECTED": "float16", "WHILE": "dynamic"}}, [{"FLOAT16"}, set(), {"INT8"}]),
        ({"plan": {"WHILE": "dynamic", "product": "float16"}}, [{"FLOAT32"}, set(), {"FLOAT16"}]),
    ):
        if "product" in wanted.get("plan", {}):  # then the loop has nothing of its own
            with pytest.raises(OptionError, match="'WHILE' asks for dynamic, which changes nothing"):
                quantize(model, **wanted)
            wanted["allow_unchanged"] = True
        assert stored(quantize(model, **wanted)) == types, wanted


def test_what_means_an_if_means_its_branches() -> None:
    assert stored(quantize(branches(), "dynamic")) == [set(), {"INT8"}, {"INT8"}]
    assert stored(quantize(branches(), plan={"IF": "float16"})) == [set(), {"FLOAT16"}, {"FLOAT16"}]


def test_a_plan_of_layers_makes_the_body_what_the_study_measured(tmp_path: Path) -> None:
    path = tmp_path / "loop.tflite"
    path.write_bytes(loop())
    source = load(path)
    dynamic = make_variant(source, path, "dynamic", tmp_path)
    changed = {"dynamic": changed_layers(dynamic)}
    assert changed["dynamic"] == {0, 1}
    x = np.random.default_rng(2).standard_normal((1, SIZE)).astype(np.float32)
    outputs: dict[Any, Any] = {}
    for layers in ((0, 1), (1,), (0,)):
        recipe = quantize_plan(source, dict.fromkeys(layers, "dynamic"), changed)
        target = tmp_path / f"{layers}.tflite"
        target.write_bytes(quantize(path, plan=recipe))
        outputs[layers] = run(target, x)
        left = left_in_float32(load_variant(source, target, "plan"), dict.fromkeys((0, 1), "dynamic"))
        assert left == tuple({0, 1} - set(layers))
    np.testing.assert_array_equal(outputs[0, 1], run(dynamic.path, x))
    exact = run(path, x)
    assert all(0 < np.abs(found - exact).max() < 0.1 for found in outputs.values())
    assert not np.array_equal(outputs[1,], outputs[0,])


def run(path: Path | str, x: Any) -> Any:
    with Interpreter(path, delegate=None) as interpreter:
        return interpreter.run(x)
