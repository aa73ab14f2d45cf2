"""Keras models and SavedModels into each precision by TensorFlow's converter, and what must be refused."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow: `make converters` runs this")

import keras
import tensorflow as tf
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from converter_models import TRAINING, logits_of, plain, train
from digits_model import digits_data, op_codes, run, types_of
from litedelegates import Interpreter
from litedelegates.errors import (
    InvalidModelError,
    MissingExtraError,
    OptionError,
    QuantizationError,
    QuantizationWarning,
)
from litedelegates.quantize import CalibrationError, quantize, quantize_file, read_record
from litedelegates.quantize.keras_process import WorkerSource

PRECISIONS = ("float16", "dynamic", "int8", "int16x8", "weight_only")
STATIC = ("int8", "int16x8")
FORMS = (
    "object",
    "keras",
    "h5",
    "export",
    "saved",
    "tf_keras object",
    "tf_keras keras",
    "tf_keras h5",
    "tf_keras saved",
)


@pytest.fixture(scope="module")
def calibration() -> Any:
    return digits_data()["calibration"]


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    return {"keras": train(plain(keras), 15), "tf_keras": train(plain(tf_keras), 15)}


@pytest.fixture(scope="module")
def forms(networks: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The two networks in every form that can be given."""
    folder = tmp_path_factory.mktemp("forms")
    made: dict[str, Any] = {}
    for name, network in networks.items():
        prefix = "" if name == "keras" else "tf_keras "
        made[f"{prefix}object"] = network
        for ending in ("keras", "h5"):
            made[f"{prefix}{ending}"] = folder / f"{name}.{ending}"
            network.save(made[f"{prefix}{ending}"])
        made[f"{prefix}saved"] = folder / f"{name}_saved"
        tf.saved_model.save(network, str(made[f"{prefix}saved"]))
    made["export"] = folder / "exported"
    networks["keras"].export(str(made["export"]), verbose=False)
    return made


@pytest.fixture(scope="module")
def keras_file(forms: dict[str, Any]) -> Path:
    path: Path = forms["keras"]
    return path


def accuracy(model: bytes) -> float:
    data = digits_data()
    guesses = run(model, data["images"][TRAINING:]).argmax(1)
    return float(np.mean(guesses == data["labels"][TRAINING:]))


# What comes out


@pytest.mark.parametrize("precision", PRECISIONS)
def test_object_becomes_each_precision_and_stays_accurate(
    networks: dict[str, Any], precision: str, calibration: Any
) -> None:
    model = quantize(networks["keras"], precision, calibration if precision in STATIC else None)
    expected = np.mean(logits_of(networks["keras"]).argmax(1) == digits_data()["labels"][TRAINING:])
    assert expected > 0.9
    assert abs(accuracy(model) - expected) <= 0.015
    image = digits_data()["images"][:1]
    np.testing.assert_allclose(Interpreter(model).run(image), run(model, image), atol=0.2)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_model_becomes_int8(forms: dict[str, Any], form: str, calibration: Any) -> None:
    model = quantize(forms[form], "int8", calibration, border="int8")
    assert schema.TensorType.FLOAT32 not in types_of(model)
    assert accuracy(model) > 0.9


@pytest.mark.parametrize(
    ("precision", "border", "type_name"),
    [("int8", "uint8", "UINT8"), ("int8", "int8", "INT8"), ("int16x8", "int16", "INT16")],
)
def test_border_has_the_type_asked_for(
    networks: dict[str, Any], precision: str, border: str, type_name: str, calibration: Any
) -> None:
    model = quantize(networks["keras"], precision, calibration, border=border)
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = tree.subgraphs[0]
    ends = {graph.tensors[index].type for index in [*graph.inputs, *graph.outputs]}
    assert ends == {getattr(schema.TensorType, type_name)}
    assert accuracy(model) > 0.9


