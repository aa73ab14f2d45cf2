"""Cutting models into models that compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter, InvalidModelError
from litedelegates.errors import OptionError
from litedelegates.graph import CutError, Graph, check, cut, expose, extract, join, layers, load
from small_models_builder import ModelBuilder, Op, Quantization, Type, schema
from small_models_case import Case
from test_graph import DIGITS, skipping

# Those that run on the built-in kernels of the runtime alone.
RUNNABLE = [case for case in small_models.CASES.values() if case.expected is not None and case.obstacle is None]
SCALES = Quantization([0.25], [-3])


def run(model: Graph | bytes, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs of the first run of a model by name."""
    content = model if isinstance(model, bytes) else model.to_bytes()
    with Interpreter(content, delegate=None) as interpreter:
        found = interpreter.run(*(feed[info.name] for info in interpreter.inputs))
        outputs = found if isinstance(found, tuple) else (found,)
        return dict(zip([info.name for info in interpreter.outputs], outputs, strict=True))


def run_parts(parts: list[Graph], feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return everything that travelled, and the outputs, by name."""
    values = dict(feed)
    for part in parts:
        values.update(run(part, values))
    return values


def fed(case: Case) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return a small model and inputs for it."""
    content = case.build()
    with Interpreter(content, delegate=None) as interpreter:
        names = [info.name for info in interpreter.inputs]
    return content, dict(zip(names, case.inputs(np.random.default_rng(0)), strict=True))


def assert_same(wanted: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    for name, value in wanted.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name, strict=True)


def converting() -> bytes:
    """float x -> QUANTIZE -> int8 -> DEQUANTIZE -> NEG -> QUANTIZE -> int8 -> DEQUANTIZE -> y."""
    model = ModelBuilder()
    graph = model.graph()
    names = ("q0", "f0", "f1", "q1")
    q0, f0, f1, q1 = (
        graph.tensor(
            name, (1, 8), Type.INT8 if name[0] == "q" else Type.FLOAT32, quantization=SCALES if name[0] == "q" else None
        )
        for name in names
    )
    graph.op(Op.QUANTIZE, [graph.input("x", (1, 8))], [q0], schema.QuantizeOptionsT())
    graph.op(Op.DEQUANTIZE, [q0], [f0], schema.DequantizeOptionsT(), version=2)
    graph.op(Op.NEG, [f0], [f1], schema.NegOptionsT())
    graph.op(Op.QUANTIZE, [f1], [q1], schema.QuantizeOptionsT())
    graph.op(Op.DEQUANTIZE, [q1], [graph.output("y", (1, 8))], schema.DequantizeOptionsT(), version=2)
    return model.to_bytes()


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_a_model_that_is_written_again_computes_the_same(case: Case):
    content, feed = fed(case)
    assert_same(run(content, feed), run(load(content), feed))


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_every_position_either_cuts_into_equal_parts_or_is_refused_with_a_reason(case: Case):
    content, feed = fed(case)
    graph = load(content)
    wanted = run(content, feed)
    for place in graph.cuts:
        if place.refusal is None:
            parts = cut(graph, at=place.position)
            assert set(parts[1].inputs) == set(place.tensors)
            assert_same(wanted, run_parts(parts, feed))
        else:
            with pytest.raises(CutError, match=f"no cut at {place.position}"):
                cut(graph, at=place.position)


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_every_op_becomes_a_model_or_says_why_not(case: Case):
    for layer in layers(case.build()):
        if layer.graph is None:
            assert layer.refusal
        else:
            assert layer.op.type in [op.type for op in layer.graph.ops]
            assert all(op.is_fixed for op in layer.graph.ops if op.type != layer.op.type)
            with Interpreter(layer.graph.to_bytes(), delegate=None) as interpreter:
                assert len(interpreter.outputs) >= 1


def test_several_cuts_at_once_make_several_parts():
    graph = load(DIGITS)
    feed = {"image": np.random.default_rng(0).random(graph.inputs[0].shape, np.float32)}
    parts = cut(DIGITS, at=[3, 7, 11])
    assert [len(part.ops) for part in parts] == [3, 4, 4, 4]
    assert_same(run(DIGITS.read_bytes(), feed), run_parts(parts, feed))


def test_a_cut_by_tensors_takes_what_is_needed_for_them_wherever_it_stands():
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 4))
    left, right, deep = (graph.tensor(name, (1, 4)) for name in ("left", "right", "deep"))
    graph.op(Op.NEG, [x], [left], schema.NegOptionsT())
    graph.op(Op.ABS, [x], [right], schema.AbsOptionsT())
    graph.op(Op.NEG, [left], [deep], schema.NegOptionsT())
    graph.op(Op.ADD, [deep, right], [graph.output("y", (1, 4))], schema.AddOptionsT())
    content = model.to_bytes()
    first, second = cut(content, tensors=["deep", "x"])
    assert [op.type for op in first.ops] == ["NEG", "NEG"]
    assert [op.type for op in second.ops] == ["ABS", "ADD"]
    feed = {"x": np.array([[1, -2, 3, -4]], np.float32)}
    assert_same(run(content, feed), run_parts([first, second], feed))
    with pytest.raises(CutError, match="'deep' alone are no cut: 'x' would travel as well"):
        cut(content, tensors=["deep"])
    with pytest.raises(CutError, match="'left' would not travel: nothing after the cut reads it"):
        cut(content, tensors=["left", "deep", "right"])
    stages = cut(content, tensors=[["left", "x"], ["deep", "right"]])
    assert [[op.type for op in stage.ops] for stage in stages] == [["NEG"], ["ABS", "NEG"], ["ADD"]]
    assert_same(run(content, feed), run_parts(stages, feed))


