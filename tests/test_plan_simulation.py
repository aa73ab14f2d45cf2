"""Plans in simulated time: against arithmetic where nothing is left to chance, against queueing theory where it is."""

from __future__ import annotations

import dataclasses
import math

import pytest
from litedelegates.errors import OptionError
from litedelegates.plan.records import Costs
from litedelegates.plan.simulation import Failure, Load, Simulation, simulate, timeline
from plans_by_hand import WIFI, chain, crossing, one_stage, plan_of, stage

pytest.importorskip("simpy")


def mean_latency_us(service_us: float, load: float, variation: float) -> float:
    """Return the mean time in a queue with Poisson arrivals: Pollaczek and Khinchine's formula."""
    return service_us + service_us * load * (1 + variation**2) / (2 * (1 - load))


def test_one_input_after_the_other_takes_the_predicted_latency() -> None:
    plan = chain()
    found = simulate(plan, seconds=3)
    assert found.quantiles_us[0] == pytest.approx(plan.costs.latency_us, rel=1e-9)
    assert found.worst_us == pytest.approx(plan.costs.latency_us, rel=1e-9)
    assert found.throughput_per_s == pytest.approx(1e6 / plan.costs.latency_us, rel=0.01)


@pytest.mark.parametrize("link", [WIFI, dataclasses.replace(WIFI, bandwidth_mbps=4.0)])
def test_a_full_pipeline_is_as_fast_as_its_busiest_part(link: object) -> None:
    plan = chain(link)  # type: ignore[arg-type]
    found = simulate(plan, Load(depth=12), seconds=600 * plan.costs.period_us / 1e6)
    assert found.finished == pytest.approx(600, rel=0.01)
    assert max(use.utilisation for use in found.stations) == pytest.approx(1.0)


def test_branches_on_different_devices_run_at_the_same_time() -> None:
    stages = [stage(0, "pi", 1000.0, 0), stage(1, "pi", 5000.0, 1), stage(2, "server", 1000.0, 2)]
    stages.append(stage(3, "pi", 500.0, 3))
    there, back = crossing(0, 2, 1000, tensor="a"), crossing(2, 3, 1000, tensor="b")
    inside = [crossing(0, 1, 1000, None, "a"), crossing(1, 3, 1000, None, "c"), crossing(3, -1, 10, None, "out")]
    costs = Costs(7500 + there.predicted_us + back.predicted_us, 6500)
    found = simulate(plan_of(stages, [there, back, *inside], costs), seconds=2)
    aside = there.predicted_us + 1000.0 + back.predicted_us
    assert found.p50_us == pytest.approx(1000.0 + max(5000.0, aside) + 500.0)
    assert found.p50_us < costs.latency_us


def test_a_tensor_that_two_stages_of_a_device_read_travels_once() -> None:
    stages = [stage(0, "pi", 1000.0, 0), stage(1, "server", 10.0, 1), stage(2, "server", 10.0, 2)]
    crossings = [crossing(0, 1, 50_000, tensor="a"), crossing(0, 2, 50_000, tensor="a")]
    spans = timeline(plan_of([*stages], crossings, Costs(30_000, 21_000)))
    assert [span.station for span in spans].count("wifi") == 1


@pytest.mark.parametrize("variation", [0.0, 1.0, 2.0])
def test_waiting_is_what_queueing_theory_says(variation: float) -> None:
    load, service_us, held = 0.6, 1000.0, 0
    for seed in range(12):
        found = simulate(one_stage(service_us), Load(load * 1e3), seconds=6, variation=variation, seed=seed)
        assert found.low_us is not None and found.high_us is not None
        held += found.low_us <= mean_latency_us(service_us, load, variation) <= found.high_us
    assert held >= 10  # of 12 intervals of 95 %; nine or fewer would happen once in 50 times


