"""Plans for models at whose outputs inputs may leave early: mean costs, stages that end there, and the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from litedelegates.cli import main
from litedelegates.deploy import Pipeline, deploy, verify
from litedelegates.errors import OptionError
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.plan import Device, Link, Source, build_problem, load_plan, make_plan
from litedelegates.plan.problem import BUSY, ERROR, LATENCY, MEMORY, NBYTES, Problem
from litedelegates.plan.terms import Line, Terms
from planted_study import GRAPH, LAYERS, layer_us, output_errors, planted

EARLY = "block1_relu"
BRANCHED = GRAPH.with_outputs([GRAPH.tensor("logits"), GRAPH.tensor(EARLY)])
LAST = BRANCHED.producer(BRANCHED.tensor(EARLY)).index  # type: ignore[union-attr]
TERMS = Terms(handover=Line(50.0, 0.001))
WIFI = Link("wifi", ("pi", "server"), 80.0, overhead_us=100.0)


@pytest.fixture
def model(tmp_path: Path) -> str:
    BRANCHED.save(tmp_path / "branched.tflite")
    return str(tmp_path / "branched.tflite")


def source(name: str = "pi", slower: float = 1.0) -> Source:
    study = replace(planted(slower=slower), errors=output_errors("int8", 40.0), _by_index={})
    return Source(Device(name), study, TERMS)


def cost(problem: Problem, precision: str, quantity: str) -> float:
    place = [choice.precision for choice in problem.choices].index(precision)
    return float(problem.totals([0, *[place] * len(LAYERS), 0])[problem.index(quantity)])


def test_layers_behind_an_exit_cost_what_goes_on() -> None:
    whole, branched = (build_problem(BRANCHED, [source()], exits=exits) for exits in (None, {EARLY: 0.75}))
    us = layer_us("float32")
    early = sum(own for layer, own in us.items() if layer <= LAST)
    late = sum(us.values()) - early
    handed = sum(
        50.0 + 0.001 * (tensor.nbytes or 0)
        for tensor in {t for op in BRANCHED.ops for t in op.reads if op.index > LAST}
        if (maker := BRANCHED.producer(tensor)) is not None and maker.index <= LAST
    )
    assert cost(whole, "float32", LATENCY) == pytest.approx(early + late)
    for quantity in (LATENCY, BUSY + "pi"):
        assert cost(branched, "float32", quantity) == pytest.approx(early + 0.25 * (late + handed))
    for quantity in (MEMORY + "pi", ERROR):  # whoever runs a layer has its weights, and errs as much
        assert cost(branched, "int8", quantity) == pytest.approx(cost(whole, "int8", quantity))


def test_tensors_travel_for_those_that_go_on() -> None:
    devices = [source(), source("server")]
    for share in (0.0, 0.9):
        problem = build_problem(BRANCHED, devices, [WIFI], exits={EARLY: share} if share else None)
        places = [choice.label for choice in problem.choices]
        pi, server = places.index("pi: float32 xnnpack 1t"), places.index("server: float32 xnnpack 1t")
        chosen = [0, *(pi if layer.index <= LAST else server for layer in LAYERS), 0]
        sent = problem.totals(chosen)[problem.index(NBYTES)]
        assert sent == pytest.approx((1 - share) * (8192 * 4 + 40))


def test_an_exit_ends_a_stage(model: str) -> None:
    plan = make_plan([source()], model=model, precisions=["float32"], exits={EARLY: 0.75})
    first, second = plan.stages
    assert max(first.layers) <= LAST < min(second.layers)
    assert (first.share, second.share) == (1.0, 0.25)
    us = layer_us("float32")
    assert sum(layer.predicted_us for layer in plan.layers) == pytest.approx(sum(us.values()))
    mean = first.predicted_us + 0.25 * second.predicted_us
    assert plan.costs.latency_us == pytest.approx(mean, rel=1e-6)
    assert plan.exits == {EARLY: 0.75}
    assert all(stage.low_us is not None and stage.low_us <= stage.predicted_us for stage in plan.stages)


def test_the_more_leave_early_the_less_a_slow_link_matters(model: str) -> None:
    devices, slow = [source(), source("server", slower=0.01)], replace(WIFI, bandwidth_mbps=40.0)
    sizes = []
    for share in (0.1, 0.9):
        plan = make_plan(devices, [slow], model=model, precisions=["float32"], exits={EARLY: share})
        sizes.append(plan.costs.latency_us)
        totals = plan.costs
        assert totals.latency_us <= min(rival.costs.latency_us for rival in plan.rivals)
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.parametrize(
    ("exits", "words"),
    [
        ({"blok1_relu": 0.5}, "no such output. Did you mean 'block1_relu'"),
        ({EARLY: 0.0}, "above 0 and below 1"),
        ({EARLY: 1.0}, "above 0 and below 1"),
        ({"logits": 0.5}, "needs all layers"),
    ],
)
def test_exits_that_make_no_sense_are_refused(exits: dict[str, float], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        build_problem(BRANCHED, [source()], exits=exits)


def test_what_was_planned_with_an_exit_is_deployed_and_lets_inputs_leave(tmp_path: Path, model: str) -> None:
    plan = make_plan([source(), source("server")], [WIFI], model=model, precisions=["float32"], exits={EARLY: 0.5})
    out = tmp_path / "out"
    deploy(plan, out, exits={EARLY: 1e-9})
    image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    with Pipeline(out) as pipeline:
        assert set(pipeline.run({"image": image})) == {EARLY}
        assert len(pipeline.summary().stages) == 1
    assert verify(out, samples=2, seconds=0).is_equal


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_plan_deploy_and_simulate_with_an_exit(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = LayersConfig(model, ("float32",), ("xnnpack",), parts=("in_place",), runs=5, seconds=0.1)
    study_layers(config, here / "study.sqlite")
    assert main(["plan", "study.sqlite", "--exit", f"{EARLY}=0.75"]) == 0
    plan = load_plan(here / "plan.json")
    assert [stage.share for stage in plan.stages] == [1.0, 0.25] and plan.exits == {EARLY: 0.75}
    assert main(["deploy", "plan.json", "-o", "out", "--exit", f"{EARLY}=0.000001"]) == 0
    with Pipeline(here / "out") as pipeline:
        assert set(pipeline.run({"image": np.ones((1, 8, 8, 1), np.float32)})) == {EARLY}
    pytest.importorskip("simpy")
    capsys.readouterr()
    assert main(["simulate", "plan.json", "--seconds", "1"]) == 0
    assert "left at an early exit" in capsys.readouterr().out


def test_an_exit_without_a_share_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(tmp_path / "none.sqlite"), "--exit", "early"]) == 2
    assert "OUTPUT=SHARE" in capsys.readouterr().err
