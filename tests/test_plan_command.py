"""``litedelegates plan``: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from digits_model import DIGITS
from litedelegates.cli import main
from litedelegates.cli.plan_table import plan_lines
from litedelegates.layers import LayersConfig, LayerStudy, study_layers
from litedelegates.plan import Device, Source, load_plan, make_plan

pytest.importorskip("scipy")
pytest.importorskip("simpy")

TWO = [
    "--devices",
    "pi;watts=3,server=x8",
    "--link",
    "wifi=pi-server:1gbps,latency=20us",
    "--link",
    "call=here-pi:1gbps",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("plan") / "study.sqlite"
    study_layers(LayersConfig(str(DIGITS), ("float32",), ("xnnpack",), parts=("in_place",), runs=5, seconds=0.1), path)
    return str(path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_plan_is_written_and_told(store: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", store, *TWO, "--layers", "--sensitivity"]) == 0
    told = capsys.readouterr().out
    plan = load_plan(here / "plan.json")
    assert len(plan.layers) == 15 and {link.name for link in plan.links} >= {"call"}
    assert "this plan" in told and "everywhere" in told and "the plan is" in told
    assert sum(line.startswith(str(layer.layer)) for layer in plan.layers for line in told.splitlines()) >= 15
    assert "written: plan.json" in told


def test_long_names_of_layers_are_shown_by_their_end(store: str) -> None:
    plan = make_plan([Source(Device("pi"), LayerStudy.open(store))])
    long = replace(plan.layers[3], name="block/Relu;" * 30 + "batchnorm/sub1")
    plan = replace(plan, layers=(*plan.layers[:3], long, *plan.layers[4:]))
    (line,) = (line for line in plan_lines(plan, with_layers=True) if line.startswith("3 "))
    assert " ...elu;block/Relu;batchnorm/sub1 " in line and len(line) < 200


def test_json_is_the_plan_and_nothing_else(store: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", store, *TWO, "--objective", "throughput", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told == json.loads((here / "plan.json").read_text()) and told["objective"] == "throughput"


def test_json_says_how_sure_it_is_where_that_was_asked(
    store: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", store, *TWO, "--sensitivity", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told.pop("sensitivity")["draws"] > 0
    assert told == json.loads((here / "plan.json").read_text())


def test_what_there_is_beside_it_becomes_files(store: str, here: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main(["plan", store, *TWO, "--plots", "plots", "--report", "plan.html"]) == 0
    drawn = {path.name for path in (here / "plots").iterdir()}
    assert {"outlook.json", "what_if.svg", "timeline.svg", "front_energy_mj.svg"} <= drawn
    found = json.loads((here / "plots/outlook.json").read_text())
    assert len(found["front"]) > 1 and found["what_if"]["points"] and found["sensitivity"]["draws"] > 0
    assert "How sure it is" in (here / "plan.html").read_text()


def test_the_time_limit_is_that_of_all_and_what_was_left_out_is_said(
    store: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["plan", store, *TWO, "--objective", "throughput", "--report", "plan.html", "--time-limit", "0.001"]
    began = time.monotonic()
    assert main(asked) == 0
    assert time.monotonic() - began < 30
    told = capfd.readouterr().out
    assert "left out, as --time-limit 0.001 s was over: how sure the plan is; the front of other plans; other" in told
    assert "Left out for want of time" in (here / "plan.html").read_text()
    assert load_plan(here / "plan.json").objective == "throughput"
    assert main([*asked, "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["left_out"]) == 3


def test_bounds_that_no_plan_keeps_end_with_1_and_say_which(
    store: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", store, "--max-latency-ms", "0.000001"]) == 1
    assert "latency" in capsys.readouterr().err
    assert main(["plan", store, "--memory", "1kB"]) == 1
    assert "memory" in capsys.readouterr().err
    assert not (here / "plan.json").exists()


def test_a_link_to_a_device_that_is_not_there_is_refused(
    store: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", store, "--devices", "pi", "--link", "wifi=pi-sever:1mbps"]) == 2
    assert "no device 'sever'" in capsys.readouterr().err