def test_plan_mixes_precisions_after_a_conversion_to_float32(networks: dict[str, Any], calibration: Any) -> None:
    model = quantize(networks["keras"], calibration=calibration, plan={"CONV_2D": "int8", "FULLY_CONNECTED": "dynamic"})
    assert schema.BuiltinOperator.DEQUANTIZE in op_codes(model)
    assert accuracy(model) > 0.9
    record = read_record(model)
    assert record is not None
    assert {"int8", "dynamic"} <= set(record.recipe["plan"])


def test_dynamic_says_which_small_layers_stay_float32(networks: dict[str, Any]) -> None:
    record = read_record(quantize(networks["keras"], "dynamic"))
    assert record is not None
    assert len(record.recipe["plan"]["float32"]) == 1  # the first convolution, of 72 weights


def test_values_that_one_range_kills_are_told_with_their_columns() -> None:
    """Boxes of 300 pixels and scores of 0 to 1 have one scale in the int8 output of a Concatenate."""
    keras.utils.set_random_seed(3)
    features = keras.Input((8,), name="features")
    boxes = keras.layers.Dense(4, name="boxes")(features) * 300.0
    scores = keras.layers.Dense(3, activation="sigmoid", name="scores")(features)
    detector = keras.Model(features, keras.layers.Concatenate(name="both")([boxes, scores]))
    samples = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
    for calibration in (samples, [samples[place : place + 1] for place in range(8)]):
        with pytest.warns(QuantizationWarning, match="columns 4 to 6") as told:
            content = quantize(detector, "int8", calibration)
        assert read_record(content).warnings == tuple(str(one.message) for one in told)  # type: ignore[union-attr]
    with warnings.catch_warnings():
        warnings.simplefilter("error", QuantizationWarning)
        quantize(detector, "int8", samples, check_values=False)
        quantize(detector, "float16")


def test_file_is_the_same_each_time_and_says_how_it_was_made(keras_file: Path, calibration: Any) -> None:
    first, second = (quantize(keras_file, "int8", calibration) for _ in range(2))
    assert first == second
    record = read_record(first)
    assert record is not None
    assert record.calibration_samples == len(calibration)
    assert record.versions.keys() & {"tensorflow", "tensorflow-cpu"}


def test_inputs_of_two_names_are_calibrated_each_with_its_own(tmp_path: Path) -> None:
    small, large = keras.Input((4,), name="zeta"), keras.Input((4,), name="alpha")
    joined = keras.layers.Concatenate()([keras.layers.Dense(3)(small), keras.layers.Dense(3)(large)])
    network = keras.Model([small, large], keras.layers.Dense(2)(joined))
    random = np.random.default_rng(0)
    samples = [
        {
            "alpha": random.uniform(0, 100, (1, 4)).astype(np.float32),
            "zeta": random.uniform(0, 1, (1, 4)).astype(np.float32),
        }
        for _ in range(8)
    ]
    network.save(tmp_path / "two.keras")
    for model in (network, tmp_path / "two.keras"):
        content = quantize(model, "int8", samples, border="int8")
        tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        graph = tree.subgraphs[0]
        inputs = [graph.tensors[index] for index in graph.inputs]
        scales = {tensor.name.decode(): float(tensor.quantization.scale[0]) for tensor in inputs}
        assert next(scale for name, scale in scales.items() if "alpha" in name) > 0.3
        assert next(scale for name, scale in scales.items() if "zeta" in name) < 0.005


def test_nothing_reaches_the_terminal(
    networks: dict[str, Any], keras_file: Path, calibration: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    quantize(networks["keras"], "int8", calibration)
    quantize(keras_file, "dynamic")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_memory_of_a_file_is_given_back(keras_file: Path) -> None:
    """The worker's peak is hundreds of MB; the caller, which never loads the model, grows by almost nothing."""
    quantize(keras_file, "float16")

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before = resident_mb()
    quantize(keras_file, "float16")
    assert resident_mb() - before < 30


# What is refused


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (iter(()), "gave no sample"),
        ([np.full((1, 8, 8, 1), np.nan, np.float32)], "holds NaN"),
        ([np.zeros((1, 8, 8, 1), np.float32)] * 3, "constant data"),
        ([np.ones((1, 9, 8, 1), np.float32)], "takes"),
        ([np.ones((8, 8, 1), np.float32)], "add the batch axis"),
        (None, "needs calibration"),
    ],
)
def test_calibration_that_tensorflow_takes_in_silence_is_refused(
    networks: dict[str, Any], keras_file: Path, samples: Any, reason: str
) -> None:
    given = list(samples) if samples is not None else None
    for model in (networks["keras"], keras_file):
        with pytest.raises(CalibrationError, match=reason):
            quantize(model, "int8", given)


