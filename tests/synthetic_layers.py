"""Layer studies written by a script through the store: known times, bytes and errors, without running a model."""

from __future__ import annotations

from pathlib import Path

from litedelegates.layers import LayersConfig
from litedelegates.layers.records import (
    Alone,
    InPlace,
    LayerError,
    LayerInfo,
    PartTiming,
    Record,
    Setting,
    VariantInfo,
)
from litedelegates.layers.store import LayerStore
from litedelegates.study import Store

MODEL = Path(__file__).parent.parent / "models" / "digits.tflite"
FLOAT, INT = Setting("float32", "xnnpack"), Setting("int8", "xnnpack")
SIZES = {"float32": 8192, "float16": 4096, "int8": 2048}
LAYERS = (
    LayerInfo(0, "CONV_2D", "stem", "stem", (1, 16, 16, 8), SIZES, SIZES),
    LayerInfo(1, "RELU", "stem_relu", "stem_relu", (1, 16, 16, 8), SIZES, {n: 2 * v for n, v in SIZES.items()}),
    LayerInfo(2, "WHILE", "loop", "loop", None, {"float32": None}, {}, "'loop' is a resource"),
    LayerInfo(3, "FULLY_CONNECTED", "logits", "logits", (1, 10), {"float32": 40, "float16": 20, "int8": 10}),
)
RECORDS: tuple[Record, ...] = (
    *LAYERS,
    VariantInfo("int8", "ab" * 32, 900, {0: 2048, 1: 2048, 2: None, 3: 40}, {0: 2048, 1: 4096}, "made for a test"),
    InPlace(
        FLOAT,
        (
            PartTiming("Convolution (NHWC, F32)", "xnnpack", "layer", (0, 1), (40.0, 41.0, 42.0), "operator index"),
            PartTiming("WHILE", "builtin", "layer", (2,), (5.0, 5.0, 5.0), "operator index"),
            PartTiming("Fully Connected", "xnnpack", "layer", (3,), (10.0, 10.0, 10.0), "operator index"),
        ),
        whole_us=60.0,
        whole_low_us=59.0,
        whole_high_us=61.0,
    ),
    InPlace(
        INT,
        (
            PartTiming("Convert", "xnnpack", "conversion", (0,), (2.0, 2.0, 2.0), "operator index"),
            PartTiming("Convolution (NHWC, QS8)", "xnnpack", "layer", (0, 1), (8.0, 8.0, 8.0), "operator index"),
            PartTiming("WHILE", "builtin", "layer", (2,), (5.0, 5.0, 5.0), "operator index"),
            PartTiming("Fully Connected", "xnnpack", "layer", (3,), (4.0, 5.0, 6.0), "operator index"),
            PartTiming("Copy", "xnnpack", "unmapped", (), (1.0, 1.0, 1.0), "nothing"),
        ),
        whole_us=22.0,
    ),
    InPlace(Setting("int8", "gpu"), refusal="no GPU was found"),
    Alone(0, FLOAT, 50.0, 49.0, 51.0, samples=100, ran="xnnpack 1"),
    Alone(0, INT, 10.0, 9.5, 10.5, 5.0, 4.8, 5.2, "faster", 100, "xnnpack 1"),
    Alone(2, FLOAT, refusal="op 2 cannot be taken out"),
    Alone(3, FLOAT, 12.0, 11.0, 13.0, samples=100, ran="xnnpack 1"),
    Alone(3, INT, 12.5, 12.0, 13.0, 0.96, 0.9, 1.02, "no difference shown", 100, "xnnpack 1"),
    LayerError(0, "int8", "local", "none", 8, 16384, 0.01, 0.29, 38.0, 0.9999, 0.05, 0.001),
    LayerError(1, "int8", "local", "none", 8, 16384, 0.0, 0.0, float("inf"), 1.0, 0.0),
    LayerError(2, "int8", "local", "none", refusal="a loop has no counterpart"),
    LayerError(3, "int8", "local", "none", 8, 80, 0.3, 0.31, 21.0, 0.99, 0.9, flags=("constant",)),
    LayerError(3, "int8", "propagated", "none", 8, 80, 0.5, 0.5, 17.0, 0.98, 1.1),
    LayerError(0, "int8", "output", "none", 8, 80, 0.1, 0.1, 31.0, 0.999, 0.2, accuracy=0.975, agreement=1.0),
    LayerError(0, "int8", "delegate", "xnnpack", 8, 16384, 0.001, 0.02, 60.0, 1.0, 0.002),
)


def write_layer_study(path: Path) -> str:
    """Write the study to a store and return its key."""
    config = LayersConfig(str(MODEL), ("float32", "int8"), ("xnnpack", "gpu"))
    with Store.create(path, {"layers": config.to_json()}) as store:
        session = store.add_session({"cores": 2}, {"numpy": "2"}, ["litedelegates", "layers", "digits.tflite"]).index
        layers = LayerStore(store)
        layers.begin(config.key, config.to_json())
        for record in RECORDS:
            layers.add(config.key, record, session, 0.25)
        store.end_session(session, "finished")
    return config.key
