"""What a plan's numbers are worth: accuracy from errors, devices from other devices, and intervals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from litedelegates.errors import OptionError
from litedelegates.layers import LayerError, LayerStudy, Setting
from litedelegates.plan.accuracy import accuracy_map, agreement_map, isotonic
from litedelegates.plan.costs import Source, build_problem
from litedelegates.plan.devices import predict_source, scaled
from litedelegates.plan.errors import error_model
from litedelegates.plan.outlook import how_sure
from litedelegates.plan.planning import make_plan
from litedelegates.plan.problem import BUSY, LATENCY
from litedelegates.plan.records import Device, Link
from litedelegates.plan.uncertainty import uncertainty
from planted_study import GRAPH, LAYERS, layer_us, output_errors, planted


def with_errors(*errors: LayerError) -> LayerStudy:
    return dataclasses.replace(planted(), errors=errors, _by_index={})


def answers(sqnr_db: float, agreement: float, accuracy: float | None = None) -> LayerError:
    return LayerError(0, "int8", "output", "none", 100, 1000, sqnr_db=sqnr_db, agreement=agreement, accuracy=accuracy)


def test_isotonic_pools_what_falls() -> None:
    assert isotonic(np.array([0.0, 3.0, 1.0, 2.0, 5.0, 4.0])).tolist() == [0.0, 2.0, 2.0, 2.0, 4.5, 4.5]


def test_the_error_for_a_drop_is_where_the_map_gets_there() -> None:
    study = with_errors(answers(30, 1.0), answers(20, 0.98), answers(10, 0.90))
    found = agreement_map([study])
    assert found.drop_for(1e-2) == pytest.approx(0.02)
    assert found.drop_for(0.055) == pytest.approx(0.06)  # half way
    assert found.error_for_drop(0.06) == pytest.approx(0.055)
    assert found.error_for_drop(0.0) == pytest.approx(1e-3)
    assert found.error_for_drop(0.5) == pytest.approx(0.1)  # the largest that was seen
    assert found.drop_for(0.2) is None
    for share in np.linspace(0, 0.1, 11):
        lost = found.drop_for(found.error_for_drop(float(share)))
        assert lost is not None and lost <= share + 1e-12


def test_accuracy_needs_labels_and_says_so() -> None:
    with pytest.raises(OptionError, match="--labels"):
        accuracy_map([with_errors(answers(30, 1.0))])
    study = with_errors(answers(40, 1.0, 0.95), answers(10, 0.8, 0.80), answers(20, 0.9, 0.97))
    found = accuracy_map([study])  # the layer that changes no answer has the accuracy of float32
    assert found.drop_for(1e-2) == pytest.approx(0.0)  # an accuracy above float32's is no loss
    assert found.drop_for(0.1) == pytest.approx(0.15)
    with pytest.raises(OptionError, match="max_drop=-1"):
        found.error_for_drop(-1)


def test_a_layer_without_a_measured_error_counts_as_the_worst() -> None:
    errors = output_errors("int8", 30.0)
    study = with_errors(*errors[1:], dataclasses.replace(errors[0], layer=5, sqnr_db=25.0, kind="local"))
    model = error_model([study], ["float32", "int8", "dynamic"])
    assert model is not None
    assert model.layers["int8"][0] == pytest.approx(1e-3)
    assert model.layers["dynamic"][3] == 1.0
    assert any("dynamic" in note for note in model.notes)


def test_an_output_that_is_no_number_stays_finite() -> None:
    errors = output_errors("int8", 30.0)
    study = with_errors(dataclasses.replace(errors[0], sqnr_db=float("nan")), *errors[1:])
    model = error_model([study], ["int8"])
    assert model is not None and np.isfinite(model.total(dict.fromkeys(range(15), "int8")))


def test_a_scaled_device_takes_that_much_longer_for_everything() -> None:
    pi = Source(Device("pi"), planted(mixes=12, quantize=(5.0, 0.01))).fitted(GRAPH)
    server = scaled(pi, Device("server"), 0.25)
    assert server.device.predicted_from == "pi"
    assert server.device.prediction_error is None
    slow, fast = build_problem(GRAPH, [pi]), build_problem(GRAPH, [server])
    for choice in range(len(slow.choices)):
        mixed = [0, *([choice] * 7), *([0] * 8), 0]
        times = [problem.totals(mixed)[problem.index(LATENCY)] for problem in (slow, fast)]
        assert times[1] == pytest.approx(times[0] / 4)
    with pytest.raises(OptionError, match="factor=0"):
        scaled(pi, Device("server"), 0)


def test_a_device_is_predicted_from_layers_measured_on_both() -> None:
    like = planted()
    there = with_times(like, noise=0.05)
    found = predict_source(Device("board"), Source(Device("pi"), like), [(first(like, 10), first(there, 10))])
    assert found.device.predicted_from == "pi"
    assert found.device.prediction_error is not None and 0.01 < found.device.prediction_error < 0.15
    truth = with_times(like, noise=0.0)
    problem, true = (build_problem(GRAPH, [Source(Device("board"), study)]) for study in (found.study, truth))
    for choice in range(len(problem.choices)):
        assignment = [0, *([choice] * 15), 0]
        assert problem.totals(assignment)[0] == pytest.approx(true.totals(assignment)[0], rel=0.1)
    with pytest.raises(OptionError, match="at least 4"):
        predict_source(Device("board"), Source(Device("pi"), like), [(first(like, 1), first(there, 1))])


def test_types_that_behave_differently_are_told_apart() -> None:
    like = planted(precisions=("float32",))
    there = with_times(like, noise=0.0, slow_type="DEPTHWISE_CONV_2D")
    found = predict_source(Device("board"), Source(Device("pi"), like), [(like, there)])
    us, true = found.times[found.study.settings[0]].us, there.in_place[0].layer_us()
    depthwise = [layer.index for layer in LAYERS if layer.type == "DEPTHWISE_CONV_2D"]
    convolutions = [layer.index for layer in LAYERS if layer.type == "CONV_2D"]
    of_types = [
        np.mean([us[layer] / like.in_place[0].layer_us()[layer] for layer in own]) for own in (depthwise, convolutions)
    ]
    assert 1.3 < of_types[0] / of_types[1] < 2  # two layers keep half of what they differ by
    assert all(us[layer] <= true[layer] * 1.05 for layer in depthwise)


def with_times(study: LayerStudy, noise: float, slow_type: str = "") -> LayerStudy:
    """Return the study on a device with other times: three times those, and twice that for a type."""
    rng = np.random.default_rng(5)
    types = {layer.index: layer.type for layer in LAYERS}
    placed = []
    for record in study.in_place:
        parts = []
        for part in record.parts:
            factor = (
                3.0 * float(np.exp(noise * rng.standard_normal())) * (2 if types[part.layers[0]] == slow_type else 1)
            )
            parts.append(dataclasses.replace(part, samples_us=tuple(us * factor for us in part.samples_us)))
        total = sum(part.samples_us[0] for part in parts)
        placed.append(dataclasses.replace(record, parts=tuple(parts), whole_us=total))
    return dataclasses.replace(study, in_place=tuple(placed), _by_index={})


def first(study: LayerStudy, count: int) -> LayerStudy:
    """Return the study with the times of its first layers in its first setting only."""
    placed = [dataclasses.replace(record, parts=record.parts[:count]) for record in study.in_place]
    return dataclasses.replace(study, in_place=tuple(placed if count > 1 else placed[:1]), _by_index={})


def renamed(setting: Setting) -> Setting:
    return dataclasses.replace(setting, delegate="none")


def spread_study(half: float) -> LayerStudy:
    """Return a study whose runs differ so that each layer's mean is known to about this share."""
    return noisy(planted(precisions=("float32", "int8")), half)


