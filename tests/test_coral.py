"""PyCoral's names, argument orders and defaults, and that a script of its kind runs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import litedelegates.coral as pycoral
import numpy as np
import pytest
import small_models
from litedelegates.coral.adapters import classify, common, detect, segment
from litedelegates.coral.learn.backprop.softmax_regression import SoftmaxRegression
from litedelegates.coral.learn.imprinting.engine import ImprintingEngine
from litedelegates.coral.pipeline.pipelined_model_runner import PipelinedModelRunner
from litedelegates.coral.utils import dataset, edgetpu

INF = float("inf")
API: list[tuple[Any, dict[str, Any]]] = [
    (edgetpu.list_edge_tpus, {}),
    (edgetpu.get_runtime_version, {}),
    (edgetpu.set_verbosity, {"verbosity": ...}),
    (edgetpu.load_edgetpu_delegate, {"options": None}),
    (edgetpu.make_interpreter, {"model_path_or_content": ..., "device": None, "delegate": None}),
    (edgetpu.run_inference, {"interpreter": ..., "input_data": ...}),
    (edgetpu.invoke_with_bytes, {"interpreter_handle": ..., "input_data": ...}),
    (edgetpu.invoke_with_membuffer, {"interpreter_handle": ..., "buffer": ..., "size": ...}),
    (edgetpu.invoke_with_dmabuffer, {"interpreter_handle": ..., "dma_fd": ..., "size": ...}),
    (edgetpu.supports_dmabuf, {"interpreter_handle": ...}),
    (dataset.read_label_file, {"file_path": ...}),
    (common.output_tensor, {"interpreter": ..., "i": ...}),
    (common.input_details, {"interpreter": ..., "key": ...}),
    (common.input_size, {"interpreter": ...}),
    (common.input_tensor, {"interpreter": ...}),
    (common.set_input, {"interpreter": ..., "data": ...}),
    (common.set_resized_input, {"interpreter": ..., "size": ..., "resize": ...}),
    (classify.num_classes, {"interpreter": ...}),
    (classify.get_scores, {"interpreter": ...}),
    (classify.get_classes_from_scores, {"scores": ..., "top_k": INF, "score_threshold": -INF}),
    (classify.get_classes, {"interpreter": ..., "top_k": INF, "score_threshold": -INF}),
    (detect.get_objects, {"interpreter": ..., "score_threshold": -INF, "image_scale": (1.0, 1.0)}),
    (segment.get_output, {"interpreter": ...}),
    (PipelinedModelRunner, {"interpreters": ...}),
    (PipelinedModelRunner.set_input_queue_size, {"self": ..., "size": ...}),
    (PipelinedModelRunner.set_output_queue_size, {"self": ..., "size": ...}),
    (PipelinedModelRunner.push, {"self": ..., "input_tensors": ...}),
    (PipelinedModelRunner.pop, {"self": ...}),
    (PipelinedModelRunner.interpreters, {"self": ...}),
    (ImprintingEngine, {"model_path": ..., "keep_classes": False}),
    (ImprintingEngine.train, {"self": ..., "embedding": ..., "class_id": ...}),
    (ImprintingEngine.serialize_extractor_model, {"self": ...}),
    (ImprintingEngine.serialize_model, {"self": ...}),
    (SoftmaxRegression, {"feature_dim": None, "num_classes": None, "weight_scale": 0.01, "reg": 0.0}),
    (
        SoftmaxRegression.train_with_sgd,
        {"self": ..., "data": ..., "num_iter": ..., "learning_rate": ..., "batch_size": 100, "print_every": 100},
    ),
    (SoftmaxRegression.get_accuracy, {"self": ..., "mat_x": ..., "labels": ...}),
    (SoftmaxRegression.serialize_model, {"self": ..., "in_model_path": ...}),
]


@pytest.mark.parametrize(("function", "arguments"), API, ids=lambda value: getattr(value, "__qualname__", ""))
def test_names_orders_and_defaults_are_those_of_pycoral(function: Any, arguments: dict[str, Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    own = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
    assert own <= {"seed"}
    given = {
        one.name: ... if one.default is one.empty else one.default for one in parameters if one.kind != one.KEYWORD_ONLY
    }
    assert list(given.items()) == list(arguments.items())


def test_records_have_the_fields_of_pycoral() -> None:
    assert classify.Class._fields == ("id", "score")
    assert detect.Object._fields == ("id", "score", "bbox")
    assert detect.BBox._fields == ("xmin", "ymin", "xmax", "ymax")


def test_modules_are_reached_from_the_package() -> None:
    assert pycoral.utils.edgetpu is edgetpu and pycoral.utils.dataset is dataset
    assert pycoral.adapters.common is common and pycoral.adapters.detect is detect
    assert pycoral.pipeline.pipelined_model_runner.PipelinedModelRunner is PipelinedModelRunner
    assert pycoral.learn.imprinting.engine.ImprintingEngine is ImprintingEngine
    assert pycoral.learn.backprop.softmax_regression.SoftmaxRegression is SoftmaxRegression


def test_a_classification_script_runs_after_changing_the_import(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(small_models.classifier_int8())
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n3 bird\n")
    interpreter = edgetpu.make_interpreter(str(tmp_path / "model.tflite"))
    labels = dataset.read_label_file(tmp_path / "labels.txt")
    interpreter.allocate_tensors()
    common.set_input(interpreter, np.zeros((10, 20, 3), np.uint8))
    interpreter.invoke()
    found = classify.get_classes(interpreter, top_k=2, score_threshold=0.5)
    assert [(labels[one.id], one.score) for one in found] == [("dog", 255 / 256), ("bird", 255 / 256)]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0:cat\n2 : black dog\n", {0: "cat", 2: "black dog"}),
        ("0 cat\n10  a  b \n", {0: "cat", 10: "a  b"}),
        ("cat\nblack dog\n3D printer\n", {0: "cat", 1: "black dog", 2: "3D printer"}),
        ("1\tKatze \u2028\u00fc\r\n", {1: "Katze \u2028\u00fc"}),
        ("", {}),
    ],
)
def test_label_files_are_read_in_each_form(tmp_path: Path, text: str, labels: dict[int, str]) -> None:
    (tmp_path / "labels.txt").write_bytes(text.encode())
    assert dataset.read_label_file(str(tmp_path / "labels.txt")) == labels


def test_the_import_loads_no_runtime_and_no_model_editor() -> None:
    code = "import sys, litedelegates.coral; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"ai_edge_litert", "flatbuffers", "litert_quantizer"} & set(loaded)
