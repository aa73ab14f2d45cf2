"""Graphs of ONNX models: reading, cutting, writing; parts compute bit for bit what the whole does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")

import onnx
import onnx.parser
import small_onnx_models as small
from litedelegates.cli import main
from litedelegates.engines import open_session
from litedelegates.errors import CutError, InvalidModelError, OptionError, RunError
from litedelegates.graph import Graph, check, cut, expose, extract, join, layers, load
from litedelegates.graph.dot import to_dot
from litedelegates.graph.onnx import to_model
from litedelegates.graph.records import to_record
from onnx import helper


@pytest.fixture(params=small.ALL)
def graph(request: pytest.FixtureRequest) -> Graph:
    return load(small.ALL[request.param]())


def feed_for(graph: Graph) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made = {}
    for tensor in graph.inputs:
        shape = tuple(2 if size < 0 else size for size in tensor.shape)
        value = rng.normal(size=shape) if tensor.element_type == "float32" else rng.integers(0, 2, shape)
        made[tensor.name] = np.asarray(value).astype(tensor.element_type)
    return made


def run(graph: Graph, feed: dict[str, Any]) -> dict[str, Any]:
    return open_session(graph.to_bytes(), num_threads=1, same_kernels=True).run(feed)


def assert_parts_equal_whole(graph: Graph, parts: list[Graph], *, full_check: bool = True) -> None:
    feed = feed_for(graph)
    expected = run(graph, feed)
    for part in parts:
        onnx.checker.check_model(to_model(part), full_check=full_check)
        feed.update(run(part, feed))
    for name in graph.output_names:
        assert feed[name].tobytes() == expected[name].tobytes()


def save_with_data(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=64)
    return path


def test_every_legal_cut_gives_parts_that_compute_what_the_whole_does(graph):
    legal = [found.position for found in graph.cuts if found.refusal is None]
    assert legal
    for position in legal:
        assert_parts_equal_whole(graph, cut(graph, at=position))


def test_bytes_at_every_cut_are_those_of_the_arrays(graph):
    made = [tensor for op in graph.ops for tensor in op.makes if not tensor.is_constant]
    values = {**feed_for(graph), **run(expose(graph, made), feed_for(graph))}
    for found in graph.cuts:
        if found.refusal is None:
            assert found.nbytes == sum(values[tensor.name].nbytes for tensor in found.tensors)


def test_every_op_runs_alone_and_computes_what_it_does_in_the_model(graph):
    made = [tensor for op in graph.ops for tensor in op.makes if not tensor.is_constant]
    values = {**feed_for(graph), **run(expose(graph, made), feed_for(graph))}
    for layer in layers(graph):
        assert layer.graph is not None, layer.refusal
        for name, value in run(layer.graph, values).items():
            assert name not in values or value.tobytes() == values[name].tobytes()


def test_a_graph_written_and_read_again_is_the_same(graph):
    again = load(graph.to_bytes())
    for read, kept in zip(again.ops, graph.ops, strict=True):
        assert (read.type, read.name, read.is_fixed) == (kept.type, kept.name, kept.is_fixed)
        assert [t and (t.name, t.shape, t.element_type) for t in read.inputs] == [
            t and (t.name, t.shape, t.element_type) for t in kept.inputs
        ]
    assert {t.name for t in again.tensors} == {t.name for t in graph.tensors}


def test_two_cuts_give_three_parts():
    graph = load(small.skips())
    parts = cut(graph, at=[2, 5])
    assert len(parts) == 3
    assert_parts_equal_whole(graph, parts)


def test_a_cut_by_tensor_names_takes_what_computes_them():
    graph = load(small.skips())
    parts = cut(graph, tensors=["s", "x4"])
    assert parts[1].input_names == ("x4", "s")
    assert_parts_equal_whole(graph, parts)


def test_skip_connections_travel():
    graph = load(small.skips())
    assert {tensor.name for tensor in graph.cuts[3].tensors} == {"x4", "ra", "b"}
    assert graph.cuts[3].nbytes == 3 * 4 * 8 * 8 * 4
    assert graph.cuts[3].float16_nbytes == 3 * 4 * 8 * 8 * 2


@pytest.mark.parametrize("position", [1, 2, 3, 4])
def test_at_a_quantized_border_the_quantized_tensor_travels(position):
    graph = load(small.qdq())
    parts = cut(graph, at=position)
    assert parts[0].output_names == parts[1].input_names == ("a_q",)
    (border,) = open_session(parts[1].to_bytes()).inputs
    assert border.element_type == "uint8"
    assert graph.cuts[position - 1].nbytes == 4 * 8 * 8
    assert_parts_equal_whole(graph, parts)


def test_a_cut_before_the_quantization_of_an_input_moves_it_to_the_first_part():
    model = small.qoperator()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unread"], value_float=1.0))
    graph = load(model)
    assert graph.cuts[0].refusal is None  # although nothing but a constant is before it
    first, second = cut(graph, at=1)
    assert [op.type for op in first.ops] == ["QuantizeLinear"]
    assert second.input_names == ("xq",)
    assert_parts_equal_whole(graph, [first, second])


def test_tensors_say_how_they_are_quantized():
    graph = load(small.qdq())
    activation, weights = graph.tensor("a_q").quantization, graph.tensor("w1_q").quantization
    assert (activation.scales, activation.zero_points) == ((float(np.float32(0.02)),), (128,))
    assert (len(weights.scales), weights.axis) == (5, 0)
    assert graph.tensor("a").quantization is None


def test_ops_of_the_runtime_have_types_that_only_it_knows():
    graph = load(small.qoperator())
    added = graph.tensor("t")
    assert (added.element_type, added.shape) == ("uint8", (2, 6))
    assert added.quantization.zero_points == (100,)


def test_branches_capture_what_they_read_however_deep():
    op = load(small.branches()).op("choice")
    assert {tensor.name for tensor in op.captures} == {"flag", "h", "k", "x"}


def test_a_body_keeps_what_it_captures_when_its_op_is_taken_out():
    part = extract(small.loop(), "loop")
    assert part.input_names == ("start", "step")
    assert {tensor.name for tensor in part.tensors if tensor.is_constant} == {"rounds"}


def test_a_border_of_unknown_rank_is_written_without_a_shape_and_can_be_read_again():
    graph = load(small.loop(says_shape=False))
    assert graph.cuts[2].nbytes is None
    feed, expected = feed_for(graph), run(graph, feed_for(graph))
    for part in cut(graph, at=3):
        feed.update(run(load(part.to_bytes()), feed))
    assert feed["y"].tobytes() == expected["y"].tobytes()


def test_tensors_can_have_other_names_than_in_their_file(graph):
    new = {tensor: replace(tensor, name=f"new_{tensor.name}") for tensor in graph.tensors}
    ops = [
        replace(
            op,
            inputs=tuple(tensor and new[tensor] for tensor in op.inputs),
            outputs=tuple(tensor and new[tensor] for tensor in op.outputs),
            captures=tuple(new[tensor] for tensor in op.captures),
        )
        for op in graph.ops
    ]
    sides = [new[tensor] for tensor in graph.inputs], [new[tensor] for tensor in graph.outputs]
    renamed = Graph(graph.source, ops, new.values(), *sides, name="renamed")
    onnx.checker.check_model(to_model(renamed))
    feed = feed_for(graph)
    results = run(renamed, {f"new_{name}": value for name, value in feed.items()})
    for name, value in run(graph, feed).items():
        assert results[f"new_{name}"].tobytes() == value.tobytes()


def test_parts_of_files_that_were_written_and_read_again_can_be_one_model():
    graph = load(small.local_function())
    first, second = (load(part.to_bytes()) for part in cut(graph, at=2))
    new = {second.inputs[0]: first.outputs[0]}
    ops = [*first.ops, *(replace(op, index=op.index + 2, inputs=(new[op.inputs[0]],)) for op in second.ops)]
    tensors = [*first.tensors, *(tensor for tensor in second.tensors if tensor not in new)]
    joined = Graph(first.source, ops, tensors, first.inputs, second.outputs, name="joined")
    assert [function.name for function in to_model(joined).functions] == ["Outer", "Inner"]
    assert run(joined, feed_for(graph))["y"].tobytes() == run(graph, feed_for(graph))["y"].tobytes()


def test_parts_of_different_versions_of_the_ops_are_no_model():
    first = load(small.model([helper.make_node("Relu", ["x"], ["h"])], [("x", 1, [2])], [("h", 1, [2])], opset=13))
    second = load(small.model([helper.make_node("Relu", ["h"], ["y"])], [("h", 1, [2])], [("y", 1, [2])], opset=17))
    op = replace(second.ops[0], index=1, inputs=first.outputs)
    joined = Graph(first.source, [*first.ops, op], [*first.tensors, *second.outputs], first.inputs, second.outputs)
    with pytest.raises(CutError, match="version 13 and version 17 of the ops of ONNX"):
        joined.to_bytes()


def test_constant_nodes_and_arithmetic_on_them_are_made_again_where_they_are_needed():
    graph = load(small.constant_nodes())
    assert [op.is_fixed for op in graph.ops] == [True, True, True, False, True, False, False]
    assert [op.name for op in graph.ops] == ["w", "rows", "rest", "h", "shape", "r", "y"]
    first, second = cut(graph, at=4)
    assert second.input_names == ("h",)
    assert [op.type for op in first.ops] == ["Constant", "MatMul"]
    assert "w" not in {tensor.name for tensor in second.tensors}


def test_parts_keep_the_functions_they_call_and_no_others():
    first, second = cut(load(small.local_function()), at=2)
    assert [function.name for function in to_model(first).functions] == ["Outer", "Inner"]
    assert not to_model(second).functions
    assert first.ops[1].type == "local.Outer"


def test_optional_inputs_are_none_and_equal_names_are_told_apart():
    graph = load(small.optional_places())
    assert graph.ops[0].inputs[1] is None
    assert [op.name for op in graph.ops] == ["same", "same#2", "neg"]
    assert [node.name for node in to_model(graph).graph.node] == ["same", "same#2", "neg"]  # else no runtime takes it


def test_a_cut_through_a_sequence_is_refused():
    graph = load(small.sequences())
    assert graph.cuts[0].refusal is None
    with pytest.raises(CutError, match="'s' is a sequence"):
        cut(graph, at=2)


def test_open_sizes_are_unknown_until_they_are_given():
    model = small.skips(batch="N")
    assert load(model).cuts[0].nbytes is None
    graph = load(model, shapes={"x": (3, 3, 8, 8)})
    assert graph.outputs[0].shape == (3, 4, 8, 8)
    assert graph.cuts[0].nbytes == 3 * 8 * 8 * (3 + 4) * 4
    (border,) = open_session(graph.to_bytes()).inputs
    assert border.shape == (3, 3, 8, 8)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_parts_of_a_model_with_open_sizes_keep_them_open():
    graph = load(small.skips(batch="N"))
    assert_parts_equal_whole(graph, cut(graph, at=3))
    first = to_model(cut(graph, at=3)[0])
    assert first.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "N"


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"X": (1, 3, 8, 8)}, "no input 'X'. Valid: x"),
        ({"x": (1, 3, 8)}, r"\[-1, 3, 8, 8\], which \[1, 3, 8\]"),
        ({"x": (1, 4, 8, 8)}, "does not fit"),
        ({"x": (0, 3, 8, 8)}, "at least 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, message):
    with pytest.raises(OptionError, match=message):
        load(small.skips(batch="N"), shapes=shapes)


def test_exposing_inner_tensors_leaves_the_rest_as_it_is():
    graph = load(small.skips())
    exposed = expose(graph, ["s", "ra"])
    assert exposed.output_names == ("y", "s", "ra")
    assert run(exposed, feed_for(graph))["y"].tobytes() == run(graph, feed_for(graph))["y"].tobytes()


def test_only_the_constants_that_a_part_needs_are_written():
    first, second = cut(load(small.skips()), at=4)
    assert {tensor.name for tensor in to_model(first).graph.initializer} == {"w0", "w1", "w3"}
    assert {tensor.name for tensor in to_model(second).graph.initializer} == {"w2"}


def test_what_the_file_says_about_itself_is_kept():
    model = small.skips()
    model.producer_name, model.model_version = "somebody", 7
    helper.set_model_props(model, {"labels": "Katze, Hündin"})
    graph = load(model)
    assert graph.metadata == {"labels": "Katze, Hündin".encode()}
    part = to_model(cut(graph, at=3)[1])
    assert (part.producer_name, part.model_version, part.ir_version) == ("somebody", 7, 8)
    assert {entry.key: entry.value for entry in part.metadata_props}["labels"] == "Katze, Hündin"


def test_metadata_that_is_no_text_is_refused():
    with pytest.raises(CutError, match="no text"):
        load(small.skips()).with_metadata("raw", b"\xff\xfe").to_bytes()


def test_value_info_of_inner_tensors_is_kept():
    model = onnx.shape_inference.infer_shapes(small.skips())
    kept = to_model(extract(load(model), [0, 1, 2, 3]))
    assert {value.name for value in kept.graph.value_info} == {"a"}


def test_options_have_the_names_of_the_attributes():
    graph = load(small.constant_nodes())
    assert graph.op("shape").options == {"axis": 0}
    assert graph.op("w").options["value"].shape == (6, 6)


def test_models_of_old_files_that_list_constants_as_inputs_stay_valid():
    model = small.skips()
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    graph = load(model)
    assert graph.input_names == ("x",)
    assert_parts_equal_whole(graph, cut(graph, at=3))


def test_sparse_initializers_are_kept():
    values = small.array("k", np.array([1.5, -2.0], np.float32))
    indices = small.array("", np.array([1, 4], np.int64))
    nodes = [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("MatMul", ["h", "k"], ["y"])]
    model = small.model(nodes, [("x", small.FLOAT, [2, 2])], [("y", small.FLOAT, [2, 3])], [small.random("k", 2, 3)])
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 3]))
    graph = load(model)
    assert graph.tensor("k").shape == (2, 3)
    assert_parts_equal_whole(graph, cut(graph, at=1), full_check=False)  # whose inference knows no sparse constants


def test_a_model_with_data_beside_it_is_read_without_it_and_written_with_it(tmp_path):
    path = save_with_data(small.skips(), tmp_path / "model.onnx")
    graph = load(path)
    parts = cut(graph, at=3)
    assert_parts_equal_whole(graph, parts)
    for index, part in enumerate(parts):
        part.save(tmp_path / f"part{index}.onnx")
    assert not (tmp_path / "part0.onnx.data").exists()  # all its constants are small
    feed = feed_for(graph)
    expected = run(graph, feed)
    for index in range(2):
        feed.update(open_session(tmp_path / f"part{index}.onnx", num_threads=1, same_kernels=True).run(feed))
    assert feed["y"].tobytes() == expected["y"].tobytes()


def wide() -> onnx.ModelProto:
    """Return two products with matrices of 64 KB."""
    nodes = [helper.make_node("MatMul", ["x", "w0"], ["h"]), helper.make_node("MatMul", ["h", "w1"], ["y"])]
    weights = [small.random("w0", 128, 128), small.random("w1", 128, 128, seed=1)]
    return small.model(nodes, [("x", small.FLOAT, [1, 128])], [("y", small.FLOAT, [1, 128])], weights)


def test_large_values_of_a_model_with_data_beside_it_lie_beside_its_parts(tmp_path):
    graph = load(save_with_data(wide(), tmp_path / "model.onnx"))
    expected = run(graph, feed_for(graph))
    graph.save(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").stat().st_size < 1000
    assert (tmp_path / "again.onnx.data").stat().st_size == 2 * 128 * 128 * 4
    onnx.checker.check_model(tmp_path / "again.onnx")
    assert open_session(tmp_path / "again.onnx", num_threads=1, same_kernels=True).run(feed_for(graph))[
        "y"
    ].tobytes() == (expected["y"].tobytes())


def test_a_model_over_the_limit_is_saved_with_its_data_beside_it(tmp_path):
    graph = load(wide())
    graph.source.save(graph, str(tmp_path / "model.onnx"), largest=100_000)
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data"}
    again = load(tmp_path / "model.onnx")
    assert run(again, feed_for(graph))["y"].tobytes() == run(graph, feed_for(graph))["y"].tobytes()
    with pytest.raises(InvalidModelError, match="can have 100"):
        graph.source.save(graph, str(tmp_path / "other.onnx"), largest=100)
    assert not (tmp_path / "other.onnx.data").exists()


def test_a_failed_write_leaves_both_files_as_they_were(tmp_path):
    graph = load(save_with_data(wide(), tmp_path / "model.onnx"))
    graph.save(tmp_path / "again.onnx")
    before = (tmp_path / "again.onnx").read_bytes()
    (tmp_path / "again.onnx.data").unlink()
    (tmp_path / "again.onnx.data").mkdir()  # so that the data cannot take its place
    with pytest.raises(OSError):
        load(wide()).source.save(load(wide()), str(tmp_path / "again.onnx"), largest=100_000)
    assert (tmp_path / "again.onnx").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_a_model_may_be_saved_over_the_file_it_came_from(tmp_path):
    path = save_with_data(wide(), tmp_path / "model.onnx")
    load(path).save(path)
    graph = load(path)
    first = run(graph, feed_for(graph))["y"].tobytes()
    graph.save(path)
    assert run(graph, feed_for(graph))["y"].tobytes() == run(load(path), feed_for(graph))["y"].tobytes() == first


@pytest.mark.parametrize("spoil", ["gone", "short", "outside"])
def test_data_that_cannot_be_had_is_refused(tmp_path, spoil):
    path = save_with_data(wide(), tmp_path / "model.onnx")
    if spoil == "gone":
        (tmp_path / "weights.bin").unlink()
    elif spoil == "short":
        with (tmp_path / "weights.bin").open("r+b") as file:
            file.truncate(1000)
    else:
        (tmp_path / "inner").mkdir()
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            tensor.external_data[0].value = "../weights.bin"
        path = tmp_path / "inner" / "model.onnx"
        path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidModelError, match=r"weights\.bin"):
        load(path)


def test_content_whose_data_lies_beside_it_asks_for_the_path(tmp_path):
    path = save_with_data(wide(), tmp_path / "model.onnx")
    with pytest.raises(InvalidModelError, match="give the model's path"):
        load(path.read_bytes())


def test_a_damaged_file_is_refused_wherever_it_is_cut_off():
    content = wide().SerializeToString()
    for size in (1, 10, 60, 200, len(content) // 2, len(content) - 70):
        with pytest.raises(InvalidModelError):
            load(content[:size])


def test_a_constant_with_too_few_values_is_refused():
    model = wide()
    model.graph.initializer[0].raw_data = bytes(8000)
    with pytest.raises(InvalidModelError, match=r"'w0'.*8000 bytes"):
        load(model)


def test_a_model_that_breaks_a_rule_is_refused_with_the_words_of_the_checker():
    model = small.skips()
    model.graph.node[0].input[0] = "nowhere"
    with pytest.raises(InvalidModelError, match="nowhere"):
        load(model)


def test_names_that_are_no_text_are_refused():
    content = small.skips().SerializeToString().replace(b"inner_skip", b"inner_sk\xffp")
    with pytest.raises(InvalidModelError, match="should be a text"):
        load(content)


def test_a_model_in_the_format_of_onnx_runtime_asks_for_the_onnx(tmp_path):
    (tmp_path / "model.ort").write_bytes(b"\x08\0\0\0ORTM" + bytes(100))
    with pytest.raises(InvalidModelError, match=r"use the \.onnx"):
        load(tmp_path / "model.ort")


def test_without_the_extra_the_error_says_what_to_install(tmp_path):
    small_file = tmp_path / "model.onnx"
    small_file.write_bytes(small.skips().SerializeToString())
    for absent, call in (("onnx", "graph.load"), ("onnxruntime", "engines.open_session")):
        script = (
            f"import sys; sys.modules[{absent!r}] = None\n"
            "from litedelegates import engines, errors, graph\n"
            f"try: {call}({str(small_file)!r})\n"
            "except errors.MissingExtraError as error: print(error)\n"
        )
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert "litedelegates[onnx]" in result.stdout


def test_without_onnx_runtime_a_model_of_ordinary_ops_is_read_all_the_same(tmp_path):
    small_file = tmp_path / "model.onnx"
    small_file.write_bytes(small.qoperator().SerializeToString())
    script = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from litedelegates.graph import load\n"
        f"graph = load({str(small_file)!r})\n"
        "print(graph.tensor('m').element_type, graph.tensor('t').element_type)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["uint8", "unknown"]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidModelError, match=r"missing\.onnx"):
        load(tmp_path / "missing.onnx")


def test_a_border_whose_type_nobody_knows_is_refused():
    nodes = [
        helper.make_node("Strange", ["x"], ["h"], domain="nobody"),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    model = small.model(nodes, [("x", small.FLOAT, [2])], [("y", small.FLOAT, [2])], domains={"nobody": 1})
    graph = load(model)
    assert graph.ops[0].type == "nobody.Strange"
    assert graph.tensor("h").element_type == "unknown"
    with pytest.raises(CutError, match="type of tensor 'h' is not known"):
        cut(graph, at=1)[0].to_bytes()


def test_the_given_model_is_not_changed():
    model = small.branches()
    before = model.SerializeToString()
    for part in cut(model, at=1):
        part.to_bytes()
    assert model.SerializeToString() == before


def test_parts_joined_again_are_the_whole(graph):
    for found in graph.cuts:
        if found.refusal is None:
            parts = [load(part.to_bytes()) for part in cut(graph, at=found.position)]
            joined = load(join(parts).to_bytes())
            assert (joined.input_names, joined.output_names) == (graph.input_names, graph.output_names)
            assert sorted(op.name for op in joined.ops) == sorted(op.name for op in graph.ops)
            report = check([joined], graph)
            assert report.equal, report
            assert check(parts, graph).equal


def test_models_of_two_formats_are_no_model():
    with pytest.raises(CutError, match="several formats cannot be one model: onnx and tflite"):
        join([small.skips(), Path(__file__).parent.parent / "models" / "digits.tflite"])


def test_the_record_and_the_drawing_of_a_graph_are_complete(graph):
    record = json.loads(json.dumps(to_record(graph)))
    assert [op["type"] for op in record["ops"]] == [op.type for op in graph.ops]
    assert len(record["cuts"]) == len(graph.ops) - 1
    assert to_dot(graph).count("tooltip") >= len(graph.ops)


def test_the_command_line_reads_and_cuts_onnx(tmp_path, capsys):
    path = tmp_path / "skips.onnx"
    onnx.save(small.skips(), path)
    assert main(["graph", str(path), "--shape", "x=1,3,8,8"]) == 0
    assert "skips: " in capsys.readouterr().out
    assert main(["cut", str(path), "--at", "2", "--out", str(tmp_path / "parts"), "--check"]) == 0
    assert "equal bit for bit" in capsys.readouterr().out
    assert len(list((tmp_path / "parts").glob("*.onnx"))) == 2


@pytest.mark.parametrize("changed", ["model.onnx", "weights.bin"])
def test_a_file_that_was_written_over_is_not_cut_any_more(tmp_path: Path, changed: str):
    part = load(save_with_data(wide(), tmp_path / "model.onnx"))
    content = (tmp_path / changed).read_bytes()
    (tmp_path / changed).write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidModelError, match=f"{changed} was written over after it was read: load it again"):
        part.save(tmp_path / "part.onnx")
    assert not (tmp_path / "part.onnx").exists()


def test_bytes_that_are_not_known_ask_for_the_sizes_of_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "model.onnx"
    onnx.save(small.skips(batch="N"), path)
    assert main(["graph", str(path), "--cheapest", "2"]) == 0
    assert "not known before the model runs: give the inputs sizes, --shape" in capsys.readouterr().out
    shape = ",".join(map(str, load(small.skips(batch=2)).inputs[0].shape))
    assert main(["graph", str(path), "--cheapest", "2", "--shape", f"x={shape}"]) == 0
    assert "not known" not in capsys.readouterr().out
    assert main(["cut", str(path), "--at", "1", "--out", str(tmp_path)]) == 0
    assert "[?, " in (written := capsys.readouterr().out) and "None" not in written


def test_a_check_that_fails_at_sizes_it_chose_says_so():
    padded = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]>
        main (float[N] x) => (float[M] y) <int64[2] pads = {2, 2}> { a = Abs(x)  y = Pad<mode="reflect">(a, pads) }"""
    )
    with pytest.raises(RunError, match=r"Sizes that 'x' leaves open were taken as 1: load the model with shapes"):
        check(cut(padded, at=1), padded)
    sized = load(padded, shapes={"x": (5,)})
    assert check(cut(sized, at=1), sized).equal