def noisy(study: LayerStudy, half: float) -> LayerStudy:
    """Return a study with such runs."""
    placed = []
    for record in study.in_place:
        parts = []
        for place, part in enumerate(record.parts):
            rng = np.random.default_rng(place)
            runs = part.median_us * (1 + half / 1.96 * np.sqrt(20) * rng.standard_normal(20))
            parts.append(dataclasses.replace(part, samples_us=tuple(map(float, runs))))
        placed.append(dataclasses.replace(record, parts=tuple(parts), whole_us=None))
    return dataclasses.replace(study, in_place=tuple(placed), _by_index={})


def test_the_interval_is_wider_where_layers_are_less_certain() -> None:
    widths = []
    for half in (0.01, 0.1):
        sources = [Source(Device("pi"), spread_study(half)).fitted(GRAPH)]
        problem = build_problem(GRAPH, sources)
        assignment = [0] * 17
        low, high = uncertainty(problem, sources).interval(assignment)
        latency = problem.totals(assignment)[0]
        assert low < latency < high
        widths.append((high - low) / 2 / latency)
    # Independent errors of 15 layers: about a quarter of what one has.
    assert 0.001 < widths[0] < 0.006
    assert widths[1] > 5 * widths[0]


def test_a_plan_says_which_uniform_plans_are_within_the_noise() -> None:
    close = planted(slower=1.004)
    builtin = dataclasses.replace(
        close, in_place=tuple(dataclasses.replace(one, setting=renamed(one.setting)) for one in close.in_place)
    )
    both = dataclasses.replace(planted(), in_place=(*planted().in_place, *builtin.in_place), _by_index={})
    for half, verdict in ((0.001, "better"), (0.3, "within the noise")):
        plan = make_plan([Source(Device("pi"), noisy(both, half))])
        rival = next(one for one in plan.rivals if one.name == "pi: int8 none 1t everywhere")
        assert rival.loses is not None
        assert (0.025 < rival.loses < 0.975) == (verdict == "within the noise")
        assert ("within the noise" in rival.objection) == (verdict == "within the noise")
        float32 = next(one for one in plan.rivals if one.name == "pi: float32 xnnpack 1t everywhere")
        assert float32.loses is not None and float32.loses > 0.975