def test_ops_that_a_value_leaves_and_enters_again_cannot_be_one_model():
    graph = load(skipping())
    with pytest.raises(CutError, match=r"op 0 \(ADD 'a'\) feeds op 1 \(NEG 'b'\), which is not among"):
        extract(graph, [0, 2])
    assert [op.type for op in extract(graph, [1, 2]).ops] == ["NEG", "MUL"]
    assert [tensor.name for tensor in extract(graph, ["a"]).outputs] == ["a"]


def test_extracting_says_what_is_wrong_with_what_was_asked():
    with pytest.raises(CutError, match="no op named"):
        extract(DIGITS, ["nope"])
    with pytest.raises(CutError, match="no ops were given"):
        extract(DIGITS, [])
    with pytest.raises(CutError, match="'c' is made by none of these ops"):
        extract(skipping(), [0], outputs=["c"])


@pytest.mark.parametrize(
    ("position", "travels", "first", "second"),
    [
        (1, "q0", ["QUANTIZE"], ["DEQUANTIZE", "NEG", "QUANTIZE", "DEQUANTIZE"]),
        (2, "q0", ["QUANTIZE"], ["DEQUANTIZE", "NEG", "QUANTIZE", "DEQUANTIZE"]),
        (3, "q1", ["QUANTIZE", "DEQUANTIZE", "NEG", "QUANTIZE"], ["DEQUANTIZE"]),
        (4, "q1", ["QUANTIZE", "DEQUANTIZE", "NEG", "QUANTIZE"], ["DEQUANTIZE"]),
    ],
)
def test_the_quantized_tensor_travels_and_not_the_real_one(
    position: int, travels: str, first: list[str], second: list[str]
):
    graph = load(converting())
    parts = cut(graph, at=position)
    assert [[op.type for op in part.ops] for part in parts] == [first, second]
    assert [tensor.name for tensor in graph.cuts[position - 1].tensors] == [travels]
    assert graph.cuts[position - 1].nbytes == 8
    assert parts[1].inputs[0].quantization is not None
    assert parts[1].inputs[0].quantization.scales == (0.25,)
    feed = {"x": np.linspace(-4, 4, 8, dtype=np.float32)[None]}
    assert_same(run(converting(), feed), run_parts(parts, feed))


