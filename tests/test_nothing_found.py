"""Outputs without elements: what is true nowhere, what no detection is left of, what an empty batch gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import small_models_dynamic as models
from litedelegates import Interpreter
from small_models_builder import ModelBuilder, Op, Type, schema

KINDS: list[dict[str, Any]] = [{}, {"isolated": True}, {"experimental_preserve_all_tensors": True}, {"delegate": None}]


def where_signed() -> bytes:
    """WHERE of a bool matrix, and its signature."""
    model = ModelBuilder()
    graph = model.graph()
    condition = graph.input("condition", (2, 3), Type.BOOL)
    found = graph.output("indices", (-1, 2), Type.INT64)
    graph.op(Op.WHERE, [condition], [found], schema.WhereOptionsT())
    model.signature("find", graph, {"condition": condition}, {"found": found})
    return model.to_bytes()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_where_nothing_is_true_nothing_is_found(kind: dict[str, Any]) -> None:
    nowhere, somewhere = np.zeros((2, 3), bool), np.eye(2, 3, dtype=bool)
    with Interpreter(models.where(), **kind) as interpreter:
        for _ in range(2):
            found = interpreter.run(nowhere)
            assert (found.shape, found.dtype) == ((0, 2), np.dtype(np.int64))
            assert interpreter.run(somewhere).tolist() == [[0, 0], [1, 1]]


def test_the_methods_of_the_official_interpreter_read_an_output_of_nothing_too() -> None:
    interpreter = Interpreter(models.where())
    index = interpreter.get_output_details()[0]["index"]
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.zeros((2, 3), bool))
    with pytest.raises(ValueError):
        interpreter.get_tensor(index)  # it did not run yet
    interpreter.invoke()
    assert interpreter.get_tensor(index).shape == interpreter.tensor(index)().shape == (0, 2)
    assert interpreter.get_output_details()[0]["shape"].tolist() == [0, 2]
    with pytest.raises(ValueError):
        interpreter.get_tensor(99)


def test_a_detector_that_finds_nothing_says_so() -> None:
    interpreter = Interpreter(models.non_max_suppression_v4())
    feed = [np.ones(info.shape, info.dtype) for info in interpreter.inputs]
    assert [np.size(value) for value in interpreter.run(*feed)] == [1, 1]
    nothing = [np.zeros(info.shape, info.dtype) for info in interpreter.inputs]
    indices, count = interpreter.run(*nothing)
    assert (indices.shape, int(count)) == ((0,), 0)


def test_a_signature_that_finds_nothing_gives_an_empty_output() -> None:
    interpreter = Interpreter(where_signed())
    runner = interpreter.get_signature_runner("find")
    assert runner(condition=np.zeros((2, 3), bool))["found"].shape == (0, 2)
    assert runner(condition=np.ones((2, 3), bool))["found"].shape == (6, 2)
    with pytest.raises(ValueError):
        runner(condition=np.zeros((2, 3), np.float32))
