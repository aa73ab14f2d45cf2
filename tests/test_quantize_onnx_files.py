"""ONNX models as files: their record, equal bytes, and weights beside the file where it would be too large."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'litedelegates[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

import onnx
import small_onnx
from litedelegates.cli import main
from litedelegates.errors import InvalidModelError, QuantizationError
from litedelegates.quantize import quantize, quantize_file, read_record
from onnx import helper

SAMPLES = small_onnx.images(4)
SMALL = 20_000  # stands for the 2 GB that one file can hold


def large_net() -> onnx.ModelProto:
    """Return a model of 64 kB of weights: more than ``SMALL``, also in 8 bits where one is left out."""
    random = np.random.default_rng(0)
    weights = {name: random.normal(size=(64, 64)).astype(np.float32) for name in ("a", "b", "c", "d")}
    tensors = ["x", "1", "2", "3", "y"]
    nodes = [
        helper.make_node("MatMul", [tensors[index], name], [tensors[index + 1]], f"layer{name}")
        for index, name in enumerate(weights)
    ]
    return small_onnx.make_model(nodes, weights, {"x": [1, 64]}, {"y": [1, 64]})


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only", "int8", "int16x8"])
def test_two_processes_produce_the_same_bytes(precision: str, tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    onnx.save(small_onnx.conv_net(), source)
    np.save(tmp_path / "samples.npy", np.concatenate(SAMPLES))
    calibration = f", {str(tmp_path / 'samples.npy')!r}" if precision.startswith("int") else ""
    shapes = ", shapes={'x': (1, 3, 16, 16)}" if precision.startswith("int") else ""
    code = (
        "import hashlib; from litedelegates.quantize import quantize; "
        f"made = quantize({str(source)!r}, {precision!r}{calibration}{shapes}); print(hashlib.sha256(made).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_record_tells_source_recipe_samples_and_versions(tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    onnx.save(small_onnx.conv_net(), source)
    record = quantize_file(source, tmp_path / "small.onnx", "int8", SAMPLES, format="qoperator")
    assert read_record(tmp_path / "small.onnx") == record
    assert read_record(source) is None
    assert record.calibration_samples == 4
    assert record.recipe["format"] == "qoperator"
    assert {"onnx", "onnxruntime"} <= set(record.versions)


def test_the_models_own_metadata_is_kept() -> None:
    model = small_onnx.conv_net()
    model.metadata_props.add(key="labels", value="zero,one")
    model.producer_name = "somebody"
    made = onnx.load_from_string(quantize(model, "int8", SAMPLES))
    assert {entry.key: entry.value for entry in made.metadata_props}["labels"] == "zero,one"
    assert made.producer_name == "somebody"


@pytest.mark.parametrize("precision", ["float16", "dynamic", "weight_only", "int8", "int16x8"])
def test_a_model_too_large_for_one_file_gets_its_weights_beside_it(precision: str, tmp_path: Path) -> None:
    model = large_net()
    samples = [np.random.default_rng(seed).normal(size=(1, 64)).astype(np.float32) for seed in range(4)]
    calibration = samples if precision.startswith("int") else None
    output = tmp_path / "out" / "small.onnx"
    output.parent.mkdir()
    quantize_file(model, output, precision, calibration, only=["layera", "layerb", "layerc"], most_bytes=SMALL)
    assert sorted(path.name for path in output.parent.iterdir()) == ["small.onnx", "small.onnx.data"]
    assert output.stat().st_size < SMALL
    beside = small_onnx.run(output, samples)
    alone = small_onnx.run(quantize(model, precision, calibration, only=["layera", "layerb", "layerc"]), samples)
    assert all(np.array_equal(one, other) for one, other in zip(beside, alone, strict=True))


def test_a_model_too_large_for_one_file_cannot_be_bytes() -> None:
    with pytest.raises(QuantizationError, match=r"holds at most 20000.*quantize_file"):
        quantize(large_net(), "dynamic", only=["layera"], most_bytes=SMALL)


def test_a_source_with_its_weights_beside_it_is_read_and_both_count_in_its_digest(tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    onnx.save_model(large_net(), source, save_as_external_data=True, location="weights", size_threshold=100)
    first = quantize_file(source, tmp_path / "small.onnx", "weight_only")
    weights = bytearray((tmp_path / "weights").read_bytes())
    weights[0] ^= 1
    (tmp_path / "weights").write_bytes(weights)
    second = quantize_file(source, tmp_path / "small.onnx", "weight_only")
    assert first.source_sha256 != second.source_sha256


def test_bytes_whose_weights_lie_beside_a_file_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    onnx.save_model(large_net(), source, save_as_external_data=True, location="weights", size_threshold=100)
    with pytest.raises(InvalidModelError, match="give the path"):
        quantize(source.read_bytes(), "weight_only")


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(QuantizationError):
        quantize_file(quantize(small_onnx.conv_net(), "dynamic"), tmp_path / "small.onnx", "dynamic")
    assert not list(tmp_path.iterdir())


def test_the_command_quantizes_onnx_models_of_a_stated_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "model.onnx", tmp_path / "small.onnx"
    onnx.save(small_onnx.conv_net(), source)
    command = ["quantize", str(source), "int8", "-o", str(output), "--calibration", "random", "--format", "qoperator"]
    assert main([*command, "--shape", "x=1,3,16,16"]) == 0
    assert "QLinearConv" in small_onnx.op_types(output.read_bytes()).values()
    assert "noise" in capsys.readouterr().err
    assert main([*command, "--shape", "x:1"]) != 0
    assert "--shape x:1: write it as INPUT=N,N,..." in capsys.readouterr().err
