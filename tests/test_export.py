"""A study in the formats of other tools."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from litedelegates.errors import OptionError
from litedelegates.study import BlockRecord, Cell, Outcome, Store
from litedelegates.study.export import FORMATS, export, to_frame
from synthetic_study import cell, write_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(write_study(tmp_path_factory.mktemp("study") / "study.sqlite", {"digits": 376.0}, (1,)))


def exported(store: Store, form: str) -> str:
    return export(store, form)[1].decode()


def test_csv_has_one_line_a_configuration_and_gives_no_percentile_from_too_few_runs(store: Store) -> None:
    lines = list(csv.DictReader(io.StringIO(exported(store, "csv"))))
    assert len(lines) == len(store.cells())
    int8 = next(line for line in lines if (line["precision"], line["delegate"]) == ("int8", "xnnpack"))
    assert float(int8["speed_up_low"]) < float(int8["speed_up"]) < float(int8["speed_up_high"])
    assert float(int8["p99_us"]) > float(int8["p95_us"]) > float(int8["median_us"])
    crashed = next(line for line in lines if line["status"] == "crashed")
    assert crashed["median_us"] == ""
    assert "signal 11" in crashed["reason"]


def test_json_holds_every_sample_and_gives_the_records_back(store: Store) -> None:
    content = json.loads(exported(store, "json"))
    for entry in content["cells"]:
        one = Cell.from_json(entry["cell"])
        assert one.key == entry["key"]
        assert Outcome.from_json(entry["outcome"]) == store.outcome(one)
        blocks = [BlockRecord.from_json(block) for block in entry["blocks"]]
        for read, kept in zip(blocks, store.blocks(one), strict=True):
            assert np.array_equal(read.samples_ns, kept.samples_ns)


def test_pytest_benchmark_has_its_fields_in_seconds(store: Store) -> None:
    content = json.loads(exported(store, "pytest-benchmark"))
    assert {"machine_info", "commit_info", "benchmarks", "datetime", "version"} == set(content)
    assert len(content["benchmarks"]) == 8
    first = content["benchmarks"][0]
    assert {"group", "name", "fullname", "params", "param", "extra_info", "options", "stats"} == set(first)
    stats = first["stats"]
    data = np.array(stats["data"])
    assert len(data) == stats["rounds"] == 24 * 30
    assert stats["median"] == pytest.approx(376e-6, rel=0.1)
    assert stats["q1"] <= stats["median"] <= stats["q3"]
    assert stats["min"] <= stats["ld15iqr"] <= stats["hd15iqr"] <= stats["max"]
    inside = (data >= stats["ld15iqr"]) & (data <= stats["hd15iqr"])
    assert stats["iqr_outliers"] == np.count_nonzero(~inside)
    assert stats["ops"] == pytest.approx(1 / stats["mean"])


def test_benchmark_model_has_its_fields_in_milliseconds(store: Store) -> None:
    lines = list(csv.DictReader(io.StringIO(exported(store, "benchmark-model"))))
    assert len(lines) == 8
    first = lines[0]
    assert float(first["median_ms"]) == pytest.approx(0.376, rel=0.1)
    assert float(first["min_ms"]) <= float(first["p5_ms"]) <= float(first["p95_ms"]) <= float(first["max_ms"])
    outcome = store.outcome(cell("digits", "float32", "none"))
    assert outcome is not None and outcome.load_ns is not None
    assert float(first["init_ms"]) == outcome.load_ns / 1e6
    assert float(first["overall_footprint_kb"]) == (58_500_000 - 41_000_000) / 1024


def test_parquet_has_one_row_a_run(store: Store) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.read_parquet(io.BytesIO(export(store, "parquet")[1]))
    assert len(frame) == 8 * 24 * 30
    assert frame.equals(to_frame(store))
    one = frame[(frame.precision == "int8") & (frame.delegate == "xnnpack") & (frame["round"] == 3)]
    expected = store.blocks(cell("digits", "int8", "xnnpack"))[3].samples_ns
    assert np.array_equal(one[["upload_ns", "run_ns", "read_back_ns"]].to_numpy(), expected)


def test_an_empty_study_is_exported_in_every_format(tmp_path: Path) -> None:
    with Store.create(tmp_path / "empty.sqlite", {}) as store:
        for form in FORMATS:
            if form != "parquet":
                name, content = export(store, form)
                assert name and content is not None


def test_an_unknown_format_names_the_nearest(store: Store) -> None:
    with pytest.raises(OptionError, match="Did you mean 'parquet'"):
        export(store, "parket")
