"""Pretrained models and the shipped one in every precision, cut at random places and op by op."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import digits_model
import numpy as np
import pytest
import real_models as downloads
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import OpResolverType
from litedelegates import Interpreter
from litedelegates.graph import Graph, check, cut, join, layers, load
from litedelegates.quantize import PRECISIONS, quantize
from long_form import LONG
from test_graph import DIGITS

CUTS = 10 if LONG else 3


@pytest.fixture(scope="session")
def find_model(real_models: dict[str, Path]) -> Callable[[str], bytes]:
    """Return the content of a pretrained model, or of the shipped one in a precision."""

    def find(name: str) -> bytes:
        if name in real_models:
            return real_models[name].read_bytes()
        precision = name.removeprefix("digits_")
        if precision == "float32":
            return DIGITS.read_bytes()
        samples = list(digits_model.digits_data()["calibration"]) if precision.startswith("int") else None
        return quantize(DIGITS, precision, samples)

    return find


MODELS = [*downloads.FACES.models, *(f"digits_{precision}" for precision in ("float32", *PRECISIONS))]


@pytest.mark.parametrize("name", MODELS)
def test_cut_at_random_places_the_parts_and_the_joined_parts_equal_the_whole(
    name: str, find_model: Callable[[str], bytes]
):
    graph = load(find_model(name))
    legal = [place.position for place in graph.cuts if not place.refusal]
    for position in random.Random(name).sample(legal, min(CUTS, len(legal))):
        parts = cut(graph, at=position)
        assert check(parts, graph, runs=1).equal, position
        joined = load(join([part.to_bytes() for part in parts]).to_bytes())
        assert (joined.input_names, joined.output_names) == (graph.input_names, graph.output_names)
        assert check([joined], graph, runs=1).equal, position


@pytest.mark.parametrize("name", MODELS)
def test_cut_at_several_places_at_once_the_parts_equal_the_whole(name: str, find_model: Callable[[str], bytes]):
    graph = load(find_model(name))
    legal = [place.position for place in graph.cuts if not place.refusal]
    positions = sorted(random.Random(name).sample(legal, min(4, len(legal))))
    try:
        parts = cut(graph, at=positions)
    except ValueError as error:  # two cuts with nothing but a conversion between them
        assert "nothing is left" in str(error)
    else:
        assert check(parts, graph, runs=1).equal, positions


@pytest.mark.parametrize("name", MODELS)
def test_every_op_alone_gives_what_it_gives_in_the_whole(name: str, find_model: Callable[[str], bytes]):
    content = find_model(name)
    graph = load(content)
    values = inner_values(content)
    for layer in layers(graph):
        assert layer.graph is not None, layer.refusal
        found = run(layer.graph, {tensor.name: values[graph.position[tensor]] for tensor in layer.graph.inputs})
        for tensor, value in zip(layer.graph.outputs, found, strict=True):
            np.testing.assert_array_equal(value, values[graph.position[tensor]], err_msg=str(layer.op), strict=True)


@pytest.mark.parametrize("name", MODELS)
def test_the_bytes_at_each_cut_are_those_of_the_runtime(name: str, find_model: Callable[[str], bytes]):
    content = find_model(name)
    graph = load(content)
    values = inner_values(content)
    for place in graph.cuts:
        assert place.nbytes == sum(values[graph.position[tensor]].nbytes for tensor in place.tensors)


def inner_values(content: bytes) -> dict[int, np.ndarray[Any, Any]]:
    """Return every tensor that the official Interpreter has after a run on random inputs, by index."""
    interpreter = Official(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        value = rng.random(details["shape"], np.float32)
        is_float = np.dtype(details["dtype"]).kind == "f"
        interpreter.set_tensor(details["index"], (value if is_float else value * 100).astype(details["dtype"]))
    interpreter.invoke()
    details = interpreter.get_tensor_details()
    return {entry["index"]: interpreter.get_tensor(entry["index"]) for entry in details if entry["shape"].size >= 0}


def run(graph: Graph, feed: dict[str, np.ndarray[Any, Any]]) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the outputs of a layer, fed by tensor name in the order of its inputs."""
    with Interpreter(graph.to_bytes(), delegate=None) as interpreter:
        found = interpreter.run(*feed.values())
        return found if isinstance(found, tuple) else (found,)
