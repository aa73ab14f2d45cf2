"""What a model tells of its tensors and ops: each by itself, all at once, and after the model is gone."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from digits_model import DIGITS
from litedelegates.model import Model
from small_models_sparse import sparse_weights
from small_models_state import svdf

MODELS = {
    "digits": lambda: DIGITS.read_bytes(),
    "variables": svdf,
    "sparse": sparse_weights,
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_asked_of_few_tensors_is_what_all_of_them_say(name: str) -> None:
    for graph in Model.load(MODELS[name]()).subgraphs:
        tensors = graph.tensors
        for index, tensor in enumerate(tensors):
            one = graph.tensor(index)
            assert (one.name, one.shape, one.element_type) == (tensor.name, tensor.shape, tensor.element_type)
        assert graph.operator_count == len(graph.operators)
        assert graph.sparse_tensors == [index for index, tensor in enumerate(tensors) if tensor.is_sparse]
        assert graph.tensors_not_compiled == [
            index
            for index, tensor in enumerate(tensors)
            if tensor.is_variable or tensor.lacks_buffer or tensor.element_type == "complex128"
        ]
        with pytest.raises(IndexError):
            graph.tensor(len(tensors))


def test_the_models_have_what_is_asked_for() -> None:
    assert Model.load(MODELS["sparse"]()).subgraphs[0].sparse_tensors
    assert Model.load(MODELS["variables"]()).subgraphs[0].tensors_not_compiled


def test_tensors_and_ops_outlive_their_model() -> None:
    model = Model.load(DIGITS.read_bytes())
    tensors, ops, graph = model.subgraphs[0].tensors, model.subgraphs[0].operators, model.file.subgraphs[0]
    told = [(tensor.name, tensor.shape) for tensor in tensors], [op.type for op in ops]
    del model
    gc.collect()
    spoiled = [np.full(1 << 12, 255, np.uint8) for _ in range(100)]  # what was freed is written over
    assert ([(tensor.name, tensor.shape) for tensor in tensors], [op.type for op in ops]) == told
    assert len(graph.tensors) == len(tensors) and spoiled


def test_a_small_file_may_become_another_while_its_model_runs(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(DIGITS.read_bytes())
    model = Model.load(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert bytes(model.file.bytes) == DIGITS.read_bytes()
