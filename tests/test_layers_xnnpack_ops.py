"""XNNPACK's own ops are put back to the model's by kind and order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from digits_model import DIGITS
from litedelegates.graph import Graph, Op, Tensor, load
from litedelegates.layers.xnnpack_ops import align


class Options:
    """What a file knows of an op: whether it has a Relu of its own."""

    def __init__(self, activation: str) -> None:
        self._activation = activation

    def options(self) -> dict[str, Any]:
        return {"fused_activation_function": self._activation}

    def does_the_same_as(self, other: Any) -> bool:
        return isinstance(other, Options) and self._activation == other._activation


def chain(*types: str) -> Graph:
    """Return a graph of ops one after the other; "ADD+RELU" is an ADD with a Relu of its own."""
    tensors = [Tensor(str(index), (1, 4), "float32") for index in range(len(types) + 1)]
    ops = []
    for index, name in enumerate(types):
        kind, _, activation = name.partition("+")
        reads, makes = (tensors[index],), (tensors[index + 1],)
        ops.append(Op(index, kind, str(index), reads, makes, native=Options(activation or "NONE")))
    return Graph(load(DIGITS).source, ops, tensors, tensors[:1], tensors[-1:])


def found(graph: Graph, *names: str) -> list[tuple[list[int], bool] | None]:
    """Return the ops of each kernel and whether it prepares one; None for a kernel that nothing explains."""
    return [
        None if entry is None else ([op.index for op in entry.ops], entry.is_preparing)
        for entry in align(graph, names, graph.ops)
    ]


def test_ops_of_the_same_number_and_kind_belong_together() -> None:
    graph = chain("CONV_2D", "CONV_2D", "ADD", "LOGISTIC")
    names = ("Convolution (NHWC, F32) IGEMM", "Fully Connected (NC, F32) GEMM", "Add (ND)", "Sigmoid (NC)")
    assert found(graph, *names) == [([0], False), ([1], False), ([2], False), ([3], False)]


def test_a_clamp_belongs_to_the_op_with_the_activation_or_is_the_op() -> None:
    assert found(chain("ADD+RELU", "ADD"), "Add (ND)", "Clamp (NC)", "Add (ND)") == [
        ([0], False),
        ([0], False),
        ([1], False),
    ]
    assert found(chain("ADD", "RELU"), "Add (ND)", "Clamp (NC)") == [([0], False), ([1], False)]


def test_an_activation_that_does_not_run_is_part_of_what_makes_its_input() -> None:
    assert found(chain("CONV_2D", "RELU", "ADD"), "Convolution (NHWC)", "Add (ND)") == [([0, 1], False), ([2], False)]


def test_padding_that_does_not_run_is_part_of_what_reads_it_and_padding_that_runs_is_not() -> None:
    graph = chain("PAD", "CONV_2D", "PAD", "MAX_POOL_2D")
    assert found(graph, "Convolution (NHWC)", "Constant Pad (ND)", "Max Pooling (NHWC)") == [
        ([1, 0], False),
        ([2], False),
        ([3], False),
    ]


def test_what_is_put_in_prepares_the_op_after_it() -> None:
    graph = chain("CONV_2D", "FULLY_CONNECTED")
    names = ("Convert (NC, F32, QDU8)", "Convolution (NHWC)", "Static Reshape (NC)", "Fully Connected (NC)")
    assert found(graph, *names) == [([0], True), ([0], False), ([1], True), ([1], False)]


def test_a_reshape_of_the_model_is_told_from_one_that_was_put_in() -> None:
    graph = chain("RESHAPE", "FULLY_CONNECTED")
    once, twice = ("Static Reshape (NC)",), ("Static Reshape (NC)",) * 2
    assert found(graph, *once, "Fully Connected (NC)") == [([0], False), ([1], False)]
    computed = found(graph, *twice, "Fully Connected (NC)")
    assert sorted(filter(None, computed)) == [([0], False), ([1], False), ([1], True)]
    assert found(graph, "Fully Connected (NC)") == [([1], False)]


def test_a_kernel_that_is_not_known_leaves_only_itself_out() -> None:
    graph = chain("CONV_2D", "ADD", "CUMSUM", "CONV_2D", "LOGISTIC")
    names = ("Convolution (NHWC)", "Add (ND)", "Running Total (ND)", "Convolution (NHWC)", "Sigmoid (NC)")
    assert found(graph, *names) == [([0], False), ([1], False), None, ([3], False), ([4], False)]
    assert found(chain("CONV_2D"), "Convolution (NHWC)", "Softmax (NC)") == [([0], False), None]
    assert found(chain("CONV_2D", "MUL"), "Convolution (NHWC)", "Add (ND)") == [([0], False), None]
    assert found(chain("ADD"), "Add (ND)", "Clamp (NC)") == [([0], False), None]


def test_an_op_without_a_kernel_leaves_the_others_where_they_are() -> None:
    assert found(chain("CONV_2D", "ADD"), "Convolution (NHWC)") == [([0], False)]
    assert found(chain("CONV_2D", "ADD", "MUL"), "Convolution (NHWC)", "Multiply (ND)") == [([0], False), ([2], False)]


def test_what_several_ops_explain_equally_well_is_not_guessed() -> None:
    assert found(chain("CONV_2D", "CONV_2D"), "Convolution (NHWC)") == [None]
    names = ("Fold (ND)", "Convolution (NHWC)", "Sigmoid (NC)")
    assert found(chain("CONV_2D", "CONV_2D", "LOGISTIC"), *names) == [None, None, ([2], False)]


def test_a_partition_of_which_little_fits_is_left_out() -> None:
    graph = chain("CONV_2D", "ADD", "MUL", "SUB", "DIV", "LOGISTIC")
    assert found(graph, "Sigmoid (NC)", "Fold (ND)") == [None, None]


def test_a_kernel_that_prepares_for_an_unknown_one_is_unknown_as_well() -> None:
    names = ("Convolution (NHWC)", "Convert (NC, F32, QD8)", "Fold (ND)")
    assert found(chain("CONV_2D", "CUMSUM"), *names) == [([0], False), None, None]


@pytest.mark.parametrize("count", (1, 400))
def test_long_models_are_aligned(count: int) -> None:
    graph = chain(*(["CONV_2D", "ADD+RELU"] * count))
    computed = found(graph, *(["Convolution (NHWC)", "Add (ND)", "Clamp (NC)"] * count))
    assert [entry and entry[0] for entry in computed] == [
        [op] for k in range(count) for op in (2 * k, 2 * k + 1, 2 * k + 1)
    ]


def test_one_unknown_kernel_in_a_long_model_leaves_only_itself_out() -> None:
    graph = chain(*(["CONV_2D", "ADD+RELU"] * 200), "CUMSUM", *(["CONV_2D", "ADD"] * 200))
    names = (
        ["Convolution (NHWC)", "Add (ND)", "Clamp (NC)"] * 200,
        ["Fold (ND)"],
        ["Convolution (NHWC)", "Add (ND)"] * 200,
    )
    computed = found(graph, *itertools.chain(*names))
    assert [place for place, entry in enumerate(computed) if entry is None] == [600]
    assert [entry[0] for entry in computed if entry][600:] == [[op] for op in range(401, 801)]
