"""A layer study names columns that die in a precision, which figures of whole tensors do not show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from litedelegates.cli import main
from litedelegates.graph import load
from litedelegates.layers.errors import local_errors
from litedelegates.layers.variants import make_variant
from small_models_quantize import boxes_and_scores


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(boxes_and_scores())
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((512, 8)).astype(np.float32))
    return path


def test_the_record_of_the_layer_that_kills_columns_is_flagged(model: Path, tmp_path: Path) -> None:
    samples = list(np.load(tmp_path / "x.npz")["x"].reshape(8, 64, 8))
    source = load(str(model))
    with pytest.warns(UserWarning, match="dead columns"):
        made = make_variant(source, model, "int8", tmp_path, calibration=samples)
    errors = {error.layer: error for error in local_errors([made], [{"x": x} for x in samples])}
    flagged = [source.ops[layer].type for layer, error in errors.items() if "dead columns" in error.flags]
    assert flagged == ["CONCATENATION"]
    assert errors[4].sqnr_db > errors[0].sqnr_db  # among the least harmful as a whole


def test_the_command_names_the_layer_and_the_remedy(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = "--precisions float32,int8 --delegates none --parts error --calibration x.npz --inputs x.npz --quiet"
    assert main(["layers", model.name, *given.split()]) == 0
    shown = capsys.readouterr().out
    assert "note: columns of layer 4 CONCATENATION y are dead in int8" in shown
    assert "columns 4 to 6 (along axis 1) hold one value" in shown
    assert "--exclude CONCATENATION leaves that op in float32 (int8)" in shown
    line = next(line for line in shown.splitlines() if line.startswith("   4 CONCATENATION"))
    assert line.endswith("dead columns")
