"""A layer study as it is read and written: from the store, ranked, as JSON, a table, node data and a trace."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from litedelegates import OptionError
from litedelegates.layers import Alone, InPlace, LayerError, LayerStudy, PartTiming, Setting, to_trace, write_overlays
from litedelegates.layers.store import LayerStore, key_of
from litedelegates.study import RecordError, Store
from synthetic_layers import FLOAT, INT, LAYERS, RECORDS, write_layer_study
from synthetic_study import write_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers") / "study.sqlite"
    write_layer_study(path)
    return path


@pytest.fixture
def study(store: Path) -> LayerStudy:
    return LayerStudy.open(store)


def test_every_record_comes_back_from_the_store_as_it_was(study: LayerStudy) -> None:
    read = (*study.layers, *study.variants, *study.in_place, *study.alone, *study.errors)
    assert read == RECORDS
    scalar = PartTiming("Mul", "cpu", "unmapped", (), (1.0,), "")
    assert PartTiming.from_json(json.loads(json.dumps(scalar.to_json()))) == scalar
    nan = LayerError.from_json(LayerError(0, "int8", "local", "none", rmse=math.nan, flags=("nan",)).to_json())
    assert nan.rmse is not None and math.isnan(nan.rmse) and nan.flags == ("nan",)


def test_a_layer_study_lies_beside_the_cells_of_other_studies(tmp_path: Path) -> None:
    path = write_study(tmp_path / "both.sqlite", models={"digits": 376.0}, threads=(1,), rounds=6, runs=4)
    with Store.open(path) as before:
        cells, config = before.cells(), before.config
        assert LayerStore(before).studies() == {}
    key = write_layer_study(path)
    with Store.open(path) as after:
        assert after.cells() == cells and after.config == config and len(after.sessions()) == 2
        assert LayerStudy.open(after).key == key and list(LayerStore(after).studies()) == [key]


def test_adding_a_record_again_replaces_it_and_refusals_are_told_apart(tmp_path: Path) -> None:
    key = write_layer_study(tmp_path / "s.sqlite")
    with Store.create(tmp_path / "s.sqlite", {}) as opened:
        layers = LayerStore(opened)
        known = {(record.kind, record.key): record for record in layers.known(key)}
        assert len(known) == len(RECORDS)
        assert {name for name, record in known.items() if record.is_refusal} == {
            ("in_place", "int8 gpu 1t"),
            ("alone", "2 float32 xnnpack 1t"),
            ("error", "local 2 int8 none"),
        }
        layers.add(key, InPlace(Setting("int8", "gpu"), whole_us=5.0), 1, 2.0)
        assert len(layers.known(key)) == len(RECORDS)
    study = LayerStudy.open(tmp_path / "s.sqlite", key)
    again = study.in_place_of(Setting("int8", "gpu"))
    assert again is not None and again.whole_us == 5.0 and again.refusal is None


def test_a_store_without_layer_studies_says_how_to_make_one(tmp_path: Path, store: Path) -> None:
    with Store.create(tmp_path / "bench.sqlite", {}) as opened:
        assert LayerStore(opened).studies() == {} and LayerStore(opened).known("k") == []
    with pytest.raises(OptionError, match="holds no layer study: litedelegates layers MODEL --store"):
        LayerStudy.open(tmp_path / "bench.sqlite")
    with pytest.raises(OptionError, match=r"no layer study 'x'; it holds [0-9a-f]{16} \(.*digits.tflite\)"):
        LayerStudy.open(store, "x")


def test_layers_are_ranked_by_time_error_and_transfer(study: LayerStudy) -> None:
    assert [layer.index for layer in study.slowest(2)] == [0, 3]
    assert [layer.index for layer in study.slowest(2, INT)] == [0, 2]
    assert study.slowest(3, Setting("int8", "gpu")) == []
    assert [error.layer for error in study.worst_error()] == [3, 0, 1]
    assert [error.layer for error in study.worst_error(kind="propagated")] == [3]
    assert study.worst_error(precision="float16") == []
    assert [layer.index for layer in study.largest_transfer(1)] == [1]
    assert [layer.index for layer in study.smallest_transfer()] == [0, 1]


def test_what_was_measured_is_found_by_layer_and_setting(study: LayerStudy) -> None:
    assert study.layer_us(0, INT) == 10.0 and study.layer_us(1, INT) is None  # converting counts, fused has none
    assert study.setting("int8") == INT and study.setting("int8", "gpu") == Setting("int8", "gpu")
    with pytest.raises(OptionError, match="Did you mean 'int8 xnnpack 1t'"):
        study.setting("int8", "xnnpack", 4)
    error = study.error_of(0, "int8", "delegate", "xnnpack")
    assert error is not None and error.sqnr_db == 60.0 and study.error_of(0, "int8", "delegate", "gpu") is None


def test_sums_need_every_layer_to_have_been_taken_out(study: LayerStudy) -> None:
    assert study.sums == ()
    alone = tuple(Alone(layer.index, INT, 5.0, 4.9, 5.1) for layer in study.layers)
    (found,) = LayerStudy("k", {}, study.layers, in_place=study.in_place, alone=alone).sums
    assert found.setting == INT and found.sum_us.value == 20.0 and found.difference_us == 2.0
    assert "whole 0.0220 ms" in found.describe()
    refused = tuple(Alone(layer.index, INT, refusal="no") for layer in study.layers)
    assert LayerStudy("k", {}, study.layers, alone=refused).sums == ()


def test_json_is_valid_and_makes_the_same_study_again(study: LayerStudy) -> None:
    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    content = json.loads(json.dumps(study.to_json()), parse_constant=refuse)
    again = LayerStudy.from_json(content)
    assert again.to_json() == study.to_json() and again.layers == LAYERS and again.errors == study.errors
    with pytest.raises(RecordError, match="schema 99 cannot be read; this version reads 1"):
        LayerStudy.from_json({**content, "schema_version": 99})


def test_csv_has_a_row_for_each_layer_and_setting(study: LayerStudy) -> None:
    rows = {
        (row["layer"], row["precision"], row["delegate"]): row for row in csv.DictReader(io.StringIO(study.to_csv()))
    }
    assert len(rows) == 4 * 3
    row = rows["0", "int8", "xnnpack"]
    expected = {
        "type": "CONV_2D",
        "shape": "1x16x16x8",
        "nbytes_float16": "4096",
        "cut_nbytes_held": "2048",
        "in_place_us": "10.0",
        "in_place_conversion_us": "2.0",
        "in_place_speed_up": "4.1",
        "alone_speed_up": "5.0",
        "alone_verdict": "faster",
        "local_sqnr_db": "38.0",
        "delegate_sqnr_db": "60.0",
        "output_accuracy": "0.975",
    }
    assert {name: row[name] for name in expected} == expected
    assert rows["2", "float32", "xnnpack"]["alone_refusal"] == "op 2 cannot be taken out"
    assert rows["2", "float32", "xnnpack"]["cut_refusal"] == "'loop' is a resource"
    assert rows["0", "int8", "gpu"]["in_place_refusal"] == "no GPU was found"
    assert rows["0", "float32", "xnnpack"]["in_place_speed_up"] == ""


def test_pandas_gets_the_same_table(study: LayerStudy) -> None:
    pytest.importorskip("pandas")
    frame = study.to_pandas()
    assert list(frame.columns) == list(study.rows()[0]) and len(frame) == 12
    assert frame[frame.precision == "int8"].alone_speed_up.max() == 5.0


def test_notebooks_show_the_layers_with_their_times(study: LayerStudy) -> None:
    page = study._repr_html_()
    assert page.count("<tr>") == 5 and "us int8 xnnpack 1t" in page and "16,384" in page and "WHILE" in page


def test_overlays_are_node_data_by_output_tensor(study: LayerStudy, tmp_path: Path) -> None:
    files = write_overlays(study, tmp_path / "nodes")
    data: Mapping[str, dict] = {file.name: json.loads(file.read_text()) for file in files}
    assert set(data) == {
        "time_us-float32-xnnpack-1t.json",
        "time_us-int8-xnnpack-1t.json",
        "speed_up-int8-xnnpack-1t.json",
        "local_sqnr_db-int8.json",
        "propagated_sqnr_db-int8.json",
        "output_sqnr_db-int8.json",
        "cut_bytes-float32.json",
        "cut_bytes-float16.json",
        "cut_bytes-int8.json",
        "cut_bytes_held-int8.json",
    }
    speed_ups = data["speed_up-int8-xnnpack-1t.json"]
    assert speed_ups["results"] == {"stem": {"value": 5.0}, "loop": {"value": 1.0}, "logits": {"value": 0.96}}
    assert [stop["stop"] for stop in speed_ups["gradient"]] == [0, 0.5, 1]
    assert speed_ups["gradient"][0] == {"stop": 0, "bgColor": "#f4b6ae"}  # slower is bad, and more bytes are
    assert data["cut_bytes-float32.json"]["gradient"][2]["bgColor"] == "#f4b6ae"
    # Where nothing differs the ratio is infinite, which is no number in JSON.
    assert set(data["local_sqnr_db-int8.json"]["results"]) == {"stem", "logits"}


def test_a_trace_has_a_process_for_each_setting_and_its_parts_one_behind_the_other(study: LayerStudy) -> None:
    trace = json.loads(to_trace(study))
    events = trace["traceEvents"]
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {1: "float32 xnnpack 1t", 2: "int8 xnnpack 1t", 3: "int8 gpu 1t"}
    parts = [event for event in events if event["ph"] == "X" and (event["pid"], event["tid"]) == (2, 1)]
    assert [(part["cat"], part["ts"], part["dur"]) for part in parts] == [
        ("conversion", 0, 2),
        ("layer", 2, 8),
        ("layer", 10, 5),
        ("layer", 15, 5),
        ("unmapped", 20, 1),
    ]
    assert parts[1]["args"]["layers"] == "0 CONV_2D stem, 1 RELU stem_relu" and parts[1]["args"]["ran"] == "xnnpack"
    alone = [event for event in events if event["ph"] == "X" and (event["pid"], event["tid"]) == (2, 2)]
    assert [event["name"] for event in alone] == ["0 CONV_2D", "3 FULLY_CONNECTED"] and alone[1]["ts"] == 10
    assert alone[0]["args"]["speed_up"] == 5.0
    assert not [event for event in events if event["pid"] == 3 and event["ph"] == "X"]
    assert FLOAT.label == "float32 xnnpack 1t" and key_of(study.alone[0]) == "0 float32 xnnpack 1t"
