"""An input of rank 0 stays one, wherever its samples come from."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'litedelegates[onnx]'")

from litedelegates import Interpreter
from litedelegates.engines import open_session
from litedelegates.graph import load
from litedelegates.layers.samples import load_feeds
from litedelegates.quantize import quantize
from onnx import helper
from small_models_quantize import scalar_input
from small_onnx import make_model

X = np.random.default_rng(0).standard_normal((4, 1, 16)).astype(np.float32)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    np.savez(tmp_path / "samples.npz", x=X, n=np.array([3, 2, 3, 1], np.int32))
    return tmp_path / "samples.npz"


def test_samples_of_a_file_calibrate_a_scalar(samples: Path) -> None:
    made = Interpreter(quantize(scalar_input(), "int8", samples, progress=False))
    assert made.run(X[0], np.array(3, np.int32))[1].tolist() == [0, 1, 2]
    with pytest.raises(Exception, match=r"shape \(1,\); input 'n' takes \(\)"):
        quantize(scalar_input(), "int8", [(X[0], np.array([3], np.int32))], progress=False)


def test_an_onnx_session_keeps_a_scalar() -> None:
    model = make_model([helper.make_node("Mul", ["x", "s"], ["y"])], {}, {"x": [2], "s": []}, {"y": [2]})
    feed = {"x": np.ones(2, np.float32), "s": np.array(3, np.float32)}
    with closing(open_session(model.SerializeToString())) as session:
        session.set_inputs(feed)
        assert session.time_runs(max_runs=1).shape == (1, 3)
        assert session.run(feed)["y"].tolist() == [3, 3]


def test_samples_of_a_layer_study_keep_a_scalar(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(scalar_input())
    found = load_feeds(load(str(path)), str(samples), 2)
    assert [(feed["x"].shape, feed["n"].shape, int(feed["n"])) for feed in found] == [
        ((1, 16), (), 3),
        ((1, 16), (), 2),
    ]
