"""Variants of the digits model: each op and tensor of a quantized file is known to the layers of the float32 model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_model import DIGITS, digits_data, edit
from litedelegates import Interpreter
from litedelegates.errors import InvalidModelError, OptionError, QuantizationError
from litedelegates.graph import Graph, Tensor, expose, extract, load
from litedelegates.layers.precisions import parse_precision
from litedelegates.layers.variants import Variant, load_variant, make_variant
from litedelegates.measure import real_values

PRECISIONS = ("float16", "dynamic", "int8", "int16x8", "weight_only")


@pytest.fixture(scope="module")
def source() -> Graph:
    return load(DIGITS)


@pytest.fixture(scope="module")
def variants(source: Graph, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Variant]:
    pytest.importorskip("litert_quantizer")
    folder = tmp_path_factory.mktemp("variants")
    samples = list(digits_data()["calibration"])
    made = {
        precision: make_variant(source, DIGITS, precision, folder, calibration=samples, allow_float32_ops=True)
        for precision in PRECISIONS
    }
    return {"float32": make_variant(source, DIGITS, "float32", folder), **made}


@pytest.mark.parametrize("precision", ("float32", *PRECISIONS))
def test_each_layer_is_computed_by_one_op_and_no_op_is_unmapped(variants: dict[str, Variant], precision: str) -> None:
    variant = variants[precision]
    roles = Counter(owner.role for owner in variant.owners.values())
    assert roles["unmapped"] == 0
    assert roles["conversion"] == (2 if precision in ("int8", "int16x8") else 0)
    for op in variant.source.ops:
        (own,) = variant.ops_of(op.index)
        assert own.type == op.type
        assert [tensor.name for tensor in own.makes] == [tensor.name for tensor in op.makes]


def test_conversions_at_the_border_are_charged_to_the_first_and_the_last_layer(variants: dict[str, Variant]) -> None:
    found = {
        variants["int8"].graph.ops[index].type: owner
        for index, owner in variants["int8"].owners.items()
        if owner.role == "conversion"
    }
    assert found["QUANTIZE"].layers == (0,)
    assert found["DEQUANTIZE"].layers == (14,)
    assert found["QUANTIZE"].evidence == "op that reads it"
    assert found["DEQUANTIZE"].evidence == "op that made it"


@pytest.mark.parametrize("precision", ("float32", *PRECISIONS))
def test_the_group_of_each_layer_runs_as_a_model(variants: dict[str, Variant], precision: str) -> None:
    variant = variants[precision]
    for op in variant.source.ops:
        group = variant.group_of(op.index)
        part = extract(variant.graph, group)
        with Interpreter(part.to_bytes(), delegate=None) as interpreter:
            values = [np.zeros(info.shape, info.dtype) for info in interpreter.inputs]
            assert np.shape(interpreter.run(*values)) == op.makes[0].shape


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensor_of_holds_the_values_of_the_float32_model(variants: dict[str, Variant], precision: str) -> None:
    variant = variants[precision]
    pairs = {tensor: variant.tensor_of(tensor) for op in variant.source.ops for tensor in op.makes}
    assert None not in pairs.values()
    image = digits_data()["images"][:1]
    true = values_of(variant.source, list(pairs), image)
    found = values_of(variant.graph, [tensor for tensor in pairs.values() if tensor is not None], image)
    for tensor, own in pairs.items():
        assert own is not None
        assert (own.quantization is not None) == (precision in ("int8", "int16x8"))
        wanted, got = true[tensor], found[own]
        assert np.sqrt(np.mean((wanted - got) ** 2)) < 0.1 * wanted.std(), tensor.name


def values_of(graph: Graph, tensors: list[Tensor], image: np.ndarray[Any, Any]) -> dict[Tensor, np.ndarray[Any, Any]]:
    exposed = expose(graph, tensors)
    with Interpreter(exposed.to_bytes(), delegate=None) as interpreter:
        outputs = interpreter.run(image)
        names = [info.name for info in interpreter.outputs]
    by_name = dict(zip(names, outputs if isinstance(outputs, tuple) else (outputs,), strict=True))
    return {tensor: real_values(by_name[exposed.public_name(tensor)], tensor.quantization) for tensor in tensors}


def test_the_input_is_held_by_what_quantizes_it(variants: dict[str, Variant]) -> None:
    tensor = variants["int8"].tensor_of(variants["int8"].source.inputs[0])
    assert tensor is not None
    assert (tensor.name, tensor.element_type) == ("image_quantized", "int8")
    same = variants["dynamic"].tensor_of(variants["dynamic"].source.inputs[0])
    assert same is variants["dynamic"].graph.inputs[0]


def test_float32_is_the_model_itself(variants: dict[str, Variant], source: Graph) -> None:
    variant = variants["float32"]
    assert variant.graph is source
    assert variant.tensor_of(source.outputs[0]) is source.outputs[0]
    assert variant.group_of(3) == (source.ops[3],)


def test_a_file_whose_tensors_were_renamed_is_mapped_by_order(
    variants: dict[str, Variant], source: Graph, tmp_path: Path
) -> None:
    def rename(tree: Any) -> None:
        for index, tensor in enumerate(tree.subgraphs[0].tensors):
            tensor.name = f"t{index}".encode()

    renamed = tmp_path / "renamed.tflite"
    renamed.write_bytes(edit(Path(variants["int8"].path).read_bytes(), rename))
    variant = load_variant(source, renamed, "int8")
    known = variants["int8"]
    assert {index: owner.layers for index, owner in variant.owners.items()} == {
        index: owner.layers for index, owner in known.owners.items()
    }
    assert "order, type and shape" in {owner.evidence for owner in variant.owners.values()}
    inner = source.tensor("block1_relu")
    held, known_held = variant.tensor_of(inner), known.tensor_of(inner)
    assert held is not None
    assert known_held is not None
    assert variant.graph.position[held] == known.graph.position[known_held]


def test_a_second_call_takes_the_file_of_the_first(source: Graph, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    first = make_variant(source, DIGITS, "dynamic", tmp_path / "new" / "folder")
    written = Path(first.path).stat().st_mtime_ns
    second = make_variant(source, DIGITS, "dynamic", tmp_path / "new" / "folder")
    assert second.path == first.path
    assert Path(second.path).stat().st_mtime_ns == written
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [Path(first.path).name]


def test_other_calibration_is_another_file(source: Graph, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    samples = list(digits_data()["calibration"])
    paths = {
        make_variant(source, DIGITS, "int8", tmp_path, calibration=given, allow_float32_ops=True).path
        for given in (samples[:2], samples[2:4])
    }
    assert len(paths) == 2


def test_a_file_that_cannot_be_made_leaves_nothing(source: Graph, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    with pytest.raises(QuantizationError):
        make_variant(source, DIGITS, "int8", tmp_path)  # without calibration
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_network_is_refused(source: Graph, tmp_path: Path) -> None:
    graph = extract(source, [0])
    other = tmp_path / "other.tflite"
    extract(source, [13]).save(other)
    with pytest.raises(InvalidModelError, match="same network"):
        load_variant(graph, other, "float32")


def test_precisions_carry_options_of_their_format() -> None:
    assert parse_precision("float32", "tflite") == ("float32", {})
    assert parse_precision("int8;format=qoperator;reduce_range=true", "onnx") == (
        "int8",
        {"format": "qoperator", "reduce_range": True},
    )
    assert parse_precision("int8; method=percentile; percentile=99.9", "onnx")[1]["percentile"] == 99.9


@pytest.mark.parametrize(
    ("text", "model_format", "message"),
    (
        ("int88", "tflite", "Did you mean 'int8'"),
        ("int8;fromat=qdq", "onnx", "Did you mean 'format'"),
        ("int8;format=qdq", "tflite", "has no option 'format'"),
        ("dynamic;format=qdq", "onnx", "belongs to int8"),
        ("int8;format", "onnx", "must be NAME=VALUE"),
    ),
)
def test_unknown_precisions_and_options_are_refused(text: str, model_format: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_precision(text, model_format)