def test_several_slots_wait_as_erlang_says() -> None:
    plan = plan_of([stage(0, "server", 1000.0, 0)], [], Costs(1000, 1000))
    load = Load(rate_per_s=3200.0)
    found = simulate(plan, load, seconds=8, variation=1.0, slots={"server": 4}, seed=3)
    offered = 3.2
    tail = offered**4 / math.factorial(4) / (1 - offered / 4)
    waits = tail / (sum(offered**k / math.factorial(k) for k in range(4)) + tail)
    assert found.low_us is not None and found.high_us is not None
    assert found.low_us <= 1000.0 + waits * 1000.0 / (4 - offered) <= found.high_us
    assert found.station("server").utilisation == pytest.approx(0.8, rel=0.03)


def check_little(found: Simulation) -> None:
    assert found.mean_us is not None
    assert found.under_way == pytest.approx(found.throughput_per_s * found.mean_us / 1e6, rel=0.02)


def test_what_is_under_way_is_rate_times_latency() -> None:
    jittery = dataclasses.replace(WIFI, jitter_us=1500.0, loss=0.05)
    found = simulate(chain(jittery), Load(1.5), clients=200, seconds=30, variation=0.3, slots={"server": 2})
    check_little(found)
    assert found.finished == pytest.approx(9000, rel=0.05)


def test_loss_and_jitter_leave_the_mean_of_a_transfer_as_predicted() -> None:
    link = dataclasses.replace(WIFI, jitter_us=700.0, loss=0.1)
    plan = chain(link)
    found = simulate(plan, clients=50, slots={"server": 50}, seconds=5)
    assert found.mean_us == pytest.approx(plan.costs.latency_us, rel=0.01)
    assert found.p99_us > 1.4 * found.p50_us  # type: ignore[operator]


def test_clients_of_one_server_wait_for_it_and_its_slots_help() -> None:
    load = Load(2.0, "regular")
    crowded = simulate(chain(), load, clients=300, seconds=4)
    roomy = simulate(chain(), load, clients=300, seconds=4, slots={"server": 4})
    assert crowded.station("server").utilisation == pytest.approx(0.9, rel=0.05)
    assert crowded.p95_us > roomy.p95_us  # type: ignore[operator]
    assert crowded.station("pi").copies == 300
    assert max(crowded.queues[1]) >= 1


def test_a_link_that_clients_share_is_busier() -> None:
    apart = simulate(chain(), Load(2.0), clients=30, seconds=10)
    shared = simulate(chain(), Load(2.0), clients=30, seconds=10, shared=["server", "wifi"])
    assert shared.station("wifi").copies == 1
    assert shared.station("wifi").utilisation == pytest.approx(30 * apart.station("wifi").utilisation, rel=0.05)
    assert shared.mean_us > apart.mean_us  # type: ignore[operator]


def test_a_lost_server_is_replaced_by_the_fallback_until_it_is_back() -> None:
    plan = chain(fallback=one_stage(40_000.0))
    failure = Failure("server", at_s=2.0, for_s=4.0)
    found = simulate(plan, Load(5.0), seconds=10, warmup_s=0, failures=[failure], notice_s=0.05, clients=20)
    assert found.lost == 0
    assert found.fell_back / found.finished == pytest.approx(0.4, abs=0.05)
    assert found.worst_us > 90_000  # type: ignore[operator]
    assert found.station("server").down == pytest.approx(0.4)
    check_little(found)


def test_without_a_fallback_what_needs_a_broken_link_is_lost() -> None:
    failure = Failure("wifi", every_s=1.0, for_s=0.5)
    found = simulate(chain(), Load(5.0), seconds=30, clients=50, failures=[failure], seed=1)
    assert found.fell_back == 0
    assert found.station("wifi").down == pytest.approx(1 / 3, abs=0.03)
    # Those that come while it is down, and those that are on it or before it when it breaks.
    down = found.station("wifi").down
    assert down - 0.02 < found.lost / found.offered < down + 0.05
    closed = simulate(chain(), seconds=10, failures=[Failure("wifi", at_s=2.0, for_s=3.0)])
    assert closed.lost == pytest.approx(30, abs=2)  # one every 100 ms


