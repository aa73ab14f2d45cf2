"""Plans from studies whose times and errors are known: what is chosen, how it is staged, written and read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from litedelegates.errors import OptionError, PlanError
from litedelegates.plan import Device, Link, Plan, Source, load_plan, make_plan, parse_devices
from litedelegates.plan.device_texts import with_memory
from litedelegates.plan.devices import scaled
from planted_study import output_errors, planted

pytest.importorskip("scipy")


def source(name: str = "pi", slower: float = 1.0, **device: float) -> Source:
    errors = (*output_errors("int8", 40.0), *output_errors("dynamic", 50.0))
    return Source(Device(name, **device), replace(planted(slower=slower), errors=errors))


def test_without_a_bound_every_layer_takes_its_fastest_precision() -> None:
    plan = make_plan([source()])
    assert set(plan.precisions.values()) == {"int8"}
    assert plan.is_exact and plan.gap < 1e-9
    assert plan.costs.latency_us == min(rival.costs.latency_us for rival in plan.rivals)
    assert plan.costs.latency_us == plan.costs.period_us == plan.stages[0].predicted_us


def test_a_bound_of_the_error_is_kept_and_nothing_uniform_within_it_is_faster() -> None:
    free = make_plan([source()])
    plan = make_plan([source()], max_error=free.costs.error / 2)
    assert 0 < plan.costs.error <= free.costs.error / 2
    assert len(set(plan.precisions.values())) > 1
    within = [rival for rival in plan.rivals if rival.costs.error <= free.costs.error / 2]
    assert within and all(plan.costs.latency_us <= rival.costs.latency_us for rival in within)
    above = next(rival for rival in plan.rivals if "int8" in rival.name)
    assert "error" in above.objection and "above" in above.objection


def test_a_faster_server_takes_over_where_its_link_allows_it() -> None:
    pi, server = source(), source("server", slower=0.05)
    latency = []
    for mbps in (0.01, 100.0, 10_000.0):
        plan = make_plan([pi, server], [Link("wifi", ("pi", "server"), mbps, latency_us=50.0)])
        latency.append(plan.costs.latency_us)
        used = {stage.device for stage in plan.stages}
        assert used == {"pi"} if mbps == 0.01 else "server" in used
        crossing = [crossing for crossing in plan.crossings if crossing.link]
        assert sum(one.nbytes for one in crossing) == plan.costs.nbytes
        spent = sum(stage.predicted_us for stage in plan.stages) + sum(one.predicted_us for one in crossing)
        assert spent == pytest.approx(plan.costs.latency_us, rel=1e-6)
    assert latency == sorted(latency, reverse=True)


def test_throughput_shares_the_work_and_its_period_is_that_of_the_busiest() -> None:
    link = Link("lan", ("pi", "other"), 10_000.0)
    alone = make_plan([source()], objective="throughput")
    both = make_plan([source(), source("other")], [link], objective="throughput")
    assert both.costs.period_us < 0.75 * alone.costs.period_us
    busy: dict[str, float] = {}
    for stage in both.stages:
        busy[stage.device] = busy.get(stage.device, 0) + stage.predicted_us
    assert both.costs.period_us == pytest.approx(max(busy.values()), rel=0.02)


def test_energy_prefers_the_frugal_device_and_needs_to_know_watts() -> None:
    link = Link("lan", ("pi", "server"), 1000.0, nanojoules_per_byte=0.001)
    pi, server = source(watts=1.0), source("server", slower=0.5, watts=40.0)
    plan = make_plan([pi, server], [link], objective="energy")
    assert {stage.device for stage in plan.stages} == {"pi"}
    assert plan.costs.energy_mj == pytest.approx(plan.costs.latency_us / 1e3, rel=1e-6)
    with pytest.raises(OptionError, match="give a device its watts"):
        make_plan([source()], objective="energy")


def test_memory_of_a_device_is_kept_or_refused_with_what_is_possible() -> None:
    least = make_plan([source()]).costs.memory_nbytes["pi"]
    plan = make_plan([source(memory_nbytes=least + 1000)])
    assert plan.costs.memory_nbytes["pi"] <= least + 1000
    with pytest.raises(PlanError, match=r"memory:pi.*1000: the least that can be reached is"):
        make_plan([source(memory_nbytes=1000)])


def test_a_fallback_is_what_the_first_device_does_alone() -> None:
    link = Link("wifi", ("pi", "server"), 1000.0)
    plan = make_plan([source(), source("server", slower=0.05)], [link], fallback=True)
    assert plan.fallback is not None
    assert {stage.device for stage in plan.fallback.stages} == {"pi"}
    assert plan.costs.latency_us < plan.fallback.costs.latency_us


def test_every_layer_has_a_reason_and_every_guess_a_note() -> None:
    server = scaled(source(), Device("server"), 0.1)
    plan = make_plan([source(), server], [Link("wifi", ("pi", "server"), 10.0)])
    assert all(layer.reason for layer in plan.layers)
    assert any("predicted from those of pi, nobody has checked how well" in note for note in plan.notes)


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    plan = make_plan([source(), source("server")], [Link("wifi", ("pi", "server"), 10.0)], fallback=True)
    (tmp_path / "plan.json").write_text(json.dumps(plan.to_json()))
    assert load_plan(tmp_path / "plan.json") == plan
    assert isinstance(plan, Plan)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema_version": 99}', '{"schema_version": 1, "model": 3}', "[" * 9999]
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(PlanError, match="holds no plan"):
        load_plan(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"objective": "latencies"}, "Did you mean 'latency'"),
        ({"max_error": -1.0}, "must not be negative"),
        ({"max_error": 0.0, "precisions": ("int8",)}, "the least that can be reached"),
        ({"precisions": ("int4",)}, "no times of layers in int4"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: dict[str, object], said: str) -> None:
    with pytest.raises((OptionError, PlanError), match=said):
        make_plan([source()], **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pi;watt=3", "Did you mean 'watts'"),
        ("pi;watts=x", "must be a number"),
        ("pi;memory=many", "write it as 512MB"),
        ("server=x8", "the first device cannot be told by another"),
        ("=a.sqlite", "write it as NAME=STORE"),
        ("pi", "it needs a store"),
    ],
)
def test_a_device_that_is_written_wrongly_is_refused(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_devices([text])


def test_memory_is_bounded_by_device_or_of_the_only_one() -> None:
    assert with_memory(["pi=a.sqlite;watts=4", "server=x8"], ["server=2GiB"])[1] == "server=x8;memory=2GiB"
    assert with_memory(["device"], ["512MB"]) == ["device;memory=512MB"]
    with pytest.raises(OptionError, match=r"of which device.*pi=512MB"):
        with_memory(["pi", "server=x8"], ["512MB"])
    with pytest.raises(OptionError, match=r"no device 'sever'.*server"):
        with_memory(["pi", "server=x8"], ["sever=512MB"])
