"""What a graph says of a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter, InvalidModelError, OptionError
from litedelegates.graph import CutError, Quantization, load
from litedelegates.graph.dot import to_dot
from litedelegates.graph.records import to_record
from small_models_builder import ModelBuilder, Op, Type, schema
from small_models_builder import Quantization as Scales

DIGITS = Path(__file__).parent.parent / "models" / "digits.tflite"


def skipping() -> bytes:
    """x -> a -> b -> c, where c also reads a: a skip connection over b."""
    model = ModelBuilder()
    graph = model.graph()
    x, a, b = graph.input("x", (1, 4)), graph.tensor("a", (1, 4)), graph.tensor("b", (1, 4))
    c = graph.output("c", (1, 4))
    graph.op(Op.ADD, [x, graph.constant("one", np.ones((1, 4), np.float32))], [a], schema.AddOptionsT())
    graph.op(Op.NEG, [a], [b], schema.NegOptionsT())
    graph.op(Op.MUL, [a, b], [c], schema.MulOptionsT())
    return model.to_bytes()


def test_a_graph_lists_ops_and_tensors_as_the_file_has_them():
    graph = load(skipping())
    assert [(op.index, op.type, op.name) for op in graph.ops] == [(0, "ADD", "a"), (1, "NEG", "b"), (2, "MUL", "c")]
    assert [tensor.name for tensor in graph.ops[2].inputs] == ["a", "b"]
    assert graph.ops[0].options == {"fused_activation_function": "NONE", "pot_scale_int16": True}
    assert graph.tensor("one").is_constant
    assert not graph.tensor("a").is_constant
    assert graph.tensor("a").nbytes == 16
    assert graph.input_names == ("x",)
    assert graph.output_names == ("c",)
    assert graph.producer(graph.tensor("b")) is graph.ops[1]
    assert list(graph.readers(graph.tensor("a"))) == [graph.ops[1], graph.ops[2]]


def test_the_tensors_stand_at_the_indices_of_the_runtime():
    graph, interpreter = load(DIGITS), Interpreter(DIGITS)
    for details in interpreter.get_tensor_details():
        tensor = graph.tensors[details["index"]]
        assert tuple(details["shape"]) == tensor.shape
        assert np.dtype(details["dtype"]) == tensor.element_type


def test_a_skip_connection_is_counted_at_each_cut_that_it_crosses():
    cuts = load(skipping()).cuts
    assert [[tensor.name for tensor in cut.tensors] for cut in cuts] == [["a"], ["a", "b"]]
    assert [(cut.nbytes, cut.float16_nbytes, cut.int8_nbytes) for cut in cuts] == [(16, 8, 4), (32, 16, 8)]


def test_quantization_is_read_per_tensor_and_per_channel():
    graph = load(small_models.CASES["conv_int8"].build())
    found = {tensor.name: tensor.quantization for tensor in graph.tensors if tensor.quantization}
    assert any(len(quantization.scales) > 1 for quantization in found.values())
    for details in Interpreter(small_models.CASES["conv_int8"].build()).get_tensor_details():
        parameters = details["quantization_parameters"]
        if len(parameters["scales"]):
            assert found[graph.tensors[details["index"]].name] == Quantization(
                tuple(parameters["scales"].tolist()),
                tuple(parameters["zero_points"].tolist()),
                parameters["quantized_dimension"],
            )


def test_sub_byte_elements_are_counted_in_bits():
    graph = load(small_models.CASES["int4_weights"].build())
    packed = next(tensor for tensor in graph.tensors if tensor.element_type == "int4")
    assert packed.nbytes == (packed.elements + 1) // 2


def test_signatures_give_the_names_that_callers_use():
    graph = load(small_models.CASES["reordered_signature"].build())
    interpreter = Interpreter(small_models.CASES["reordered_signature"].build())
    assert list(graph.input_names) == [info.name for info in interpreter.inputs]
    assert graph.signature is not None
    assert set(graph.signature.inputs) == set(graph.input_names)


def test_each_signature_is_a_graph_of_its_own():
    content = small_models.CASES["two_signatures"].build()
    keys = [signature.key for signature in load(content).signatures]
    assert len(keys) == 2
    graphs = [load(content, signature=key) for key in keys]
    assert graphs[0].ops[0].type != graphs[1].ops[0].type or graphs[0].input_names != graphs[1].input_names
    with pytest.raises(OptionError, match="no signature 'nope'.*" + keys[0]):
        load(content, signature="nope")


def test_repeated_and_missing_names_become_unique():
    model = ModelBuilder()
    graph = model.graph()
    same, unnamed = graph.tensor("x", (2,)), graph.tensor("", (2,))
    graph.op(Op.NEG, [graph.input("x", (2,))], [same], schema.NegOptionsT())
    graph.op(Op.NEG, [same], [unnamed], schema.NegOptionsT())
    graph.op(Op.NEG, [unnamed], [graph.output("x", (2,))], schema.NegOptionsT())
    names = [tensor.name for tensor in load(model.to_bytes()).tensors]
    assert len(set(names)) == len(names)
    assert "" not in names


def test_unknown_names_are_refused_with_the_nearest():
    graph = load(DIGITS)
    with pytest.raises(CutError, match=r"no tensor 'imag'.*'image"):
        graph.tensor("imag")
    with pytest.raises(CutError, match=r"there is no op 99: the graph has ops 0 to 14"):
        graph.op(99)
    with pytest.raises(CutError, match=f"no op named.*{graph.ops[3].name[:4]}"):
        graph.op(graph.ops[3].name[:-1])


def test_sizes_that_are_only_known_at_run_time_are_said_to_be_unknown():
    graph = load(small_models.CASES["where"].build())
    assert graph.outputs[0].nbytes is None


def test_open_sizes_are_filled_as_the_runtime_would():
    model = ModelBuilder()
    graph = model.graph()
    x, reshaped = graph.input("x", (-1, 4)), graph.tensor("twice", (-1, 4))
    graph.op(
        Op.CONCATENATION,
        [x, x],
        [reshaped],
        schema.ConcatenationOptionsT(),
    )
    graph.op(Op.NEG, [reshaped], [graph.output("y", (-1, 4))], schema.NegOptionsT())
    content = model.to_bytes()
    assert load(content, shapes={"x": (3, 4)}).cuts[0].nbytes == 6 * 4 * 4
    with pytest.raises(OptionError, match="no input 'z'"):
        load(content, shapes={"z": (3, 4)})
    with pytest.raises(OptionError, match="cannot have the shape"):
        load(content, shapes={"x": (3, 5)})


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 100, b"abcdTFL3" + b"\xff" * 64])
def test_what_is_no_model_is_refused(content: bytes):
    with pytest.raises(InvalidModelError):
        load(content)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InvalidModelError, match=r"there is no model at .*gone\.tflite"):
        load(tmp_path / "gone.tflite")


def test_the_record_of_a_graph_is_json_with_every_op_tensor_and_cut():
    for content in (
        DIGITS.read_bytes(),
        small_models.CASES["custom_op"].build(),
        small_models.CASES["counter"].build(),
    ):
        graph = load(content)
        record = json.loads(json.dumps(to_record(graph)))
        assert len(record["ops"]) == len(graph.ops)
        assert len(record["tensors"]) == len(graph.tensors)
        assert [cut["nbytes"] for cut in record["cuts"]] == [cut.nbytes for cut in graph.cuts]


def test_the_drawing_has_every_op_and_hostile_names_stay_names():
    model = ModelBuilder()
    graph = model.graph()
    graph.op(
        Op.NEG,
        [graph.input('x"]; evil [label="', (2,))],
        [graph.output("back\\slash\n", (2,), Type.FLOAT32)],
        schema.NegOptionsT(),
    )
    drawing = to_dot(load(model.to_bytes()))
    assert drawing.count(" -> ") == 2
    assert '"x\\"]; evil [label=\\""' in drawing
    assert "back\\\\slash\\n" in drawing
    assert to_dot(load(DIGITS)).count("tooltip") >= 15


def test_per_tensor_scales_survive_writing():
    scales = Scales([0.5], [3])
    model = ModelBuilder()
    graph = model.graph()
    graph.op(
        Op.DEQUANTIZE,
        [graph.input("q", (1, 4), Type.INT8, scales)],
        [graph.output("y", (1, 4))],
        schema.DequantizeOptionsT(),
        version=2,
    )
    again = load(load(model.to_bytes()).to_bytes())
    assert again.inputs[0].quantization == Quantization((0.5,), (3,), 0)