def test_damaged_files_are_refused_with_their_name(keras_file: Path, tmp_path: Path) -> None:
    content = keras_file.read_bytes()
    (tmp_path / "half.keras").write_bytes(content[: len(content) // 2])
    middle = len(content) // 2
    (tmp_path / "holed.keras").write_bytes(content[:middle] + bytes(2000) + content[middle + 2000 :])
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    for name in ("half", "holed", "empty"):
        with pytest.raises(InvalidModelError, match=f"{name}.keras"):
            quantize(tmp_path / f"{name}.keras", "dynamic")


def test_damaged_saved_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01 not a SavedModel")
    with pytest.raises(InvalidModelError, match="cannot load the SavedModel"):
        quantize(tmp_path, "dynamic")


def test_class_that_keras_does_not_know_is_named(tmp_path: Path) -> None:
    class Doubling(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    image = keras.Input((4,))
    keras.Model(image, keras.layers.Dense(2)(Doubling()(image))).save(tmp_path / "custom.keras")
    with pytest.raises(InvalidModelError, match="Doubling"):
        quantize(tmp_path / "custom.keras", "dynamic")


def test_border_and_method_that_the_converter_lacks_are_refused(networks: dict[str, Any], calibration: Any) -> None:
    with pytest.raises(OptionError, match="int16"):
        quantize(networks["keras"], "int8", calibration, border="int16")
    with pytest.raises(OptionError, match="'minmax' only"):
        quantize(networks["keras"], "int8", calibration, method="entropy")


def test_op_that_int8_lacks_is_named(calibration: Any) -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3)(image)
    network = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(keras.ops.sin(x))))
    with pytest.raises(QuantizationError, match=r"(?i)sin"):
        quantize(network, "int8", calibration)
    model = quantize(network, "int8", calibration, allow_float32_ops=True)
    assert schema.BuiltinOperator.SIN in op_codes(model)


def test_failure_leaves_no_file(keras_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError):
        quantize_file(keras_file, tmp_path / "out.tflite", "int8", [])
    assert list(tmp_path.iterdir()) == []


# The other environment


def test_python_of_another_environment_does_the_work(
    keras_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that has TensorFlow and not litedelegates: this one, without its own path to the package."""
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec "{sys.executable}" -s "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv("LITEDELEGATES_TENSORFLOW_PYTHON", str(other))
    assert accuracy(quantize(keras_file, "float16")) > 0.9
    assert (tmp_path / "used").exists()


def test_python_without_tensorflow_is_told_what_to_install(
    keras_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITEDELEGATES_TENSORFLOW_PYTHON", str(tmp_path / "missing"))
    with pytest.raises(MissingExtraError, match="LITEDELEGATES_TENSORFLOW_PYTHON"):
        quantize(keras_file, "float16")


@pytest.mark.parametrize("is_dead_before", [False, True])
def test_death_of_the_converting_process_is_an_exception_here(
    keras_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_dead_before: bool
) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho out of luck >&2\nkill -SEGV $$\n")
    other.chmod(0o755)
    monkeypatch.setenv("LITEDELEGATES_TENSORFLOW_PYTHON", str(other))
    if is_dead_before:  # then the pipe breaks while it is written to, and once more when it is closed
        start = WorkerSource._start
        monkeypatch.setattr(WorkerSource, "_start", lambda self: _wait(start(self)))
    with pytest.raises(QuantizationError, match=r"(?s)SIGSEGV.*out of luck"):
        quantize(keras_file, "float16")


def _wait(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    process.wait()
    return process