def test_rivals_of_a_plan_are_those_that_other_times_would_have_made() -> None:
    pytest.importorskip("scipy")
    sources = [Source(Device(name), spread_study(0.2)) for name in ("pi", "server")]
    wifi = [Link("wifi", ("pi", "server"), 1e3)]
    plan = make_plan(sources, wifi, objective="throughput")
    found = how_sure(plan, sources, wifi, solved=4, draws=100)
    assert found.draws == 100 and found.comparisons
    assert all("otherwise" in one.rival and one.verdict != "worse" for one in found.comparisons)
    alone = Source(Device("pi"), planted())  # of exact times there is one best plan
    told = how_sure(make_plan([alone]), [alone], solved=2, draws=10)
    assert told.describe() == ["Whatever of the measured times is drawn, the plan is the best."]
    with pytest.raises(OptionError, match="not made of these devices"):
        how_sure(plan, [alone])


def test_stages_have_intervals_that_make_up_that_of_the_whole() -> None:
    pytest.importorskip("scipy")
    sources = [Source(Device(name), spread_study(0.1)) for name in ("pi", "server")]
    wifi = Link("wifi", ("pi", "server"), 1e4)
    plan = make_plan(sources, [wifi], objective="throughput")
    assert len(plan.stages) > 1
    for stage in plan.stages:
        assert stage.low_us is not None and stage.high_us is not None
        assert stage.low_us < stage.predicted_us < stage.high_us
    widths = [(stage.high_us or 0) - (stage.low_us or 0) for stage in plan.stages]
    # Layers are off independently, predictions of mixed models on one device are off together.
    whole = (plan.costs.latency_high_us or 0) - (plan.costs.latency_low_us or 0)
    assert np.linalg.norm(widths) < whole < sum(widths)


def test_what_predictions_were_off_by_is_part_of_the_interval() -> None:
    source = Source(Device("pi"), planted(mixes=24, noise=0.05)).fitted(GRAPH)
    problem = build_problem(GRAPH, [source])
    known, fit = uncertainty(problem, [source]), source.terms.fit if source.terms else None
    assert fit is not None and fit.median is not None
    deviation = max(fit.median / 0.6745, (fit.quantile(0.9) or 0.0) / 1.645)
    mixed = [0, *([0] * 7), *([1] * 8), 0]
    low, high = known.interval(mixed)
    assert (high - low) / 2 / problem.totals(mixed)[0] == pytest.approx(deviation * 1.96, rel=0.01)
    low, high = known.interval([0] * 17)  # the uniform model was measured, and is as sure as that
    assert high - low == pytest.approx(0.0, abs=1e-9)


def test_resampled_problems_spread_as_the_interval_says() -> None:
    sources = [Source(Device("pi"), spread_study(0.1)).fitted(GRAPH)]
    problem = build_problem(GRAPH, sources)
    known = uncertainty(problem, sources)
    rng, assignment = np.random.default_rng(0), [0] * 17
    drawn = [known.resampled(rng) for _ in range(300)]
    latencies = np.array([other.totals(assignment)[0] for other in drawn])
    low, high = known.interval(assignment)
    assert np.mean((latencies > low) & (latencies < high)) == pytest.approx(0.95, abs=0.04)
    table = known.draws([assignment, assignment], 1000)
    assert np.mean((table[:, 0, 0] > low) & (table[:, 0, 0] < high)) == pytest.approx(0.95, abs=0.04)
    assert (table[:, 0] == table[:, 1]).all()
    busy = problem.index(BUSY + "pi")
    assert all(other.totals(assignment)[busy] == pytest.approx(other.totals(assignment)[0]) for other in drawn[:5])
    assert sum(layer_us("float32").values()) == pytest.approx(problem.totals(assignment)[0], rel=0.2)