WINDOW = """
import sys
from litedelegates.errors import InvalidModelError
from litedelegates.graph import load
from litedelegates.quantize import quantize

for read in (load, lambda model: quantize(model, "float16")):
    try:
        read(open(sys.argv[1], "rb").read())
    except InvalidModelError as error:
        print(error)
"""


def test_a_window_larger_than_any_tensor_is_refused_before_the_engine_dies_of_it(tmp_path: Path):
    def branch(name: str) -> onnx.GraphProto:
        nodes = [
            helper.make_node("Conv", ["x", "w"], [f"{name}_c"], kernel_shape=[2**31 - 1]),
            helper.make_node("Slice", [f"{name}_c", "one", "five", "two"], [f"{name}_y"]),
        ]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(f"{name}_y", 1, None)])

    values = {"one": [1], "two": [2], "five": [5]}
    constants = [onnx.numpy_helper.from_array(np.array(value, np.int64), name) for name, value in values.items()]
    constants.append(onnx.numpy_helper.from_array(np.ones((1, 1, 3), np.float32), "w"))
    constants.append(onnx.numpy_helper.from_array(np.array(True), "condition"))
    choice = helper.make_node("If", ["condition"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    ends = [helper.make_tensor_value_info("x", 1, [1, 1, 8]), helper.make_tensor_value_info("y", 1, None)]
    graph = helper.make_graph([choice], "damaged", ends[:1], ends[1:], constants)
    path = tmp_path / "damaged.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    done = subprocess.run([sys.executable, "-c", WINDOW, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("kernel_shape is [2147483647], larger than any tensor; the model is damaged") == 2
