"""Layer studies from end to end: what is measured, widened, resumed after a kill, and refused."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_model import DIGITS, digits_data
from litedelegates import OptionError
from litedelegates.graph import load
from litedelegates.layers import LayerProgress, LayersConfig, LayerStudy, Setting, study_layers
from litedelegates.layers.infos import choose_layers, layer_infos
from litedelegates.layers.progress import Pace
from litedelegates.layers.samples import SamplesError, load_feeds, load_labels
from litedelegates.study import Store, StoreError

PARENT = Path(__file__).with_name("layers_parent.py")
QUICK: dict[str, Any] = {"seconds": 0.02, "runs": 3, "samples": 2}
CONV, DENSE = 1, 13


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "study.sqlite"


def rows(store: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """Return the session and the text of each record, by kind and key."""
    connection = sqlite3.connect(store)
    try:
        found = connection.execute("SELECT kind, key, session, record FROM layer_record WHERE kind != 'variant'")
        return {(kind, key): (session, record) for kind, key, session, record in found}
    finally:
        connection.close()


def test_digits_in_two_precisions_on_two_delegates(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    data, seen = digits_data(), list[LayerProgress]()
    np.save(tmp_path / "images.npy", data["images"][:6])
    np.save(tmp_path / "labels.npy", data["labels"][:6])
    np.save(tmp_path / "calibration.npy", data["calibration"])
    config = LayersConfig(
        str(DIGITS),
        ("int8",),
        layers=(str(CONV), "FULLY_CONNECTED"),
        inputs=str(tmp_path / "images.npy"),
        labels=str(tmp_path / "labels.npy"),
        calibration=str(tmp_path / "calibration.npy"),
        seconds=0.02,
        runs=3,
        samples=6,
    )
    study = study_layers(config, store, progress=seen.append)

    settings = [Setting(p, d) for d in ("none", "xnnpack") for p in ("float32", "int8")]
    assert [record.setting for record in study.in_place] == settings
    assert len(study.layers) == 15 and study.layers[CONV].type == "CONV_2D"
    for record in study.in_place:
        assert record.refusal is None and record.whole_us and record.whole_us > 1
        mapped = {layer for part in record.parts for layer in part.layers}
        assert mapped == set(range(15)), record.setting.label
    assert {(record.layer, record.setting) for record in study.alone} == {
        (layer, setting) for layer in (CONV, DENSE, 14) for setting in settings
    }
    assert all(record.refusal is None and record.median_us for record in study.alone)
    kinds = {(error.layer, error.precision, error.kind, error.delegate) for error in study.errors}
    used = {"local": "none", "propagated": "none", "output": "xnnpack"}
    reference = {(i, "int8", kind, used[kind]) for i in (CONV, DENSE, 14) for kind in used}
    delegate = {(i, p, "delegate", "xnnpack") for i in (CONV, DENSE, 14) for p in ("float32", "int8")}
    assert kinds == reference | delegate
    local, output = study.error_of(CONV, "int8", "local"), study.error_of(CONV, "int8", "output")
    assert local is not None and local.sqnr_db is not None and 20 < local.sqnr_db < 70 and local.samples == 6
    assert output is not None and output.accuracy == 1.0 and output.agreement == 1.0
    held = {info.precision: info for info in study.variants}
    assert held["int8"].nbytes[CONV] == study.layers[CONV].nbytes["int8"] and held["int8"].note == ""
    assert held["float32"].cut_nbytes[CONV] == study.layers[CONV].cut_nbytes["float32"]

    assert (seen[-1].done, seen[-1].doing) == (seen[-1].total, "done") and seen[-1].remaining_s == 0
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert seen[0].remaining_s is None and any(p.remaining_s and not p.is_rough for p in seen)
    assert Path(study.model) == DIGITS and (store.with_name("study.sqlite.models")).is_dir()


def test_float32_alone_needs_no_quantizer_and_a_rerun_measures_nothing(store: Path) -> None:
    config = LayersConfig(str(DIGITS), ("float32",), ("none",), layers=("0-2",), calibration="random", **QUICK)
    first = study_layers(config, store)
    assert [record.layer for record in first.alone] == [0, 1, 2] and first.errors == ()
    before, seen = rows(store), list[LayerProgress]()
    again = study_layers(config, store, progress=seen.append)
    assert rows(store) == before and [(p.done, p.total, p.doing) for p in seen] == [(4, 4, "done")]
    assert again.to_json() == first.to_json()
    with Store.open(store) as opened:
        assert [session.how for session in opened.sessions()] == ["finished", "finished"]


def test_more_delegates_and_layers_widen_a_study(store: Path) -> None:
    narrow = LayersConfig(str(DIGITS), ("float32",), ("none",), parts=("alone",), layers=("1",), **QUICK)
    wide = LayersConfig(str(DIGITS), ("float32",), ("none", "xnnpack"), parts=("alone",), layers=("1", "8"), **QUICK)
    study_layers(narrow, store)
    before = rows(store)
    study = study_layers(wide, store)
    assert narrow.key == wide.key == study.key and study.config["delegates"] == ["none", "xnnpack"]
    assert {(r.layer, r.setting.delegate) for r in study.alone} == {(i, d) for i in (1, 8) for d in ("none", "xnnpack")}
    assert {key: rows(store)[key] for key in before} == before


def test_a_killed_study_loses_no_record_and_measures_none_twice(store: Path) -> None:
    pytest.importorskip("litert_quantizer")
    command = [sys.executable, str(PARENT), str(store), str(DIGITS), "dynamic"]
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for stop_at in (3, 15, 40):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            said = next(done for line in program.stdout if (done := int(line.split("/")[0])) >= stop_at)
            program.send_signal(signal.SIGKILL)
            assert program.wait() == -signal.SIGKILL
        before, found = found, rows(store)
        assert {key: found[key] for key in before} == before
        assert sum(kind != "layer" for kind, _ in found) >= said
    config = LayersConfig(str(DIGITS), ("float32", "dynamic"), ("none", "xnnpack"), layers=("0-5",), **QUICK)
    seen: list[LayerProgress] = []
    study = study_layers(config, store, progress=seen.append)
    after = rows(store)
    assert {key: after[key] for key in found} == found
    assert len(study.in_place) == 4 and len(study.alone) == 4 * 6 and seen[0].done == len(found) - 15
    assert seen[0].remaining_s is not None  # by the times of the calls before
    with Store.open(store) as opened:
        assert [session.how for session in opened.sessions()] == [None, None, None, "finished"]


def test_a_file_given_as_a_variant_is_studied_and_may_not_change(store: Path, tmp_path: Path) -> None:
    from litedelegates.quantize import quantize_file

    pytest.importorskip("litert_quantizer")
    own = tmp_path / "own.tflite"
    quantize_file(str(DIGITS), own, "dynamic")
    given: dict[str, Any] = {"variants": {"mine": str(own)}, "layers": (str(CONV),), **QUICK}
    config = LayersConfig(str(DIGITS), ("float32",), ("xnnpack",), parts=("alone", "error"), **given)
    study = study_layers(config, store)
    alone = study.alone_of(CONV, Setting("mine", "xnnpack"))
    assert alone is not None and alone.speed_up is not None
    local = study.error_of(CONV, "mine", "local")
    assert local is not None and local.refusal is None
    quantize_file(str(DIGITS), own, "float16")
    with pytest.raises(StoreError, match="mine is another file than when"):
        study_layers(LayersConfig(str(DIGITS), ("float32",), ("none",), **given), store)
    with pytest.raises(OptionError, match="give the file another name"):
        LayersConfig(str(DIGITS), variants={"int8": str(own)})


def test_what_cannot_be_made_is_a_refusal_that_retry_tries_again(store: Path, tmp_path: Path) -> None:
    missing = tmp_path / "later.tflite"
    missing.write_bytes(DIGITS.read_bytes()[:1000])
    config = LayersConfig(
        str(DIGITS), ("float32",), ("none",), parts=("in_place",), variants={"later": str(missing)}, **QUICK
    )
    study = study_layers(config, store)
    refused = {info.precision: info.refusal for info in study.variants}
    assert refused["float32"] is None and refused["later"]
    assert [record.setting.precision for record in study.in_place] == ["float32"]
    missing.write_bytes(DIGITS.read_bytes())
    assert study_layers(config, store).to_json() == study.to_json()
    study = study_layers(config, store, retry=True)
    assert [record.setting.precision for record in study.in_place] == ["float32", "later"]
    assert all(info.refusal is None for info in study.variants)


def test_an_onnx_model_is_studied_by_the_same_code(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from small_onnx import conv_net

    model = tmp_path / "net.onnx"
    model.write_bytes(conv_net().SerializeToString())
    precisions = ("float32", "int8", "int8;format=qoperator")
    study = study_layers(LayersConfig(str(model), precisions, shapes={"x": (1, 3, 16, 16)}, **QUICK), store)
    settings = [Setting(precision, "cpu") for precision in precisions]
    assert [record.setting for record in study.in_place] == settings
    assert all(record.refusal is None and record.whole_us for record in study.in_place)
    convolutions = [layer.index for layer in study.layers if layer.type == "Conv"]
    assert convolutions
    for layer in convolutions:
        times = [study.alone_of(layer, setting) for setting in settings]
        assert all(record is not None and record.median_us for record in times)
    # Quantized, a convolution and the Relu behind it are one, and only the output of both is there to look at.
    assert all(error.refusal is None or "together" in error.refusal for error in study.errors)
    for precision in precisions[1:]:
        for kind in ("local", "propagated", "output"):
            worst = study.worst_error(1, kind, precision)
            assert worst and worst[0].sqnr_db is not None and worst[0].sqnr_db > 5
    assert {error.delegate for error in study.errors if error.kind == "delegate"} == {"cpu"}


def test_kinds_of_errors_can_be_left_out_and_added_later(store: Path) -> None:
    pytest.importorskip("litert_quantizer")
    asked: dict[str, Any] = {"layers": (str(CONV),), "parts": ("error",), "delegates": ("none",), **QUICK}
    study = study_layers(LayersConfig(str(DIGITS), ("float16",), errors=("local", "propagated"), **asked), store)
    assert {error.kind for error in study.errors} == {"local", "propagated"}
    study = study_layers(LayersConfig(str(DIGITS), ("float16",), errors=("output",), **asked), store)
    assert {error.kind for error in study.errors} == {"local", "propagated", "output"}
    with pytest.raises(OptionError, match="there is no error kind 'locl'"):
        LayersConfig(str(DIGITS), errors=("locl",))


def test_open_shapes_can_be_given(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from small_onnx_models import skips

    model = tmp_path / "skips.onnx"
    model.write_bytes(skips("N").SerializeToString())
    config = LayersConfig(str(model), ("float32",), parts=("alone",), shapes={"x": (5, 3, 8, 8)}, **QUICK)
    study = study_layers(config, store)
    assert config.delegates == ("cpu",) and study.layers[0].shape is not None and study.layers[0].shape[0] == 5
    assert all(record.median_us for record in study.alone) and len(study.alone) == len(study.layers)
    assert LayersConfig(str(model), ("float32",), parts=("alone",), **QUICK).key != config.key


def test_layers_know_their_bytes_and_those_of_the_cut_after_them() -> None:
    graph = load(DIGITS)
    infos = layer_infos(graph)
    assert [info.index for info in infos] == list(range(15))
    for info, cut in zip(infos, graph.cuts, strict=False):
        assert info.cut_nbytes == {"float32": cut.nbytes, "float16": cut.float16_nbytes, "int8": cut.int8_nbytes}
    assert infos[CONV].shape == (1, 16, 16, 32) and infos[CONV].nbytes["float32"] == 4 * 16 * 16 * 32
    assert infos[2].cut_nbytes["int8"] == 2 * 16 * 16 * 32  # the skip connection travels as well
    assert infos[-1].cut_nbytes == {} and infos[-1].refusal is None


def test_layers_are_chosen_by_index_range_type_and_name() -> None:
    graph = load(DIGITS)
    assert choose_layers(graph) == tuple(range(15))
    assert choose_layers(graph, ("3", "10-11", "add", "block2_conv*")) == (3, 4, 5, 6, 7, 10, 11)
    with pytest.raises(OptionError, match=r"layers='CONV2D' means none of the 15 layers.*Did you mean 'CONV_2D'"):
        choose_layers(graph, ("CONV2D",))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"precisions": ("int9",)}, "no precision 'int9'. Did you mean 'int8'"),
        ({"parts": ("errors",)}, "no part 'errors'. Did you mean 'error'"),
        ({"delegates": ("xnpack",)}, "xnnpack"),
        ({"delegates": "none"}, "must be a list"),
        ({"threads": (0,)}, "threads=0"),
        ({"seconds": 0}, "a finite number above 0"),
        ({"labels": "labels.npy"}, "no inputs that they belong to"),
    ],
)
def test_a_wrong_configuration_names_what_is_right(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        LayersConfig(str(DIGITS), **fields)


def test_samples_have_the_batch_axis_and_fit_the_inputs(tmp_path: Path) -> None:
    graph, data = load(DIGITS), digits_data()
    random = load_feeds(graph, None, 3, seed=4)
    assert len(random) == 3 and random[0]["image"].shape == (1, 8, 8, 1)
    assert not np.array_equal(random[0]["image"], random[1]["image"])
    for stack in (data["images"][:5], data["images"][:5, np.newaxis], data["images"][:5].astype(np.float64)):
        np.savez(tmp_path / "images.npz", image=stack)
        feeds = load_feeds(graph, str(tmp_path / "images.npz"), 4)
        assert len(feeds) == 4 and feeds[2]["image"].dtype == np.float32
        assert np.array_equal(feeds[2]["image"][0], data["images"][2])
    np.save(tmp_path / "labels.npy", data["labels"])
    assert load_labels(str(tmp_path / "labels.npy"), feeds) == data["labels"][:4].tolist()
    np.save(tmp_path / "labels.npy", data["labels"][:3])
    with pytest.raises(SamplesError, match="holds 3 labels; there are 4 samples"):
        load_labels(str(tmp_path / "labels.npy"), feeds)
    np.save(tmp_path / "bytes.npy", (data["images"] * 16).astype(np.uint8))
    with pytest.raises(SamplesError, match="a sample is uint8; input 'image' takes"):
        load_feeds(graph, str(tmp_path / "bytes.npy"), 4)
    np.save(tmp_path / "small.npy", data["images"][:, :4])
    with pytest.raises(SamplesError, match=r"shape \(1, 4, 8, 1\); input \'image\' takes"):
        load_feeds(graph, str(tmp_path / "small.npy"), 4)


def test_the_time_left_is_what_records_of_each_kind_took() -> None:
    pace = Pace()
    pace.plan([("alone", 10), ("local", 4)])
    assert pace.remaining() == (None, True) and pace.left == 14
    pace.saw("alone", 3.0)
    pace.saw("alone", 1.0)
    assert pace.remaining() == (28.0, True)  # the others are taken to be like these
    pace.saw("local", 0.5)
    pace.did("alone", 2.0)
    assert pace.remaining() == (20.0, False) and pace.left == 13
    pace.plan([("local", 1)])
    assert pace.remaining() == (0.5, False)
    pace.did("local", 0.5)
    assert pace.remaining() == (0.0, False)


def test_a_study_is_called_by_what_its_results_depend_on(tmp_path: Path) -> None:
    copy = tmp_path / "copy.tflite"
    copy.write_bytes(DIGITS.read_bytes())
    config = LayersConfig(str(DIGITS))
    assert LayersConfig(str(copy)).key == config.key == LayersConfig(str(DIGITS), ("int8",), threads=(2,)).key
    assert LayersConfig(str(DIGITS), seed=1).key != config.key
    np.save(tmp_path / "x.npy", digits_data()["images"][:2])
    assert LayersConfig(str(DIGITS), inputs=str(tmp_path / "x.npy")).key != config.key
    assert LayerStudy("k", config.to_json()).settings == ()
