"""Parts joined again, and compared with the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates.errors import OptionError
from litedelegates.graph import CutError, check, cut, join, load
from small_models_builder import ModelBuilder, Op, Quantization, Type, schema
from small_models_case import Case
from test_graph import DIGITS
from test_graph_cutting import RUNNABLE, assert_same, converting, fed, run


def taking(element_type: int = Type.FLOAT32, shape: tuple[int, ...] = (1, 4), scale: float | None = None) -> bytes:
    """a -> ABS -> y, the part after."""
    model = ModelBuilder()
    graph = model.graph()
    quantization = None if scale is None else Quantization([scale], [0])
    graph.op(
        Op.ABS,
        [graph.input("a", shape, element_type, quantization)],
        [graph.output("y", shape, element_type, quantization)],
        schema.AbsOptionsT(),
    )
    return model.to_bytes()


def making(element_type: int = Type.FLOAT32, scale: float | None = None, op: int = Op.ABS) -> bytes:
    """x -> ABS -> a, the part before."""
    model = ModelBuilder()
    graph = model.graph()
    quantization = None if scale is None else Quantization([scale], [0])
    graph.op(
        op,
        [graph.input("x", (1, 4), element_type, quantization)],
        [graph.output("a", (1, 4), element_type, quantization)],
        schema.AbsOptionsT() if op == Op.ABS else schema.NegOptionsT(),
    )
    return model.to_bytes()


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_parts_joined_again_are_the_whole(case: Case):
    content, feed = fed(case)
    graph = load(content)
    for place in graph.cuts:
        if place.refusal is None:
            parts = [load(part.to_bytes()) for part in cut(graph, at=place.position)]
            joined = load(join(parts).to_bytes())
            assert joined.input_names == graph.input_names
            assert joined.output_names == graph.output_names
            assert len(joined.ops) == len(graph.ops)
            assert_same(run(content, feed), run(joined, feed))


def test_joining_stores_what_parts_share_once(tmp_path: Path):
    paths = []
    for part in cut(DIGITS, at=[4, 9]):
        paths.append(tmp_path / f"{part.name}.tflite")
        part.save(paths[-1])
    joined = join(paths)
    assert len(joined.to_bytes()) < 1.02 * DIGITS.stat().st_size
    assert [op.type for op in joined.ops] == [op.type for op in load(DIGITS).ops]
    assert sorted(t.name for t in joined.tensors) == sorted(t.name for t in load(DIGITS).tensors)


def test_models_that_were_made_apart_are_joined_by_the_names_at_their_borders():
    joined = join([making(), taking()])
    assert joined.input_names == ("x",)
    assert joined.output_names == ("y",)
    both = join([making(), taking()], outputs=["a", "y"])
    feed = {"x": np.array([[-1, 2, -3, 4]], np.float32)}
    assert_same({"a": np.abs(feed["x"]), "y": np.abs(feed["x"])}, run(both, feed))


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (taking(Type.INT8, scale=0.5), "element type int8"),
        (taking(shape=(1, 5)), r"shape \(1, 5\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_what_does_not(second: bytes, what: str):
    with pytest.raises(CutError, match=f"part 1 takes 'a' with {what}"):
        join([making(), second])


def test_parts_quantized_differently_are_refused():
    with pytest.raises(CutError, match=r"part 1 takes 'a' with quantization .*quantized differently"):
        join([making(Type.INT8, 0.25), taking(Type.INT8, scale=0.5)])


def test_joining_nothing_or_the_same_twice_is_refused():
    with pytest.raises(CutError, match="no parts"):
        join([])
    with pytest.raises(CutError, match="both give 'a'"):
        join([making(), making(op=Op.NEG)])
    with pytest.raises(CutError, match="no part gives 'nope'"):
        join([making()], outputs=["nope"])


@pytest.mark.parametrize("from_files", [True, False])
def test_parts_in_another_order_than_they_run_are_refused(from_files: bool):
    first, second, third = (load(part.to_bytes()) if from_files else part for part in cut(DIGITS, at=[5, 8]))
    with pytest.raises(CutError, match=r"part 1 gives 'block1_relu', which an earlier part takes: .* order"):
        join([second, first, third])


def test_one_model_is_joined_and_checked_as_it_is():
    assert check(join(cut(DIGITS, at=[5, 8])), DIGITS).equal
    assert check(str(DIGITS), DIGITS, runs=1).equal
    assert len(join(DIGITS).ops) == len(load(DIGITS).ops)


def test_a_check_finds_equal_parts_equal():
    for content in (DIGITS.read_bytes(), converting(), small_models.CASES["conv_int8"].build()):
        graph = load(content)
        for place in graph.cuts:
            if place.refusal is None:
                report = check(cut(graph, at=place.position), graph)
                assert report.equal, report
                assert report.runs == 3


def test_a_check_finds_parts_of_another_model_different():
    first, _ = cut(DIGITS, at=7)
    changed = bytearray(DIGITS.read_bytes())
    weights = next(t for t in load(DIGITS).tensors if t.is_constant and t.element_type == "float32" and t.nbytes > 64)
    place = bytes(changed).index(bytes(weights.native.data()))
    changed[place : place + 4] = np.float32(3).tobytes()
    graph = load(bytes(changed))
    report = check(cut(graph, at=7), DIGITS)
    assert first.ops[0].type == graph.ops[0].type
    assert not report.equal
    assert report.outputs[0].max_difference > 0
    assert "elements differ" in str(report)


def test_a_check_on_a_delegate_runs_both_there():
    report = check(cut(DIGITS, at=7), DIGITS, delegate="xnnpack", num_threads=1, runs=1)
    assert report.outputs[0].max_difference < 1e-4


def test_a_check_says_what_is_missing():
    first, second = cut(DIGITS, at=7)
    with pytest.raises(CutError, match=r"part 0 needs .* neither the caller nor an earlier part gives"):
        check([second], DIGITS)
    with pytest.raises(CutError, match="no part gives the output 'logits'"):
        check([first], DIGITS)


def test_a_check_of_nothing_is_refused():
    for nothing in ({"runs": 0}, {"inputs": []}):
        with pytest.raises(OptionError, match="nothing to compare"):
            check(cut(DIGITS, at=7), DIGITS, **nothing)
    with pytest.raises(OptionError, match="arrays by input name, or a list of such; it has a ndarray"):
        check(cut(DIGITS, at=7), DIGITS, [np.zeros((1, 8, 8, 1), np.float32)])
