"""The layers of a report: what the page is given, what is found in it, and what Markdown and plots say."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo, PartTiming, Setting
from litedelegates.report import build_document, render_page, render_summary, write_report
from litedelegates.report.layers import layers_document
from litedelegates.study import Store
from synthetic_depth import NO_CUT, NO_INT16, layer_records, write_layers
from synthetic_study import write_study

HOSTILE = "</script><img src=x onerror=alert(1)>&{{script}}|`*\u2028\"'"
FLOAT, INT = Setting("float32", "xnnpack"), Setting("int8", "xnnpack")


def info(index: int, cut: int | None = None, **more: Any) -> LayerInfo:
    return LayerInfo(index, "CONV_2D", f"conv_{index}", f"conv_{index}:0", cut_nbytes={"float32": cut}, **more)


def part(us: float, *layers: int, role: Any = "layer") -> PartTiming:
    return PartTiming("Convolution", "xnnpack", role, layers, (us, us, us), "operator index")


def document_of(path: Path) -> dict[str, Any]:
    with Store.open(path) as store:
        return build_document(store)


def setting_of(document: dict[str, Any], label: str) -> dict[str, Any]:
    (found,) = [one for one in document["settings"] if one["label"] == label]
    return dict(found)


def test_columns_are_in_the_order_of_the_layers_whatever_their_index() -> None:
    infos = [info(7), info(3), info(12)]
    document = layers_document("m", infos, [InPlace(FLOAT, (part(2.0, 3), part(5.0, 7)))], [Alone(12, FLOAT, 4.0)])
    one = setting_of(document, "float32 xnnpack 1t")
    assert one["in_place"]["us"] == [5.0, 2.0, None]
    assert one["alone"]["us"] == [None, None, 4.0]
    assert [layer["index"] for layer in document["layers"]] == [7, 3, 12]


def test_a_fused_layer_points_at_the_one_that_has_its_time() -> None:
    in_place = [InPlace(FLOAT, (part(6.0, 5, 6), part(1.0, 8)))]
    alone = [Alone(6, FLOAT, 2.0, together=(6, 8))]
    one = setting_of(layers_document("m", [info(5), info(6), info(8)], in_place, alone), "float32 xnnpack 1t")
    assert (one["in_place"]["us"], one["in_place"]["fused"]) == ([6.0, None, 1.0], {"1": 0})
    assert one["alone"]["fused"] == {"2": 1}


def test_conversions_are_part_of_a_layer_and_told_apart_and_unmapped_parts_belong_to_none() -> None:
    parts = (part(3.0, 0, role="conversion"), part(10.0, 0), part(7.0, role="unmapped"))
    one = setting_of(layers_document("m", [info(0)], [InPlace(INT, parts, whole_us=21.0)]), "int8 xnnpack 1t")
    assert (one["in_place"]["us"], one["in_place"]["conversion_us"]) == ([13.0], [3.0])
    assert (one["in_place"]["total_us"], one["in_place"]["unmapped_us"]) == (20.0, 7.0)


def test_times_in_place_are_divided_only_where_both_precisions_ran_the_same_layers_as_one() -> None:
    infos = [info(0), info(1), info(2)]
    plain = InPlace(FLOAT, (part(10.0, 0), part(8.0, 1), part(9.0, 2)))
    fused = InPlace(INT, (part(5.0, 0), part(4.0, 1, 2)))
    one = setting_of(layers_document("m", infos, [plain, fused]), "int8 xnnpack 1t")
    assert one["in_place"]["speed_up"] == [2.0, None, None]


def test_numbers_that_json_has_not_are_words_and_the_page_is_valid() -> None:
    errors = [LayerError(0, "int8", "local", "none", 1, 1, 0.0, 0.0, math.inf, math.nan, -math.inf)]
    document = layers_document("m", [info(0)], errors=errors)
    (one,) = document["errors"]
    assert (one["sqnr_db"], one["cosine"], one["max_abs"]) == (["inf"], ["nan"], ["-inf"])
    assert "saturated" not in one
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["findings"]["worst"] == []


def test_the_slowest_and_the_worst_layers_come_first() -> None:
    parts = tuple(part(us, index) for index, us in enumerate((4.0, 9.0, 7.0)))
    errors = [
        LayerError(at, "int8", "local", "none", 1, 1, 1.0, None, db) for at, db in enumerate((30.0, math.inf, 12.0))
    ]
    infos = [info(0), info(1), info(2)]
    found = layers_document("m", infos, [InPlace(FLOAT, parts)], errors=errors)["findings"]
    assert found["slowest"] == {"float32 xnnpack 1t": [[1, 9.0, 0.45], [2, 7.0, 0.35], [0, 4.0, 0.2]]}
    assert [one["layers"] for one in found["worst"]] == [[[2, 12.0], [0, 30.0]]]


def test_a_cut_is_named_where_every_earlier_one_sends_more_and_never_where_it_is_illegal() -> None:
    infos = [info(0, 800), info(1, 900), info(2, None, refusal="a loop"), info(3, 300), info(4, 300), info(5)]
    parts = tuple(part(10.0, index) for index in range(5))
    found = layers_document("m", infos, [InPlace(FLOAT, parts)])["findings"]
    assert found["cuts"] == [[0, 0.2], [3, 0.8]]


def test_the_layers_in_sum_are_set_against_the_whole_and_an_estimate_is_called_one() -> None:
    infos = [info(0), info(1)]
    in_place = [InPlace(FLOAT, (part(40.0, 0), part(55.0, 1)), whole_us=100.0)]
    in_place.append(InPlace(INT, (part(5.0, 0),), whole_us=10.0, is_estimate=True, note="prefixes"))
    alone = [Alone(0, FLOAT, 60.0), Alone(1, FLOAT, refusal="it cannot be cut out")]
    sums = layers_document("m", infos, in_place, alone)["findings"]["sums"]
    plain, estimate = sums["float32 xnnpack 1t"], sums["int8 xnnpack 1t"]
    assert plain["text"].startswith(
        "float32 xnnpack 1t: the layers in place take 95.0 µs in sum, 5.0 % less than the 100 µs of the whole. "
    )
    assert (plain["alone_us"], plain["missing"], plain["verdict"]) == (60.0, 1, "cannot be told")
    assert "are estimated to take 5.00 µs" in estimate["text"]
    assert (estimate["is_estimate"], estimate["alone_us"], estimate["verdict"]) == (True, None, None)


def test_layers_that_were_timed_with_another_are_not_missing_from_the_sum() -> None:
    alone = [Alone(0, FLOAT, 60.0, together=(0, 1))]
    (sums,) = layers_document("m", [info(0), info(1)], (), alone)["findings"]["sums"].values()
    assert (sums["alone_us"], sums["missing"]) == (60.0, 0)


def test_a_store_may_hold_layers_alone_cells_alone_or_both(tmp_path: Path) -> None:
    layers = document_of(write_layers(tmp_path / "layers.sqlite"))
    cells = document_of(write_study(tmp_path / "cells.sqlite", {"digits": 376.0}, (1,), rounds=8))
    write_study(tmp_path / "both.sqlite", {"digits": 376.0}, (1,), rounds=8)
    both = document_of(write_layers(tmp_path / "both.sqlite"))
    assert [(len(one["cells"]), len(one["layers"])) for one in (layers, cells, both)] == [(0, 1), (9, 0), (9, 1)]
    assert layers["title"] == "mobilenet"
    assert layers["lede"] == "40 layers studied in 8 settings on AMD EPYC."
    assert both["title"] == "digits · mobilenet"
    assert "8 of 9 configurations measured" in both["lede"]
    assert "; 40 layers studied" in both["lede"]
    assert not set(layers["method"]) & set(cells["method"])


def test_the_records_of_a_store_reach_the_page_as_they_were(tmp_path: Path) -> None:
    (study,) = document_of(write_layers(tmp_path / "s.sqlite"))["layers"]
    records = layer_records()
    direct = layers_document("mobilenet", *records)
    for name in ("layers", "settings", "errors"):
        assert study[name] == direct[name]
    assert study["bytes"]["int8 file"] == direct["bytes"]["int8"]
    assert {layer["refusal"] for layer in study["layers"]} == {NO_CUT, None}


def test_two_studies_of_models_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = write_layers(tmp_path / "s.sqlite", 4, model="a/net.tflite")
    names = [study["name"] for study in document_of(write_layers(path, 4, model="b/net.tflite"))["layers"]]
    assert len(set(names)) == 2


def test_the_summary_has_a_row_for_every_setting_and_the_reasons_of_those_without(tmp_path: Path) -> None:
    summary = render_summary(document_of(write_layers(tmp_path / "s.sqlite")))
    section = summary.split("## Layers of mobilenet\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and " xnnpack 2t" in line]
    assert len(rows) == 3
    assert "| 200 µs (estimate) |" in section
    assert "- int8 gpu 2t: the delegate runs no int8 convolutions" in section
    assert f"- int16x8: {NO_INT16}" in section
    assert "- Cuts that send less than every earlier one" in section
    assert "nan" not in section.lower()


def test_hostile_names_of_layers_and_models_stay_names(tmp_path: Path) -> None:
    path = write_layers(tmp_path / "s.sqlite", 8, name=HOSTILE, model=f"{HOSTILE}.tflite")
    document = document_of(path)
    page = render_page(document)
    (data,) = re.findall(r'<script type="application/json" id="study">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data) == json.loads(json.dumps(document))
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert "<img" not in render_summary(document)


def test_without_scripts_the_sums_are_still_there(tmp_path: Path) -> None:
    page = render_page(document_of(write_layers(tmp_path / "s.sqlite")))
    plain = page.split("<noscript>")[1].split("</noscript>")[0]
    assert "Layers of mobilenet" in plain
    assert "float32 xnnpack 2t: the layers in place take" in plain
    assert "<table>" not in plain


@pytest.mark.parametrize("form", ["svg", "png"])
def test_the_layers_are_plotted_by_depth_and_the_same_again(tmp_path: Path, form: str) -> None:
    pytest.importorskip("matplotlib")
    path = write_layers(tmp_path / "s.sqlite", model="models/costs $5_a.tflite")
    with Store.open(path) as store:
        (file,) = write_report(store, tmp_path / "report", [form])
        before = file.read_bytes()
        assert [again.read_bytes() for again in write_report(store, tmp_path / "report", [form])] == [before]
    assert file.name == f"layers-costs__5_a.{form}"
    if form == "svg":
        for words in (b"costs $5_a, xnnpack 2t", b"alive across the cut", b"of it conversions", b"speed-up"):
            assert words in before


def test_a_study_with_nothing_but_its_layers_is_a_page_and_a_summary(tmp_path: Path) -> None:
    document = {
        **document_of(write_layers(tmp_path / "s.sqlite")),
        "layers": [layers_document("m", [info(0), info(1)])],
    }
    assert '"name":"conv_1"' in render_page(document)
    assert "## Layers of m" in render_summary(document)
