"""Variants of small ONNX networks in every format that quantizers write."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import small_onnx  # noqa: E402
from litedelegates.engines import open_session  # noqa: E402
from litedelegates.graph import Graph, Tensor, expose, extract, load  # noqa: E402
from litedelegates.layers.variants import Variant, load_variant, make_variant  # noqa: E402
from litedelegates.measure import real_values  # noqa: E402

PRECISIONS = ("float16", "dynamic", "int8", "int8;format=qoperator", "int16x8", "weight_only")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("source") / "conv.onnx"
    onnx.save(small_onnx.conv_net(), target)
    return target


@pytest.fixture(scope="module")
def variants(path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Variant]:
    source, folder = load(path), tmp_path_factory.mktemp("variants")
    return {
        precision: make_variant(source, path, precision, folder, calibration=small_onnx.images(8))
        for precision in PRECISIONS
    }


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_op_is_mapped_and_every_layer_is_computed(variants: dict[str, Variant], precision: str) -> None:
    variant = variants[precision]
    assert not [owner for owner in variant.owners.values() if owner.role == "unmapped"]
    computed = Counter(layer for owner in variant.owners.values() if owner.role == "layer" for layer in owner.layers)
    assert set(computed) == {op.index for op in variant.source.ops}
    if precision != "dynamic":  # which takes an op apart
        assert set(computed.values()) == {1}


def test_a_relu_that_the_range_replaces_belongs_to_the_op_before_it(variants: dict[str, Variant]) -> None:
    for precision in ("int8", "int8;format=qoperator"):
        (own,) = variants[precision].ops_of(1)
        assert variants[precision].owners[own.index].layers == (0, 1)
        source = variants[precision].source
        assert variants[precision].tensor_of(source.tensor("stem/y")) is None
        assert variants[precision].tensor_of(source.tensor("stem/relu/y")) is not None


def test_what_quantizes_while_running_is_a_conversion_of_its_reader(variants: dict[str, Variant]) -> None:
    variant = variants["dynamic"]
    found = {
        variant.graph.ops[index].name: owner.layers
        for index, owner in variant.owners.items()
        if variant.graph.ops[index].type == "DynamicQuantizeLinear"
    }
    assert found["stem/relu/y_QuantizeLinear"] == (2,)
    roles = {variant.graph.ops[index].type: owner.role for index, owner in variant.owners.items()}
    assert roles["Cast"] == "conversion"
    assert roles["ConvInteger"] == roles["Mul"] == "layer"
    assert [op.type for op in variant.group_of(0) if not op.is_fixed] == [
        "DynamicQuantizeLinear",
        "Mul",
        "ConvInteger",
        "Cast",
        "Mul",
        "Add",
    ]


def test_the_group_of_a_qdq_layer_has_a_quantized_border(variants: dict[str, Variant]) -> None:
    variant = variants["int8"]
    for layer in (0, 2, 4, 7):  # 4 adds what another layer reads as well
        part = extract(variant.graph, variant.group_of(layer))
        assert {tensor.element_type for tensor in (*part.inputs, *part.outputs)} == {"uint8"}, layer


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_group_of_each_layer_runs_as_a_model(variants: dict[str, Variant], precision: str) -> None:
    variant = variants[precision]
    for op in variant.source.ops:
        part = extract(variant.graph, variant.group_of(op.index))
        with closing(open_session(part.to_bytes(), num_threads=1)) as session:
            types = {tensor.name: tensor.element_type for tensor in part.inputs}
            feed = {
                info.name: np.ones([max(size, 1) for size in info.shape], types[info.name]) for info in session.inputs
            }
            assert all(values.size for values in session.run(feed).values())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensor_of_holds_the_values_of_the_float32_model(variants: dict[str, Variant], precision: str) -> None:
    variant = variants[precision]
    pairs = {
        tensor: own
        for op in variant.source.ops
        for tensor in op.makes
        if (own := variant.tensor_of(tensor)) is not None
    }
    assert len(pairs) == (8 if precision.startswith("int8") else 11)
    image = small_onnx.images(1)[0]
    true, found = values_of(variant.source, list(pairs), image), values_of(variant.graph, list(pairs.values()), image)
    for tensor, own in pairs.items():
        wanted, got = true[tensor], found[own]
        if precision == "int16x8" and tensor.name == "depthwise/y":  # rounded in the range of its Relu
            wanted, got = np.maximum(wanted, 0), np.maximum(got, 0)
        assert np.sqrt(np.mean((wanted - got) ** 2)) < 0.05 * wanted.std(), tensor.name


def values_of(graph: Graph, tensors: list[Tensor], image: Any) -> dict[Tensor, np.ndarray[Any, Any]]:
    exposed = expose(graph, tensors)
    with closing(open_session(exposed.to_bytes(), same_kernels=True)) as session:
        found = session.run({session.inputs[0].name: image})
    return {tensor: real_values(found[exposed.public_name(tensor)], tensor.quantization) for tensor in tensors}


def test_a_qdq_file_of_another_tool_is_mapped(path: Path, tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Samples(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(small_onnx.images(4))

        def get_next(self) -> Any:
            image = next(self.left, None)
            return None if image is None else {"x": image}

    for name in QuantFormat.__members__:
        target = tmp_path / f"{name}.onnx"
        quantize_static(
            str(path), str(target), Samples(), quant_format=QuantFormat[name], activation_type=QuantType.QUInt8
        )
        variant = load_variant(load(path), target, name)
        assert not [owner for owner in variant.owners.values() if owner.role == "unmapped"]
        computed = {layer for owner in variant.owners.values() if owner.role == "layer" for layer in owner.layers}
        assert computed == {op.index for op in variant.source.ops}
