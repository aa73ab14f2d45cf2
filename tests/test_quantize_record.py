"""The record in every produced file: where it came from, and that the same work gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from digits_model import DIGITS, digits_data, edit, run, without_record
from litedelegates.errors import InvalidModelError, OptionError
from litedelegates.graph import cut
from litedelegates.quantize import PRECISIONS, Record, quantize, quantize_file, read_record
from litedelegates.quantize.dispatch import kind_of
from litedelegates.quantize.provenance import digest_source

STATIC = ("int8", "int16x8")


def record_of(model: Any) -> Record:
    record = read_record(model)
    assert record is not None
    return record


@pytest.mark.parametrize("precision", PRECISIONS)
def test_producing_twice_gives_the_same_bytes(precision: str) -> None:
    calibration = digits_data()["calibration"][:8] if precision in STATIC else None
    assert quantize(DIGITS, precision, calibration) == quantize(DIGITS, precision, calibration, num_threads=1)


def test_record_names_source_recipe_calibration_and_versions(tmp_path: Path) -> None:
    target = tmp_path / "small.tflite"
    returned = quantize_file(
        DIGITS, target, "int8", digits_data()["calibration"][:8], exclude=["logits"], border="int8"
    )
    record = record_of(target)
    assert record == returned
    assert record.source_sha256 == hashlib.sha256(DIGITS.read_bytes()).hexdigest()
    assert record.recipe["plan"] == {"int8": list(range(14)), "float32": [14]}
    assert (record.recipe["precision"], record.recipe["border"], record.recipe["method"]) == ("int8", "int8", "minmax")
    assert record.calibration_samples == 8 and len(record.calibration_sha256 or "") == 64
    assert record.versions["litert-quantizer"] == metadata.version("litert-quantizer")
    assert json.loads(record.to_json())["schema"] == 1


def test_path_and_bytes_of_a_model_leave_the_same_record() -> None:
    assert record_of(quantize(DIGITS, "dynamic")) == record_of(quantize(DIGITS.read_bytes(), "dynamic"))


def test_other_calibration_leaves_another_digest() -> None:
    samples = digits_data()["calibration"]
    digests = {
        record_of(quantize(DIGITS, "int8", chosen)).calibration_sha256
        for chosen in (samples[:4], samples[1:5], samples[:5], samples[3::-1])
    }
    assert len(digests) == 4


def test_model_without_calibration_records_none() -> None:
    record = record_of(quantize(DIGITS, "float16"))
    assert record.calibration_sha256 is None and record.calibration_samples == 0


def test_model_nobody_quantized_carries_no_record() -> None:
    assert read_record(DIGITS) is None
    assert read_record(without_record(quantize(DIGITS, "dynamic"))) is None


def test_record_changes_nothing_in_what_the_model_computes() -> None:
    model, images = quantize(DIGITS, "dynamic"), digits_data()["images"][:20]
    np.testing.assert_array_equal(run(model, images), run(without_record(model), images))


def test_damaged_record_is_refused() -> None:
    def damage(tree: Any) -> None:
        entry = next(entry for entry in tree.metadata if entry.name == b"litedelegates.recipe")
        tree.buffers[entry.buffer].data = tree.buffers[entry.buffer].data[:-5]

    with pytest.raises(InvalidModelError, match=r"record 'litedelegates\.recipe' in the model cannot be read"):
        read_record(edit(quantize(DIGITS, "dynamic"), damage))


def test_digest_of_a_folder_covers_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "index").write_bytes(b"1")
    first = digest_source(tmp_path)
    (tmp_path / "variables" / "index").write_bytes(b"2")
    second = digest_source(tmp_path)
    (tmp_path / "variables" / "index").rename(tmp_path / "variables" / "renamed")
    assert len({first, second, digest_source(tmp_path)}) == 3


def test_kind_of_model_is_told_by_content_before_its_name(tmp_path: Path) -> None:
    (tmp_path / "misnamed.onnx").write_bytes(DIGITS.read_bytes())
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x12\x04")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    kinds = {
        name: kind_of(tmp_path / name) for name in ("misnamed.onnx", "weights.h5", "model.keras", "model.onnx", "saved")
    }
    assert kinds == {
        "misnamed.onnx": "litert",
        "weights.h5": "keras",
        "model.keras": "keras",
        "model.onnx": "onnx",
        "saved": "keras",
    }


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelError, match=r"folder without saved_model\.pb"):
        quantize(tmp_path, "dynamic")
    with pytest.raises(InvalidModelError, match="a dict is not a model: give a path"):
        quantize({}, "dynamic")
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04")
    with pytest.raises(OptionError, match="a Keras model carries no record"):
        read_record(tmp_path / "model.keras")


def test_a_part_carries_the_record_of_the_whole() -> None:
    whole = quantize(DIGITS, "dynamic")
    first, second = cut(whole, at=5)
    assert read_record(first) == read_record(second.to_bytes()) == read_record(whole) is not None