def test_a_conversion_that_both_sides_need_runs_on_both():
    model = ModelBuilder()
    graph = model.graph()
    q, real = graph.input("q", (1, 8), Type.INT8, SCALES), graph.tensor("real", (1, 8))
    early = graph.output("early", (1, 8))
    graph.op(Op.DEQUANTIZE, [q], [real], schema.DequantizeOptionsT(), version=2)
    graph.op(Op.NEG, [real], [early], schema.NegOptionsT())
    graph.op(Op.ABS, [real], [graph.output("late", (1, 8))], schema.AbsOptionsT())
    content = model.to_bytes()
    parts = cut(content, at=2)
    assert [[op.type for op in part.ops] for part in parts] == [["DEQUANTIZE", "NEG"], ["DEQUANTIZE", "ABS"]]
    assert [tensor.name for tensor in parts[1].inputs] == ["q"]
    feed = {"q": np.arange(-4, 4, dtype=np.int8)[None]}
    assert_same(run(content, feed), run_parts(parts, feed))


def test_weights_behind_conversions_are_made_where_they_are_needed_and_never_travel():
    graph = load(small_models.CASES["float16_weights"].build())
    assert [op.type for op in graph.ops if op.is_fixed] == ["DEQUANTIZE"]
    for place in graph.cuts:
        assert not any(tensor.is_constant or graph.ops[0].makes[0] is tensor for tensor in place.tensors)


def test_a_cut_through_state_is_refused_with_the_ops_that_share_it():
    graph = load(small_models.CASES["counter"].build())
    refusals = [place.refusal for place in graph.cuts]
    assert any(refusal and "is used on both sides" in refusal for refusal in refusals)
    reader = next(op for op in graph.ops if op.type == "READ_VARIABLE")
    with pytest.raises(CutError, match=r"cannot be without op .*both use"):
        extract(graph, [reader])


def test_names_quantization_signatures_and_metadata_stay():
    content = small_models.CASES["conv_int8"].build()
    part = load(extract(content, [0]).to_bytes())
    whole = load(content)
    for tensor in part.tensors:
        assert tensor.quantization == whole.tensor(tensor.name).quantization
    first, second = (load(part.to_bytes()) for part in cut(DIGITS, at=5))
    assert first.input_names == load(DIGITS).input_names
    assert second.output_names == load(DIGITS).output_names
    assert set(load(DIGITS).metadata) <= set(first.metadata)
    border = first.outputs[0]
    assert second.input_names == (border.name,)
    assert second.inputs[0].shape == border.shape


def test_a_part_holds_only_the_constants_that_it_needs():
    sizes = [len(part.to_bytes()) for part in cut(DIGITS, at=8)]
    assert sum(sizes) < 1.1 * DIGITS.stat().st_size
    assert max(sizes) < DIGITS.stat().st_size


def test_constants_lie_at_multiples_of_sixteen_bytes():
    content = load(DIGITS).to_bytes()
    root = schema.Model.GetRootAs(content, 0)
    starts = [root.Buffers(i)._tab for i in range(root.BuffersLength()) if root.Buffers(i).DataLength()]
    assert starts
    assert all(table.Vector(table.Offset(4)) % 16 == 0 for table in starts)


def test_custom_ops_keep_their_options_and_flex_ops_their_names():
    for name in ("custom_op", "flex_op"):
        case = small_models.CASES.get(name)
        content = case.build() if case else getattr(small_models, name)()
        graph = load(content)
        again = load(extract(graph, [0]).to_bytes())
        assert again.ops[0].type == graph.ops[0].type
        assert again.ops[0].options == graph.ops[0].options


