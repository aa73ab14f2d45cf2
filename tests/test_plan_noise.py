"""Plans do not believe noise: what is promised comes true, and where nothing is gained the default is kept."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from litedelegates.layers import Alone, LayerStudy, PartTiming, Setting
from litedelegates.plan import Choice, Device, Gain, Plan, Source, make_plan
from litedelegates.plan.costs import build_problem
from litedelegates.plan.fitting import fit_terms
from litedelegates.plan.layer_times import layer_times
from litedelegates.plan.shrinkage import common, shrunken
from litedelegates.plan.story import tell
from litedelegates.plan.unmapped import Unmapped, share_out
from noisy_study import FLOAT32_US, Promise, measured, promise, truth
from planted_study import GRAPH, LAYERS, in_place, layer_us, output_errors, planted

pytest.importorskip("scipy")

NO_GAIN = {"float16": 1.0, "dynamic": 1.0}
FLOAT32, DYNAMIC = Setting("float32", "xnnpack"), Setting("dynamic", "xnnpack")


def promises(seeds: int, gains: dict[str, float], differing: float, **noise: float) -> list[Promise]:
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        true = truth(rng, gains, differing)
        found.append(promise(measured(true, rng, **noise), true))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    "noise",
    [
        {"noise": 0.05, "whole_noise": 0.01},
        {"noise": 0.1, "whole_noise": 0.03},
        {"noise": 0.1, "whole_noise": 0.02, "mixes": 12},
    ],
)
def test_where_no_precision_gains_anything_the_default_is_kept(noise: dict[str, float]) -> None:
    found = promises(40, NO_GAIN, 0.0, **noise)
    assert np.mean([not one.gain.is_shown for one in found]) >= 0.95
    assert np.mean([one.gain.ratio for one in found]) < 1.05


@pytest.mark.parametrize("differing", [0.1, 0.8])
def test_what_is_promised_comes_true_whatever_layers_differ_by(differing: float) -> None:
    found = promises(40, NO_GAIN, differing, noise=0.1, whole_noise=0.02, mixes=12)
    off = np.array([one.off for one in found])
    assert abs(off.mean()) < 0.02  # the lowest of three noisy times would be 6 % too low
    assert np.mean([one.gain.low <= one.true for one in found]) >= 0.95
    assert np.mean([one.true <= one.gain.high for one in found]) >= 0.95


def test_the_lowest_of_noisy_times_would_promise_too_much() -> None:
    off = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        true = truth(rng, NO_GAIN, 0.1)
        study = measured(true, rng, noise=0.1)
        raw = {record.setting.precision: record.layer_us() for record in study.in_place}
        best = {layer: min(raw, key=lambda name: raw[name][layer]) for layer in FLOAT32_US}
        promised = sum(raw[name][layer] for layer, name in best.items())
        off.append(promised / sum(true[name][layer] for layer, name in best.items()) - 1)
    assert np.mean(off) < -0.05


def test_a_whole_that_was_once_much_quicker_widens_the_gain_to_that_side() -> None:
    """The median of float32 lies near the upper end of its interval: a quick run of it was seen, too."""
    rng = np.random.default_rng(0)
    true = truth(rng, {"dynamic": 10.0})
    study = measured(true, rng, noise=0.02, whole_noise=0.01)
    float32, *others = study.in_place
    assert float32.whole_us is not None
    skewed = dataclasses.replace(float32, whole_low_us=float32.whole_us / 9, whole_high_us=float32.whole_us * 1.8)
    gain = promise(dataclasses.replace(study, in_place=(skewed, *others), _by_index={}), true).gain
    assert gain.low < 1.2 < 8 < promise(study, true).gain.low


def test_a_large_gain_is_found_and_shown() -> None:
    uniform = promises(20, {"float16": 1.0, "dynamic": 2.0}, 0.0, noise=0.1, whole_noise=0.02)
    assert all(1.5 < one.gain.low < one.gain.high < 2.6 for one in uniform)
    assert np.mean([one.gain.low < one.true < one.gain.high for one in uniform]) >= 0.9
    mixed = promises(20, NO_GAIN, 0.8, noise=0.1, whole_noise=0.02)
    assert all(one.gain.is_shown and len(set(one.precisions)) > 1 for one in mixed)
    assert min(one.true for one in mixed) > 1.2


def test_float32_on_the_quickest_delegate_is_the_default() -> None:
    both = dataclasses.replace(planted(), in_place=(*planted().in_place, *planted("none", slower=2.0).in_place))
    plan = make_plan([Source(Device("pi"), dataclasses.replace(both, _by_index={}))])
    assert plan.gain is not None and plan.gain.name == "pi: float32 xnnpack 1t everywhere"
    float32 = next(rival for rival in plan.rivals if rival.name == plan.gain.name)
    assert plan.gain.ratio == pytest.approx(float32.costs.latency_us / plan.costs.latency_us)
    assert plan.gain.is_shown and not plan.keeps_default


def test_the_default_itself_is_no_gain_and_without_float32_nothing_is_said() -> None:
    study = planted(precisions=("float32", "dynamic"), factors={"dynamic": 4.0})  # twice as slow as float32
    plan = make_plan([Source(Device("pi"), study)])
    assert set(plan.precisions.values()) == {"float32"}
    assert plan.gain == Gain(Choice("pi", "xnnpack", "float32"), 1.0, 1.0, 1.0) and plan.keeps_default
    assert make_plan([Source(Device("pi"), study)], precisions=["dynamic"]).gain is None
    errors = output_errors("dynamic", 40.0)
    free = make_plan([Source(Device("pi"), dataclasses.replace(study, errors=errors))], max_latency_us=1.0e9)
    assert free.gain is not None


def test_a_plan_says_keep_float32_in_words_and_keeps_it_when_written() -> None:
    rng = np.random.default_rng(0)
    plan = make_plan([Source(Device("pi"), measured(truth(rng, NO_GAIN), rng))])
    assert plan.keeps_default
    assert tell(plan)[0].sentences[0].startswith("Keep float32: ")
    read = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert read == plan and read.keeps_default


def test_where_a_mixture_is_too_unsure_the_precision_that_is_shown_to_be_better_is_taken() -> None:
    rng = np.random.default_rng(0)
    true = truth(rng, {"float16": 1.0, "dynamic": 1.3}, 0.15)
    study = measured(true, rng, noise=0.02, whole_noise=0.01, mixes=12)
    off = np.random.default_rng(1)
    mixed = tuple(  # predictions of mixtures are worth little here
        one
        if one.is_uniform
        else dataclasses.replace(one, whole_us=(one.whole_us or 0.0) * float(np.exp(0.5 * off.standard_normal())))
        for one in study.mixed
    )
    plan = make_plan([Source(Device("pi"), dataclasses.replace(study, mixed=mixed, _by_index={}))])
    assert set(plan.precisions.values()) == {"dynamic"} and not plan.keeps_default
    assert plan.gain is not None and plan.gain.low > 1.1
    assert "dynamic xnnpack 1t everywhere is, and was taken" in plan.notes[0] and not plan.is_exact


def test_exact_times_stay_what_they_are_and_a_common_gain_is_found() -> None:
    exact = ({0: 4.0, 1: 2.0, 2: 1.0, 3: 0.0}, {})
    half = ({0: 2.0, 1: 3.0, 2: 0.25, 3: 0.0}, {})
    assert shrunken([exact, half]) == [exact, half]
    noisy = dict.fromkeys(range(4), 0.2)
    (first, _), (second, width) = shrunken([(exact[0], noisy), ({0: 2.1, 1: 0.95, 2: 0.5, 3: 0.0}, noisy)])
    gains = [first[layer] / second[layer] for layer in (0, 1, 2)]
    assert gains == pytest.approx([2.0] * 3, rel=0.02) and max(gains) == pytest.approx(min(gains))
    assert second[3] == 0.0 and width[0] < 0.2


def test_the_variance_between_values_is_what_is_left_beyond_their_noise() -> None:
    rng = np.random.default_rng(1)
    found = [common(rng.normal(0.3, np.hypot(0.2, 0.1), 50), np.full(50, 0.01)) for _ in range(100)]
    assert np.mean([mean for mean, _ in found]) == pytest.approx(0.3, abs=0.01)
    assert np.mean([between for _, between in found]) == pytest.approx(0.04, rel=0.1)
    assert common(np.array([1.0, 1.01, 0.99]), np.full(3, 0.01))[1] == 0.0
    assert common(np.full(5, 2.0), np.zeros(5)) == (2.0, 0.0)


def unmapped(study: LayerStudy, setting: Setting, layers: tuple[int, ...]) -> LayerStudy:
    """Return a study whose profile maps the kernels of some layers to no layer."""
    placed = []
    for record in study.in_place:
        parts = tuple(
            dataclasses.replace(part, role="unmapped", layers=())
            if record.setting == setting and part.layers[0] in layers
            else part
            for part in record.parts
        )
        placed.append(dataclasses.replace(record, parts=parts))
    return dataclasses.replace(study, in_place=tuple(placed), _by_index={})


@pytest.mark.parametrize("layers", [(3,), (2, 3, 9), tuple(range(15))])
def test_kernels_that_no_layer_is_known_of_are_time_of_layers_without_one(layers: tuple[int, ...]) -> None:
    study = unmapped(planted(), DYNAMIC, layers)
    found = layer_times(study)[DYNAMIC].us
    true = layer_us("dynamic")
    assert {layer: found[layer] for layer in layers} == pytest.approx({layer: true[layer] for layer in layers})
    problem = build_problem(GRAPH, [Source(Device("pi"), study)])
    dynamic = [choice.precision for choice in problem.choices].index("dynamic")
    assert problem.totals([0, *[dynamic] * 15, 0])[0] == pytest.approx(sum(true.values()))
    notes = fit_terms(GRAPH, study).notes
    assert any("could not be mapped" in note and "dynamic xnnpack 1t" in note for note in notes)


def test_times_alone_say_how_unmapped_kernels_are_shared() -> None:
    record = unmapped(planted(), DYNAMIC, (2, 3)).in_place[1]
    total = layer_us("dynamic")[2] + layer_us("dynamic")[3]
    found = share_out(Unmapped(record, None, (2, 3), {2: 30.0, 3: 10.0}, {})).us
    assert found == pytest.approx({2: total * 0.75, 3: total * 0.25})
    found = share_out(Unmapped(record, None, (2, 3), {}, {2: 10.0, 3: 40.0})).us
    assert found == pytest.approx({2: total * 0.2, 3: total * 0.8})


def test_noisy_shares_are_drawn_to_the_gain_that_the_other_layers_have() -> None:
    study = unmapped(planted(precisions=("float32", "dynamic")), DYNAMIC, (2, 3))
    alone = (Alone(2, DYNAMIC, 30.0), Alone(3, DYNAMIC, 10.0))
    found = layer_times(dataclasses.replace(study, alone=alone, _by_index={}))[DYNAMIC].us
    assert found == pytest.approx(layer_us("dynamic"), rel=1e-3)


def test_a_plan_of_unmapped_layers_promises_no_more_than_the_whole_model_shows() -> None:
    study = unmapped(planted(precisions=("float32", "dynamic"), mixes=12), DYNAMIC, tuple(range(15)))
    plan = make_plan([Source(Device("pi"), study)])
    assert plan.costs.latency_us == pytest.approx(sum(layer_us("dynamic").values()), rel=0.02)
    assert plan.gain is not None and plan.gain.ratio == pytest.approx(2.0, rel=0.02)


def test_a_layer_that_the_engine_drops_takes_no_time() -> None:
    us = {layer: own for layer, own in layer_us("float32").items() if layer != 4}
    record = in_place(FLOAT32, us)
    study = dataclasses.replace(planted(precisions=("float32",)), in_place=(record,), _by_index={})
    times = layer_times(study)[FLOAT32]
    assert times.us[4] == 0.0 and times.note == ""
    # The whole takes as much longer as the layer alone: that is where its time is.
    slower = dataclasses.replace(record, whole_us=sum(us.values()) + 200.0)
    study = dataclasses.replace(study, in_place=(slower,), alone=(Alone(4, FLOAT32, 60.0),), _by_index={})
    assert layer_times(study)[FLOAT32].us[4] == pytest.approx(60.0)


def test_kernels_too_short_for_the_profiler_share_the_whole() -> None:
    parts = tuple(
        PartTiming(f"op {layer.index}", "xnnpack", "layer", (layer.index,), (0.0,) * 3, "") for layer in LAYERS
    )
    record = dataclasses.replace(in_place(FLOAT32, {0: 1.0}), parts=parts, whole_us=15.0)
    study = dataclasses.replace(planted(precisions=("float32",)), in_place=(record,), _by_index={})
    assert layer_times(study)[FLOAT32].us == pytest.approx(dict.fromkeys(range(15), 1.0))
    nothing = dataclasses.replace(study, in_place=(dataclasses.replace(record, whole_us=None),), _by_index={})
    assert layer_times(nothing) == {}  # a setting of which nothing is known cannot be planned


def test_layers_that_could_not_be_timed_alone_share_what_the_whole_takes_beside_the_others() -> None:
    true = layer_us("dynamic")
    alone = tuple(Alone(layer, DYNAMIC, us) for layer, us in true.items() if layer not in (5, 6))
    study = planted(precisions=("float32", "dynamic"), mixes=12)
    refused = dataclasses.replace(study.in_place[1], parts=(), whole_us=None, refusal="no profile")
    study = dataclasses.replace(study, in_place=(study.in_place[0], refused), alone=alone, _by_index={})
    found = layer_times(study)[DYNAMIC]
    assert (found.us[5], found.us[6]) == pytest.approx((true[5], true[6])) and "were not timed" in found.note
    unknown = layer_times(dataclasses.replace(study, mixed=(), _by_index={}))[DYNAMIC]
    assert 5 not in unknown.us and "cannot be planned" in unknown.note


def test_terms_that_contradict_a_whole_model_are_held_to_it() -> None:
    study = planted(precisions=("float32", "dynamic"), mixes=12)
    parts = tuple(
        dataclasses.replace(part, samples_us=tuple(us / 8 for us in part.samples_us))
        for part in study.in_place[1].parts
    )
    wrong = dataclasses.replace(study.in_place[1], parts=parts)
    mixed = tuple(
        one if one.is_uniform else dataclasses.replace(one, whole_us=(one.whole_us or 0) * 0.3) for one in study.mixed
    )
    study = dataclasses.replace(study, in_place=(study.in_place[0], wrong), mixed=mixed, _by_index={})
    terms = fit_terms(GRAPH, study)
    assert any("the whole model took" in note and "scaled to the whole" in note for note in terms.notes)
    problem = build_problem(GRAPH, [Source(Device("pi"), study)])
    for place, precision in enumerate(("float32", "dynamic")):
        whole = sum(layer_us(precision).values())
        assert problem.totals([0, *[place] * 15, 0])[0] == pytest.approx(whole, rel=0.06)