def test_inputs_that_leave_early_need_no_more_of_the_plan() -> None:
    early = crossing(0, -1, 40, None, "early")
    plan = chain()
    stages = (plan.stages[0], dataclasses.replace(plan.stages[1], share=0.25))
    plan = dataclasses.replace(plan, stages=stages, crossings=(*plan.crossings, early), exits={"early": 0.75})
    found = simulate(plan, seconds=40, seed=1)
    assert found.left_early / found.finished == pytest.approx(0.75, abs=0.03)
    whole_us = plan.costs.latency_us
    assert {round(us) for us in found.quantiles_us[:60] + found.quantiles_us[90:]} == {10_000, round(whole_us)}
    assert found.mean_us == pytest.approx(0.75 * 10_000 + 0.25 * whole_us, rel=0.03)
    assert {span.label for span in timeline(plan)} >= {"stage 0", "stage 1"}  # shown to the end
    # Who has left before never learns that the server is out of order.
    broken = simulate(plan, seconds=40, failures=[Failure("server", at_s=0.0, for_s=60.0)], seed=1)
    assert broken.lost > 0 and broken.finished == broken.left_early > 0


def test_three_exits_are_ways_of_their_own() -> None:
    shares = (1.0, 0.5, 0.2)
    stages = [dataclasses.replace(stage(n, "pi", 1000.0, n), share=share) for n, share in enumerate(shares)]
    crossings = [crossing(n, n + 1, 10, None) for n in range(2)] + [
        crossing(n, -1, 10, None, f"e{n}") for n in range(3)
    ]
    found = simulate(plan_of(stages, crossings, Costs(1700, 1700), ()), seconds=20)
    assert found.mean_us == pytest.approx(1000 * sum(shares), rel=0.02)
    assert found.left_early / found.finished == pytest.approx(0.8, abs=0.02)


def test_too_many_inputs_are_turned_away() -> None:
    found = simulate(one_stage(10_000.0), Load(1000.0, depth=3), seconds=5)
    assert found.throughput_per_s == pytest.approx(100.0, rel=0.01)
    assert found.turned_away == pytest.approx(found.offered - found.finished, abs=3)
    assert found.worst_us <= 30_000.0 + 1e-6  # type: ignore[operator]
    limited = simulate(chain(), Load(2.0), clients=600, seconds=3, queue_limit=2)
    assert limited.turned_away > 0
    assert limited.station("server").most_waiting == 2


def test_a_simulation_is_repeated_by_its_seed_and_reads_itself_back() -> None:
    first, again, other = (simulate(chain(), Load(20.0), seconds=5, seed=seed, traced=2) for seed in (4, 4, 5))
    assert again.quantiles_us == first.quantiles_us != other.quantiles_us
    assert Simulation.from_json(first.to_json()) == first
    assert {span.number for span in first.spans} == {0, 1}


def test_a_timeline_shows_inputs_overtaking_nobody() -> None:
    spans = timeline(chain(), 3)
    assert [span.number for span in spans if span.label == "stage 1"] == [0, 1, 2]
    starts = {span.number: span.from_us for span in spans if span.label == "stage 0"}
    assert starts == {0: 0.0, 1: 10_000.0, 2: 20_000.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"slots": {"servr": 2}}, "Did you mean 'server'"),
        ({"shared": ["wify"]}, "Did you mean 'wifi'"),
        ({"failures": [Failure("server")]}, "one of the two"),
        ({"load": Load(0.0)}, "above 0"),
        ({"load": Load(1.0, "poison")}, "Did you mean 'poisson'"),  # type: ignore[arg-type]
        ({"clients": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_a_reason(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        simulate(chain(), **arguments)  # type: ignore[arg-type]