def test_exposed_tensors_are_outputs_and_the_rest_stays():
    graph = load(DIGITS)
    feed = {"image": np.random.default_rng(0).random(graph.inputs[0].shape, np.float32)}
    inner = [op.makes[0].name for op in graph.ops[:-1]]
    found = run(expose(graph, inner), feed)
    wanted = run(DIGITS.read_bytes(), feed)
    assert list(found) == ["logits", *inner]
    assert_same(wanted, found)
    for tensor in map(graph.tensor, inner):
        assert found[tensor.name].nbytes == tensor.nbytes
    with pytest.raises(CutError, match="is a constant"):
        expose(graph, [next(tensor for tensor in graph.tensors if tensor.is_constant)])
    with pytest.raises(CutError, match="no tensor 'nope'"):
        expose(graph, ["nope"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "say where to cut"),
        ({"at": 3, "tensors": ["x"]}, "say where to cut"),
        ({"at": []}, "no positions"),
        ({"at": 0}, "no cut at 0: positions of this model are 1 to 14"),
        ({"at": 15}, "no cut at 15"),
        ({"at": [5, 3]}, "must ascend"),
        ({"at": [3, 3]}, "must ascend"),
        ({"tensors": []}, "no tensors were given"),
        ({"tensors": ["nope"]}, "no tensor 'nope'"),
        ({"tensors": ["logits"]}, "nothing is left|would not travel|nothing after the cut"),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(arguments: dict, message: str):
    with pytest.raises(CutError, match=message):
        cut(DIGITS, **arguments)


def test_ops_and_tensors_of_another_graph_are_refused():
    other = load(skipping())
    with pytest.raises(CutError, match="belongs to another graph"):
        extract(DIGITS, [other.ops[0]])
    with pytest.raises(CutError, match="belongs to another graph"):
        expose(DIGITS, [other.tensors[0]])


def test_a_model_is_written_whole_or_not_at_all(tmp_path: Path):
    target = tmp_path / "part.tflite"
    target.write_bytes(b"before")
    with pytest.raises(OSError, match="missing"):
        load(DIGITS).save(tmp_path / "missing" / "part.tflite")
    load(DIGITS).save(target)
    assert target.read_bytes() == load(DIGITS).to_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["part.tflite"]


def test_a_part_may_take_the_place_of_the_file_that_it_comes_from(tmp_path: Path):
    target = tmp_path / "model.tflite"
    target.write_bytes(DIGITS.read_bytes())
    graph = load(target)
    feed = {"image": np.random.default_rng(0).random(graph.inputs[0].shape, np.float32)}
    first, second = cut(graph, at=7)
    first.save(target)
    assert_same(run(DIGITS.read_bytes(), feed), run_parts([load(target), second], feed))


@pytest.mark.parametrize("name", ["digits", "converting", "counter", "while_loop", "int4_weights"])
def test_a_damaged_model_is_refused_or_cut_and_never_anything_else(name: str):
    content = {"digits": DIGITS.read_bytes(), "converting": converting()}.get(name) or small_models.CASES[name].build()
    rng = np.random.default_rng(0)
    tables = max(0, len(content) - 6000)  # the constants are in front and say nothing of the structure
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(tables, len(content), rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        try:
            graph = load(bytes(damaged))
            for place in graph.cuts[:3]:
                if place.refusal is None:
                    load(join(cut(graph, at=place.position)).to_bytes())
            outcomes.add("cut")
        except (InvalidModelError, CutError):
            outcomes.add("refused")
    assert outcomes == {"cut", "refused"}


def test_a_file_that_was_written_over_is_not_cut_any_more(tmp_path: Path):
    path = tmp_path / "digits.tflite"
    path.write_bytes(DIGITS.read_bytes())
    first, second = cut(path, at=5)
    path.write_bytes(path.read_bytes()[:4096])  # in place: what is mapped ends there now
    for part in (first, second):
        with pytest.raises(
            InvalidModelError, match=r"digits\.tflite was written over after it was read: load it again"
        ):
            part.save(tmp_path / "part.tflite")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_replaced_or_removed_can_still_be_cut(tmp_path: Path):
    path = tmp_path / "digits.tflite"
    path.write_bytes(DIGITS.read_bytes())
    parts = cut(path, at=5)
    parts[0].save(path)
    assert check(parts, DIGITS).equal
    path.unlink()
    assert check(parts, DIGITS).equal


def test_numbers_of_numpy_and_single_names_say_the_same():
    graph = load(DIGITS)
    expected = [part.to_bytes() for part in cut(graph, at=[5, 8])]
    assert [part.to_bytes() for part in cut(graph, at=np.array([5, 8]))] == expected
    assert len(cut(graph, at=np.int64(5))) == 2
    assert extract(graph, np.arange(5, 8)).to_bytes() == extract(graph, [5, 6, 7]).to_bytes()
    assert extract(graph, np.int64(5), outputs="block2_conv1_relu").output_names == ("block2_conv1_relu",)
    assert expose(graph, "block1_relu").output_names == ("logits", "block1_relu")
    assert cut(graph, tensors=graph.tensor("block1_relu"))[0].output_names == ("block1_relu",)


@pytest.mark.parametrize("at", [5.0, "5", None, [5, 8.0]])
def test_what_is_no_position_is_refused(at: object):
    with pytest.raises(CutError, match=r"no cut at .*: positions of this model are 1 to 14|say where to cut"):
        cut(DIGITS, at=at)


def test_a_constant_does_not_travel():
    with pytest.raises(CutError, match="'hidden/bias' is a constant"):
        cut(DIGITS, tensors=["hidden/bias"])


def recurrent(late: bool = False) -> bytes:
    """-|state|, which the signature calls ``state`` as well; ``late``: also the sum of both."""
    model = ModelBuilder()
    graph = model.graph()
    before, middle = graph.input("before", (1, 4)), graph.tensor("middle", (1, 4))
    outputs = {"state": graph.output("after", (1, 4))}
    graph.op(Op.ABS, [before], [middle], schema.AbsOptionsT())
    graph.op(Op.NEG, [middle], [outputs["state"]], schema.NegOptionsT())
    if late:
        outputs["sum"] = graph.output("sum", (1, 4))
        graph.op(Op.ADD, [before, outputs["state"]], [outputs["sum"]], schema.AddOptionsT())
    model.signature("step", graph, {"state": before}, outputs)
    return model.to_bytes()


def test_a_state_that_goes_in_and_comes_out_under_one_name_is_cut_and_joined():
    whole = load(recurrent())
    parts = [load(part.to_bytes()) for part in cut(whole, at=1)]
    assert check(parts, whole).equal
    joined = join(parts)
    assert (joined.input_names, joined.output_names) == (("state",), ("state",))
    assert check(joined, whole).equal


def test_a_cut_after_which_one_name_would_mean_two_tensors_is_refused():
    with pytest.raises(CutError, match=r"part 1 needs 'state', and by then .* output of the model .* same name"):
        cut(recurrent(late=True), at=2)


def test_a_name_of_another_format_is_refused(tmp_path: Path):
    with pytest.raises(OptionError, match=r"part\.onnx: the graph is a \.tflite"):
        load(DIGITS).save(tmp_path / "part.onnx")
    assert not list(tmp_path.iterdir())


def test_two_legal_places_with_nothing_between_are_named() -> None:
    graph = load(converting())
    assert [place.position for place in graph.cuts if place.refusal is None] == [1, 2, 3, 4]
    with pytest.raises(CutError, match=r"no cut at 2: nothing is left between it and the cut at 1 but op 1 \(DEQUANT"):
        cut(graph, [1, 2])
    with pytest.raises(CutError, match=r"no cut at 4: nothing is left between it and the cut at 3.*: leave one out"):
        cut(graph, [1, 3, 4])
