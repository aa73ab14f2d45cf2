"""Times in place: what an engine ran of a whole model, mapped back to the layers of the float32 model."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from digits_model import DIGITS, digits_data
from litedelegates.engines.records import EngineOp, EngineProfile
from litedelegates.errors import OptionError, UnsupportedError
from litedelegates.graph import Graph, extract, load
from litedelegates.layers.in_place import in_place
from litedelegates.layers.placing import place
from litedelegates.layers.records import InPlace, PartTiming, Setting
from litedelegates.layers.variants import Variant, make_variant

FAST = {"runs": 7, "seconds": 0.03}


@pytest.fixture(scope="module")
def source() -> Graph:
    return load(DIGITS)


@pytest.fixture(scope="module")
def float32(source: Graph, tmp_path_factory: pytest.TempPathFactory) -> Variant:
    return make_variant(source, DIGITS, "float32", tmp_path_factory.mktemp("float32"))


def covered(found: InPlace) -> set[int]:
    return {layer for part in found.parts if part.role == "layer" for layer in part.layers}


def layers_of(variant: Variant) -> set[int]:
    return {op.index for op in variant.source.ops if not op.is_fixed}


@pytest.mark.parametrize("delegate", ("xnnpack", "none"))
def test_all_parts_of_the_float32_model_are_mapped(float32: Variant, delegate: str) -> None:
    found = in_place(float32, Setting("float32", delegate), **FAST)
    assert covered(found) == layers_of(float32)
    assert {part.ran for part in found.parts} == {"xnnpack" if delegate == "xnnpack" else "builtin"}
    assert {len(part.samples_us) for part in found.parts} == {7}
    assert "unmapped" not in {part.role for part in found.parts}
    assert found.whole_us is not None
    assert found.whole_low_us is not None
    assert found.whole_high_us is not None
    assert found.whole_low_us <= found.whole_us <= found.whole_high_us
    assert found.profiled_us is not None and found.profiled_us > 0
    assert not found.is_estimate
    assert InPlace.from_json(found.to_json()) == found


@pytest.mark.parametrize("precision", ("float16", "dynamic", "int8", "int16x8", "weight_only"))
@pytest.mark.parametrize("delegate", ("xnnpack", "none"))
def test_all_parts_of_a_quantized_model_are_mapped(
    source: Graph, tmp_path: Path, precision: str, delegate: str
) -> None:
    pytest.importorskip("litert_quantizer")
    samples = list(digits_data()["calibration"][:8])
    variant = make_variant(source, DIGITS, precision, tmp_path, calibration=samples, allow_float32_ops=True)
    found = in_place(variant, Setting(precision, delegate), **FAST)
    assert covered(found) == layers_of(variant)
    assert "unmapped" not in {part.role for part in found.parts}
    if precision in ("int8", "int16x8"):
        assert {0, 14} <= set(found.conversion_us())  # QUANTIZE and DEQUANTIZE
    if precision == "dynamic" and delegate == "xnnpack":
        converted = [part for part in found.parts if part.name.startswith("Convert (NC, F32, QD")]
        assert converted
        assert all(part.role == "conversion" and len(part.layers) == 1 for part in converted)


@pytest.mark.parametrize("name", ("face_detection_short_range", "iris_landmark"))
@pytest.mark.parametrize("delegate", ("xnnpack", "none"))
def test_all_parts_of_real_models_are_mapped(
    real_models: dict[str, Path], tmp_path: Path, name: str, delegate: str
) -> None:
    path = real_models[name]
    variant = make_variant(load(path), path, "float32", tmp_path)
    found = in_place(variant, Setting("float32", delegate), runs=3, seconds=0.03)
    assert "unmapped" not in {part.role for part in found.parts}
    missing = {variant.source.ops[layer].type for layer in layers_of(variant) - covered(found)}
    assert missing <= {"RESHAPE"}  # which need not run


def test_each_time_is_charged_once(float32: Variant) -> None:
    found = in_place(float32, Setting("float32", "xnnpack"), **FAST)
    assert sum(found.layer_us().values()) == pytest.approx(found.total_us)
    assert found.total_us == pytest.approx(sum(map(found.part_us, found.parts)))


def test_a_part_below_a_microsecond_has_a_time_and_a_disturbed_run_does_not_count() -> None:
    short = PartTiming("a", "builtin", "layer", (0,), (0.0, 1.0, 0.0, 0.0, 0.0, 900.0), "operator index")
    rest = PartTiming("b", "builtin", "layer", (1,), (100.0, 100.0, 101.0, 100.0, 100.0, 100.0), "operator index")
    found = InPlace(Setting("float32", "none"), (short, rest))
    assert found.settled_runs == (0, 1, 2, 3, 4)
    assert short.median_us == 0
    assert found.part_us(short) == pytest.approx(0.2)
    assert found.total_us == pytest.approx(0.2 + 100.2)


def test_a_partition_that_does_not_fit_is_unmapped(float32: Variant) -> None:
    indices = tuple(op.index for op in float32.graph.ops)
    ops = [
        EngineOp(name, name, "xnnpack", (1.0,), op_indices=indices, partition=0)
        for name in ("Convolution (NHWC)", "Softmax (NC)")
    ]
    parts = place(float32, EngineProfile(tuple(ops), 1))
    assert [(part.role, part.layers) for part in parts] == [("unmapped", ())] * 2
    assert "do not tell" in parts[0].evidence


def test_a_delegate_that_tells_one_op_computes_all_of_its_partition(float32: Variant) -> None:
    op = EngineOp("VendorDelegate", "VendorDelegate", "external", (5.0,), op_indices=(1, 2, 3), partition=0)
    (part,) = place(float32, EngineProfile((op,), 1))
    assert part.role == "layer"
    assert sorted(part.layers) == [1, 2, 3]
    assert part.layers[0] == 3  # the one with the most weights is charged


def test_what_runs_inside_another_part_is_left_out(float32: Variant) -> None:
    outer = EngineOp("WHILE", "WHILE", "builtin", (5.0,), op_index=1)
    inner = EngineOp("ADD", "ADD", "builtin", (4.0,), op_index=0, subgraph=1)
    assert [part.name for part in place(float32, EngineProfile((outer, inner), 1))] == ["WHILE"]


def test_unknown_delegates_and_runs_are_refused(float32: Variant) -> None:
    with pytest.raises(OptionError, match="xnnpack"):
        in_place(float32, Setting("float32", "xnpack"), **FAST)
    with pytest.raises(ValueError, match="at least one run"):
        in_place(float32, Setting("float32", "none"), runs=0, seconds=0.01)


def test_too_many_prefixes_are_refused_before_anything_is_loaded(float32: Variant) -> None:
    with pytest.raises(
        UnsupportedError, match="14 models on it at once, more than 3: use the times of the layers alone"
    ):
        in_place(float32, Setting("float32", "gpu"), most_prefixes=3)


@pytest.mark.gpu
def test_a_gpu_gives_differences_that_add_up_to_the_whole(source: Graph, tmp_path: Path) -> None:
    path = tmp_path / "end.tflite"
    extract(source, range(11, 15)).save(path)
    variant = make_variant(load(path), path, "float32", tmp_path)
    found = in_place(variant, Setting("float32", "gpu"), **FAST)
    assert found.is_estimate
    assert [part.layers for part in found.parts] == [(0,), (1,), (2,), (3,)]
    assert {part.evidence for part in found.parts} == {"difference of prefixes"}
    assert found.whole_us is not None
    rounds = [sum(samples) for samples in zip(*(part.samples_us for part in found.parts), strict=True)]
    assert statistics.median(rounds) == pytest.approx(found.whole_us)


@pytest.mark.parametrize("precision", ("float32", "int8"))
def test_all_nodes_of_a_real_onnx_model_are_mapped(
    real_onnx_models: dict[str, Path], tmp_path: Path, precision: str
) -> None:
    pytest.importorskip("onnxruntime")
    path = real_onnx_models["ocr_angle"]
    source = load(path)
    image = {"x": np.random.default_rng(0).random((1, 3, 48, 192), np.float32)}
    variant = make_variant(source, path, precision, tmp_path, calibration=[image], allow_float32_ops=True)
    found = in_place(variant, Setting(precision, "cpu"), runs=3, seconds=0.02, inputs=image)
    assert covered(found) == layers_of(variant)
    assert "unmapped" not in {part.role for part in found.parts}
    for layer in layers_of(variant):
        assert extract(variant.graph, variant.group_of(layer)).outputs


@pytest.mark.parametrize("precision", ("float32", "float16", "dynamic", "int8", "int8;format=qoperator"))
def test_the_nodes_of_onnx_runtime_are_mapped_through_its_optimized_graph(tmp_path: Path, precision: str) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    import small_onnx

    for name, model in (("conv", small_onnx.conv_net()), ("twin", small_onnx.digits_twin(DIGITS))):
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path)
        source = load(path)
        shape = tuple(max(size, 1) for size in source.inputs[0].shape or ())
        samples = [image[:, : shape[1], : shape[2], : shape[3]] for image in small_onnx.images(4)]
        variant = make_variant(source, path, precision, tmp_path / name, calibration=samples)
        found = in_place(variant, Setting(precision, "cpu"), runs=3, seconds=0.02)
        roles = Counter(part.role for part in found.parts)
        assert roles["unmapped"] == 0, found.parts
        assert covered(found) == layers_of(variant)
        assert found.profiled_us is not None
        if precision == "float32":  # fused, and in blocks of channels
            assert any(len(part.layers) > 1 for part in found.parts)
            assert any(part.role == "conversion" for part in found.parts)
